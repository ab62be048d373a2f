"""What a guest says while it boots: by its log, and by its line where there is no log to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import Unreachable
from anytier.provider.host import firstboot
from anytier.provider.host.firstboot import FirstBoot, Guest
from anytier.provider.libvirt import connection, console
from anytier.provider.libvirt.connection import Hypervisor, There
from anytier.provider.libvirt.console import Console, Line

AWAY = Hypervisor(uri="qemu+ssh://root@h/system")


class Stream:
    """One that does not block: bytes, -2 where there are none yet, none at all at its end."""

    def __init__(self, *parts: bytes | int | Exception) -> None:
        self.parts, self.aborted = list(parts), False

    def recv(self, most: int) -> bytes | int:
        found = self.parts.pop(0) if self.parts else -2
        if isinstance(found, Exception):
            raise found
        return found

    def abort(self) -> None:
        self.aborted = True


class Driver:
    """Hands out these streams, one for each time that the line is opened."""

    def __init__(self, *streams: Stream, taken: Exception | None = None) -> None:
        self.streams, self.taken, self.opened = list(streams), taken, 0

    def isAlive(self) -> bool:
        return True

    def newStream(self, flags: int) -> Stream:
        assert flags == 1, "it blocks"
        return self.streams[min(self.opened, len(self.streams) - 1)]

    def lookupByName(self, name: str) -> Driver:
        assert name == "web"
        return self

    def openConsole(self, device: None, stream: Stream, flags: int) -> None:
        assert flags == 0, "whoever is on the line keeps it"
        if self.taken is not None:
            raise self.taken
        self.opened += 1


@pytest.fixture
def away(closed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Driver], Driver]]:
    """A hypervisor elsewhere."""
    monkeypatch.setattr(console, "_EVERY", 0.01)

    def at(raw: Driver) -> Driver:
        place = There(AWAY)
        place._raw = raw
        connection._PLACES[AWAY] = place
        return raw

    yield at
    connection._PLACES.pop(AWAY)


def error(text: str) -> Any:
    return connection.library().libvirtError(text)


def test_a_console_has_what_was_said_since_and_no_control_characters(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an earlier boot\n")
    console = Console(str(log), local=True)
    console.mark()
    assert console.lines() == []
    with log.open("a") as out:
        out.write("\x1b[0;32m[  OK  ]\x1b[0m Started\r\n\n\nKernel panic\x07\r\n")
    assert console.lines() == ["[  OK  ] Started", "Kernel panic"]
    assert console.lines(1) == ["Kernel panic"]
    assert Console(str(log), local=False).lines() == [] == Console(None, local=True).lines()


async def test_where_there_is_no_log_to_read_the_line_says_it(away: Callable[[Driver], Driver]) -> None:
    stream = Stream(b"[ OK ] Sta", -2, b"rted\r\nKernel ", b"panic\r\n")
    raw = away(Driver(stream))
    async with Console("/var/log/of/the/host", False, Line(AWAY, "web")) as heard:
        await until(lambda: len(heard.lines()) == 2)
    assert heard.lines() == ["[ OK ] Started", "Kernel panic"] and raw.opened == 1
    assert stream.aborted, "nobody else gets on a line that is not let go of"


async def test_where_there_is_a_log_the_line_is_left_to_others(
    away: Callable[[Driver], Driver], tmp_path: Path
) -> None:
    raw = away(Driver(Stream()))
    log = tmp_path / "log"
    log.write_text("login:\n")
    async with Console(str(log), True, Line(AWAY, "web")) as heard:
        await asyncio.sleep(0.1)
    assert raw.opened == 0 and heard.lines() == ["login:"]


async def test_a_machine_that_stops_and_starts_is_heard_again(away: Callable[[Driver], Driver]) -> None:
    raw = away(Driver(Stream(b"one\n", b""), Stream(b"two\n", error("closed")), Stream(b"three\n")))
    async with Console(None, False, Line(AWAY, "web")) as heard:
        await until(lambda: len(heard.lines()) == 3)
    assert heard.lines() == ["one", "two", "three"] and raw.opened == 3


async def test_only_the_last_of_much_is_kept(away: Callable[[Driver], Driver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_MOST", 100)
    away(Driver(Stream(*[b"%d\n" % number for number in range(1000)])))
    line = Line(AWAY, "web")
    await line.hear()
    assert len(line.said) <= 100 and line.said.endswith(b"998\n999\n")


async def test_a_line_that_cannot_be_had_is_no_fault(away: Callable[[Driver], Driver]) -> None:
    raw = away(Driver(Stream(), taken=error("Active console session exists for this domain")))
    async with Console(None, False, Line(AWAY, "web")) as heard:
        await asyncio.sleep(0.05)
    assert heard.lines() == [] and connection._PLACES[AWAY]._raw is raw


async def test_one_that_is_opened_while_it_is_let_go_of_is_let_go_of(away: Callable[[Driver], Driver]) -> None:
    stream = Stream()
    away(Driver(stream))
    line = Line(AWAY, "web")
    await line.close()
    await line.hear()
    assert stream.aborted


async def test_the_wait_for_the_first_login_listens(
    away: Callable[[Driver], Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firstboot, "AGAIN", 0.05)
    stream = Stream(b"cloud-init: no network\n")
    away(Driver(stream))

    async def look() -> str:
        raise Unreachable("m", "no answer")

    boot = FirstBoot(timeout=0.3, console="/none/here", guest=Guest(host=AWAY, name="web"))
    said: list[str] = []
    with pytest.raises(Unreachable, match="console's last lines:\n  cloud-init: no network"):
        await firstboot.up("m", boot, said.append, look)
    assert said[-1].endswith("cloud-init: no network") and stream.aborted


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)
