"""A spec of which the model refuses a part, made whole with stand-ins, so that the rest of it can be checked. Pure.

What was refused is told already: `Mended.sure` leaves out every finding that may be there only because of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from anytier.spec import container as c
from anytier.spec import model as m
from anytier.spec.checks import volume_name
from anytier.spec.diagnostic import Finding, Path
from anytier.spec.messages import errors_of, is_name, kinds_at, known_fields
from anytier.spec.placeholders import Ref, parse
from anytier.spec.values import near_name
from anytier.suggest import nearest

# What stands below a misspelt field is seen in the second round only, and below one in there in the third.
_ROUNDS = 6
_DECLARED = {"workloads", "jobs", "resources", "secrets", "containers", "ports"}
_NEEDED_BY: dict[type[BaseModel], tuple[str, ...]] = {
    m.Workload: ("containers", "host"),
    m.Job: ("containers", "host"),
    m.Secret: ("from", "path", "command", "id", "vault"),
}
# What a check holds a field against, beside it.
_BESIDE: dict[str | int, tuple[str, ...]] = {
    "timeoutSeconds": ("periodSeconds",),
    "noExpand": ("content",),
    "metrics": ("max",),
    "canary": ("strategy",),
    "strategy": ("canary",),
    "autoPromote": ("strategy",),
    "healthyDeadline": ("progressDeadline",),
    "minHealthyTime": ("healthyDeadline",),
    "trigger": ("schedule",),
    "schedule": ("trigger",),
    "timeZone": ("trigger", "schedule"),
    "concurrencyPolicy": ("trigger", "schedule"),
    "dependsOn": ("trigger",),
    "stripPrefix": ("path",),
}


@dataclass(frozen=True)
class Mended:
    """`app` is made of `data`. Paths are those of the file: `gone` what was refused, or may be missing by a slip, and
    `names` the names that were. `renamed`: a path in `data` -> its last step in the file."""

    app: m.App
    data: dict[str, Any]
    gone: frozenset[Path] = frozenset()
    names: frozenset[Path] = frozenset()
    renamed: Mapping[Path, str] = field(default_factory=dict)

    def sure(self, findings: Iterable[Finding], data: Mapping[str, Any]) -> list[Finding]:
        """Those of the findings about `data` (ours, or ours with an override) that have nothing to do with what was
        refused, under the paths of the file."""
        if not (self.gone or self.renamed):
            return list(findings)
        above = {path[:length] for path in self.gone for length in range(3, len(path))}
        above |= {_of_any(path[0], path[-1]) for path in self.gone}
        return [
            (self.in_file(path), what, do)
            for path, what, do in findings
            if not self.is_gone(path) and not any(self._leans(one, above) for one in _leans_on(data, path))
        ]

    def in_file(self, path: Path) -> Path:
        return _in_file(path, self.renamed)

    def is_gone(self, path: Path) -> bool:
        """Whether it was refused, or stands in what was. A refused name is one only where it is still written."""
        there = self.in_file(path)
        lengths = range(1, len(there) + 1)
        return any(there[:length] in self.gone or path[:length] in self.names for length in lengths)

    def _leans(self, path: Path, above: set[Path]) -> bool:
        return self.is_gone(path) or self.in_file(path) in above


def mend(data: dict[str, Any], errors: list[Any], unread: Iterable[Path] = ()) -> Mended | None:
    """`errors` are what the model says of `data`; of what is `unread` nobody knows what was meant. None where the
    model refuses the stand-ins, too."""
    patch = _Patch(copy.deepcopy(data))
    patch.gone.update(unread)
    for _ in range(_ROUNDS):
        patch.over(errors)
        try:
            app = m.App.model_validate(patch.data)
        except ValidationError as error:
            errors = errors_of(error)
        else:
            return Mended(app, patch.data, frozenset(patch.gone), frozenset(patch.names), patch.renamed)
    return None


class _Patch:
    """The data as it changes, and what has become of it."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data, self.count = data, 0
        self.gone, self.names, self.tried = set[Path](), set[Path](), set[Path]()
        self.renamed: dict[Path, str] = {}
        self.new_names: dict[Path, str] = {}  # path with the old name -> the new one

    def over(self, errors: Iterable[Mapping[str, Any]]) -> None:
        for item in sorted(errors, key=_turn):
            path = self._now(tuple(step for step in item["loc"] if step != "[key]"))
            if item["type"] == "extra_forbidden":
                self._unknown_field(path)
            elif is_name(item):
                self._name(path, is_word=item["type"] == "literal_error")
            else:
                self._value(path)

    def _value(self, path: Path) -> None:
        holder, last = _at(self.data, path[:-1]), path[-1]
        stand_in = None if path in self.tried else self._stand_in(path)
        self.tried.add(path)
        self.gone.add(_in_file(path, self.renamed))
        if isinstance(holder, dict):
            holder[last] = stand_in
            if stand_in is None:
                del holder[last]
            if path in self.renamed:  # a misspelt field that must be another one, then
                self._lose_missing(path[:-1], holder)
        elif isinstance(holder, list) and stand_in is None:
            self._value(path[:-1])
        elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
            holder[last] = stand_in

    def _stand_in(self, path: Path) -> Any:
        """None where nothing is better than anything."""
        self.count += 1
        whole = wholes(self.count)
        above, here = (
            [whole[kind] for kind in kinds_at(m.App, place) if isinstance(kind, type) and kind in whole]
            for place in (path[:-1], path)
        )
        of_field = next((fields[path[-1]] for fields in above if path[-1] in fields), None)
        if of_field is None and here:
            return here[0]
        return f"unnamed{self.count}" if of_field is None and isinstance(path[-1], int) else of_field

    def _name(self, path: Path, is_word: bool) -> None:
        """An entry whose name is refused gets another, so that what is in it is checked, and what refers to it."""
        holder = _at(self.data, path[:-1])
        if not isinstance(holder, dict) or path[-1] not in holder:
            return
        there = _in_file(path, self.renamed)
        if is_word or path in self.renamed or path[-2] in ("dependsOn", "before"):
            del holder[path[-1]]
            self.gone.add(there)
        else:
            self.names.add(there)
            self._rename(path, self._free_name(path, holder))

    def _free_name(self, path: Path, holder: Mapping[str, Any]) -> str:
        self.count += 1
        near = near_name(str(path[-1])) if path[-2] in _DECLARED else ""
        others = [self.data.get(kind) for kind in ("workloads", "jobs")] if len(path) == 2 else []
        if 0 < len(near) <= 63 and not any(near in taken for taken in (holder, *others) if isinstance(taken, dict)):
            return near
        return f"{'/' if path[-2] in ('files', 'volumes') else ''}unnamed{self.count}"

    def _unknown_field(self, path: Path) -> None:
        """It is taken for the one that it is like. Like none, it may be any that is not there."""
        holder, name = _at(self.data, path[:-1]), str(path[-1])
        if not isinstance(holder, dict) or name not in holder:
            return
        known = known_fields(m.App, path[:-1])
        near = nearest(name, known)
        if near is not None and near not in holder:
            self._rename(path, near)
            return
        del holder[name]
        self.gone.add(_in_file(path, self.renamed))
        if near is None:
            self._lose_missing(path[:-1], holder)

    def _lose_missing(self, path: Path, holder: Mapping[str, Any]) -> None:
        missing = (name for name in known_fields(m.App, path) if name not in holder)
        self.gone |= {_in_file((*path, name), self.renamed) for name in missing}

    def _rename(self, path: Path, new: str) -> None:
        holder, old = _at(self.data, path[:-1]), str(path[-1])
        holder[new] = holder.pop(old)
        self.renamed[(*path[:-1], new)] = old
        self.new_names[path] = new

    def _now(self, path: Path) -> Path:
        """Where something is after the renaming of what it is in."""
        found: Path = ()
        for step in path:
            found = (*found, self.new_names.get((*found, step), step))
        return found


def wholes(number: int) -> dict[type[BaseModel], dict[str, Any]]:
    """The least that a mapping must have, under names and ports that nobody else has. Of what may be left out, none."""
    name, port = f"unnamed{number}", 65536 - number
    command = {"command": [name]}
    return {
        m.App: {"apiVersion": m.API_VERSION, "kind": "App", "metadata": {"name": "app"}},
        m.AppMetadata: {"name": "app"},
        m.Workload: {"host": command},
        m.Job: {"host": command},
        m.Resource: {"type": "volume"},
        m.Secret: {"from": "env"},
        m.Route: {"workload": name, "port": port, "path": f"/{name}"},
        m.SecretPair: {"certificate": name, "key": name},
        m.ServicePort: {"port": port},
        m.Metric: {"cpu": 50},
        m.Disruption: {"minAvailable": 1},
        c.Container: {"image": name},
        c.VolumeMount: {"source": name},
        c.EnvFrom: {"secretRef": {"name": name}},
        c.NameRef: {"name": name},
        c.Header: {"name": name, "value": ""},
        c.HttpGet: {"port": port},
        c.TcpSocket: {"port": port},
        c.Grpc: {"port": port},
        c.Exec: command,
        c.Host: command,
        c.Sleep: {"seconds": 1},
        c.Before: {"ready": "started"},
    }


# what a finding depends on, other than what it is about


def _leans_on(data: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """Paths in `data`; of what is named there, where it would be."""
    yield from ((*path[:-1], other) for other in _BESIDE.get(path[-1], ()))
    for kind in kinds_at(m.App, path):
        if isinstance(kind, type):
            needed = getattr(kind, "exactly_one", ()) or _NEEDED_BY.get(kind, ())
            yield from ((*path, name) for name in needed)
    if path[0] == "routes":
        yield from _route_leans_on(data, path)
    elif path[0] == "secrets":
        yield (*path[:2], "from")
    elif path[3:4] == ("ports",):
        yield _of_any("workloads", "protocol")
    yield from _names(data, path)


def _route_leans_on(data: Mapping[str, Any], path: Path) -> Iterator[Path]:
    if len(path) == 2:  # the same host and path as another
        yield from (_of_any("routes", name) for name in ("host", "path"))
    elif path[2] == "port":
        yield ("workloads", _at(data, (*path[:2], "workload")), "service", "ports")
    elif path[2:] == ("tls", "auto"):
        yield (*path[:2], "host")


def _of_any(section: str | int, name: str | int) -> Path:
    return section, "*", name


def _names(data: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """What the field at `path` refers to by name."""
    value, holder = _at(data, path), path[-2:-1]
    if path[0] == "routes" and path[-1] == "workload":
        yield ("workloads", value)
    elif holder == ("dependsOn",):
        yield ("workloads", path[-1])
    elif holder == ("before",):
        yield (*path[:3], path[-1])
    elif holder == ("secretRef",) or (holder == ("secrets",) and len(path) > 2):
        yield ("secrets", value)
    elif path[-1] == "source" and path[-3:-2] == ("volumes",):
        yield ("resources", volume_name(str(value)))
    for part in parse(value) if isinstance(value, str) else ():
        if isinstance(part, Ref) and len(part.parts) > 1:
            root, name, *more = part.parts
            yield (root, name, "service", *more) if root == "workloads" and more[:1] == ["ports"] else (root, name)
            if root == "metadata":
                yield part.parts


def _turn(item: Mapping[str, Any]) -> tuple[bool, int]:
    """Values come first, the innermost before what they are in. Then names, from the outermost on."""
    return (True, len(item["loc"])) if is_name(item) else (False, -len(item["loc"]))


def _at(data: Any, path: Path) -> Any:
    """None where nothing is."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _in_file(path: Path, renamed: Mapping[Path, str]) -> Path:
    """A path in mended data as the file has it."""
    return tuple(renamed.get(path[: at + 1], step) for at, step in enumerate(path)) if renamed else path
