"""The benchmarks on a hypervisor: all sides ask for the same, in words that can be read."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from anytier.provider.libvirt.domain import DomainInputs
from anytier.provider.libvirt.pool import PoolInputs
from anytier.provider.libvirt.volume import VolumeInputs
from anytier.tiers.vms import LibvirtArgs, bytes_of
from benchmarks.cases import domains, vm
from benchmarks.cases.domains import Bench
from benchmarks.hypervisor import Hypervisor
from benchmarks.measure import CommandFailed

URI = "qemu+unix:///system?socket=/x/sock"


class Named:
    def __init__(self, name: str, volumes: int = 0) -> None:
        self._name, self._volumes = name, volumes

    def name(self) -> str:
        return self._name

    def numOfVolumes(self) -> int:
        return self._volumes


class Raw:
    def __init__(self, machines: int, volumes: int) -> None:
        self.machines, self.volumes = machines, volumes

    def listAllDomains(self) -> list[Named]:
        return [Named("somebody-elses"), *(Named(f"{domains.NAME}-{number}") for number in range(self.machines))]

    def listAllStoragePools(self) -> list[Named]:
        return [Named("default", 7), Named(domains.NAME, self.volumes)]


def bench(machines: int = 0, volumes: int = 0) -> Bench:
    return Bench(Hypervisor(URI, Path("/x"), Raw(machines, volumes)), 3)


def test_our_program_can_be_read_and_its_resources_are_valid() -> None:
    given = domains.given(bench())
    ast.parse(textwrap.dedent(domains.PROGRAM.format(given=json.dumps(given))))
    common = {"host": {"uri": URI}}
    assert PoolInputs.model_validate({**common, **given["pool"]}).remove_folder
    volume = VolumeInputs.model_validate({**common, **given["volume"], "name": "a.qcow2"})
    disk = {"path": "/x/a.qcow2", "format": "qcow2", "kind": "disk", "readOnly": False}
    machine = DomainInputs.model_validate({**common, **given["machine"], "name": "a", "disks": [disk]})
    assert (volume.size, machine.memory, machine.vcpus, machine.running) == (domains.SIZE, domains.MEMORY, 1, False)


def test_opentofu_and_the_plain_calls_are_asked_for_the_same() -> None:
    told = domains.hcl(bench())["resource"]
    machine, volume = told["libvirt_domain"]["machine"], told["libvirt_volume"]["disk"]
    assert (machine["count"], machine["memory"], machine["vcpu"], machine["running"]) == (3, domains.MEMORY, 1, False)
    assert (volume["count"], volume["size"], volume["format"]) == (3, domains.SIZE, "qcow2")
    plain = ElementTree.fromstring(domains.machine_xml(0, "/x/a & 'b'.qcow2"))
    source = plain.find("devices/disk/source")
    assert source is not None and source.get("file") == "/x/a & 'b'.qcow2"
    assert (plain.findtext("memory"), plain.findtext("vcpu")) == (str(domains.MEMORY), "1")
    assert ElementTree.fromstring(domains.volume_xml(0)).findtext("capacity") == str(domains.SIZE)
    assert ElementTree.fromstring(domains.pool_xml(Path("/x & y"))).findtext("target/path") == "/x & y"


def test_what_is_not_there_is_no_figure() -> None:
    bench(3, 3).expect(3)
    bench().expect(0)
    for machines, volumes in ((2, 3), (3, 2), (0, 0)):
        with pytest.raises(CommandFailed, match=f"{machines} machines and {volumes} volumes are there, not 3"):
            bench(machines, volumes).expect(3)


def test_the_limits_are_about_opentofu() -> None:
    samples = {"anytier": [(1.0, 1.0, 1.0)], "OpenTofu": [(5.0, 1.0, 0.5)], "raw": [(0.5, 0.1, 0.1)]}
    found = domains.rows(3, samples)
    assert [row.verdict for row in found] == ["met", "met", "missed"] + ["no limit"] * 3
    assert [row.limit.most for row in found if row.limit] == [0.25, 1.3, 1.3]
    assert [row.beside for row in found] == ["OpenTofu"] * 3 + ["libvirt's calls alone"] * 3
    assert [row.theirs[0] for row in found[3:]] == [0.5, 0.1, 0.1]


def test_the_machine_by_hand_is_the_tiers(tmp_path: Path) -> None:
    class Image:
        disk, kernel, initrd = tmp_path / "disk", tmp_path / "vmlinuz", tmp_path / "initrd"

    Image.disk.write_bytes(b"x")
    made: Any = vm.prepared(Hypervisor(URI, tmp_path, None), Image)
    args = LibvirtArgs.model_validate(made.given)
    assert (bytes_of(args.disk), bytes_of(args.data_disk or "")) == (3 * 2**30, 2**30)
    ast.parse(textwrap.dedent(vm.PROGRAM.format(components="/c", given=json.dumps(made.given))))
    disk = "<disk><source file='{}'/></disk>"
    text = f"<domain><devices>{disk.format('/p/root-1.qcow2')}{disk.format('/p/seed.iso')}</devices></domain>"
    assert vm.sources(text) == ["/p/root-1.qcow2", "/p/seed.iso"]
