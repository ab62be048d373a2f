"""Another machine, over SSH: one connection and one agent for as long as the plugin lives, made again when it drops.

No file is installed and no port is opened there. File calls are asked once more on a new connection when the old one
drops; a command is not, since nobody knows how far it came.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from anytier.errors import AnytierError, Unreachable
from anytier.provider.host.agent import Trouble, split
from anytier.provider.host.dial import path_of
from anytier.provider.host.session import Head, Lost, Session, begin
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import Facts, File, Result, Streams, no_end, of_trouble

_BATCH = 8 << 20  # bytes: larger uploads go in parts, so that other requests get between
_PATIENCE = 120.0  # seconds that a file call may take, and a second more for each of these bytes
_SLOW = 100_000


class SshMachine:
    """`Machine` over SSH. What it does there it does as the login's user, or as root by `sudo`."""

    def __init__(self, ref: SshRef) -> None:
        self.ref, self.name = ref, str(ref)
        self._session: Session | None = None
        self._beginning = asyncio.Lock()
        self._refused: tuple[float, AnytierError] | None = None  # when the last try ended, and how

    async def facts(self) -> Facts:
        found = await self.about()
        return Facts(found["uid"], found["user"], found["home"], found["python"], found["path"])

    async def about(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._ask({"do": "facts"}))[0]["facts"]
        return found

    async def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        head = {"do": "run", "argv": list(argv), "env": None if env is None else dict(env)}
        session = await self._begun()
        try:
            async with asyncio.timeout(timeout):
                said, data = await session.ask(head, stdin)
        except TimeoutError:
            raise no_end(argv[0], timeout) from None
        except Lost:
            raise self._lost(argv[0]) from None
        except Trouble as trouble:
            raise of_trouble(trouble) from trouble
        out, err = data[: said["out"]], data[said["out"] :]
        return Result(said["code"], out.decode(errors="replace"), err.decode(errors="replace"))

    async def follow(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        head = {"do": "follow", "argv": list(argv), "env": None if env is None else dict(env)}
        session = await self._begun()
        async with contextlib.aclosing(session.follow(head)) as found:
            try:
                async for data in found:
                    yield data
            except Lost:
                raise self._lost(argv[0]) from None

    async def terminal(self, argv: Sequence[str]) -> int:
        from anytier.provider.host.terminal import run

        return await run((await self._begun()).connection, argv, self.ref.sudo)

    async def put(self, files: Sequence[File]) -> None:
        for batch in batches(files, _BATCH):
            listed = [[f.path, None if f.data is None else len(f.data), f.mode, f.owner] for f in batch]
            await self._ask({"do": "put", "files": listed}, b"".join(f.data or b"" for f in batch))

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        if not paths:
            return {}
        said, data = await self._ask({"do": "read", "paths": list(paths)})
        return dict(zip(said["sizes"], split(data, said["sizes"].values()), strict=True))

    async def list(self, path: str) -> list[str]:
        found: list[str] = (await self._ask({"do": "list", "path": path}))[0]["names"]
        return found

    async def remove(self, paths: Sequence[str], only_empty: bool = False) -> None:
        if paths:
            await self._ask({"do": "remove", "paths": list(paths), "only_empty": only_empty})

    async def open_tcp(self, host: str, port: int) -> Streams:
        return await self._open({"do": "open", "address": [host, port]})

    async def open_unix(self, path: str) -> Streams:
        return await self._open({"do": "open", "path": path})

    async def close(self) -> None:
        async with self._beginning:
            if self._session is not None:
                await self._session.close()
            self._session = None

    async def _begun(self) -> Session:
        """Many may ask at once for a machine that is down: who was waiting while a try was made has its answer."""
        now = asyncio.get_running_loop().time
        asked = now()
        async with self._beginning:
            if self._session is None or not self._session.alive:
                if self._refused is not None and self._refused[0] >= asked:
                    raise self._refused[1]
                if self._session is not None:
                    await self._session.close()
                self._session = None
                try:
                    self._session = await begin(self.ref)
                except AnytierError as error:
                    self._refused = (now(), error)
                    raise
            return self._session

    async def _ask(self, head: Head, data: bytes = b"") -> tuple[Head, bytes]:
        patience = _PATIENCE + len(data) / _SLOW
        for last in (False, True):
            session = await self._begun()
            try:
                async with asyncio.timeout(patience):
                    return await session.ask(head, data)
            except TimeoutError:
                raise no_end(f"{path_of(self.ref)} {head['do']}", patience) from None
            except Trouble as trouble:
                raise of_trouble(trouble) from trouble
            except Lost:
                if last:
                    break
        raise self._lost(str(head["do"]))

    async def _open(self, head: Head) -> Streams:
        session = await self._begun()
        try:
            return await session.open(head)
        except Lost:
            raise self._lost("a connection") from None

    def _lost(self, during: str) -> AnytierError:
        return Unreachable(path_of(self.ref), f"the SSH connection was lost during {during}", "run again")


def batches(files: Sequence[File], limit: int) -> Iterator[Sequence[File]]:
    """The files in order, in parts of at most `limit` bytes, or of one file."""
    part: list[File] = []
    size = 0
    for file in files:
        more = len(file.data or b"")
        if part and size + more > limit:
            yield part
            part, size = [], 0
        part.append(file)
        size += more
    if part:
        yield part
