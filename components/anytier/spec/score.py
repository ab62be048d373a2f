"""A plain score.dev/v1b1 Workload as a one-workload app. Pure: plain data in, plain data out.

What Score says differently (lists with targets, `path`, bytes without a unit, `$$`, image ".") is put into the app's
own words here and nowhere else; `Converted.origin` leads from the app back to the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticCustomError

from anytier.spec.diagnostic import Finding, Path
from anytier.spec.placeholders import escape
from anytier.spec.values import parse_cpu, parse_memory

API_VERSION = "score.dev/v1b1"
_TOP = ("apiVersion", "metadata", "containers", "service", "resources")
_BODY = ("containers", "service")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOLLARS = re.compile(r"\$+")


@dataclass
class Converted:
    """The app as plain data. `moved`: path in the app -> path in the file, where more than the prefix differs."""

    data: dict[str, Any] = field(default_factory=dict)
    workload: str = ""
    moved: dict[Path, Path] = field(default_factory=dict)
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    read: Callable[[str], str | None] = lambda name: None

    def path(self, there: Path) -> Path:
        """Where in the app a path of the Score file stands that was not moved."""
        return ("workloads", self.workload, *there) if there[:1] and there[0] in _BODY else there

    def origin(self, path: Path) -> Path:
        """Where in the Score file a path of the app stands."""
        there = path[2:] if path[:2] == ("workloads", self.workload) else path
        for length in range(len(there), 0, -1):
            if there[:length] in self.moved:
                return (*self.moved[there[:length]], *there[length:])
        return there


def is_score(data: Any) -> bool:
    return isinstance(data, dict) and str(data.get("apiVersion", "")).startswith("score.dev/")


def to_app(data: dict[str, Any], read: Callable[[str], str | None] = lambda name: None) -> Converted:
    """The app. Whatever is not as Score has it stays as it is, for the model to refuse by name.

    `read` gives the text of a file beside the Score file, None where there is none.
    """
    out = Converted(read=read)
    if data["apiVersion"] != API_VERSION:
        what = f"{data['apiVersion']!r} is not a version known here"
        out.errors.append((("apiVersion",), what, f"write {API_VERSION}"))
    for key in data:
        if key not in _TOP:
            do = f"known: {', '.join(_TOP)}; kind: App has more"
            out.errors.append(((key,), "is not a field of a Score file", do))
    metadata = data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    out.workload = name if isinstance(name, str) else "main"
    body = {key: data[key] for key in _BODY if key in data}
    if "containers" not in body:
        out.errors.append(((), "has no containers", "add containers"))
    elif isinstance(body["containers"], dict):
        body["containers"] = {key: _container(out, key, item) for key, item in body["containers"].items()}
    out.data = {"apiVersion": "anytier.dev/v1", "kind": "App", "workloads": {out.workload: body}}
    if metadata is not None:
        out.data["metadata"] = _metadata(out, metadata)
    if data.get("resources") is not None:
        out.data["resources"] = _resources(data["resources"])
    _undeclared_volumes(out)
    return out


def _metadata(out: Converted, metadata: Any) -> Any:
    """Score's metadata takes any key: what an app has no field for goes into `extra`."""
    if not isinstance(metadata, dict):
        return metadata
    ours = {key: metadata[key] for key in ("name", "annotations") if key in metadata}
    labels = metadata.get("labels")
    if isinstance(labels, dict):
        ours["labels"] = labels
    extra = {key: value for key, value in metadata.items() if key not in ours}
    if extra:
        ours["extra"] = extra
        out.moved |= {("metadata", "extra", key): ("metadata", key) for key in extra}
    return ours


def _resources(resources: Any) -> Any:
    """Only `params` hold placeholders, and there Score's way of writing a dollar counts."""
    if not isinstance(resources, dict):
        return resources
    return {
        name: {**item, "params": _dollars_deep(item["params"])} if isinstance(item, dict) and "params" in item else item
        for name, item in resources.items()
    }


def _container(out: Converted, name: str, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    path: Path = ("containers", name)
    made = dict(item)
    for key in ("files", "volumes"):
        if isinstance(made.get(key), list):
            made[key] = _by_target(out, (*path, key), made[key])
    if isinstance(made.get("files"), dict):
        made["files"] = {target: _file(out, (*path, "files", target), file) for target, file in made["files"].items()}
    if isinstance(made.get("volumes"), dict):
        made["volumes"] = {
            target: _volume(out, (*path, "volumes", target), mount) for target, mount in made["volumes"].items()
        }
    if isinstance(made.get("variables"), dict):
        made["variables"] = {key: _dollars_deep(value) for key, value in made["variables"].items()}
    if isinstance(made.get("resources"), dict):
        made["resources"] = {key: _amounts(value) for key, value in made["resources"].items()}
        made["resources"] = _within_limits(out, (*path, "resources"), made["resources"])
    for key in ("livenessProbe", "readinessProbe"):
        if isinstance(made.get(key), dict):
            made[key] = _probe(out, (*path, key), made[key])
    for key in ("command", "args"):
        if key in made:
            made[key] = _verbatim(made[key])
    if made.get("image") == ".":
        del made["image"]
        made["build"] = {"context": "."}
        out.moved[(*path, "build")] = (*path, "image")
        out.warnings.append(((*path, "image"), "is built from the folder of this file", "or name an image"))
    return made


def _by_target(out: Converted, path: Path, items: Iterable[Any]) -> Any:
    """Score's older form: a list whose entries carry their target."""
    made: dict[str, Any] = {}
    for index, item in enumerate(items):
        here = (*path, index)
        target = item.get("target") if isinstance(item, dict) else None
        if not isinstance(target, str):
            out.errors.append((here, "has no target", "add target: the path in the container"))
        elif target in made:
            out.errors.append(((*here, "target"), "is the target of another entry too", "choose another path"))
        else:
            made[target] = {key: value for key, value in item.items() if key != "target"}
            out.moved[(*path, target)] = here
    return made


def _file(out: Converted, path: Path, item: Any) -> Any:
    """Score expands placeholders in a source file too; here only `content` has any, so such a file becomes content."""
    if not isinstance(item, dict):
        return item
    if item.get("content") is None and isinstance(item.get("noExpand"), bool):
        return {key: value for key, value in _expanded(out, path, item).items() if key != "noExpand"}
    if item.get("noExpand") is True or "content" not in item:
        return _expanded(out, path, item)
    content = item["content"]
    if isinstance(content, list) and all(isinstance(line, str) for line in content):
        content = "\n".join(content)  # the form of Score's first releases
    return {**item, "content": _dollars_deep(content)}


def _expanded(out: Converted, path: Path, item: dict[str, Any]) -> dict[str, Any]:
    source = item.get("source")
    if item.get("noExpand") is True or not isinstance(source, str) or "content" in item or "binaryContent" in item:
        return item
    text = out.read(source)
    if text is None or "$" not in text:
        return item
    out.moved[(*path, "content")] = (*out.moved.get(path, path), "source")
    return {key: value for key, value in item.items() if key != "source"} | {"content": dollars(text)}


def _volume(out: Converted, path: Path, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    renamed = {"path": "subPath", "read_only": "readOnly"}
    there = out.moved.get(path, path)
    for theirs, ours in renamed.items():
        if theirs in item:
            out.moved[(*path, ours)] = (*there, theirs)
    made = {renamed.get(key, key): value for key, value in item.items()}
    return {key: value for key, value in made.items() if not (key == "subPath" and value in ("", "/"))}


def _amounts(item: Any) -> Any:
    """Score counts memory without a unit in bytes."""
    memory = item.get("memory") if isinstance(item, dict) else None
    if isinstance(memory, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", memory):
        return {**item, "memory": f"{memory}B"}
    return item


def _within_limits(out: Converted, path: Path, item: dict[str, Any]) -> dict[str, Any]:
    """Score's schema allows a request above its limit; no place does, so the limit counts for both."""
    requests, limits = item.get("requests"), item.get("limits")
    if not isinstance(requests, dict) or not isinstance(limits, dict):
        return item
    lowered: dict[str, Any] = {}
    for name, parse in (("cpu", parse_cpu), ("memory", parse_memory)):
        try:
            above = parse(requests[name]) > parse(limits[name])
        except (KeyError, PydanticCustomError):
            continue
        if above:
            lowered[name] = limits[name]
            what = f"{requests[name]} is above the limit ({limits[name]}), so the limit is what is set aside"
            out.warnings.append(((*path, "requests", name), what, "raise the limit, or lower the request"))
    return {**item, "requests": {**requests, **lowered}}


def _probe(out: Converted, path: Path, item: dict[str, Any]) -> Any:
    """Where a probe has both ways, Score prefers the command."""
    made = {key: _verbatim(value) for key, value in item.items()}
    if "httpGet" in made and "exec" in made:
        del made["httpGet"]
        out.warnings.append(((*path, "httpGet"), "is not used: exec stands beside it", "keep one of the two"))
    return made


def _undeclared_volumes(out: Converted) -> None:
    """Score may mount a volume that nothing declares ("external"); an app has a resource for it."""
    containers = out.data["workloads"][out.workload].get("containers")
    known = out.data.get("resources") or {}
    if not isinstance(containers, dict) or not isinstance(known, dict):
        return
    for name, item in containers.items():
        volumes = item.get("volumes") if isinstance(item, dict) else None
        for target, mount in (volumes if isinstance(volumes, dict) else {}).items():
            source = mount.get("source") if isinstance(mount, dict) else None
            if isinstance(source, str) and _NAME.fullmatch(source) and source not in known:
                known = {**known, source: {"type": "volume"}}
                there: Path = ("containers", name, "volumes", target)
                where = (*out.moved.get(there, there), "source")
                what = f"{source!r} is not among the resources; a volume of that name is made with the app"
                out.warnings.append((where, what, f"declare it: `resources: {{{source}: {{type: volume}}}}`"))
    if known:
        out.data["resources"] = known


def _verbatim(value: Any) -> Any:
    """Strings in which Score knows no placeholders."""
    return _deep(value, escape)


def _dollars_deep(value: Any) -> Any:
    return _deep(value, dollars)


def dollars(text: str) -> str:
    """Score halves pairs of dollars everywhere and leaves a `${` that is never closed alone."""
    if "$" not in text:
        return text
    out, position, last = "", 0, text.rfind("}")
    for run in _DOLLARS.finditer(text):
        if run.start() < position:
            continue
        out += text[position : run.start()]
        count, position = len(run[0]), run.end()
        if not text.startswith("{", position):
            out += "$" * (count // 2 + count % 2)
        elif position < last:
            # Up to its end nothing in it is an escape, be it a placeholder or an escaped one.
            end = text.index("}", position) + 1
            inner = text[position:end]
            out, position = out + run[0] + (inner if count % 2 else escape(inner)), end
        else:
            out += "$" * (count // 2 + count % 2) * 2
    return out + text[position:]


def _deep(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_deep(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _deep(item, change) for key, item in value.items()}
    return value
