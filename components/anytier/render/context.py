"""What belongs to a build context, and its hash.

Reads files; changes nothing. `.dockerignore` is honoured as `docker build` does today: an ignored folder is still
looked into where a `!` might take back something in it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from anytier.errors import NotFound, Rejected
from anytier.render.ignore import Matched, Rule, judge, parse

IGNORE_FILE = ".dockerignore"
# Where a context has no `.dockerignore`: what no app needs at run time, and what changes without a change of the app.
DEFAULT_IGNORE = (
    "**/.git",
    "**/.hg",
    "**/.venv",
    "**/__pycache__",
    "**/.mypy_cache",
    "**/.pytest_cache",
    "**/.DS_Store",
)
_CHUNK = 1 << 20


def context_hash(context: Path, dockerfile: str, args: Mapping[str, str], target: str | None) -> str:
    """64 hex digits over names, kinds, permissions and contents, and over how the image is built. Times do not count.

    NotFound where the context, or the Dockerfile in it, is not there; Rejected for what cannot be read.
    """
    if not context.is_dir():
        raise NotFound(str(context), "is not a folder, so nothing can be built from it", "mend build.context")
    digest = hashlib.sha256()
    try:
        if dockerfile:
            path = context / dockerfile
            if not path.is_file():
                raise NotFound(str(path), "there is no such Dockerfile", "mend build.dockerfile, or add the file")
            _add(digest, "dockerfile", path.read_bytes())
        for key, value in sorted(args.items()):
            _add(digest, f"arg {key}", value.encode())
        _add(digest, "target", (target or "").encode())
        for name in entries(context, dockerfile):
            _add_entry(digest, context, name)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise Rejected(str(error.filename or context), what, f"mend it, or put it into {IGNORE_FILE}") from error
    return digest.hexdigest()


def entries(context: Path, dockerfile: str = "") -> Iterator[str]:
    """Paths relative to the context, folders before their content, in one order. Links are not followed.

    Only folders, files and links: sockets, pipes and devices are left out. A Dockerfile may have an ignore file of its
    own beside it, `<Dockerfile>.dockerignore`.
    """
    rules = _rules(context, dockerfile)
    yield from _below(context, "", rules, (), any(rule.keep for rule in rules))


def _below(folder: Path, prefix: str, rules: list[Rule], above: Matched, takes_back: bool) -> Iterator[str]:
    with os.scandir(folder) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        name = f"{prefix}{item.name}"
        out, matched = judge(name, rules, above)
        folder_here = item.is_dir(follow_symlinks=False)
        if not out and (folder_here or item.is_symlink() or item.is_file(follow_symlinks=False)):
            yield name
        if folder_here and (not out or takes_back):
            yield from _below(folder / item.name, f"{name}/", rules, matched, takes_back)


def _rules(context: Path, dockerfile: str) -> list[Rule]:
    own = context / f"{dockerfile}{IGNORE_FILE}"
    file = own if own.is_file() else context / IGNORE_FILE
    if not file.is_file():
        return parse("\n".join(DEFAULT_IGNORE), IGNORE_FILE)
    # File names are compared as the system gives them: bytes that are no UTF-8 included.
    return parse(file.read_text(encoding="utf-8", errors="surrogateescape"), str(file))


def _add_entry(digest: hashlib._Hash, context: Path, name: str) -> None:
    path = context / name
    found = path.lstat()
    mode = f"{stat.S_IMODE(found.st_mode):o}"
    if stat.S_ISLNK(found.st_mode):
        _add(digest, f"link {name}", os.fsencode(os.readlink(path)))
    elif stat.S_ISDIR(found.st_mode):
        _add(digest, f"folder {mode} {name}", b"")
    else:
        _add_file(digest, f"file {mode} {name}", path)


def _add_file(digest: hashlib._Hash, label: str, path: Path) -> None:
    """By its own hash, so that a large file is never held as a whole."""
    content = hashlib.sha256()
    with path.open("rb") as stream:
        while data := stream.read(_CHUNK):
            content.update(data)
    _add(digest, label, content.digest())


def _add(digest: hashlib._Hash, label: str, data: bytes) -> None:
    """Lengths go in, so that no two contexts read alike."""
    name = label.encode(errors="surrogateescape")
    digest.update(b"%d %s %d " % (len(name), name, len(data)))
    digest.update(data)
