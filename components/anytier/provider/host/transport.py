"""What a machine can be asked to do, and the machine we are on. Nothing here knows about apps, units or rollouts.

The surface is small, and every file call takes many files, so that a transport with a round trip costs few of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anytier.cgroups import delegated
from anytier.errors import AnytierError, Denied, NoSpace, NotFound, Rejected, Unreachable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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

    async def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        """Runs a command, no shell. `env` replaces the environment. A non-zero exit is a Result, not an error."""

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

    async def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        with mapped(argv[0]):
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ if env is None else env,
                start_new_session=True,
            )
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
        except TimeoutError:
            what = f"no answer within {timeout:g} s"
            raise Unreachable(argv[0], what, "look at what holds it up, then run again") from None
        finally:
            if process.returncode is None:
                _kill_group(process.pid)
                await process.wait()
        return Result(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def put(self, files: Sequence[File]) -> None:
        await asyncio.to_thread(_put, files)

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        return await asyncio.to_thread(_read, paths)

    async def list(self, path: str) -> list[str]:
        with mapped(path):
            try:
                return sorted(os.listdir(path))
            except (FileNotFoundError, NotADirectoryError):
                return []

    async def remove(self, paths: Sequence[str], only_empty: bool = False) -> None:
        await asyncio.to_thread(_remove, paths, only_empty)

    async def open_tcp(self, host: str, port: int) -> Streams:
        return await asyncio.open_connection(host, port)

    async def open_unix(self, path: str) -> Streams:
        return await asyncio.open_unix_connection(path)


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


def _python() -> str:
    """The system's interpreter, since one inside a home folder is out of reach for a service's own user."""
    system = "/usr/bin/python3"
    return system if os.access(system, os.X_OK) else str(Path(sys.executable).resolve())


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, 9)


def _put(files: Iterable[File]) -> None:
    for file in files:
        with mapped(file.path):
            _make_dir(file) if file.data is None else _write(file, file.data)


def _make_dir(file: File) -> None:
    existed = os.path.isdir(file.path)
    os.makedirs(file.path, exist_ok=True)
    if file.mode is not None or not existed:
        os.chmod(file.path, 0o755 if file.mode is None else file.mode)
    _own(file.path, file.owner)


def _write(file: File, data: bytes) -> None:
    """Through a temporary file beside it: a full disk or a kill leaves the old content, never half of the new."""
    folder = os.path.dirname(file.path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644 if file.mode is None else file.mode)
        _own(temporary, file.owner)
        os.replace(temporary, file.path)
    except BaseException:
        os.unlink(temporary)
        raise


def _own(path: str, owner: str | None) -> None:
    if owner is None:
        return
    user, _, group = owner.partition(":")
    try:
        shutil.chown(path, _number_or_name(user), _number_or_name(group) if group else None)
    except LookupError:
        raise Rejected(
            path, f"no user or group {owner!r} on this machine", "create it, or leave the owner out"
        ) from None


def _number_or_name(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _read(paths: Iterable[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in paths:
        with mapped(path):
            try:
                found[path] = Path(path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
    return found


def _remove(paths: Iterable[str], only_empty: bool) -> None:
    for path in paths:
        with mapped(path):
            try:
                _remove_one(path, only_empty)
            except (FileNotFoundError, NotADirectoryError):
                continue


def _remove_one(path: str, only_empty: bool) -> None:
    is_dir = stat.S_ISDIR(os.lstat(path).st_mode)
    if not only_empty:
        shutil.rmtree(path) if is_dir else os.unlink(path)
        return
    if not is_dir:
        if os.lstat(path).st_size == 0:
            os.unlink(path)
        return
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise
