from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from anytier.errors import NotFound
from anytier.provider.docker import tools
from anytier.provider.docker.client import Daemon
from anytier.render.docker import TOOLS

from .ground import Ground


def elf(*kinds: int, wide: bool = True, order: str = "<") -> bytes:
    """A program's header with a table of segments of these kinds."""
    start, size = (64, 56) if wide else (52, 32)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    if wide:
        head += struct.pack(f"{order}HHIQQQIHHH", 2, 62, 1, 0, start, 0, 0, 64, size, len(kinds)) + bytes(6)
    else:
        head += struct.pack(f"{order}HHIIIIIHHH", 2, 3, 1, 0, start, 0, 0, 52, size, len(kinds)) + bytes(6)
    return head + b"".join(struct.pack(f"{order}I", kind) + bytes(size - 4) for kind in kinds)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_program_without_an_interpreter_runs_anywhere(wide: bool, order: str) -> None:
    assert tools.is_static(elf(1, 1, 4, wide=wide, order=order))
    assert not tools.is_static(elf(6, 3, 1, wide=wide, order=order))
    assert not tools.is_static(b"#!/bin/sh\n")
    assert not tools.is_static(b"")


def test_programs_of_this_machine_are_told_apart() -> None:
    import sys

    assert not tools.is_static(Path(sys.executable).resolve().read_bytes())


def test_the_name_follows_the_scripts() -> None:
    assert tools.name().startswith("anytier-tools-")
    assert tools.image() == f"{tools.name()}:latest"


async def test_another_kind_of_machine_gets_no_program_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    there = object.__new__(Daemon)
    asked = []

    async def never(daemon: Daemon, reference: str) -> bool:
        asked.append(reference)
        return False

    monkeypatch.setattr(tools, "pulled", never)
    for machine, same in (("x86_64", True), ("aarch64", False), ("s390x", False)):
        there.facts = {"Architecture": machine}
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        assert tools.same_machine(there) is same
    with pytest.raises(NotFound, match="apt-get install busybox-static"):
        await tools._busybox(there)
    assert asked == ["busybox:1.37.0-musl"]


@pytest.mark.docker
async def test_a_volume_with_the_tools_for_every_container(ground: Ground) -> None:
    found = await asyncio.gather(*(tools.ensure(ground.there) for _ in range(5)))
    assert set(found) == {tools.name()}
    mounts = [{"Type": "volume", "Source": tools.name(), "Target": TOOLS, "ReadOnly": True}]
    argv = [f"{TOOLS}/busybox", "ls", "-l", TOOLS]
    container = await ground.container(tools.image(), *argv, Mounts=mounts, ReadonlyRootfs=True)
    await ground.there.post(f"containers/{container}/wait")
    listed = await ground.there.log(container, 20)
    for name in ("busybox", "entry", "probe", "check"):
        assert any(line.startswith("-rwxr-xr-x") and line.endswith(f" {name}") for line in listed.splitlines()), listed


@pytest.mark.docker
@pytest.mark.parametrize("mounted", [True, False])
async def test_a_volume_that_docker_made_by_itself_is_filled(
    ground: Ground, mounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of another app took ours away just before a container that mounts it was made."""
    monkeypatch.setattr(tools, "name", lambda: f"{ground.ns}-tools")
    mounts = [{"Type": "volume", "Source": tools.name(), "Target": TOOLS, "ReadOnly": True}]
    base = await ground.base()
    container = await ground.container(base, "sh", "-c", f"while sleep 0.1; do ls {TOOLS}; done", Mounts=mounts)
    assert (await ground.there.get(f"volumes/{tools.name()}"))["Labels"] is None
    if not mounted:
        await ground.there.delete(f"containers/{container}", force=True)
    await tools.ensure(ground.there)
    await tools.ensure(ground.there)
    if not mounted:
        assert (await ground.there.get(f"volumes/{tools.name()}"))["Labels"] == {"dev.anytier.role": "tools"}
        container = await ground.container(base, "sleep", "60", name="d", Mounts=mounts)
    assert (await ground.there.run(container, [f"{TOOLS}/busybox", "true"])).code == 0


@pytest.mark.docker
async def test_the_tools_stay_while_an_app_is_there(ground: Ground) -> None:
    await tools.ensure(ground.there)
    body = {"Image": tools.image(), "Cmd": ["none"], "Labels": {"dev.anytier.namespace": ground.ns}}
    made = await ground.there.post("containers/create", body, name=f"{ground.ns}-app")
    await tools.tidy(ground.there)
    assert await ground.there.find(f"volumes/{tools.name()}") is not None
    assert await ground.there.find(f"images/{tools.image()}/json") is not None
    await ground.there.delete(f"containers/{made['Id']}", force=True)


@pytest.mark.docker
async def test_what_cannot_be_pulled(ground: Ground) -> None:
    assert await tools.pulled(ground.there, await ground.base())
    assert not await tools.pulled(ground.there, f"127.0.0.1:1/{ground.ns}/none:1")
