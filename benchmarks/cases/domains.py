"""A hundred virtual machines with a volume each, defined and not started: anytier, OpenTofu and plain calls, in turns.

OpenTofu has the provider that Terraform's users take, dmacvicar/libvirt. All three ask one libvirtd for the same: a
pool, a qcow2 volume of 1 GiB and a machine with it, a processor and 256 MiB. Ours is a Pulumi program of as many
resources; its time has the engine in it, and the state that it writes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from benchmarks.hypervisor import Hypervisor, hypervisor
from benchmarks.measure import CommandFailed, timed
from benchmarks.programs import TOFU, TOFU_LIBVIRT, ensure
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import program

MADE, LATER = Limit("ratio", 0.25), Limit("ratio", 1.3)
SIZE, MEMORY = 2**30, 256  # bytes, MiB
NAME = "anytier-test-bench"
Sample = tuple[float, float, float]  # seconds: made, refreshed, destroyed

PROGRAM = """
    import json
    import pulumi

    given = json.loads({given!r})

    class Made(pulumi.CustomResource):
        def __init__(self, kind, name, props, *outputs, after=()):
            found = {{**dict.fromkeys(outputs), **given["common"], **props}}
            super().__init__(f"anytier:libvirt:{{kind}}", name, found, pulumi.ResourceOptions(depends_on=list(after)))

    pool = Made("Pool", "pool", given["pool"])
    for index in range(given["count"]):
        name = f"{{given['name']}}-{{index}}"
        disk = {{**given["volume"], "name": f"{{name}}.qcow2"}}
        volume = Made("Volume", f"disk-{{index}}", disk, "path", after=[pool])
        disks = [{{"path": pulumi.get(volume, "path"), "format": "qcow2", "kind": "disk", "readOnly": False}}]
        Made("Domain", f"machine-{{index}}", {{**given["machine"], "name": name, "disks": disks}})
"""


@dataclass(frozen=True)
class Bench:
    """`count`: of machines."""

    there: Hypervisor
    count: int

    def expect(self, count: int) -> None:
        """So many are defined, with so many volumes, or there was nothing to measure."""
        machines = [item for item in self.there.raw.listAllDomains() if item.name().startswith(NAME)]
        pools = [item for item in self.there.raw.listAllStoragePools() if item.name().startswith(NAME)]
        volumes = sum(pool.numOfVolumes() for pool in pools)
        if (len(machines), volumes) != (count, count):
            raise CommandFailed(f"{len(machines)} machines and {volumes} volumes are there, not {count}")


def run(options: Options) -> list[Row]:
    tofu, plugin = ensure(TOFU), ensure(TOFU_LIBVIRT)
    with hypervisor() as there:
        bench = Bench(there, 5 if options.quick else 100)
        ways: dict[str, Callable[[], Sample]] = {
            "anytier": lambda: by_anytier(bench),
            "OpenTofu": lambda: by_tofu(bench, tofu, plugin),
            "raw": lambda: by_hand(bench),
        }
        samples: dict[str, list[Sample]] = {name: [] for name in ways}
        for index in range(min(options.repeat, 3)):
            for name in list(ways)[:: 1 if index % 2 == 0 else -1]:
                samples[name].append(ways[name]())
    return rows(bench.count, samples)


def rows(count: int, samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    what = f"{count} virtual machines with volumes"
    said = (("made", 0, MADE), ("refreshed", 1, LATER), ("destroyed", 2, LATER))

    def times(way: str, step: int) -> list[float]:
        return [found[step] for found in samples[way]]

    return [
        *(
            Row(f"{what} {text}", "s", times("anytier", step), "OpenTofu", times("OpenTofu", step), most)
            for text, step, most in said
        ),
        *(
            Row(f"{what} {text}", "s", times("anytier", step), "libvirt's calls alone", times("raw", step))
            for text, step, _ in said
        ),
    ]


# anytier


def by_anytier(bench: Bench) -> Sample:
    with program(PROGRAM.format(given=json.dumps(given(bench)))) as stack:
        made = stack.up()
        bench.expect(bench.count)
        refreshed = stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
        destroyed = stack.destroy()
        bench.expect(0)
        return made, refreshed, destroyed


def given(bench: Bench) -> dict[str, Any]:
    machine = {"vcpus": 1, "memory": MEMORY, "accelerator": "tcg", "nics": [], "running": False}
    return {
        "count": bench.count,
        "name": NAME,
        "common": {"host": {"uri": bench.there.uri}},
        "pool": {"name": NAME, "path": str(bench.there.folder / "ours"), "removeFolder": True},
        "volume": {"pool": NAME, "format": "qcow2", "size": SIZE},
        "machine": machine,
    }


# OpenTofu


def by_tofu(bench: Bench, tofu: Path, plugin: Path) -> Sample:
    place = bench.there.folder / "tofu"
    place.mkdir(exist_ok=True)
    (place / "main.tf.json").write_text(json.dumps(hcl(bench)))
    (place / "tofu.rc").write_text(
        f'provider_installation {{\n  dev_overrides {{ "dmacvicar/libvirt" = {json.dumps(str(plugin.parent))} }}\n}}\n'
    )
    env = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(place / "tofu.rc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }

    def tell(*args: str) -> float:
        return timed([str(tofu), *args, "-no-color", "-input=false", "-auto-approve"], place, env)

    try:
        made = tell("apply")
        bench.expect(bench.count)
        refreshed = tell("apply", "-refresh-only")
    except BaseException:
        tell("destroy")
        raise
    destroyed = tell("destroy")
    bench.expect(0)
    return made, refreshed, destroyed


def hcl(bench: Bench) -> dict[str, Any]:
    """HCL's JSON form."""
    disk = {"volume_id": "${libvirt_volume.disk[count.index].id}"}
    index = "${count.index}"
    return {
        "terraform": {"required_providers": {"libvirt": {"source": "dmacvicar/libvirt"}}},
        "provider": {"libvirt": {"uri": bench.there.uri}},
        "resource": {
            "libvirt_pool": {
                "pool": {"name": NAME, "type": "dir", "target": {"path": str(bench.there.folder / "theirs")}}
            },
            "libvirt_volume": {
                "disk": {
                    "count": bench.count,
                    "name": f"{NAME}-{index}.qcow2",
                    "pool": "${libvirt_pool.pool.name}",
                    "format": "qcow2",
                    "size": SIZE,
                }
            },
            "libvirt_domain": {
                "machine": {
                    "count": bench.count,
                    "name": f"{NAME}-{index}",
                    "type": "qemu",
                    "vcpu": 1,
                    "memory": MEMORY,
                    "running": False,
                    "disk": [disk],
                }
            },
        },
    }


# libvirt's own calls


def by_hand(bench: Bench) -> Sample:
    """One after the other on one connection, as a script does it."""
    raw, folder = bench.there.raw, bench.there.folder / "raw"
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    pool = raw.storagePoolDefineXML(pool_xml(folder))
    try:
        pool.create()
        for index in range(bench.count):
            volume = pool.createXML(volume_xml(index))
            raw.defineXML(machine_xml(index, volume.path()))
        made = time.perf_counter() - start
        bench.expect(bench.count)
        start = time.perf_counter()
        for machine in raw.listAllDomains():
            machine.XMLDesc()
        for volume in pool.listAllVolumes():
            volume.info()
        seen, start = time.perf_counter() - start, time.perf_counter()
    finally:
        for machine in raw.listAllDomains():
            if machine.name().startswith(NAME):
                machine.undefine()
        for volume in pool.listAllVolumes():
            volume.delete()
        pool.destroy()
        pool.undefine()
    return made, seen, time.perf_counter() - start


def pool_xml(folder: Path) -> str:
    return f"<pool type='dir'><name>{NAME}</name><target><path>{escape(str(folder))}</path></target></pool>"


def volume_xml(index: int) -> str:
    form = "<target><format type='qcow2'/></target>"
    return f"<volume><name>{NAME}-{index}.qcow2</name><capacity>{SIZE}</capacity>{form}</volume>"


def machine_xml(index: int, path: str) -> str:
    disk = f"<source file={quoteattr(path)}/><target dev='vda' bus='virtio'/>"
    return (
        f"<domain type='qemu'><name>{NAME}-{index}</name><memory unit='MiB'>{MEMORY}</memory><vcpu>1</vcpu>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>{disk}</disk></devices></domain>"
    )
