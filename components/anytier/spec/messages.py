"""pydantic's errors in anytier's words: path, what is wrong, what to do. Never a value that might be a secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from anytier.spec.diagnostic import Path
from anytier.suggest import did_you_mean


def explain(model: type[BaseModel], data: Any, item: Mapping[str, Any]) -> tuple[Path, str, str]:
    """One of `ValidationError.errors()` as a finding. `data` is what was validated."""
    path: Path = tuple(part for part in item["loc"] if part != "[key]")
    kind = item["type"]
    if kind == "extra_forbidden":
        known = known_fields(model, path[:-1])
        return path, f"is not a field here{did_you_mean(str(path[-1]), known)}", f"known: {', '.join(known)}"
    if kind == "missing":
        return path[:-1] or path, f"has no {path[-1]}", f"add {path[-1]}"
    if kind == "literal_error":
        known = [part.strip(" '") for part in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
        given = item["input"]
        shown = f"{str(given)[:60]!r} is not known here" if isinstance(given, str) else _misread(given)
        return (
            path,
            shown + (did_you_mean(given, known) if isinstance(given, str) else ""),
            f"one of {', '.join(known)}",
        )
    if kind in ("value_error", "assertion_error"):
        what, _, do = str(item["ctx"]["error"] if "ctx" in item else item["msg"]).partition("; ")
        return path, what, do
    return path, _PLAIN.get(kind, item["msg"][:1].lower() + item["msg"][1:]), _DO.get(kind, "")


_PLAIN = {
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "too_short": "is empty",
    "string_too_short": "is empty",
}
_DO = {
    "model_type": "write key: value below it",
    "dict_type": "write key: value below it",
    "list_type": "write - item below it",
    "too_short": "give at least one",
    "string_too_short": "give a value",
    "int_type": "write a number without quotes",
    "int_from_float": "write a number without a fraction",
}


def _misread(value: Any) -> str:
    if isinstance(value, bool):
        return f"is read by YAML as the boolean {str(value).lower()}"
    return f"is a {type(value).__name__}"


def known_fields(model: type[BaseModel], path: Path) -> list[str]:
    """The names on the wire of the fields that the model at `path` has."""
    kinds: tuple[Any, ...] = (model,)
    for step in path:
        kinds = tuple(below for kind in kinds for below in _below(kind, step))
    found: dict[str, None] = {}
    for kind in kinds:
        if _is_model(kind):
            found |= {info.alias or name: None for name, info in kind.model_fields.items()}
    return list(found)


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
