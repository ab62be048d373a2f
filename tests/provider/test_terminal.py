"""The caller's terminal is lent to a command and given back as it was, on a real one."""

from __future__ import annotations

import contextlib

import pytest
from tests.provider.screen import Screen

# Hands every key on, in capitals, until it is told to stop.
PROGRAM = """
import asyncio, sys
from anytier.provider import terminal

def told(size):
    print(f"size {size.lines}x{size.columns}", end="\\r\\n", flush=True)

async def main():
    with terminal.lent(told):
        async for data in terminal.typed():
            if data == b"q":
                break
            if data == b"!":
                raise ValueError("as it was, all the same")
            print(data.decode().upper(), end="\\r\\n", flush=True)

print("both" if terminal.present() else "none", flush=True)
asyncio.run(main())
"""


def test_keys_go_on_as_they_are_typed_and_the_size_is_told_when_it_changes() -> None:
    with contextlib.closing(Screen(PROGRAM)) as screen:
        screen.until("size 31x97")
        assert "both" in screen.shown
        screen.type("a")  # no line is ended
        screen.until("A\r\n")
        assert not screen.echoes() and "a" not in screen.shown
        screen.resize(50, 132)
        screen.until("size 50x132")
        screen.type("\x03")  # Ctrl-C is the command's
        screen.until("\x03")
        screen.type("q")
        assert screen.ended() == 0


@pytest.mark.parametrize("end", ["q", "!"])
def test_the_terminal_is_as_before_afterwards(end: str) -> None:
    quiet = "import contextlib\nwith contextlib.suppress(ValueError): asyncio.run(main())"
    after = PROGRAM.replace("asyncio.run(main())", quiet)
    with contextlib.closing(Screen(after)) as screen:
        screen.until("size")
        assert screen.shown.startswith("both")
        screen.type(end)
        assert screen.ended() == 0 and screen.echoes()
