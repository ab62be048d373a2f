"""`${metadata.name}`, `${workloads.store.host}`, `${resources.data}`, `${secrets.token}`, and `$${` for a literal `${`.

A resolved app still holds `${secrets.NAME}` and `$${`: the provider puts secrets in at the last moment
(`render.tokens`), and everything else is final. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from anytier.errors import SpecError
from anytier.spec.diagnostic import Path, dotted
from anytier.spec.model import App
from anytier.suggest import did_you_mean

# `$${` is an escape; `${...}` up to the first `}` is a placeholder; `${` alone is a mistake.
_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
# Where a string may hold placeholders: below these keys, in values (never in keys).
_PLACES = (
    ("containers", "*", "variables"),
    ("containers", "*", "command"),
    ("containers", "*", "args"),
    ("containers", "*", "files"),
    ("containers", "*", "build", "args"),
    ("host", "command"),
    ("host", "variables"),
    ("host", "files"),
)


def parse(text: str) -> list[str]:
    """The placeholders in a text, without `${` and `}`. A `${` that is never closed comes as an empty string."""
    return [match[1] or "" for match in _TOKEN.finditer(text) if match[0] != "$${"]


def findings(app: App) -> list[tuple[Path, str, str]]:
    """Every placeholder that names nothing, found without knowing any tier."""
    names = known(app)
    out: list[tuple[Path, str, str]] = []
    for path, text in strings(app):
        for token in parse(text):
            if not token:
                out.append((path, "has a ${ that names nothing", "close it with }, or write $${ for a literal ${"))
            elif token.startswith("secrets."):
                if path_is_public(path):
                    out.append((path, "holds a secret where everybody can read it", "use secrets, or a file"))
                elif token[8:] not in app.secrets:
                    what = f"there is no secret {token[8:]!r}{did_you_mean(token[8:], app.secrets)}"
                    out.append((path, what, "add it to secrets"))
            elif token not in names and not _resource_output(token, app):
                out.append((path, f"${{{token}}} names nothing{did_you_mean(token, names)}", "see the spec reference"))
    return out


def path_is_public(path: Path) -> bool:
    """Arguments and build arguments show in process lists and image histories."""
    return "command" in path or "args" in path


def known(app: App) -> set[str]:
    """Every placeholder that can be resolved for this app on any tier."""
    names = {"metadata.name"} | {f"metadata.labels.{key}" for key in app.metadata.labels}
    names |= {f"metadata.annotations.{key}" for key in app.metadata.annotations}
    names |= {f"resources.{name}" for name in app.resources}
    for name, body in app.workloads.items():
        names.add(f"workloads.{name}.host")
        names |= {f"workloads.{name}.ports.{key}" for key in (body.service.ports if body.service else {})}
    return names


def _resource_output(token: str, app: App) -> bool:
    """`resources.db.host`: what outputs a type has is known to the tier that provides it."""
    kind, _, rest = token.partition(".")
    return kind == "resources" and "." in rest and rest.partition(".")[0] in app.resources


def resolve(app: App, context: Mapping[str, str]) -> App:
    """`app` with every placeholder but secrets replaced. `context` adds what the place knows (`workloads.web.host`).

    SpecError with the field's path for one that cannot be resolved here.
    """
    values = {"metadata.name": app.metadata.name}
    values |= {f"metadata.labels.{key}": value for key, value in app.metadata.labels.items()}
    values |= {f"metadata.annotations.{key}": value for key, value in app.metadata.annotations.items()}
    values |= context
    data = app.model_dump(by_alias=True, exclude_unset=True)
    _resolve_sources(data, values)
    return App.model_validate(_map(data, lambda path, text: substitute(text, values, path)))


def _resolve_sources(data: dict[str, Any], values: Mapping[str, str]) -> None:
    for kind in ("workloads", "jobs"):
        for name, body in (data.get(kind) or {}).items():
            for key, item in (body.get("containers") or {}).items():
                for target, mount in (item.get("volumes") or {}).items():
                    path = (kind, name, "containers", key, "volumes", target, "source")
                    mount["source"] = substitute(mount["source"], values, path)


def substitute(text: str, values: Mapping[str, str], path: Path = ()) -> str:
    """One string. What a value holds is literal: a `${` in it is escaped."""

    def replace(match: re.Match[str]) -> str:
        token = match[1]
        if match[0] == "$${" or (token and token.startswith("secrets.")):
            return match[0]
        if not token or token not in values:
            raise SpecError(
                dotted(path), f"{match[0]} has no value here{did_you_mean(token or '', values)}", "see the spec"
            )
        return values[token].replace("${", "$${")

    return _TOKEN.sub(replace, text)


def strings(app: App) -> Iterator[tuple[Path, str]]:
    """Every string of an app that may hold placeholders, with its path."""
    found: list[tuple[Path, str]] = []
    _map(app.model_dump(by_alias=True, exclude_unset=True), lambda path, text: found.append((path, text)) or text)
    return iter(found)


def _map(data: dict[str, Any], change: Callable[[Path, str], str]) -> dict[str, Any]:
    for kind in ("workloads", "jobs"):
        for name, body in (data.get(kind) or {}).items():
            for place in _PLACES:
                for path, holder, key in _holders(body, place, (kind, name)):
                    holder[key] = _deep(holder[key], (*path,), change)
    return data


def _holders(node: Any, place: tuple[str, ...], path: Path) -> Iterator[tuple[Path, dict[str, Any], str]]:
    head, *rest = place
    keys = list(node) if head == "*" else [head]
    for key in keys:
        if isinstance(node, dict) and node.get(key) is not None:
            if rest:
                yield from _holders(node[key], tuple(rest), (*path, key))
            else:
                yield (*path, key), node, key


def _deep(value: Any, path: Path, change: Callable[[Path, str], str]) -> Any:
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, list):
        return [_deep(item, (*path, index), change) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: item if _literal(value, key) else _deep(item, (*path, key), change) for key, item in value.items()}
    return value


def _literal(holder: dict[str, Any], key: str) -> bool:
    """Of a file only the content holds placeholders, and only where it may."""
    if not {"content", "source", "binaryContent"} & holder.keys():
        return False
    return key != "content"


def escape(text: str) -> str:
    """The text that stands for `text` itself."""
    return text.replace("${", "$${")
