"""How a field behaves, said on the field itself: `name: Annotated[str, replaces]`.

Diff, schema, secrets and read derive from it. Pure: walks pydantic types and plain JSON, knows nothing of protobuf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Behaviour:
    """What a change of a field means. Behaviours of a field and of everything above it add up."""

    replaces: bool = False  # a change needs a new object
    delete_first: bool = False  # ... and the old one must go before (a port, a name, a single-writer volume)
    secret: bool = False  # never in plaintext: state, preview, errors
    ignored: bool = False  # recorded, but never a difference
    normalise: Callable[[Any], Any] | None = None  # compared in this form

    def __or__(self, other: Behaviour) -> Behaviour:
        return Behaviour(
            self.replaces or other.replaces,
            self.delete_first or other.delete_first,
            self.secret or other.secret,
            self.ignored or other.ignored,
            other.normalise or self.normalise,
        )


NOTHING = Behaviour()
replaces = Behaviour(replaces=True)
delete_first = Behaviour(replaces=True, delete_first=True)
secret = Behaviour(secret=True)
ignored = Behaviour(ignored=True)


def normalise(form: Callable[[Any], Any]) -> Behaviour:
    """Values whose `form` is equal are equal: case, order, a default written out."""
    return Behaviour(normalise=form)


def behaviour(model: type[BaseModel], path: Path) -> Behaviour:
    """The behaviour of the value at `path` (names as on the wire) below `model`."""
    total = NOTHING
    kinds: Sequence[Any] = (model,)
    for step in path:
        below, found = _step(kinds, step)
        total |= found
        if not below:
            return total
        kinds = below
    return total


def models_at(kind: Any, path: Path) -> list[type[BaseModel]]:
    """The models that may stand at `path` below a type."""
    kinds: Sequence[Any] = alternatives(kind)
    for step in path:
        kinds, _ = _step(kinds, step)
    return [found for found in kinds if is_model(found)]


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by their name on the wire."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def own(info: FieldInfo) -> Behaviour:
    """What is declared on this field."""
    return _sum(item for item in info.metadata if isinstance(item, Behaviour))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of an optional or a union, without None and without `Annotated`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in alternatives(member))
    return () if annotation is type(None) else (annotation,)


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def item_type(annotation: Any) -> Any:
    """The type of an element of a list or of a mapping's values; Any where nothing is said."""
    args = get_args(annotation)
    if not args:
        return Any
    return args[1] if is_mapping(annotation) and len(args) > 1 else args[0]


def is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_list(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Sequence) and not issubclass(origin, (str, bytes))


def _step(kinds: Sequence[Any], step: str | int) -> tuple[tuple[Any, ...], Behaviour]:
    below: list[Any] = []
    total = NOTHING
    for kind in kinds:
        if is_model(kind):
            info = fields(kind).get(str(step))
            if info is not None:
                below += alternatives(info.annotation)
                total |= own(info)
        elif is_mapping(kind) or is_list(kind):
            below += alternatives(item_type(kind))
    return tuple(below), total


def _sum(items: Iterator[Behaviour]) -> Behaviour:
    total = NOTHING
    for item in items:
        total |= item
    return total
