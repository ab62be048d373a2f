"""Unpacks an image on a machine: `unpack.py` with JSON on stdin. Standard library only, one file, Python 3.8+.

    {"layers": [{"parts": [path...], "digest", "diffId"}...], "into": folder, "record": {...}, "limit": bytes}

`parts` are the pieces of one layer as it was pulled. The answer on stdout is {"bytes", "entries"}, or {"errno", "path"}
or {"what"}. `into` gets `rootfs` and `image.json` (the record, with the image's users and groups); it appears by a
rename, as a whole or not at all.

What an image will be is first thought out from its layers' entries alone (`Tree`), and then written: folders, then
files, and links last. So no write can ever pass through a link, and no order of entries leads out of the folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zlib
from typing import Any, BinaryIO, Iterable, Iterator  # noqa: UP035 - Python 3.8

CHUNK = 1 << 20
MOST_ENTRIES = 2_000_000
LONGEST = 4096  # a path, as the kernel takes it
MOST_LINKS = 40
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
FOLDER, FILE, LINK = "folder", "file", "link"


class Wrong(Exception):
    """The image cannot be unpacked, and why."""


class Node:
    """Something in a tree. Names that are hard links of each other lead to one node."""

    __slots__ = ("at", "children", "gid", "kind", "mode", "mtime", "size", "target", "uid")

    def __init__(self, kind: str, mode: int, uid: int = 0, gid: int = 0, mtime: float = 0) -> None:
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.children: dict[str, Node] = {}  # of a folder
        self.target = ""  # of a link
        self.at: tuple[int, int] | None = None  # where a file's content is: layer, number of its entry
        self.size = 0


class Tree:
    """A root folder as layers make it, one after the other. Pure: nothing is read or written."""

    def __init__(self) -> None:
        self.root = Node(FOLDER, 0o755)
        self.entries = 0

    def apply(self, layer: int, members: Iterable[tarfile.TarInfo]) -> None:
        """One layer: what it takes away goes before anything that it adds, wherever in the layer it says so."""
        added: list[tuple[int, tarfile.TarInfo, list[str]]] = []
        gone: list[tuple[list[str], str]] = []
        for number, member in enumerate(members):
            self.entries += 1
            if self.entries > MOST_ENTRIES:
                raise Wrong(f"it has more than {MOST_ENTRIES} entries")
            steps = steps_of(member.name)
            if steps and steps[-1].startswith(WHITEOUT):
                gone.append((steps[:-1], steps[-1]))
            else:
                added.append((number, member, steps))
        for steps, name in gone:
            self.take_away(steps, name)
        for number, member, steps in added:
            self.add(layer, number, member, steps)

    def take_away(self, steps: list[str], name: str) -> None:
        folder = self.find(steps, True)
        if folder is None or folder.kind != FOLDER:
            return
        if name == OPAQUE:
            folder.children.clear()
        elif not name.startswith(WHITEOUT * 2):  # names of aufs's own
            folder.children.pop(name[len(WHITEOUT) :], None)

    def add(self, layer: int, number: int, member: tarfile.TarInfo, steps: list[str]) -> None:
        if member.isdir():
            self.add_folder(member, steps)
            return
        if not steps:
            raise Wrong("its root is not a folder")
        parent = self.folder(steps[:-1])
        if member.islnk():
            found = self.find(steps_of(member.linkname))
            if found is None or found.kind == FOLDER:
                raise Wrong(f"{member.name!r} is a hard link to {member.linkname!r}, which is no file of it")
            parent.children[steps[-1]] = found
        elif member.issym():
            made = made_of(LINK, member)
            made.target = member.linkname
            if not made.target or "\0" in made.target or len(os.fsencode(made.target)) >= LONGEST:
                raise Wrong(f"{member.name!r} is a link to {member.linkname[:100]!r}")
            parent.children[steps[-1]] = made
        elif member.isreg():
            made = made_of(FILE, member)
            made.at, made.size = (layer, number), member.size
            parent.children[steps[-1]] = made
        # devices and pipes are left out: a program gets its devices from the machine

    def add_folder(self, member: tarfile.TarInfo, steps: list[str]) -> None:
        """A folder that is there keeps what is in it. A link in its place makes way for it, as overlayfs has it."""
        if not steps:
            made = self.root
        else:
            parent = self.folder(steps[:-1])
            known = parent.children.get(steps[-1])
            made = known if known is not None and known.kind == FOLDER else Node(FOLDER, 0)
            parent.children[steps[-1]] = made
        made.mode, made.uid, made.gid, made.mtime = member.mode & 0o7777, member.uid, member.gid, member.mtime

    def folder(self, steps: list[str]) -> Node:
        """The folder that a path leads to, made where it is missing; what is none and stands in the way makes way."""
        found = self.find(steps, True)
        if found is not None and found.kind == FOLDER:
            return found
        made = Node(FOLDER, 0o755)
        self.folder(steps[:-1]).children[steps[-1]] = made
        return made

    def find(self, steps: list[str], last: bool = False) -> Node | None:
        """What a path leads to, by links that lead where they would with this tree as `/`. `last`: one at its very end
        is followed, too. None: there is nothing, or links lead round and round."""
        left, here, links = list(reversed(steps)), self.root, 0
        above: list[Node] = []
        while left:
            step = left.pop()
            if step == "..":
                here = above.pop() if above else self.root
                continue
            found = here.children.get(step)
            if found is None:
                return None
            if found.kind != LINK or not (left or last):
                above.append(here)
                here = found
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            if found.target.startswith("/"):
                here, above = self.root, []
            left += [item for item in reversed(found.target.split("/")) if item not in ("", ".")]
        return here

    def paths(self) -> Iterator[tuple[str, Node]]:
        """(path without the root, node) of everything but the root, folders before what is in them."""
        stack = [("", self.root)]
        while stack:
            path, node = stack.pop()
            if path:
                yield path, node
            for name, child in sorted(node.children.items(), reverse=True):
                stack.append((path + "/" + name if path else name, child))


def made_of(kind: str, member: tarfile.TarInfo) -> Node:
    return Node(kind, member.mode & 0o7777, member.uid, member.gid, member.mtime)


def steps_of(name: str) -> list[str]:
    """A path of an archive in its steps; an absolute one begins at the image's own root. Wrong for one that leads out,
    or that no system call takes."""
    steps = [step for step in name.split("/") if step not in ("", ".")]
    if ".." in steps:
        raise Wrong(f"{name[:100]!r} leads out of it")
    if "\0" in name or len(os.fsencode(name)) >= LONGEST or any(len(os.fsencode(step)) > 255 for step in steps):
        raise Wrong(f"it has a name that is too long or holds NUL: {name[:40]!r}...")
    return steps


# layers as files


class Parts:
    """The pieces of a file, read as one; counts its digest."""

    def __init__(self, paths: list[str]) -> None:
        self.paths, self.digest = list(reversed(paths)), hashlib.sha256()
        self.stream: BinaryIO | None = None

    def read(self, size: int) -> bytes:
        while True:
            if self.stream is None:
                if not self.paths:
                    return b""
                self.stream = open(self.paths.pop(), "rb")  # noqa: SIM115 - closed below
            data: bytes = self.stream.read(size)
            if data:
                self.digest.update(data)
                return data
            self.close()

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.stream = None


class Unpacked:
    """What a layer unpacks to, as a stream; no more than `limit` bytes, or Wrong. Counts its digest."""

    def __init__(self, parts: Parts, limit: int) -> None:
        self.limit, self.size, self.digest = limit, 0, hashlib.sha256()
        self.rest, self.at = b"", 0
        first = parts.read(CHUNK)
        self.source = unpacker(first)(first, parts)

    def read(self, size: int) -> bytes:
        found = []
        while size > 0:
            if self.at == len(self.rest) and not self.more():
                break
            found.append(self.rest[self.at : self.at + size])
            self.at += len(found[-1])
            size -= len(found[-1])
        return b"".join(found)

    def more(self) -> bool:
        self.rest, self.at = next((data for data in self.source if data), b""), 0
        self.size += len(self.rest)
        if self.size > self.limit:
            raise Wrong(f"it unpacks to more than there is room for ({self.limit >> 20} MB)")
        self.digest.update(self.rest)
        return bool(self.rest)

    def to_the_end(self) -> None:
        while self.read(CHUNK):
            pass


def unpacker(first: bytes) -> Any:
    if first[:2] == b"\x1f\x8b":
        return gunzipped
    if first[:4] == b"\x28\xb5\x2f\xfd":
        return unzstd
    return as_it_is


def as_it_is(first: bytes, parts: Parts) -> Iterator[bytes]:
    while first:
        yield first
        first = parts.read(CHUNK)


def gunzipped(first: bytes, parts: Parts) -> Iterator[bytes]:
    """All members of a gzip file, in pieces of a bounded size."""
    data = first
    while data:
        made = zlib.decompressobj(31)
        while not made.eof:
            try:
                yield made.decompress(data, CHUNK)
            except zlib.error as error:
                raise Wrong(f"a layer is spoilt: {error}") from None
            data = made.unconsumed_tail
            if not data and not made.eof:
                data = parts.read(CHUNK)
                if not data:
                    raise Wrong("a layer ends in the middle")
        data = made.unused_data or parts.read(CHUNK)
        if not data.strip(b"\0"):
            break  # padding


def unzstd(first: bytes, parts: Parts) -> Iterator[bytes]:
    """By the machine's own zstd: Python has none before 3.14."""
    program = shutil.which("zstd")
    if program is None:
        raise Wrong("it is packed with zstd, which this machine does not have: install zstd there, or push it as gzip")
    import threading

    process = subprocess.Popen([program, "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None

    def feed(stream: BinaryIO) -> None:
        data = first
        with contextlib.suppress(OSError):
            while data:
                stream.write(data)
                data = parts.read(CHUNK)
            stream.close()

    feeder = threading.Thread(target=feed, args=(process.stdin,), daemon=True)
    feeder.start()
    try:
        while True:
            data = process.stdout.read(CHUNK)
            if not data:
                break
            yield data
    finally:
        process.stdout.close()
        feeder.join(10)
        if process.wait() != 0 and sys.exc_info()[0] is None:
            raise Wrong("a layer is spoilt: zstd cannot read it")


@contextlib.contextmanager
def members(layer: dict[str, Any], limit: int, verify: bool) -> Iterator[Any]:
    """The archive of a layer, to be read from beginning to end; then, with `verify`, its digests are compared."""
    parts = Parts(layer["parts"])
    with contextlib.closing(parts):
        yield from _read(layer, parts, limit, verify)


def _read(layer: dict[str, Any], parts: Parts, limit: int, verify: bool) -> Iterator[Any]:
    stream = Unpacked(parts, limit)
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, errorlevel=2) as archive:  # type: ignore[call-overload]
            yield archive
    except tarfile.TarError as error:
        raise Wrong(f"a layer is no archive: {error}") from None
    stream.to_the_end()
    while parts.read(CHUNK):
        pass
    if verify:
        for what, made, said in (("pulled", parts, layer["digest"]), ("unpacked", stream, layer["diffId"])):
            if f"sha256:{made.digest.hexdigest()}" != said:
                raise Wrong(f"a layer is not what it should be: {what}, its digest is another one")
    layer["size"] = stream.size


# writing


def write(tree: Tree, layers: list[dict[str, Any]], root: str) -> int:
    """Everything of a tree below a new folder. Bytes of its files."""
    everything = list(tree.paths())
    os.mkdir(root, 0o700)
    where: dict[int, list[str]] = {}
    for path, node in everything:
        if node.kind == FOLDER:
            os.mkdir(join(root, path), 0o700)
        else:
            where.setdefault(id(node), []).append(path)
    wanted: dict[tuple[int, int], Node] = {node.at: node for _, node in everything if node.at is not None}
    size = 0
    for number, layer in enumerate(layers):
        if not any(at[0] == number for at in wanted):
            continue
        with members(layer, layer["size"], verify=False) as archive:
            for position, member in enumerate(each(archive)):
                file = wanted.get((number, position))
                if file is not None:
                    size += write_file(join(root, where[id(file)][0]), archive.extractfile(member), file)
    for node in wanted.values():
        first, *others = where[id(node)]
        for path in others:
            os.link(join(root, first), join(root, path))
    for node in {id(node): node for _, node in everything if node.kind == LINK}.values():
        first, *others = where[id(node)]
        os.symlink(node.target, join(root, first))
        os.lchown(join(root, first), node.uid, node.gid)
        for path in others:
            os.link(join(root, first), join(root, path), follow_symlinks=False)
    for path, node in [*reversed(everything), ("", tree.root)]:
        if node.kind == FOLDER:
            settle(join(root, path), node)
    return size


def join(root: str, path: str) -> str:
    return root + "/" + path if path else root


def write_file(path: str, content: Any, node: Node) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    size = 0
    with os.fdopen(handle, "wb") as stream:
        while True:
            data = content.read(CHUNK)
            if not data:
                break
            stream.write(data)
            size += len(data)
    if size != node.size:
        raise Wrong("a layer ends in the middle of a file")
    settle(path, node)
    return size


def settle(path: str, node: Node) -> None:
    """Owner first: a change of it takes set-uid bits away."""
    os.chown(path, node.uid, node.gid)
    os.chmod(path, node.mode)
    with contextlib.suppress(OverflowError, OSError):
        os.utime(path, (node.mtime, node.mtime))


# who is in it


def users_of(passwd: str) -> dict[str, list[Any]]:
    """Name -> [uid, gid, home]."""
    found: dict[str, list[Any]] = {}
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 6 and parts[0] and parts[2].isdigit() and parts[3].isdigit():
            found.setdefault(parts[0], [int(parts[2]), int(parts[3]), parts[5]])
    return found


def groups_of(group: str) -> dict[str, list[Any]]:
    """Name -> [gid, members]."""
    found: dict[str, list[Any]] = {}
    for line in group.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and parts[0] and parts[2].isdigit():
            found.setdefault(parts[0], [int(parts[2]), [name for name in parts[3].split(",") if name]])
    return found


def text_of(tree: Tree, root: str, steps: list[str]) -> str:
    """A small file of the image, wherever links lead to inside it; empty without it."""
    node = tree.find(steps, True)
    if node is None or node.kind != FILE or node.size > CHUNK:
        return ""
    path = next(path for path, other in tree.paths() if other is node)
    with open(join(root, path), encoding="utf-8", errors="replace") as stream:
        return stream.read()


# all of it


def unpack(asked: dict[str, Any]) -> dict[str, Any]:
    into, layers = asked["into"], asked["layers"]
    temporary = into + ".new"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary, 0o700)
    try:
        free = shutil.disk_usage(temporary).free
        tree, left = Tree(), min(asked["limit"], 4 * free)
        for number, layer in enumerate(layers):
            with members(layer, left, verify=True) as archive:
                tree.apply(number, each(archive))
            left -= layer["size"]
        needed = sum({id(node): node.size for _, node in tree.paths()}.values())
        if needed > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        root = temporary + "/rootfs"
        size = write(tree, layers, root)
        users, groups = (text_of(tree, root, ["etc", name]) for name in ("passwd", "group"))
        record = {**asked["record"], "users": users_of(users), "groups": groups_of(groups), "size": size}
        with open(temporary + "/image.json", "w", encoding="utf-8") as stream:
            json.dump(record, stream)
        os.sync()  # what has its name is whole, also after a power failure
        os.rename(temporary, into)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return {"bytes": size, "entries": tree.entries}


def each(archive: Any) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        yield member
        archive.members = []  # or all are kept


def main() -> None:
    os.umask(0o022)
    began = time.time()
    try:
        said = unpack(json.load(sys.stdin))
        said["seconds"] = round(time.time() - began, 2)
    except Wrong as wrong:
        said = {"what": str(wrong)}
    except OSError as error:
        said = {"errno": error.errno, "path": str(error.filename or "")}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
