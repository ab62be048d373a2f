"""What a guest says on its console while it boots: by its log where that can be read, else by the line itself."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from anytier.provider.libvirt.connection import Hypervisor, in_thread, library, there

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")
_MOST = 256 * 1024
_EVERY = 0.5
_PATIENCE = 10.0


class Line:
    """A machine's serial line, by libvirt: for who may manage the machine and not read its log, which is root's, and
    for hypervisors elsewhere. It is listened to from the first `hear` on; who is on it already keeps it."""

    def __init__(self, host: Hypervisor, name: str) -> None:
        self._host, self._name = host, name
        self._stream: Any = None
        self._over = False
        self.said = b""

    async def hear(self) -> None:
        """Takes what came meanwhile. That the line cannot be had is no fault: there is only less to tell."""
        with suppress(Exception):
            place = await there(self._host)
            await place.call(f"machine {self._name}", self._take)

    async def close(self) -> None:
        self._over = True
        with suppress(Exception):
            await in_thread(self._hang_up, _PATIENCE)

    def _take(self, raw: Any) -> None:
        libvirt = library()
        try:
            if self._stream is None:
                stream = raw.newStream(libvirt.VIR_STREAM_NONBLOCK)
                raw.lookupByName(self._name).openConsole(None, stream, 0)
                self._stream = stream
            while isinstance(data := self._stream.recv(_MOST), bytes):  # a number: nothing more yet
                if not data:
                    self._stream = None  # its end: the machine is off
                    return
                self.said = (self.said + data)[-_MOST:]
        except libvirt.libvirtError:  # nobody's connection is given up for it
            self._stream = None
        if self._over:
            self._hang_up()

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort()


class Console:
    """What was written since `mark()`; nothing where neither log nor line can be had. `local`: the log's file is one of
    this machine. The `line` is listened to within `async with`, and only where there is no log to read."""

    def __init__(self, file: str | None, local: bool, line: Line | None = None) -> None:
        self._file = Path(file) if file is not None and local else None
        self._line = line
        self._listening: asyncio.Task[None] | None = None
        self._from = 0

    async def __aenter__(self) -> Console:
        if self._line is not None:
            self._listening = asyncio.create_task(self._listen(self._line))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._line is not None and self._listening is not None:
            self._listening.cancel()
            await self._line.close()

    async def _listen(self, line: Line) -> None:
        """In a task of its own: how long a hypervisor takes to answer is no matter of the wait."""
        while True:
            if self._file is None or not os.access(self._file, os.R_OK):
                await line.hear()
            await asyncio.sleep(_EVERY)

    def mark(self) -> None:
        self._from = self._size()

    def lines(self, most: int = 12) -> list[str]:
        """The last lines that say something, without what steers a terminal."""
        data = self._written() or (self._line.said if self._line is not None else b"")
        text = data.decode("utf-8", "replace").replace("\r", "\n")
        found = [_CONTROL.sub("", line).strip() for line in text.split("\n")]
        return [line for line in found if line][-most:]

    def _written(self) -> bytes:
        size = self._size()
        if self._file is None or size <= self._from:
            return b""
        try:
            with self._file.open("rb") as data:
                data.seek(max(self._from, size - _MOST))
                return data.read()
        except OSError:
            return b""

    def _size(self) -> int:
        try:
            return self._file.stat().st_size if self._file is not None else 0
        except OSError:
            return 0
