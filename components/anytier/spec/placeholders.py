"""`${metadata.name}`, `${workloads.store.host}`, `${resources.data}`, `${secrets.token}`, and a literal `${`.

One rule: of a run of dollars before a `{`, each pair is one literal dollar, and a last odd one opens a placeholder.
So `$${` is a literal `${`; dollars elsewhere are just dollars. After `resolve`, variables and file contents (and
`params`) are still in this form, and `${secrets.NAME}` is the only placeholder left in them: the provider puts those
in (`render.tokens`). Every other string is final text. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from anytier.errors import SpecError
from anytier.spec.diagnostic import Finding, Path, dotted
from anytier.spec.hidden import HIDDEN, in_secret
from anytier.spec.messages import explain
from anytier.spec.model import App, Container, Job, Workload
from anytier.suggest import did_you_mean

_OPEN = re.compile(r"(\$+)\{")
_RUN = re.compile(r"\$+(?=\{)")
_TRAILING = re.compile(r"\$+\Z")


@dataclass(frozen=True)
class Ref:
    """A placeholder. `parts` are its steps; a dot inside a step is written `\\.`. Empty parts: it is malformed."""

    text: str
    parts: tuple[str, ...]

    @property
    def key(self) -> str:
        return ".".join(self.parts)

    @property
    def is_secret(self) -> bool:
        return len(self.parts) == 2 and self.parts[0] == "secrets"


@dataclass(frozen=True)
class Literal:
    text: str


Part = Literal | Ref


def parse(text: str) -> list[Part]:
    """A text in parts: neighbouring literals are one, escapes are undone."""
    if "${" not in text:
        return [Literal(text)] if text else []
    parts: list[Part] = []
    literal, position = "", 0
    for match in _OPEN.finditer(text):
        if match.start() < position:
            continue  # inside the placeholder before it
        dollars = len(match[1])
        literal += text[position : match.start()] + "$" * (dollars // 2)
        position = match.end()
        if dollars % 2 == 0:
            literal += "{"
            continue
        end = text.find("}", position)
        inner = text[position:end] if end >= 0 else text[position:]
        if literal:
            parts.append(Literal(literal))
            literal = ""
        parts.append(Ref(inner, _steps(inner) if end >= 0 else ()))
        position = end + 1 if end >= 0 else len(text)
    literal += text[position:]
    return [*parts, Literal(literal)] if literal else parts


def _steps(inner: str) -> tuple[str, ...]:
    steps = tuple(step.replace("\0", ".") for step in inner.replace("\\.", "\0").split("."))
    return () if any(not step or step != step.strip() or "{" in step or "$" in step for step in steps) else steps


def unparse(parts: Iterable[Part]) -> str:
    """The inverse of `parse`."""
    out, literal = "", ""
    for part in parts:
        if isinstance(part, Literal):
            literal += part.text
        else:
            out += _TRAILING.sub(lambda run: run[0] * 2, escape(literal)) + "${" + part.text + "}"
            literal = ""
    return out + escape(literal)


def escape(text: str) -> str:
    """The form that stands for `text` itself."""
    return _RUN.sub(lambda run: run[0] * 2, text) if "${" in text else text


# where placeholders may be


@dataclass(frozen=True)
class Spot:
    """A string of an app that may hold placeholders. `live`: secrets may be in it, and it keeps its escapes."""

    path: Path
    text: str
    live: bool


def spots(app: App) -> Iterator[Spot]:
    """Every string with a `${` in a place where that means something."""
    for path, text, live in _strings(app):
        if text is not None and "${" in text:
            yield Spot(path, text, live)


def references(app: App) -> Iterator[tuple[Path, Ref]]:
    """Every placeholder of an app, with the path of its string."""
    for spot in spots(app):
        for part in parse(spot.text):
            if isinstance(part, Ref):
                yield spot.path, part


_String = tuple[Path, str | None, bool]


def _strings(app: App) -> Iterator[_String]:
    for kind, bodies in (("workloads", app.workloads), ("jobs", app.jobs)):
        for name, body in bodies.items():
            yield from _body((kind, name), body)
    for index, route in enumerate(app.routes):
        yield ("routes", index, "host"), route.host, False
        yield ("routes", index, "path"), route.path, False
    for name, resource in app.resources.items():
        yield from _deep(("resources", name, "params"), resource.params)


def _body(path: Path, body: Workload | Job) -> Iterator[_String]:
    for name, container in body.containers.items():
        yield from _container((*path, "containers", name), container)
    if body.host is not None:
        here = (*path, "host")
        yield from _list((*here, "command"), body.host.command)
        yield (*here, "workingDir"), body.host.working_dir, False
        yield from _map((*here, "variables"), body.host.variables, live=True)
        yield from _files((*here, "files"), body.host.files)
    identity = body.identity if isinstance(body, Workload) else None
    if identity is not None:
        yield from _map((*path, "identity", "cloudRoles"), identity.cloud_roles, live=False)


def _container(path: Path, item: Container) -> Iterator[_String]:
    yield (*path, "image"), item.image, False
    yield (*path, "workingDir"), item.working_dir, False
    yield from _list((*path, "command"), item.command)
    yield from _list((*path, "args"), item.args)
    yield from _map((*path, "variables"), item.variables, live=True)
    yield from _files((*path, "files"), item.files)
    for target, mount in item.volumes.items():
        yield (*path, "volumes", target, "source"), mount.source, False
    if item.build is not None:
        yield from _map((*path, "build", "args"), item.build.args, live=False)
    for name, probe in (
        ("livenessProbe", item.liveness_probe),
        ("readinessProbe", item.readiness_probe),
        ("startupProbe", item.startup_probe),
    ):
        if probe is not None:
            yield from _action((*path, name), probe)
    if item.lifecycle is not None:
        for name, hook in (("postStart", item.lifecycle.post_start), ("preStop", item.lifecycle.pre_stop)):
            if hook is not None:
                yield from _action((*path, "lifecycle", name), hook)


def _action(path: Path, item: Any) -> Iterator[_String]:
    if item.exec is not None:
        yield from _list((*path, "exec", "command"), item.exec.command)
    if item.http_get is not None:
        yield (*path, "httpGet", "path"), item.http_get.path, False
        yield (*path, "httpGet", "host"), item.http_get.host, False
        for index, header in enumerate(item.http_get.http_headers):
            yield (*path, "httpGet", "httpHeaders", index, "value"), header.value, False


def _files(path: Path, files: Mapping[str, Any]) -> Iterator[_String]:
    for target, item in files.items():
        if not item.no_expand:
            yield (*path, target, "content"), item.content, True


def _list(path: Path, items: Iterable[str] | None) -> Iterator[_String]:
    for index, text in enumerate(items or ()):
        yield (*path, index), text, False


def _map(path: Path, items: Mapping[Any, str], live: bool) -> Iterator[_String]:
    for key, text in items.items():
        yield (*path, key), text, live


def _deep(path: Path, value: Any) -> Iterator[_String]:
    if isinstance(value, str):
        yield path, value, True
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _deep((*path, index), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _deep((*path, key), item)


# what they may name


def findings(app: App) -> list[Finding]:
    """Every placeholder that names nothing, found without knowing any place."""
    out: list[Finding] = []
    for spot in spots(app):
        for part in parse(spot.text):
            if isinstance(part, Ref):
                wrong = _wrong(part, app, spot)
                if wrong:
                    out.append((spot.path, *wrong))
    return out


_ROOTS = ("metadata", "resources", "workloads", "secrets")


def _wrong(ref: Ref, app: App, spot: Spot) -> tuple[str, str] | None:
    root, *rest = ref.parts or [""]
    text = HIDDEN if root not in _ROOTS and in_secret(spot.path) else _short(ref.text)
    if not ref.parts:
        return f"${{{text} is not a placeholder", "close it with }, or write $${ for a literal ${"
    shown = f"${{{text}}}"
    if root not in _ROOTS:
        near = did_you_mean(root, _ROOTS)
        return (
            f"{shown} names nothing that any tier knows{near}",
            f"begin with one of {', '.join(_ROOTS)}, or write $${{ for a literal ${{",
        )
    return _CHECKS[root](shown, rest, app, spot.live)


def _short(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 60 else line[:57] + "..."


def _metadata(shown: str, rest: list[str], app: App, live: bool) -> tuple[str, str] | None:
    if metadata_value(app, rest) is not None:
        return None
    known = list(_metadata_known(app))
    return f"{shown} names nothing{did_you_mean('.'.join(rest), known)}", f"known: {', '.join(known)}"


def metadata_value(app: App, steps: Iterable[str]) -> str | None:
    """`["labels", "team"]` -> its value; None if there is none."""
    data: Any = {
        **app.metadata.extra,
        "name": app.metadata.name,
        "labels": app.metadata.labels,
        "annotations": app.metadata.annotations,
    }
    for step in steps:
        data = data.get(step) if isinstance(data, dict) else None
    if isinstance(data, bool):
        return str(data).lower()
    return str(data) if isinstance(data, str | int | float) else None


def _metadata_known(app: App) -> Iterator[str]:
    yield "name"
    yield from app.metadata.extra
    yield from (f"labels.{key}" for key in app.metadata.labels)
    yield from (f"annotations.{key}" for key in app.metadata.annotations)


def _resources(shown: str, rest: list[str], app: App, live: bool) -> tuple[str, str] | None:
    if rest and rest[0] in app.resources:
        return None  # which outputs a type has is known to what provides it
    near = did_you_mean(rest[0] if rest else "", app.resources)
    return f"{shown} names no resource{near}", "add it to `resources`, or name one that is there"


def _workloads(shown: str, rest: list[str], app: App, live: bool) -> tuple[str, str] | None:
    body = app.workloads.get(rest[0]) if rest else None
    if body is None:
        near = did_you_mean(rest[0] if rest else "", app.workloads)
        return f"{shown} names no workload{near}", "name one of `workloads`"
    ports = list(body.service.ports) if body.service else []
    if rest[1:] == ["host"] or (len(rest) == 3 and rest[1] == "ports" and rest[2] in ports):
        return None
    known = ["host", *(f"ports.{port}" for port in ports)]
    near = did_you_mean(".".join(rest[1:]), known)
    return f"{shown} names nothing of that workload{near}", f"known: {', '.join(known)}"


def _secrets(shown: str, rest: list[str], app: App, live: bool) -> tuple[str, str] | None:
    if len(rest) != 1 or rest[0] not in app.secrets:
        return f"{shown} names no secret{did_you_mean('.'.join(rest), app.secrets)}", "add it to `secrets`"
    if not live:
        return "holds a secret where everybody can read it", "give it by `secrets`, `variables` or `files`"
    return None


_Check = Callable[[str, list[str], App, bool], tuple[str, str] | None]
_CHECKS: dict[str, _Check] = {
    "metadata": _metadata,
    "resources": _resources,
    "workloads": _workloads,
    "secrets": _secrets,
}


# putting values in


def resolve(app: App, context: Mapping[str, str], keep_secrets: bool = True) -> App:
    """`app` with its placeholders replaced. `context` holds what the place knows, such as `workloads.web.host`.

    With `keep_secrets` the `${secrets.NAME}` stay; without, their values come from `context` and nothing is escaped
    any more. SpecError with the field's path for one that has no value; a group of them for what must not be what it
    has become.
    """
    data = app.dump()
    for spot in list(spots(app)):
        escaped = spot.live and keep_secrets
        _put(data, spot.path, substitute(spot.text, _values(app, context), spot.path, keep_secrets, escaped))
    if keep_secrets:
        _escape_unexpanded(data)
    try:
        return App.model_validate(data)
    except ValidationError as error:
        told = [explain(App, item) for item in error.errors(include_url=False)]
        wrong = [SpecError(dotted(path), f"{what} (its placeholders put in)", do) for path, what, do in told]
    raise ExceptionGroup("placeholders", wrong)


def _values(app: App, context: Mapping[str, str]) -> Callable[[Ref], str | None]:
    def value(ref: Ref) -> str | None:
        if ref.parts[:1] == ("metadata",):
            return metadata_value(app, ref.parts[1:])
        return context.get(ref.key)

    return value


def substitute(
    text: str,
    value: Callable[[Ref], str | None],
    path: Path = (),
    keep_secrets: bool = True,
    escaped: bool = True,
) -> str:
    """One string with its values put in; `escaped` says which form the result is in."""
    parts: list[Part] = []
    for part in parse(text):
        if isinstance(part, Literal) or (part.is_secret and keep_secrets):
            parts.append(part)
            continue
        found = value(part) if part.parts else None
        if found is None:
            raise SpecError(dotted(path), f"${{{_short(part.text)}}} has no value here", _no_value(part))
        parts.append(Literal(found))
    return unparse(parts) if escaped else "".join(part.text for part in parts)


def _no_value(ref: Ref) -> str:
    if ref.parts[:1] == ("resources",):
        return "this kind of resource has no such output on this tier"
    return "check its spelling; `anytier validate` tells what is known"


def _put(data: Any, path: Path, text: str) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = text


def _escape_unexpanded(data: dict[str, Any]) -> None:
    """A file with noExpand gets the same form as all others, so that nobody has to tell them apart later."""
    bodies = [body for kind in ("workloads", "jobs") for body in data.get(kind, {}).values()]
    holders = [holder for body in bodies for holder in (*body.get("containers", {}).values(), body.get("host") or {})]
    for item in (item for holder in holders for item in holder.get("files", {}).values()):
        if item.pop("noExpand", False) and item.get("content") is not None:
            item["content"] = escape(item["content"])
