"""Files and secret variables of a pod as ConfigMaps and Secrets: immutable, their content's hash in the name.

A changed content is another object, so that it rolls what uses it, and a revision that is gone back to finds what it
had. Those that stay for that are their workload's or Job's own, and go with it: what a CronJob names are others, by key
and by name. What holds no secret goes into ConfigMaps. An object holds at most 1 MiB, so many files are several.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from anytier.errors import CapabilityError, SpecError
from anytier.render.kubernetes.finish import Live, content_hash, joined
from anytier.render.kubernetes.names import Kind, fitted
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json
from anytier.render.template import Container, File
from anytier.render.tokens import names as secret_names
from anytier.render.tokens import substitute

MOST = 1024 * 1024
_UNSAFE = re.compile(r"[^-._a-zA-Z0-9]+")


@dataclass(frozen=True)
class Entry:
    """One key of a ConfigMap or a Secret. `content` is live text with secrets, plain text, or bytes.

    `variable` or `file` of `container` says what it is for.
    """

    container: str
    key: str
    content: str | bytes
    variable: str | None = None
    file: File | None = None

    @property
    def secret(self) -> bool:
        return isinstance(self.content, Live)

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else len(self.content.encode())


@dataclass
class Carried:
    """`objects` with the ends of their keys; by container: variables that a Secret holds, and mounts of files."""

    objects: list[tuple[str, Json]] = field(default_factory=list)
    volumes: list[Json] = field(default_factory=list)
    variables: dict[str, list[Json]] = field(default_factory=dict)
    mounts: dict[str, list[Json]] = field(default_factory=dict)


def carried(scope: Scope, part: Kind, name: str, containers: Iterable[Container]) -> Carried:
    """SpecError for a file that no object can hold."""
    entries = [entry for item in containers for entry in _entries(item, f"{part}s.{name}.containers.{item.name}")]
    made = Carried()
    for kind, wanted in (
        ("config", [e for e in entries if not e.secret]),
        ("secret", [e for e in entries if e.secret]),
    ):
        for index, some in enumerate(packed(wanted)):
            _add(made, scope, part, name, kind, index, some)
    return made


def kept(scope: Scope, part: Kind, name: str) -> bool:
    """Whether they stay when their content changes, for revisions that name them. A CronJob has none."""
    return part == "workload" or scope.app.jobs[name].trigger in ("preDeploy", "postDeploy")


def _entries(item: Container, path: str) -> Iterator[Entry]:
    for key, secret in item.secret_env.items():
        yield Entry(item.name, f"{item.name}.{key}", Live(f"${{secrets.{secret}}}"), variable=key)
    for key, value in item.env.items():
        if secret_names(value):
            yield Entry(item.name, f"{item.name}.{key}", Live(value), variable=key)
    for index, file in enumerate(item.files):
        where = f"{path}.files.{file.target}"
        entry = Entry(item.name, _key(item.name, index, file.target), _content(file), file=file)
        if file.owner is not None:
            raise CapabilityError(where, *NO_OWNER)
        if entry.size > MOST:
            raise SpecError(where, "is larger than 1 MiB", "put it into the image, or onto a volume")
        yield entry


NO_OWNER = ("a file is root's, readable for the pod's group", "leave owner out, and give the container's `user`")


def _content(file: File) -> str | bytes:
    if file.content is None:
        return base64.b64decode(file.binary or "")
    return Live(file.content) if secret_names(file.content) else substitute(file.content, {})


def _key(container: str, index: int, target: str) -> str:
    """A person can tell by the key which file it is; the number keeps two with the same last step apart."""
    return f"{container}.{index}.{_UNSAFE.sub('_', target.rsplit('/', 1)[-1])[:100]}"


def packed(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """In their order, as many together as one object holds. What values secrets have is unknown: room is left."""
    some: list[Entry] = []
    size = 0
    for entry in entries:
        weight = entry.size + (4096 if entry.secret else 0)
        if some and size + weight > MOST:
            yield some
            some, size = [], 0
        some.append(entry)
        size += weight
    if some:
        yield some


def _add(made: Carried, scope: Scope, part: Kind, name: str, kind: str, index: int, some: list[Entry]) -> None:
    content = _data(some) if kind == "config" else {"stringData": {entry.key: entry.content for entry in some}}
    word = kind if kept(scope, part, name) else f"cron{kind}"
    called = joined(f"{fitted(name, 40)}-{word}-", content_hash(content))
    head = {"immutable": True} if kind == "config" else {"immutable": True, "type": "Opaque"}
    item = scope.of_part("v1", "ConfigMap" if kind == "config" else "Secret", called, part, name, **head, **content)
    made.objects.append((f".{word}" if index == 0 else f".{word}.{index}", item))
    for entry in some:
        if entry.variable is not None:
            reference = {"secretKeyRef": {"name": called, "key": entry.key}}
            one = {"name": entry.variable, "valueFrom": reference}
            made.variables.setdefault(entry.container, []).append(one)
    files = [(entry, entry.file) for entry in some if entry.file is not None]
    if not files:
        return
    items = [{"key": entry.key, "path": entry.key, "mode": int(file.mode, 8)} for entry, file in files]
    source: dict[str, Any] = (
        {"configMap": {"name": called, "items": items}}
        if kind == "config"
        else {"secret": {"secretName": called, "items": items}}
    )
    volume = f"{kind}-{index}"
    made.volumes.append({"name": volume, **source})
    for entry, file in files:
        mount = {"name": volume, "mountPath": file.target, "subPath": entry.key, "readOnly": True}
        made.mounts.setdefault(entry.container, []).append(mount)


def _data(some: list[Entry]) -> Json:
    texts = {entry.key: entry.content for entry in some if isinstance(entry.content, str)}
    raw = {e.key: base64.b64encode(e.content).decode() for e in some if isinstance(e.content, bytes)}
    return {key: item for key, item in (("data", texts), ("binaryData", raw)) if item}
