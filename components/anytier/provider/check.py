"""Inputs against their model: errors with paths and without secrets, defaults filled in, unknowns let through. Pure.

What is known is judged as strictly as pydantic does; what is not known yet is judged in the real run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from anytier.errors import AnytierError
from anytier.frozen import Frozen
from anytier.marks import UNKNOWN
from anytier.provider import fields
from anytier.provider.fields import Path
from anytier.provider.redaction import redactor
from anytier.provider.values import (
    EXACT_INTEGERS,
    at,
    has_step,
    has_unknown,
    leaves,
    mark,
    parse_path,
    path_text,
    plain,
    secret_paths,
    texts,
)

M = TypeVar("M", bound=Frozen)
REQUIRED, STRANGE = "is required", "is not known here"
TELLING_FROM = 8  # characters: a longer text that holds such a secret is a secret too


@dataclass(frozen=True)
class Failure:
    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.reason}" if self.path else self.reason


def check(
    model: type[M], tree: Mapping[str, Any], extra: Callable[[M], Iterable[AnytierError]] = lambda _: ()
) -> tuple[dict[str, Any], list[Failure]]:
    """The inputs with defaults filled in and secrets marked, and what is wrong with them."""
    bare = plain(tree)
    found: list[Failure] = []
    filled = _fill(model, bare, (), found)
    found = found or _uncarried(filled) or _extra(model, filled, extra)
    hide = redactor(secrets_in(model, tree))
    return remark(model, filled, tree), [Failure(item.path, hide(item.reason)) for item in found]


def completed(model: type[Frozen], bare: Mapping[str, Any]) -> dict[str, Any]:
    """The tree as today's model would write it, so that a new default is no difference. A wrong tree stays as it is."""
    found: list[Failure] = []
    filled = _fill(model, bare, (), found)
    return dict(bare) if found else dict(filled)


def wire(model: Frozen) -> dict[str, Any]:
    """The form in which the engine keeps a model."""
    return model.wire()


def parse(model: type[M], bare: Mapping[str, Any]) -> M:
    """What the engine kept, as a model. State of another version may lack or have fields: those are passed over."""
    try:
        return model.model_validate(bare)
    except ValidationError:
        known = fields.fields(model)
        trimmed = {key: value for key, value in bare.items() if key in known}
        try:
            return model.model_validate(trimmed)
        except ValidationError:
            return partial(model, trimmed)


def partial(model: type[M], bare: Mapping[str, Any]) -> M:
    """The model with what is there: not validated, `UNKNOWN` where a value is not known."""
    built: M = _build(model, bare)
    return built


# Secrets


def remark(model: type[BaseModel], bare: Any, *origins: Any) -> Any:
    """`bare` with secret marks: where the fields say so, where an origin has them, and around texts that are secret."""
    given = {path for origin in origins for path in secret_paths(origin)}
    known = frozenset(text for origin in origins for text in secrets_in(model, origin))

    def wanted(path: Path, node: Any) -> bool:
        return bool(path) and (path in given or fields.behaviour(model, path).secret or _tells(node, known))

    return mark(bare, wanted)


def secrets_in(model: type[BaseModel], tree: Any) -> frozenset[str]:
    """Every text of a tree that is secret, by its mark or by its field."""
    marked = mark(tree, lambda path, _: bool(path) and fields.behaviour(model, path).secret)
    return frozenset(text for path in secret_paths(marked) for text in texts(at(marked, path)))


def _tells(node: Any, secrets: frozenset[str]) -> bool:
    if not isinstance(node, str) or not node:
        return False
    return node in secrets or any(len(text) >= TELLING_FROM and text in node for text in secrets)


# Known parts by pydantic, the way to them by hand


def _fill(kind: Any, value: Any, path: Path, found: list[Failure]) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if not has_unknown(value):
        return _validate(kind, value, path, found)
    kinds = fields.alternatives(kind)
    if len(kinds) > 1:
        return _fill(_fitting(kinds, value), value, path, found)
    kind = kinds[0] if kinds else Any
    if fields.is_model(kind) and isinstance(value, Mapping):
        return _fill_model(kind, value, path, found)
    if isinstance(value, Mapping):
        below = fields.item_type(kind) if fields.is_mapping(kind) else Any
        return {key: _fill(below, item, (*path, key), found) for key, item in value.items()}
    below = fields.item_type(kind) if fields.is_list(kind) else Any
    return [_fill(below, item, (*path, index), found) for index, item in enumerate(value)]


def _fill_model(model: type[BaseModel], value: Mapping[str, Any], path: Path, found: list[Failure]) -> dict[str, Any]:
    """Field by field: validators of the model as a whole have to wait until everything is known."""
    filled: dict[str, Any] = {}
    left = dict(value)
    for name, info in model.model_fields.items():
        alias = info.alias or name
        if alias in left or name in left:
            given = left.pop(alias) if alias in left else left.pop(name)
            inner = _field(info, given, (*path, alias), found)
            if inner is not None:
                filled[alias] = inner
        elif info.is_required():
            found.append(Failure((*path, alias), REQUIRED))
        else:
            default = _dump(info.get_default(call_default_factory=True))
            if default is not None:
                filled[alias] = default
    found += [Failure((*path, key), STRANGE + near(key, fields.fields(model))) for key in left]
    return filled


def _field(info: FieldInfo, value: Any, path: Path, found: list[Failure]) -> Any:
    if has_unknown(value) or not info.metadata:
        return _fill(info.annotation, value, path, found)
    return _validate(Annotated[(info.annotation, *info.metadata)], value, path, found)


def _fitting(kinds: tuple[Any, ...], value: Any) -> Any:
    """The member of a union under which the known parts have the fewest errors."""

    def errors(kind: Any) -> int:
        found: list[Failure] = []
        _fill(kind, value, (), found)
        return len(found)

    return min(kinds, key=errors)


def _validate(kind: Any, value: Any, path: Path, found: list[Failure]) -> Any:
    adapter = _adapter(kind)
    try:
        return _dump(adapter.validate_python(value), adapter)
    except ValidationError as error:
        found += [
            _failure(kind, item, value, path)
            for item in error.errors(include_url=False, include_context=True, include_input=False)
        ]
        return value


def _dump(value: Any, adapter: TypeAdapter[Any] | None = None) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if adapter is None:
        return to_jsonable_python(value, by_alias=True, exclude_none=True)
    return adapter.dump_python(value, mode="json", by_alias=True, exclude_none=True)


@lru_cache(maxsize=1024)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _uncarried(filled: Any) -> list[Failure]:
    """What the engine's JSON of doubles cannot hold."""
    found = []
    for path, leaf in leaves(filled):
        if isinstance(leaf, float) and not isfinite(leaf):
            found.append(Failure(path, "must be a finite number"))
        elif isinstance(leaf, int) and abs(leaf) > EXACT_INTEGERS:
            found.append(Failure(path, "must be at most 2^53"))
        elif isinstance(leaf, str) and not leaf.isascii() and any("\ud800" <= char <= "\udfff" for char in leaf):
            found.append(Failure(path, "is not valid Unicode"))
    return found


def _failure(kind: Any, item: Any, value: Any, path: Path) -> Failure:
    location = _on_the_wire(item["loc"], value)
    return Failure((*path, *location), _reason(kind, item, location))


def _on_the_wire(location: tuple[str | int, ...], value: Any) -> Path:
    """Pydantic's location without the tags of union members, which are no part of the data."""
    steps: list[str | int] = []
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if has_step(value, step):
            steps.append(step)
            value = value[step]
        elif last and isinstance(value, Mapping):
            steps.append(step)  # a missing field
    return tuple(steps)


def _reason(kind: Any, item: Any, location: Path) -> str:
    if item["type"] == "missing":
        return REQUIRED
    if item["type"] == "extra_forbidden" and location:
        known = [name for model in fields.models_at(kind, location[:-1]) for name in fields.fields(model)]
        return STRANGE + near(str(location[-1]), known)
    text = str(item["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _extra(model: type[M], filled: Mapping[str, Any], extra: Callable[[M], Iterable[AnytierError]]) -> list[Failure]:
    """The resource's own checks. Where values are unknown they may trip, and then wait for the real run."""
    unsure = has_unknown(filled)
    try:
        errors = list(extra(partial(model, filled) if unsure else model.model_validate(filled)))
    except (TypeError, ValueError, AttributeError, KeyError):
        if unsure:
            return []
        raise
    found = [
        Failure(parse_path(error.path), f"{error.what}; {error.do}" if error.do else error.what) for error in errors
    ]
    return [item for item in found if not has_unknown(at(filled, item.path))]


# A model of what is known


def _build(kind: Any, value: Any) -> Any:
    kinds = fields.alternatives(kind)
    if value is UNKNOWN or value is None or not kinds:
        return value
    if not has_unknown(value):
        try:
            return _adapter(kind).validate_python(value)
        except ValidationError:
            pass
    if len(kinds) > 1:
        return _build(_fitting(kinds, value), value)
    kind = kinds[0]
    if fields.is_model(kind) and isinstance(value, Mapping):
        given = {
            name: _build(info.annotation, value[info.alias or name])
            for name, info in kind.model_fields.items()
            if (info.alias or name) in value
        }
        missing = {name: None for name, info in kind.model_fields.items() if info.is_required() and name not in given}
        return kind.model_construct(**given, **missing)
    if isinstance(value, Mapping):
        below = fields.item_type(kind) if fields.is_mapping(kind) else Any
        return {key: _build(below, item) for key, item in value.items()}
    if isinstance(value, list):
        below = fields.item_type(kind) if fields.is_list(kind) else Any
        return [_build(below, item) for item in value]
    return value
