"""What a machine can be asked to do, and the machine we are on. Nothing here knows about apps, units or rollouts.

The surface is small, and every file call takes many files, so that a transport with a round trip costs few of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from anytier.cgroups import delegated
from anytier.errors import AnytierError, Denied, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.host import agent

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class File:
    """A file to write; `data=None` is a directory, `mode=None` keeps what a directory has. `owner` is user[:group]."""

    path: str
    data: bytes | None
    mode: int | None = 0o644
    owner: str | None = None


@dataclass(frozen=True)
class Facts:
    """Who we are on the machine and what it offers. `python` is an interpreter that every user may run.

    `controllers`: the control groups that this user's own systemd may use.
    """

    uid: int
    user: str
    home: str
    python: str
    path: str
    runtime_dir: str | None = None
    controllers: frozenset[str] = frozenset()

    @property
    def root(self) -> bool:
        return self.uid == 0


class Machine(Protocol):
    """One machine. Every call may raise AnytierError; a machine that does not answer is Unreachable, never NotFound."""

    name: str

    async def facts(self) -> Facts: ...

    async def about(self) -> dict[str, Any]:
        """What the machine is, asked anew: `agent.facts`."""

    async def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        """Runs a command, no shell. `env` replaces the environment. A non-zero exit is a Result, not an error."""

    def follow(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """The standard output of a command as it comes, until it ends or the caller stops, which ends it."""

    async def terminal(self, argv: Sequence[str]) -> int:
        """Runs a command on the caller's own terminal; the exit code is the command's."""

    async def put(self, files: Sequence[File]) -> None:
        """Writes each file atomically, in order, parents made."""

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of each file that exists."""

    async def list(self, path: str) -> list[str]:
        """The names in a directory, sorted; none if there is no such directory."""

    async def remove(self, paths: Sequence[str], only_empty: bool = False) -> None:
        """Removes files and trees; gone already is fine. `only_empty` leaves whatever still holds something."""

    async def open_tcp(self, host: str, port: int) -> Streams: ...

    async def open_unix(self, path: str) -> Streams: ...

    async def close(self) -> None:
        """Lets go of the machine; the next call takes it up again."""


class LocalMachine:
    """This machine."""

    name = "this machine"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)

    async def facts(self) -> Facts:
        uid = os.geteuid()
        try:
            entry = pwd.getpwuid(uid)
            user, home = entry.pw_name, entry.pw_dir
        except KeyError:
            user, home = str(uid), self._environ.get("HOME", "/")
        path = self._environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
        return Facts(uid, user, home, _python(), path, self._environ.get("XDG_RUNTIME_DIR"), delegated(uid))

    async def about(self) -> dict[str, Any]:
        return await _in_thread(agent.facts)

    async def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        process = await self._start(argv, env, asyncio.subprocess.PIPE)
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
        except TimeoutError:
            raise no_end(argv[0], timeout) from None
        finally:
            await _end(process)
        return Result(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def follow(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        process = await self._start(argv, env, asyncio.subprocess.DEVNULL)
        assert process.stdout is not None
        try:
            while data := await process.stdout.read(agent.CHUNK):
                yield data
        finally:
            await _end(process)

    async def terminal(self, argv: Sequence[str]) -> int:
        return await asyncio.to_thread(subprocess.call, list(argv))

    async def put(self, files: Sequence[File]) -> None:
        await _in_thread(agent.put, [(file.path, file.data, file.mode, file.owner) for file in files])

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        return await _in_thread(agent.read, paths)

    async def list(self, path: str) -> list[str]:
        return await _in_thread(agent.names, path)

    async def remove(self, paths: Sequence[str], only_empty: bool = False) -> None:
        await _in_thread(agent.remove, paths, only_empty)

    async def open_tcp(self, host: str, port: int) -> Streams:
        return await asyncio.open_connection(host, port)

    async def open_unix(self, path: str) -> Streams:
        return await asyncio.open_unix_connection(path)

    async def close(self) -> None:
        """Nothing is held."""

    async def _start(
        self, argv: Sequence[str], env: Mapping[str, str] | None, others: int
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *argv,
                stdin=others,
                stdout=asyncio.subprocess.PIPE,
                stderr=others,
                env=self._environ if env is None else env,
                start_new_session=True,
            )
        except OSError as error:
            raise os_error(argv[0], error) from error
        except ValueError as error:
            raise of_trouble(agent.Trouble(argv[0], None, str(error))) from error


class mapped:
    """Turns an OSError about `path` into ours, by its number."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise os_error(self.path, error) from error


def os_error(path: str, error: OSError) -> AnytierError:
    """The error a person reads for an OSError."""
    text = os.strerror(error.errno) if error.errno else str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpace(path, text, "free some disk space, then run again")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Denied(path, text, "run as a user who may do this, or choose another state folder")
        case errno.ENOENT:
            return NotFound(path, text, "install it, or mend the path")
        case errno.ECONNREFUSED | errno.ETIMEDOUT | errno.EHOSTUNREACH:
            return Unreachable(path, text, "start it, then run again")
        case _:
            return Rejected(path, text, "look at the path, then run again")


def of_trouble(trouble: agent.Trouble) -> AnytierError:
    """The error a person reads for what the machine refused."""
    if trouble.number is not None:
        return os_error(trouble.path, OSError(trouble.number, ""))
    return Rejected(trouble.path, trouble.what, "mend what it names, then run again")


def no_end(command: str, timeout: float) -> Unreachable:
    return Unreachable(command, f"no answer within {timeout:g} s", "look at what holds it up, then run again")


async def _in_thread(call: Callable[..., T], *args: Any) -> T:
    try:
        return await asyncio.to_thread(call, *args)
    except agent.Trouble as trouble:
        raise of_trouble(trouble) from trouble


async def _end(process: asyncio.subprocess.Process) -> None:
    """One that still runs is killed with its children."""
    if process.returncode is None:
        _kill_group(process.pid)
        await process.wait()


def _python() -> str:
    """The system's interpreter, since one inside a home folder is out of reach for a service's own user."""
    system = "/usr/bin/python3"
    return system if os.access(system, os.X_OK) else str(Path(sys.executable).resolve())


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, 9)
