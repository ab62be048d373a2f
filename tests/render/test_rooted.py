"""What a program of an image may do, and the unit that starts it."""

from __future__ import annotations

from tests.render import unitfile
from tests.render.test_systemd import UNIT

from anytier.render import systemd
from anytier.render.rooted import ROOTED, USUAL, capabilities

NUMBERS = {number: name for name, number in ROOTED.items()}


def names(add: list[str], drop: list[str], low: bool = False) -> tuple[set[str], set[str]]:
    keep, ambient = capabilities(add, drop, low)
    return {NUMBERS[item] for item in keep}, {NUMBERS[item] for item in ambient}


def test_numbers_are_linuxs_own() -> None:
    known = {"CHOWN": 0, "SETPCAP": 8, "NET_BIND_SERVICE": 10, "SYS_ADMIN": 21, "MKNOD": 27, "CHECKPOINT_RESTORE": 40}
    assert {name: ROOTED[name] for name in known} == known


def test_the_usual_ones_are_few_and_can_be_more_or_none() -> None:
    assert names([], [])[0] == set(USUAL)
    assert not {"SYS_ADMIN", "NET_RAW", "MKNOD", "SYS_CHROOT", "SYS_PTRACE", "SETPCAP"} & set(USUAL)
    assert names(["NET_ADMIN"], ["ALL"])[0] == {"NET_ADMIN"}
    assert names(["net_raw"], ["CAP_CHOWN"])[0] == {*USUAL, "NET_RAW"} - {"CHOWN"}
    assert names(["ALL"], [])[0] == set(ROOTED)


def test_a_low_port_needs_no_root_unless_the_right_was_dropped() -> None:
    assert names([], [], low=True)[1] == {"NET_BIND_SERVICE"} and names([], [])[1] == set()
    assert names([], ["ALL"], low=True)[1] == set()


def test_its_unit_is_a_native_ones_but_for_what_making_a_root_takes() -> None:
    rooted = UNIT.model_copy(update={"capabilities": capabilities([], [], False)[0], "own_user": None})
    native = systemd.render(UNIT.model_copy(update={"prepare": None}), "system").splitlines()
    text = systemd.render(rooted.model_copy(update={"prepare": None}), "system").splitlines()
    assert {*native} - {*text} == {
        "Type=exec", "User=anytier-0123456789ab", "DynamicUser=yes", "RuntimeDirectory=anytier-dev-shop-web-r3-0",
        "RuntimeDirectoryMode=0700", "SystemCallFilter=@system-service", "RestrictNamespaces=yes",
        "CapabilityBoundingSet=",
    }  # fmt: skip
    service = unitfile.parse("\n".join(text))["Service"]
    assert service["Type"] == ["notify"] and service["NotifyAccess"] == ["main"]
    assert service["SystemCallFilter"] == ["@system-service @mount"] and service["RestrictNamespaces"] == ["pid mnt"]
    bounded = set(service["CapabilityBoundingSet"][0].split())
    assert "CAP_SYS_ADMIN" in bounded and not {"CAP_SYS_MODULE", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"} & bounded
