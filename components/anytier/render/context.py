"""What belongs to a build context, and its hash: the same choice for an image and for a snapshot on a host.

Reads files; changes nothing. `.dockerignore` is honoured by Docker's rules: the last pattern that matches a path or a
folder above it decides, and `!` takes back.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from anytier.errors import NotFound

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


def context_hash(context: Path, dockerfile: str, args: Mapping[str, str], target: str | None) -> str:
    """64 hex digits over names, kinds, permissions and contents, and over how the image is built. Times do not count.

    NotFound where the context, or the Dockerfile in it, is not there.
    """
    if not context.is_dir():
        raise NotFound(str(context), "is not a folder, so nothing can be built from it", "mend build.context")
    digest = hashlib.sha256()
    if dockerfile:
        path = context / dockerfile
        if not path.is_file():
            raise NotFound(str(path), "there is no such Dockerfile", "mend build.dockerfile, or add the file")
        _add(digest, "dockerfile", path.read_bytes())
    for key, value in sorted(args.items()):
        _add(digest, f"arg {key}", value.encode())
    _add(digest, "target", (target or "").encode())
    for name in entries(context):
        path = context / name
        if path.is_symlink():
            _add(digest, f"link {name}", os.readlink(path).encode())
        elif path.is_file():
            _add(digest, f"file {name} {path.stat().st_mode & 0o777:o}", path.read_bytes())
        else:
            _add(digest, f"folder {name}", b"")
    return digest.hexdigest()


def entries(context: Path) -> Iterator[str]:
    """Paths relative to the context, folders before their content, in one order. Links are not followed."""
    rules = _rules(context)
    takes_back = any(keep for _, keep in rules)
    yield from _below(context, "", rules, takes_back)


def _below(folder: Path, prefix: str, rules: list[tuple[re.Pattern[str], bool]], takes_back: bool) -> Iterator[str]:
    for item in sorted(folder.iterdir(), key=lambda found: found.name):
        name = f"{prefix}{item.name}"
        out = _ignored(name, rules)
        folder_here = item.is_dir() and not item.is_symlink()
        if not out and (folder_here or item.is_file() or item.is_symlink()):
            yield name
        if folder_here and (not out or takes_back):
            yield from _below(item, f"{name}/", rules, takes_back)


def _rules(context: Path) -> list[tuple[re.Pattern[str], bool]]:
    file = context / IGNORE_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else list(DEFAULT_IGNORE)
    found = []
    for line in (line.strip() for line in lines):
        keep = line.startswith("!")
        pattern = os.path.normpath(line.removeprefix("!").strip()).lstrip("/") if line else ""
        if pattern and not line.startswith("#") and pattern != ".":
            found.append((_regex(pattern), keep))
    return found


def _ignored(name: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    parts = name.split("/")
    paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    out = False
    for pattern, keep in rules:
        if out is keep and any(pattern.fullmatch(path) for path in paths):
            out = not keep
    return out


def _regex(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within a folder, `**` does not, `[...]` is a class, a backslash takes a sign as it is."""
    out, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            out, rest = out + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest[0] in "*?":
            out, rest = out + {"*": "[^/]*", "?": "[^/]"}[rest[0]], rest[1:]
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            body = rest[1:end].replace("\\", "\\\\")
            out, rest = out + f"[{'^' + body[1:] if body.startswith(('^', '!')) else body}]", rest[end + 1 :]
        elif rest[0] == "\\" and len(rest) > 1:
            out, rest = out + re.escape(rest[1]), rest[2:]
        else:
            out, rest = out + re.escape(rest[0]), rest[1:]
    return re.compile(out)


def _add(digest: hashlib._Hash, label: str, data: bytes) -> None:
    """Lengths go in, so that no two contexts read alike."""
    digest.update(f"{len(label)} {label} {len(data)} ".encode())
    digest.update(data)
