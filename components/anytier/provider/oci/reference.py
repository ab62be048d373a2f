"""An image's reference in its parts, and what is wrong with one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from anytier.errors import Rejected

HUB = "docker.io"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_EXAMPLE = "registry/name:tag or registry/name@sha256:DIGEST, such as python:3.13-slim"


@dataclass(frozen=True)
class Reference:
    """`registry` is `docker.io` where none is written; `repository` is as written, without tag and digest."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def moves(self) -> bool:
        """Whether a newer image is to be expected under the same reference, as Kubernetes sees it."""
        return self.digest is None and self.tag in (None, "latest")

    @property
    def version(self) -> str:
        """What the daemon is asked for beside the repository."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag or ('' if self.digest else 'latest')}".rstrip(":")
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(text: str, path: str) -> Reference:
    """The reference; Rejected (with `path`) for what no daemon would take, or should be given."""
    if not text.strip():
        raise Rejected(path, "is empty", f"name an image: {_EXAMPLE}")
    if "://" in text:
        raise Rejected(path, "is a URL", "an image is registry/name:tag, without https://")
    before, at, digest = text.partition("@")
    if at and not digest.startswith(("sha256:", "sha512:")):
        do = "leave them out and `docker login` on this machine: a reference is printed everywhere"
        raise Rejected(path, "holds credentials", do)
    if at and not _DIGEST.fullmatch(digest):
        raise Rejected(path, f"{digest!r} is not a digest", "sha256: and 64 digits of 0-9 and a-f")
    first, slash, rest = before.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, name = (first, rest) if is_host else ("", before)
    name, colon, tag = name.partition(":")
    if name != name.lower() and _PATH.fullmatch(name.lower()):
        shown = f"{host}/{name}" if host else name
        raise Rejected(path, f"{shown!r} has upper-case letters", f"write {shown.replace(name, name.lower())!r}")
    whole = (not host or _HOST.fullmatch(host)) and _PATH.fullmatch(name) and (not colon or _TAG.fullmatch(tag))
    if not whole:
        raise Rejected(path, f"{text!r} is not an image", _EXAMPLE)
    return Reference(host or HUB, f"{host}/{name}" if host else name, tag or None, digest or None)
