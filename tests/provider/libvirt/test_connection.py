"""Connections: shared, errors by code, what a driver lacks is known before anything is made."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.fields import behaviour
from anytier.provider.libvirt import connection, errors
from anytier.provider.libvirt.connection import Hypervisor, There, in_thread, located, there, uuid_for, wrong_host


def raised(code: int, origin: int = 10, number: int = 0) -> Any:
    return SimpleNamespace(
        get_error_code=lambda: code,
        get_error_domain=lambda: origin,
        get_error_message=lambda: "it said so",
        get_int1=lambda: number,
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised(42), NotFound),
        (raised(50), NotFound),
        (raised(5), Unreachable),
        (raised(1, errors.FROM_RPC), Unreachable),
        (raised(38, errors.FROM_RPC, 104), Unreachable),
        (raised(38, 18, 28), NoSpace),
        (raised(38, 18, 13), Denied),
        (raised(45), Denied),
        (raised(90), Conflict),
        (raised(3), Rejected),
        (raised(1), Rejected),
    ],
)
def test_codes_become_our_errors(error: Any, kind: type[AnytierError]) -> None:
    found = errors.of("domain a", error)
    assert type(found) is kind
    assert str(found).startswith("domain a: ")
    assert "it said so" in found.what


def test_silence_while_it_opens_is_never_anything_else() -> None:
    assert isinstance(errors.of("a", raised(38, 0, 2), opening=True), Unreachable)
    assert isinstance(errors.of("a", raised(45), opening=True), Denied)


async def test_a_connection_is_opened_once(memory: There) -> None:
    found = await asyncio.gather(*(there(memory.host) for _ in range(5)))
    assert {id(one) for one in found} == {id(memory)}
    assert memory.driver.name == "libvirt's test driver"
    assert "pools" in memory.abilities


async def test_what_is_not_there_is_not_found_and_not_silence(memory: There) -> None:
    with pytest.raises(NotFound) as caught:
        await memory.call("domain none", lambda raw: raw.lookupByName("none"))
    assert errors.code(caught.value) == 42


async def test_a_socket_without_libvirtd_is_unreachable(closed: None, tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        await there(Hypervisor(uri=f"qemu+unix:///system?socket={tmp_path}/none"))
    assert "virsh" in caught.value.do


async def test_a_connection_that_was_closed_is_opened_again(memory: There) -> None:
    memory.close()
    assert await memory.call("x", lambda raw: raw.getType()) == "TEST"


async def test_a_call_without_an_answer_ends_and_stops_nothing_else(memory: There) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within"):
        await memory.call("x", lambda raw: time.sleep(1.5), timeout=0.1)
    assert time.monotonic() - started < 1
    assert await memory.call("x", lambda raw: raw.getType()) == "TEST"


async def test_a_threads_error_comes_over() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0, 5)


async def test_what_a_driver_lacks_is_refused_with_the_way_that_works(memory: There) -> None:
    with pytest.raises(Rejected, match="cannot take uploads") as caught:
        memory.require("upload", "volume a")
    assert "beforehand" in caught.value.do
    memory.require("pools", "pool a")


def test_it_is_known_at_preview_by_the_uri_alone() -> None:
    assert wrong_host(Hypervisor(uri="qemu:///system"), "upload") == []
    (error,) = wrong_host(Hypervisor(uri="vmwarews:///session"), "volumes")
    assert error.path == "host.uri" and "VMware Workstation" in error.what and error.do
    (error,) = wrong_host(Hypervisor(uri="esx://h/?no_verify=1"))
    assert "no_verify" in error.do


@pytest.mark.parametrize("uri", ["test+tcp://127.0.0.1/default", "esx://127.0.0.1/?No_Verify=1"])
async def test_a_way_that_is_not_verified_is_not_even_tried(closed: None, uri: str) -> None:
    with pytest.raises(Rejected) as caught:
        await there(located(f"{uri}|a")[0])
    assert "unverified: true" in caught.value.do
    with pytest.raises((Unreachable, Denied)):
        await there(Hypervisor(uri=uri, unverified=True))


def test_a_uuid_says_who_made_it() -> None:
    host = Hypervisor()
    one = uuid_for("urn", host, "a")
    assert one == uuid_for("urn", Hypervisor(uri="qemu+unix:///system"), "a")
    assert len({one, uuid_for("urn2", host, "a"), uuid_for("urn", host, "b")}) == 3


def test_an_import_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    assert located("a") == (Hypervisor(), "a")
    assert located("test:///default|a") == (Hypervisor(uri="test:///default"), "a")
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "vbox:///session")
    assert located("a")[0].uri == "vbox:///session"


def test_a_password_is_secret_and_no_reason_to_replace() -> None:
    how = behaviour(Hypervisor, ("password",))
    assert how.secret and how.ignored


def test_without_libvirt_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "libvirt", None)
    with pytest.raises(Rejected, match="needs Python's libvirt") as caught:
        connection.library()
    assert "libvirt-dev" in caught.value.do
