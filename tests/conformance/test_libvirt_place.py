"""The place of machines that the stack makes: what must be known beforehand, and what is left of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.places import libvirt
from anytier.conformance.places.base import Made
from anytier.conformance.places.libvirt import LibvirtPlace
from anytier.conformance.places.local import LocalPlace
from anytier.errors import ConfigError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "key").write_text("private")
    (tmp_path / "key.pub").write_text(KEY)
    (tmp_path / "image").write_bytes(b"QFI\xfb")
    return {
        "image": str(tmp_path / "image"),
        "sha256": "0" * 64,
        "keyFile": str(tmp_path / "key"),
        "network": {"subnet": "10.213.0.0/24"},
        "folder": str(tmp_path / "pool"),
    }


def test_its_machine_is_where_the_tier_puts_it(config: dict[str, Any]) -> None:
    place = LibvirtPlace(config)
    assert isinstance(place, Made) and not isinstance(LocalPlace({"supervisor": "supervisord"}), Made)
    assert (place.address, place.network, place.key_file) == ("10.213.0.10", "10.213.0.0/24", config["keyFile"])
    assert [item.address for item in place.machines] == ["10.213.0.10"]


@pytest.mark.parametrize(("accelerator", "pace"), [("auto", 1.0), ("kvm", 1.0), ("tcg", libvirt.EMULATED)])
def test_only_an_emulated_processor_is_given_longer(config: dict[str, Any], accelerator: str, pace: float) -> None:
    assert LibvirtPlace({**config, "accelerator": accelerator}).pace == pace


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"keyFile": None}, "keyFile"),
        ({"network": {}}, "network.subnet"),
        ({"network": {"bridge": "br0", "address": "192.168.1.5/24"}}, "network.subnet"),
        ({"uri": "qemu+ssh://root@elsewhere.example/system"}, "uri"),
    ],
    ids=["no key", "no subnet", "a network of others", "a hypervisor elsewhere"],
)
def test_what_it_cannot_look_at_or_must_not_load_is_refused(
    config: dict[str, Any], change: dict[str, Any], path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        LibvirtPlace({**config, **change})
    assert caught.value.path == f"anytier:libvirt.{path}"


class Raw:
    """A hypervisor with things of these names."""

    class Named:
        def __init__(self, name: str) -> None:
            self._name = name

        def name(self) -> str:
            return self._name

    def __init__(self, *names: str) -> None:
        self.names = names

    def listed(self) -> list[Named]:
        return [self.Named(name) for name in self.names]

    listAllDomains = listAllNetworks = listAllStoragePools = listed


def test_what_is_left_is_told_by_name_and_others_things_are_not(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = LibvirtPlace(config)

    async def ask(look: Any) -> Any:
        return look(Raw("anytier-anytier-test-1", "somebody-elses"))

    monkeypatch.setattr(place, "_hypervisor", ask)
    mine = "anytier-anytier-test-1"
    assert place.leftovers(f"{mine}-conformance") == [f"machine {mine}", f"network {mine}", f"pool {mine}"]
    (tmp_path / "pool").mkdir()
    assert place.leftovers("anytier-anytier-test-2-conformance") == [f"folder {tmp_path / 'pool'}"]
