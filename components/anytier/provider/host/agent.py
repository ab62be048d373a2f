"""What a machine does for us: many files in one call, commands, connections. Standard library only, Python 3.8+.

On this machine the calls below are made in place (transport.py). On another one this file is the program: it comes
over stdin, nothing is installed, and it answers frames until its stdin ends; then all that it had started is killed.

A frame is two lengths (4 bytes each, big-endian), a JSON object and data. Requests have an `id` and a `do`:

    put     files [[path, size or null, mode, owner]]; data: the contents, one after the other
    read    paths                            answers sizes {path: size}; data: the contents
    list    path                             answers names
    remove  paths, only_empty
    run     argv, env or null; data: stdin   answers code, out (size of stdout); data: stdout and stderr
    follow  argv, env or null                answers stdout in frames with `more`, then code
    open    address [host, port], or path    answers open, then what comes in frames with `more`, then an end; and
                                             `took` with the size of what it has passed on, so that no more than a
                                             window of it lies here
    facts                                    answers what `facts` below returns
    send, eof, cancel                        are about the request `of`: data for it, no more data, end it

An error is an answer with `errno` or `what`, and the `path` that it is about.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import pwd
import queue
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from typing import Any, BinaryIO, Callable, Iterable, Sequence, Tuple  # noqa: UP035 - Python 3.8

READY = b"\0anytier-agent\0"  # before the first frame: a login may print a greeting
LENGTHS = struct.Struct(">II")
CHUNK = 1 << 16

# path, data (None: a folder), mode (None: kept), owner
Item = Tuple[str, "bytes | None", "int | None", "str | None"]  # noqa: UP006 - Python 3.8


class Trouble(Exception):
    """What the machine refused: an errno, or what is wrong in words."""

    def __init__(self, path: str, number: int | None, what: str = "") -> None:
        super().__init__(path, number, what)
        self.path, self.number, self.what = path, number, what


@contextlib.contextmanager
def about(path: str) -> Any:
    """An OSError is trouble with this path; so is a text that no system call takes."""
    try:
        yield
    except OSError as error:
        raise Trouble(path, error.errno, "" if error.errno else str(error)) from error
    except ValueError as error:
        raise Trouble(path, None, str(error)) from error


# files


def put(items: Iterable[Item]) -> None:
    """Each file atomically, in order, parents made."""
    for path, data, mode, owner in items:
        with about(path):
            if data is None:
                make_folder(path, mode, owner)
            else:
                write(path, data, mode, owner)


def make_folder(path: str, mode: int | None, owner: str | None) -> None:
    existed = os.path.isdir(path)
    os.makedirs(path, exist_ok=True)
    if mode is not None or not existed:
        os.chmod(path, 0o755 if mode is None else mode)
    own(path, owner)


def write(path: str, data: bytes, mode: int | None, owner: str | None) -> None:
    """Through a temporary file beside it: a full disk, a kill or a loss of power leaves the old, never half of it."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644 if mode is None else mode)
        own(temporary, owner)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def own(path: str, owner: str | None) -> None:
    if owner is None:
        return
    user, _, group = owner.partition(":")
    try:
        shutil.chown(path, number_or_name(user), number_or_name(group) if group else None)
    except LookupError:
        raise Trouble(path, None, f"no user or group {owner!r} on this machine") from None


def number_or_name(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def read(paths: Iterable[str]) -> dict[str, bytes]:
    """The content of each file that exists."""
    found = {}
    for path in paths:
        with about(path):
            try:
                with open(path, "rb") as stream:
                    found[path] = stream.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
    return found


def names(path: str) -> list[str]:
    """What is in a folder, sorted; nothing if there is no such folder."""
    with about(path):
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []


def remove(paths: Iterable[str], only_empty: bool = False) -> None:
    """Files and trees; gone already is fine. `only_empty` leaves whatever still holds something."""
    for path in paths:
        with about(path):
            try:
                remove_one(path, only_empty)
            except (FileNotFoundError, NotADirectoryError):
                continue


def remove_one(path: str, only_empty: bool) -> None:
    is_dir = stat.S_ISDIR(os.lstat(path).st_mode)
    if not only_empty:
        if is_dir:
            shutil.rmtree(path)
        else:
            os.unlink(path)
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


# facts


def facts() -> dict[str, Any]:
    """Who we are here and what the machine is. Sizes in bytes; `distribution` and `version` are those of os-release."""
    uid = os.geteuid()
    release = os_release()
    try:
        entry = pwd.getpwuid(uid)
        user, home = entry.pw_name, entry.pw_dir
    except KeyError:
        user, home = str(uid), os.environ.get("HOME", "/")
    return {
        "uid": uid,
        "user": user,
        "home": home,
        "path": os.environ.get("PATH") or "/usr/local/bin:/usr/bin:/bin",
        "python": sys.executable,
        "python_version": platform.python_version(),
        "hostname": socket.gethostname(),
        "distribution": release.get("ID", ""),
        "like": release.get("ID_LIKE", "").split(),
        "version": release.get("VERSION_ID", ""),
        "pretty": release.get("PRETTY_NAME", ""),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "systemd": systemd_version(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "disk": shutil.disk_usage("/var" if os.path.isdir("/var") else "/").free,
    }


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    found = {}
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            key, bar, value = line.strip().partition("=")
            if bar and not key.startswith("#"):
                found[key] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    return found


def systemd_version() -> int:
    """0 where it is not what runs this machine (sd_booted(3))."""
    if not os.path.isdir("/run/systemd/system"):
        return 0
    try:
        said = subprocess.run(["systemctl", "--version"], stdout=subprocess.PIPE, timeout=10).stdout.split()
        return int(said[1])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return 0


# frames


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(data)) + text + data


def split(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Contents that came one after the other."""
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return found


class Agent:
    """Answers frames, each request in a thread of its own. `ongoing`: what can be told something or be cancelled."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self.reader, self.writer = reader, writer
        self.writing = threading.Lock()
        self.ongoing: dict[int, Command | Connection | None] = {}
        self.changing = threading.Lock()

    def serve(self) -> None:
        with self.writing:
            self.writer.write(READY)
            self.writer.flush()
        while True:
            lengths = self.reader.read(LENGTHS.size)
            if len(lengths) < LENGTHS.size:
                return
            size, more = LENGTHS.unpack(lengths)
            text, data = self.reader.read(size), self.reader.read(more)
            if len(text) < size or len(data) < more:
                return
            self.take(json.loads(text), data)

    def take(self, head: dict[str, Any], data: bytes) -> None:
        if head["do"] in ("send", "eof", "cancel"):
            with self.changing:
                target = self.ongoing.get(head["of"])
                if head["do"] == "cancel":
                    self.ongoing.pop(head["of"], None)  # one that is about to begin sees that it must not
            if target is not None:
                target.told(head["do"], data)
            return
        with self.changing:
            self.ongoing[head["id"]] = None
        threading.Thread(target=self.answer, args=(head, data), daemon=True).start()

    def answer(self, head: dict[str, Any], data: bytes) -> None:
        number = head["id"]
        try:
            done, back = self.act(number, head, data)
        except Trouble as trouble:
            done, back = {"path": trouble.path, "errno": trouble.number, "what": trouble.what}, b""
        except Exception as error:  # a defect: the caller must hear of it all the same
            done, back = {"path": head["do"], "errno": None, "what": repr(error)}, b""
        finally:
            with self.changing:
                self.ongoing.pop(number, None)
        self.say({"id": number, **done}, back)

    def act(self, number: int, head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        verb = head["do"]
        if verb == "put":
            contents = iter(split(data, [size for _, size, _, _ in head["files"] if size is not None]))
            put([(p, None if size is None else next(contents), mode, owner) for p, size, mode, owner in head["files"]])
        elif verb == "read":
            found = read(head["paths"])
            return {"sizes": {path: len(item) for path, item in found.items()}}, b"".join(found.values())
        elif verb == "list":
            return {"names": names(head["path"])}, b""
        elif verb == "remove":
            remove(head["paths"], head["only_empty"])
        elif verb == "run":
            return self.run(number, head, data)
        elif verb == "follow":
            return self.follow(number, head), b""
        elif verb == "open":
            return self.connect(number, head), b""
        elif verb == "facts":
            return {"facts": facts()}, b""
        else:
            raise Trouble(verb, None, "is not known to the agent")
        return {}, b""

    def run(self, number: int, head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        command = self.begin(number, Command(head["argv"], head["env"], subprocess.PIPE))
        out, err = command.process.communicate(data)
        return {"code": command.process.returncode, "out": len(out)}, out + err

    def follow(self, number: int, head: dict[str, Any]) -> dict[str, Any]:
        command = self.begin(number, Command(head["argv"], head["env"], subprocess.DEVNULL))
        out = command.process.stdout
        assert out is not None
        while True:
            data = os.read(out.fileno(), CHUNK)
            if not data:
                return {"code": command.process.wait()}
            self.say({"id": number, "more": True}, data)

    def connect(self, number: int, head: dict[str, Any]) -> dict[str, Any]:
        took = lambda size: self.say({"id": number, "took": size})  # noqa: E731 - one line of a thread of its own
        connection = Connection(head.get("address"), head.get("path"), took)
        self.begin(number, connection)
        self.say({"id": number, "open": True})
        while True:
            try:
                data = connection.socket.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                connection.told("cancel", b"")
                return {"end": True}
            self.say({"id": number, "more": True}, data)

    def begin(self, number: int, target: Any) -> Any:
        with self.changing:
            wanted = number in self.ongoing
            if wanted:
                self.ongoing[number] = target
        if not wanted:
            target.told("cancel", b"")
        return target

    def say(self, head: dict[str, Any], data: bytes = b"") -> None:
        with self.writing, contextlib.suppress(OSError):
            self.writer.write(pack(head, data))
            self.writer.flush()

    def end(self) -> None:
        """Nobody is there any more to hear how it goes on."""
        with self.changing:
            for target in self.ongoing.values():
                if target is not None:
                    target.told("cancel", b"")


class Command:
    """A process in a session of its own, so that it goes with all its children."""

    def __init__(self, argv: Sequence[str], env: dict[str, str] | None, stdin: int) -> None:
        with about(argv[0]):
            self.process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if stdin == subprocess.DEVNULL else subprocess.PIPE,
                env=env,
                start_new_session=True,
            )

    def told(self, what: str, data: bytes) -> None:
        if what == "cancel":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Connection:
    """A stream on the machine; a thread of its own writes, since who does not read must not hold up the others."""

    def __init__(self, address: Sequence[Any] | None, path: str | None, took: Callable[[int], None]) -> None:
        self.took = took
        if address is not None:
            with about(f"{address[0]}:{address[1]}"):
                self.socket = socket.create_connection((address[0], address[1]), 60)
        else:
            with about(str(path)):
                self.socket = socket.socket(socket.AF_UNIX)
                try:
                    self.socket.connect(str(path))
                except BaseException:
                    self.socket.close()
                    raise
        self.socket.settimeout(None)
        self.waiting: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self.write, daemon=True).start()

    def told(self, what: str, data: bytes) -> None:
        if what == "cancel":
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
        self.waiting.put(data if what == "send" else None)

    def write(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = self.waiting.get()
                if data is None:
                    break
                self.socket.sendall(data)
                self.took(len(data))
            self.socket.shutdown(socket.SHUT_WR)


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not get among the frames
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    agent = Agent(sys.stdin.buffer, out)
    try:
        agent.serve()
    finally:
        agent.end()
        os._exit(0)


if __name__ == "__main__":
    main()
