"""What a workload remembers on the daemon: what is deployed, and its kept revisions with their secrets.

One JSON document in a volume of its own that only root of the Docker host can read. A container that is never started
holds the volume; the daemon's archive calls read and write through it. Its label says whose deployment this is.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from anytier.errors import Conflict, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import labels, tools
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.models import Deployed, Kept, Revision
from anytier.provider.docker.tar import pack
from anytier.render.template import Template

_FOLDER = "/store"


class Document(Frozen):
    """Everything. `key` keys the hashes of revisions, which would otherwise let a guess of a secret be checked."""

    sequence: int = 0
    key: str
    deployed: Deployed | None = None
    kept: list[Kept] = Field(default_factory=list)

    @property
    def revisions(self) -> dict[int, Kept]:
        return {item.revision.revision: item for item in self.kept}


class Store:
    """One workload's document. Nothing is cached: the daemon is the truth."""

    def __init__(self, daemon: Daemon, ns: str, workload: str) -> None:
        self.daemon, self.ns, self.workload = daemon, ns, workload
        self.name = f"{ns}-{workload}.store"

    async def load(self) -> Document | None:
        """None: this workload is not here."""
        return _newest(await self._archive())

    async def peek(self) -> Document | None:
        """As `load`, for whoever is not the workload: what is being removed is not brought back."""
        try:
            return _newest(await self.daemon.get_files(self.name, _FOLDER))
        except (NotFound, Conflict, Rejected):
            if await self.daemon.find(f"containers/{self.name}/json") is not None:
                raise
            return None

    async def save(self, document: Document) -> Document:
        """The document as it is now. It goes beside the last one, which stays whole should we be killed meanwhile."""
        new = document.model_copy(update={"sequence": document.sequence + 1})
        body = new.model_dump_json(by_alias=True, exclude_none=True).encode()
        entry = {f"{new.sequence % 2}.json": (body, 0o600, 0, 0)}
        await self.daemon.put_files(self.name, _FOLDER, pack(entry))
        return new

    async def open(self, owner: str) -> Document:
        """The document, made where there is none, and ours from now on."""
        found = await self.daemon.find(f"containers/{self.name}/json")
        if found is not None and owner and labels.label(found, labels.OWNER) != owner:
            await self.daemon.delete(f"containers/{self.name}", force=True)
            found = None
        if found is None:
            await self._make(owner)
        return await self.load() or Document(key=secrets.token_hex(32))

    async def forget(self) -> None:
        await self.daemon.delete(f"containers/{self.name}", force=True)
        await self.daemon.delete(f"volumes/{self.name}")

    async def _archive(self) -> bytes | None:
        try:
            return await self.daemon.get_files(self.name, _FOLDER)
        except NotFound:
            if await self.daemon.find(f"volumes/{self.name}") is None:
                return None
        await tools.ensure(self.daemon)
        await self._make("")  # a clean-up of stopped containers took it along
        return await self.daemon.get_files(self.name, _FOLDER)

    async def _make(self, owner: str) -> None:
        marks = {labels.NAMESPACE: self.ns, labels.ROLE: "store", labels.WORKLOAD: self.workload}
        mount: dict[str, Any] = {"Type": "volume", "Source": self.name, "Target": _FOLDER}
        mount |= {"VolumeOptions": {"NoCopy": True, "Labels": marks}}
        body: dict[str, Any] = {
            "Image": tools.image(),
            "Cmd": ["none"],
            "Labels": marks | {labels.OWNER: owner},
            "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
        }
        await self.daemon.post("containers/create", body, f"container {self.name}", name=self.name)


def revised(
    document: Document, template: Template, values: Mapping[str, str], seen: Iterable[int]
) -> tuple[Kept, Document]:
    """The revision for this content, new or known, and the document that keeps it. `seen` are numbers in use.

    The same content as the newest or the current one is that revision: a run that was killed half way finds its own
    again. What an older one had gets a number of its own again, so that numbers tell what came after what.
    """
    digest = content_hash(document.key, template, values)
    current = document.deployed.revision if document.deployed else 0
    known = {current, max(document.revisions, default=0)}
    same = [item for item in document.kept if item.revision.hash == digest and item.revision.revision in known]
    if same:
        return next((item for item in same if item.revision.revision == current), same[-1]), document
    number = max([0, *document.revisions, *seen]) + 1
    revision = Revision(revision=number, hash=digest, template=template, created_at=round(time.time(), 3))
    made = Kept(revision=revision, secrets=dict(values))
    return made, document.model_copy(update={"kept": [*document.kept, made]})


def served(document: Document, number: int) -> Document:
    """A rollout of this revision ended well: from now on it is one to go back to."""

    def marked(item: Kept) -> Kept:
        revision = item.revision.model_copy(update={"served": item.revision.served or item.revision.revision == number})
        return item.model_copy(update={"revision": revision})

    return document.model_copy(update={"kept": [marked(item) for item in document.kept]})


def pruned(document: Document, current: int, retain: int) -> Document:
    """With the newest `retain` revisions, the current one always."""
    others = sorted((number for number in document.revisions if number != current), reverse=True)
    keep = {current, *others[: max(0, retain - 1)]}
    return document.model_copy(update={"kept": [item for item in document.kept if item.revision.revision in keep]})


def content_hash(key: str, template: Template, values: Mapping[str, str]) -> str:
    """Equal exactly when what runs is equal. Keyed, so that a secret cannot be guessed from it."""
    content = json.dumps([template.wire(), dict(values)], sort_keys=True)
    return hmac.new(key.encode(), content.encode(), hashlib.sha256).hexdigest()[:16]


def _newest(data: bytes | None) -> Document | None:
    found = [document for text in _files(data) if (document := _parsed(text))] if data else []
    return max(found, key=lambda item: item.sequence, default=None)


def _files(data: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [tar.extractfile(item) for item in tar.getmembers() if item.isfile()]
        return [stream.read() for stream in found if stream is not None]


def _parsed(text: bytes) -> Document | None:
    """None for one that was cut off."""
    try:
        return Document.model_validate_json(text)
    except ValidationError:
        return None
