"""Waiting for a machine that boots: what is said meanwhile, and what the error shows when it does not come up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from anytier.errors import Denied, Rejected, Unreachable
from anytier.provider.host import firstboot
from anytier.provider.host.firstboot import FirstBoot, up


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELL", "AGAIN", "LOGIN"):
        monkeypatch.setattr(firstboot, name, 0.02)


def machine(*answers: Exception | str) -> Callable[[], Awaitable[str]]:
    """Gives these answers one after the other, and the last one again and again."""
    left = list(answers)

    async def look() -> str:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return look


async def test_it_is_asked_until_it_answers_and_the_console_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    log = tmp_path / "console.log"
    log.write_text("[    1.0] Linux\r\n\x1b[32m  OK  \x1b[0m Started sshd.\n")
    look = machine(Unreachable("m", "no answer"), Unreachable("m", "no answer"), "up")
    assert await up("m", FirstBoot(timeout=5, console=str(log)), said.append, look) == "up"
    assert said and said[0] == "booting 0 s: OK   Started sshd."


async def test_at_the_deadline_the_error_has_the_consoles_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("\n".join(f"line {number}" for number in range(40)))
    with pytest.raises(Unreachable) as caught:
        await up("m", FirstBoot(timeout=0.1, console=str(log)), str, machine(Unreachable("m", "refused")))
    assert "did not come up within 0.1 s: refused" in caught.value.what
    assert "line 39" in caught.value.what and "line 1\n" not in caught.value.what
    assert "bootTimeout" in caught.value.do


async def test_a_console_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    boot = FirstBoot(timeout=0.05, console=str(tmp_path / "none"))
    with pytest.raises(Unreachable, match="said nothing"):
        await up("m", boot, str, machine(Unreachable("m", "refused")))


async def test_one_that_hangs_is_given_up_too() -> None:
    async def look() -> str:
        await asyncio.sleep(60)
        return "never"

    with pytest.raises(Unreachable, match="does not answer"):
        await asyncio.wait_for(up("m", FirstBoot(timeout=0.1), str, look), 5)


async def test_a_login_is_tried_for_a_while_and_other_errors_are_told_at_once() -> None:
    look = machine(Unreachable("m", "no"), Denied("m", "no login"), "up")
    assert await up("m", FirstBoot(timeout=5), str, look) == "up"
    with pytest.raises(Denied, match="no login"):
        await up("m", FirstBoot(timeout=5), str, machine(Denied("m", "no login")))
    with pytest.raises(Rejected):
        await up("m", FirstBoot(timeout=5), str, machine(Rejected("m", "unfit")))
