"""`anytier doctor` on a stack of tier libvirt: what its config names, the hypervisor, and what hardware it may use."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from anytier.config import Settings
from anytier.conformance.places.libvirt import LibvirtPlace
from anytier.doctor import libvirt as doctor
from anytier.doctor.check import Finding, Subject
from anytier.errors import ConfigError
from anytier.tiers.vms import LibvirtArgs

SHA = "ab" * 32


def subject(**given: Any) -> Subject:
    args = LibvirtArgs.model_validate(given)
    settings = Settings("libvirt", None, args, Path("app.yaml"), 8080, 8443, {})
    return Subject(Path(), "dev", {}, settings)


def told(findings: Any) -> list[tuple[str, str]]:
    found: list[Finding] = list(findings)
    assert all(item.do for item in found if item.status == "missing")
    return [(item.check, item.status) for item in found]


def test_what_the_config_names_must_be_there(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    gone = subject(image=str(image), sha256=SHA)
    assert told(doctor.config(gone)) == [("machine", "missing")]
    image.touch()
    (found,) = doctor.config(gone)
    assert found.status == "ok" and "anytier-dev" in found.what and "10." in found.what
    assert told(doctor.config(subject(image=str(image), sha256=SHA, machines=3))) == [("machine", "ok")] * 3


@pytest.mark.skipif(importlib.util.find_spec("libvirt") is None, reason="libvirt-python is not installed")
def test_the_hypervisor_is_asked_once(tmp_path: Path) -> None:
    (found,) = doctor.hypervisor(subject(uri="test:///default"))
    assert found.status == "ok" and found.what.startswith("TEST ") and "test:///default" in found.what
    (found,) = doctor.hypervisor(subject(uri=f"qemu+unix:///system?socket={tmp_path}/none"))
    assert found.status == "missing" and found.do


def test_without_kvm_machines_are_slow_and_asked_for_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "KVM", tmp_path / "kvm")
    assert told(doctor.acceleration(subject())) == [("kvm", "note")]
    assert told(doctor.acceleration(subject(accelerator="kvm"))) == [("kvm", "missing")]
    assert told(doctor.acceleration(subject(accelerator="tcg"))) == []
    assert told(doctor.acceleration(subject(uri="qemu+ssh://host/system"))) == []
    (tmp_path / "kvm").touch()
    assert told(doctor.acceleration(subject())) == [("kvm", "ok")]


def test_the_suite_must_know_the_address_and_the_key(tmp_path: Path) -> None:
    key, image = tmp_path / "id", tmp_path / "image"
    given = {"image": str(image), "sha256": SHA, "network": {"subnet": "10.213.9.0/24"}, "keyFile": str(key)}
    with pytest.raises(ConfigError, match="image"):
        LibvirtPlace(given)
    image.touch()
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
    Path(f"{key}.pub").write_text(public)
    place = LibvirtPlace(given)
    (machine,) = place.machines
    assert (place.address, machine.address) == ("10.213.9.10", "10.213.9.10")
    assert (machine.user, machine.sudo, machine.called) == ("anytier", True, "anytier-conformance")
    second = LibvirtPlace({**given, "machines": 2}).machines[1]
    assert (second.called, second.address) == ("anytier-conformance-2", "10.213.9.11")
    for name, path in (("keyFile", "keyFile"), ("network", "network.subnet")):
        with pytest.raises(ConfigError) as caught:
            LibvirtPlace({key_: value for key_, value in given.items() if key_ != name})
        assert caught.value.path == f"anytier:libvirt.{path}" and caught.value.do
