"""pydantic's errors in anytier's words: path, what is wrong, what to do. Never a value that might be a secret. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from anytier.spec.diagnostic import Finding, Path, dotted
from anytier.spec.hidden import in_secret
from anytier.spec.values import shown
from anytier.suggest import did_you_mean, nearest

# ("boolean", "no") for a value that YAML did not read as text, by path.
Scalars = Callable[[Path], tuple[str, str] | None]


def errors_of(error: ValidationError) -> list[Any]:
    """Without the defaults that could not be computed because of another error beside them."""
    found = error.errors(include_url=False, include_context=True)
    return [item for item in found if item["type"] != "default_factory_not_called"]


def is_name(item: Mapping[str, Any]) -> bool:
    """Whether an error is about the key of an entry, and not about its value."""
    return bool(item["loc"][-1:] == ("[key]",))


def explain(model: type[BaseModel], item: Mapping[str, Any], scalar: Scalars = lambda path: None) -> Finding:
    """One of `ValidationError.errors()` as a finding."""
    path: Path = tuple(part for part in item["loc"] if part != "[key]")
    kind, given, ctx = item["type"], item["input"], item.get("ctx") or {}
    if kind == "anytier":
        return path, *_hide(path, given, ctx["what"], ctx["do"])
    if kind == "extra_forbidden":
        return path, *_unknown_field(model, path)
    if kind == "missing":
        return path[:-1], f"has no {path[-1]}", f"add {path[-1]}"
    if kind == "literal_error":
        return path, *_not_one_of(path, given, str(ctx["expected"]), scalar(path))
    if kind == "string_type":
        return path, *_not_text(path, given, scalar(path))
    if given is None and kind in _PLAIN:
        return path, "is empty", _PLAIN[kind][1]
    what, do = _PLAIN.get(kind, (item["msg"][:1].lower() + item["msg"][1:], ""))
    if kind in ("int_type", "bool_type") and isinstance(given, str) and not in_secret(path):
        what = f"{shown(given)} is text, {what}"
        do = "write it without quotes" if given.lower() in ("true", "false") or given.lstrip("-").isdigit() else do
    return path, what.format(**ctx), do.format(**ctx)


_PLAIN = {
    "model_type": ("must be a mapping", "write `key: value` below it"),
    "dict_type": ("must be a mapping", "write `name: ...` below it"),
    "list_type": ("must be a list", "write `- item` lines below it, or [a, b]"),
    "bool_type": ("must be true or false", "write true or false"),
    "int_type": ("must be a whole number", "write digits only"),
    "float_type": ("must be a number", "write digits, with a point if need be"),
    "too_short": ("is empty", "give at least one"),
    "string_too_short": ("is empty", "give a value"),
    "string_too_long": ("has more than {max_length} characters", "shorten it"),
    "string_pattern_mismatch": ("has characters that are not allowed here", "it must match {pattern}"),
    "greater_than": ("must be more than {gt}", "raise it"),
}


def _hide(path: Path, given: Any, what: str, do: str) -> tuple[str, str]:
    is_value = isinstance(given, str) and path[-1] != given
    if is_value and in_secret(path) and shown(given) in what:
        return what.replace(shown(given), "the value"), "name a secret of the app's `secrets` section"
    return what, do


def _unknown_field(model: type[BaseModel], path: Path) -> tuple[str, str]:
    known = known_fields(model, path[:-1])
    name = str(path[-1])
    near = did_you_mean(name, known)
    if near:
        return f"is not a field here{near}", f"known here: {', '.join(known)}"
    fix = _ELSEWHERE.get(name)
    if fix:
        return "is not a field here", fix
    other = _above_here(model, path[:-1], name) or _below_here(model, path[:-1], name)
    if other:
        return f"is not a field here (did you mean {dotted(other)!r}?)", f"write it as {dotted(other)}"
    return "is not a field here", f"known here: {', '.join(known)}"


def _below_here(model: type[BaseModel], path: Path, name: str) -> Path | None:
    """The field of that name (or one like it) that is the fewest steps below; NAME stands for a name of the user's."""
    level: list[tuple[Path, Any]] = [((), kind) for kind in kinds_at(model, path)]
    for _ in range(4):
        fields = {field: here for here, kind in level if _is_model(kind) for field in field_names(kind)}
        found = nearest(name, fields)
        if found is not None:
            return (*fields[found], found)
        level = [(below, kind) for here, upper in level for below, kind in _children(here, upper)]
    return None


def _children(here: Path, kind: Any) -> list[tuple[Path, Any]]:
    if _is_model(kind):
        names: list[str | int] = list(field_names(kind))
    else:
        names = [0 if getattr(kind, "__origin__", None) is list else "NAME"]
    return [((*here, name), below) for name in names for below in _below(kind, name)]


def _above_here(model: type[BaseModel], path: Path, name: str) -> Path | None:
    for length in range(len(path) - 1, -1, -1):
        if name in known_fields(model, path[:length]):
            return (*path[:length], name)
    return None


# What people know from elsewhere, and where it is here.
_ELSEWHERE = {
    "replica": "it belongs below scale: `scale: {replicas: 2}`",
    "replicas": "it belongs below scale: `scale: {replicas: 2}`",
    "ports": "ports belong below service: `service: {ports: {http: {port: 80}}}`",
    "env": "variables belong below a container: `variables: {KEY: value}`",
    "environment": "variables belong below a container: `variables: {KEY: value}`",
    "image": "it belongs below a container: `containers: {main: {image: ...}}`",
    "depends_on": "here it is dependsOn: `dependsOn: {store: {condition: healthy}}`",
    "healthcheck": "here it is livenessProbe and readinessProbe, below a container",
    "restart": "whatever ends is started again; what shall end is one of `jobs`",
    "volumes": "mounts belong below a container, volumes into resources: `resources: {data: {type: volume}}`",
    "services": "here they are workloads",
    "spec": "there is no spec level: its keys come directly below",
}


def _not_one_of(path: Path, given: Any, expected: str, scalar: tuple[str, str] | None) -> tuple[str, str]:
    known = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
    do = f"one of {', '.join(known)}" if len(known) > 1 else f"write {known[0]}"
    if in_secret(path) and path[-1] != given:
        return "is not known here", do
    if not isinstance(given, str):
        return _read_as(scalar) if scalar else "must be text", do
    same = [name for name in known if name.lower() == given.lower()]
    near = did_you_mean(given, known) or did_you_mean("".join(same), same)
    return f"{shown(given)} is not known here{near}", do


def _not_text(path: Path, given: Any, scalar: tuple[str, str] | None) -> tuple[str, str]:
    if isinstance(given, dict | list):
        return f"must be text, not a {'mapping' if isinstance(given, dict) else 'list'}", "give one value"
    if scalar is None:
        return "must be text", "put it in quotes"
    if scalar[0] == "null":
        return "is empty", 'give a value; "" is empty text'
    if in_secret(path):
        return f"is read by YAML as a {scalar[0]}, not as text", "put it in quotes"
    return _read_as(scalar), f'put it in quotes: "{scalar[1]}"'


def _read_as(scalar: tuple[str, str]) -> str:
    return f"{scalar[1][:60]} is read by YAML as a {scalar[0]}, not as text"


def known_fields(model: type[BaseModel], path: Path) -> list[str]:
    """The names on the wire of the fields that the model at `path` has."""
    kinds = [kind for kind in kinds_at(model, path) if _is_model(kind)]
    return list(dict.fromkeys(name for kind in kinds for name in field_names(kind)))


def field_names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def kinds_at(model: type[BaseModel], path: Path) -> tuple[Any, ...]:
    """What may stand at `path`: models, and the annotations of mappings and lists. Nothing of texts and numbers."""
    kinds: tuple[Any, ...] = (model,)
    for step in path:
        kinds = tuple(below for kind in kinds for below in _below(kind, step))
    return kinds


def _below(kind: Any, step: str | int) -> tuple[Any, ...]:
    if _is_model(kind):
        annotations = [info.annotation for name, info in kind.model_fields.items() if (info.alias or name) == step]
    else:
        annotations = list(get_args(kind))[-1:]
    return tuple(one for annotation in annotations for one in unwrap(annotation))


def unwrap(annotation: Any) -> tuple[Any, ...]:
    """The members of an optional, an annotated type or a union; a container stays as it is."""
    if _is_model(annotation) or getattr(annotation, "__origin__", None) in (dict, list):
        return (annotation,)
    return tuple(one for member in get_args(annotation) for one in unwrap(member))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
