"""Building an image: the context packed, sent to the daemon, and its answer told and judged.

The daemon's classic builder does the work, over the plain API. Packing runs in a thread and goes through a file: a
context may be large.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, NoSpace, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import errors
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.dockerfile import from_scratch, platform_of, predefined
from anytier.provider.docker.patience import Pace
from anytier.provider.docker.pull import Progress
from anytier.provider.docker.tar import write_context
from anytier.provider.fields import ignored
from anytier.provider.oci import credentials
from anytier.provider.resource import Context
from anytier.render.context import IGNORE_FILE, context_hash, entries

_STEP = re.compile(r"Step (?P<number>\d+)/(?P<count>\d+) : (?P<text>.*)", re.DOTALL)
_MADE = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})\n?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # around what a command says on stderr
_CACHED = " ---> Using cache"
_TAIL = 12


class Build(Frozen):
    """`context` is where this machine has the sources; what is in it counts, by its hash. `dockerfile` lies in it.
    `platform`: what the image is to run on, such as `linux/arm64`; the daemon's own if left out."""

    context: Annotated[str, ignored]
    dockerfile: str = "Dockerfile"
    args: dict[str, str] = Field(default_factory=dict)
    target: str | None = None
    platform: Annotated[str, Field(pattern=r"^linux/[a-z0-9]+(/v[0-9]+)?$")] | None = None


async def build(
    there: Daemon,
    ctx: Context,
    wanted: Build,
    digest: str,
    tag: str,
    labels: Mapping[str, str],
    log: Log,
    anew: bool = False,
) -> str:
    """The id of the image, which also has the tag. `log` gets what the builder says, also when it fails. `anew`: no
    step of an earlier build is gone on from.

    Rejected where the context is no longer what `digest` was taken of.
    """
    headers = await credentials.for_build()
    ctx.status("packing the build context")
    text, own = _text(wanted), platform_of(there.facts)
    args = {**predefined(text, there.facts, wanted.platform), **wanted.args}
    log.foreign = (wanted.platform, own) if wanted.platform and wanted.platform != own else None
    # What begins with nothing begins alike for all platforms: the builder would go on from another one's step.
    anew = anew or (log.foreign is not None and from_scratch(text))
    with TemporaryFile(prefix="anytier-context-") as archive:
        size = await _packed(wanted, digest, archive)
        ctx.status(f"sending the build context ({size / 1e6:.1f} MB)")
        query = there.stream(
            "POST", "build", archive, log.path, explain=log.explain, headers=headers,
            t=tag, dockerfile=wanted.dockerfile, buildargs=args, target=wanted.target, labels=dict(labels),
            platform=wanted.platform, nocache=anew or None, rm=True, forcerm=True,
        )  # fmt: skip
        pace = Pace()
        async with query as messages:
            async for message in messages:
                if log.take(message) or pace.due():
                    ctx.status(log.status)
    if log.id is None:
        raise Rejected(log.path, "the daemon ended the build without an image", "run again")
    return log.id


def begins_with_nothing(wanted: Build) -> bool:
    """Whether a stage of it is FROM scratch."""
    return from_scratch(_text(wanted))


def _text(wanted: Build) -> str:
    """The Dockerfile; empty where there is none, which the packing tells."""
    file = Path(wanted.context) / wanted.dockerfile
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


class Log:
    """What the builder says: the step it is at, its last lines, and the images it makes on the way. `foreign`: the
    platform that is built for and the daemon's own, where they differ."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.id: str | None = None
        self.foreign: tuple[str, str] | None = None
        self.made: list[str] = []  # images between steps, newest last, that did not come from the cache
        self._step, self._number, self._count = "", 0, 0
        self._cached = False
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._base = Progress()

    def take(self, message: Mapping[str, Any]) -> bool:
        """Whether a new step began."""
        aux = message.get("aux") or {}
        if aux.get("ID"):
            self.id = str(aux["ID"])
        self._base.take(message)
        text = _COLOUR.sub("", str(message.get("stream") or ""))
        if found := _STEP.match(text.strip()):
            self._step, self._number, self._count = (
                " ".join(found["text"].split()),
                int(found["number"]),
                int(found["count"]),
            )
            self._cached = False
            self._tail.clear()
            self._base = Progress()
            return True
        if text.startswith(_CACHED):
            self._cached = True
        elif found := _MADE.fullmatch(text):
            if not self._cached and self._instruction != "FROM":
                self.made.append(found["id"])
        elif text.strip() and not text.startswith((" --->", "Removing intermediate container")):
            self._tail.extend(line.rstrip() for line in text.splitlines() if line.strip())
        return False

    @property
    def status(self) -> str:
        last = self._tail[-1][:80] if self._tail else str(self._base or "")
        return f"step {self._number}/{self._count} {self._step[:60]}{last and ': '}{last}"

    def explain(self, path: str, status: int, message: str) -> AnytierError:
        """The step that failed with its last lines; for a base image, what its registry says."""
        if self._instruction == "FROM":
            name = next((word for word in self._step.split()[1:] if not word.startswith("--")), "")
            found = errors.of_registry(f"image {name}", status, message)
            return type(found)(path, f"its base {found.path}: {found.what}", found.do)
        plain = errors.of_answer(path, status, message)
        if isinstance(plain, NoSpace) or not self._step:
            return plain
        said = "".join(f"\n    {line}" for line in self._tail)
        what = f"step {self._number}/{self._count} failed, `{self._step}`: {' '.join(message.split())}{said}\n"
        return Rejected(path, what, f"{_elsewhere(self.foreign)}mend the Dockerfile or what it runs, then run again")

    @property
    def _instruction(self) -> str:
        return self._step.partition(" ")[0].upper()


def _elsewhere(foreign: tuple[str, str] | None) -> str:
    """What may be the reason where a program is for another processor than the daemon's."""
    if foreign is None:
        return ""
    wanted, own = foreign
    return (
        f"this is built for {wanted} on {own}: name a `builder` with that processor, or let this one run its programs "
        f"(`docker run --privileged --rm tonistiigi/binfmt --install {wanted.split('/')[1]}`); else "
    )


async def _packed(wanted: Build, digest: str, archive: IO[bytes]) -> int:
    """The archive's size, rewound. The work of a thread, which a cancel leaves behind to end by itself."""
    context = Path(wanted.context)

    def pack() -> int:
        if context_hash(context, wanted.dockerfile, wanted.args, wanted.target) != digest:
            do = "run again; what changes by itself belongs into .dockerignore"
            raise Rejected(str(context), "changed since this deployment began", do)
        names = sent(context, list(entries(context, wanted.dockerfile)), wanted.dockerfile)
        write_context(context, names, archive)
        size = archive.tell()
        archive.seek(0)
        return size

    try:
        return await asyncio.to_thread(pack)
    except OSError as error:
        raise _unreadable(context, error) from error


def sent(context: Path, names: Sequence[str], dockerfile: str) -> list[str]:
    """The context's entries, and the two files that the builder reads and then, where they are ignored, removes."""
    needed = [Path(dockerfile).as_posix(), IGNORE_FILE]
    return [*names, *(name for name in needed if name not in names and (context / name).is_file())]


def _unreadable(context: Path, error: OSError) -> AnytierError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(
            "the build context", "does not fit into this machine's temporary folder", "free space, or TMPDIR"
        )
    if error.errno == errno.ENOENT:
        return NotFound(str(error.filename or context), "is no longer there", "run again")
    what = f"cannot be read: {error.strerror or error}"
    return Rejected(str(error.filename or context), what, "mend it, or put it into .dockerignore")
