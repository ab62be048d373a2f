"""From nothing to SSH on one virtual machine: `pulumi up` of tier libvirt, and the same guest made by hand.

By hand is what somebody would type who has all of it ready: the disks by qemu-img, the network, the machine's XML (the
one that ours was) and the seed (likewise), then SSH until it answers. Its image is used where it lies; ours is first
brought into a pool, with its digest checked. The guest's own boot is most of both.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.hypervisor import Hypervisor, hypervisor
from benchmarks.measure import CommandFailed, timed
from benchmarks.row import Options, Row
from benchmarks.stacks import ROOT, Stack, program

USER, NAME, SUBNET = "anytier", "anytier-test-bench", "10.231.77.0/24"
ADDRESS = "10.231.77.10"  # the first one that the tier gives there
DISK, DATA = "3G", "1G"
BOOT = 900.0  # seconds, on a processor that may be emulated
PROGRAM = """
    import json
    import sys

    sys.path.insert(0, {components!r})

    from anytier.tiers.libvirt import LibvirtTier
    from anytier.tiers.vms import LibvirtArgs

    LibvirtTier("vm", LibvirtArgs.model_validate(json.loads({given!r})), port=8080, tls_port=8443)
"""


@dataclass(frozen=True)
class Bench:
    """`image`: the guest's files; `key`: of its user; `given`: the tier's config."""

    there: Hypervisor
    image: Any
    key: Path
    given: dict[str, Any]

    @property
    def pool(self) -> Path:
        return Path(self.given["folder"])


@dataclass(frozen=True)
class Known:
    """What a machine of ours was made of, for the one by hand."""

    machine: str
    network: str
    seed: bytes
    host_key: str


def run(options: Options) -> list[Row]:
    guest = import_module("tests.provider.libvirt.guest")
    if reason := guest.missing():
        raise CommandFailed(f"no guest: {reason}")
    ours, theirs = [], []
    with hypervisor() as there:
        bench = prepared(there, guest.ensure())
        for _ in range(1 if options.quick else min(options.repeat, 2)):
            took, known = by_anytier(bench)
            ours.append(took)
            theirs.append(by_hand(bench, known))
    return [Row("a virtual machine, from nothing to SSH", "s", ours, "the same guest by hand", theirs)]


def prepared(there: Hypervisor, image: Any) -> Bench:
    """A key, and the config of a stack whose machine QEMU emulates."""
    e2e = import_module("tests.e2e.test_libvirt")
    key = there.folder / "key"
    timed(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    given = {
        "uri": there.uri,
        "name": NAME,
        "image": str(image.disk),
        "sha256": e2e.digest(image.disk),
        "kernel": {"path": str(image.kernel), "initrd": str(image.initrd), "arguments": e2e.ARGUMENTS},
        "accelerator": "tcg",
        "memory": "1Gi",
        "disk": f"{DISK}i",
        "dataDisk": f"{DATA}i",
        "bootTimeout": BOOT,
        "connectTimeout": 60,
        "folder": str(there.folder / "pool"),
        "consoleLog": str(there.folder / "console.log"),
        "user": USER,
        "keyFile": str(key),
        "network": {"subnet": SUBNET},
    }
    return Bench(there, image, key, given)


def by_anytier(bench: Bench) -> tuple[float, Known]:
    """It returns when SSH has answered: a resource of the stack waits for it."""
    text = PROGRAM.format(components=str(ROOT / "components"), given=json.dumps(bench.given))
    with program(text) as stack:
        took = stack.up()
        return took, known(bench, stack)


def known(bench: Bench, stack: Stack) -> Known:
    raw = bench.there.raw
    seed = next(item for item in stack.state()["resources"] if item["type"] == "anytier:libvirt:SeedIso")
    return Known(
        raw.lookupByName(NAME).XMLDesc(),
        raw.networkLookupByName(NAME).XMLDesc(),
        (bench.pool / "seed.iso").read_bytes(),
        str(seed["outputs"]["hostPublicKey"]),
    )


def by_hand(bench: Bench, known: Known) -> float:
    raw, folder = bench.there.raw, bench.there.folder / "hand"
    folder.mkdir(exist_ok=True)
    (folder / "seed.iso").write_bytes(known.seed)
    (bench.there.folder / "known_hosts").write_text(f"{ADDRESS} {known.host_key}\n")
    disks = [Path(path) for path in sources(known.machine)]
    network = machine = None
    start = time.perf_counter()
    try:
        backing = ["-b", str(bench.image.disk), "-F", "qcow2"]
        timed(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(folder / disks[0].name), DISK])
        timed(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / disks[1].name), DATA])
        network = raw.networkDefineXML(known.network)
        network.create()
        machine = raw.defineXML(known.machine.replace(str(bench.pool), str(folder)))
        machine.create()
        answered(bench)
        return time.perf_counter() - start
    finally:
        if machine is not None:
            if machine.isActive():
                machine.destroy()
            machine.undefine()
        if network is not None:
            network.destroy()
            network.undefine()
        for disk in disks:
            (folder / disk.name).unlink(missing_ok=True)


def sources(text: str) -> list[str]:
    """The files of a machine's disks, in their order."""
    from xml.etree import ElementTree

    found = ElementTree.fromstring(text).iterfind("devices/disk/source")
    return [str(item.get("file")) for item in found]


def answered(bench: Bench) -> None:
    """As somebody waits who has typed it: again and again."""
    strict = ["-o", f"UserKnownHostsFile={bench.there.folder / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
    options = ["-i", str(bench.key), *strict, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    end = time.monotonic() + BOOT
    while subprocess.run(["ssh", *options, f"{USER}@{ADDRESS}", "true"], capture_output=True).returncode:
        if time.monotonic() > end:
            raise CommandFailed(f"the machine by hand did not answer within {BOOT:.0f} s")
        time.sleep(0.5)
