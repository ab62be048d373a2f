"""Inputs against an SDK's shape: what it does not know, wrong types, what is missing. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.standins.shapes import Kind, Shape

from anytier.marks import UNKNOWN
from anytier.provider.values import path_text

Path = tuple[str | int, ...]
Failure = tuple[Path, str]
OF_ENGINE = "__"  # what the engine or a provider keeps beside the properties begins with it
ASSET = "c44067f5952c0a294b673a41bacd8c17"  # signatures of the engine for assets and archives
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
SIGNATURE = "4dabf18193072939515e22adb298388d"


def check(shape: Shape, inputs: Mapping[str, Any]) -> list[str]:
    """What is wrong with the inputs, one line each; nothing where they are right. Secret marks are off, unknowns in."""
    failures = list(_fields(shape, shape.inputs, inputs, ()))
    return [f"{path_text(path)}: {reason}" for path, reason in failures]


def fits(shape: Shape, kind: Kind, value: Any) -> bool:
    return not any(_value(shape, kind, value, ()))


def _fields(
    shape: Shape, fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], path: Path
) -> Iterator[Failure]:
    for name, value in given.items():
        if name.startswith(OF_ENGINE):
            continue
        if name not in fields:
            yield (*path, name), f"is not known to the SDK{near(name, fields)}"
        elif value is not None:
            yield from _value(shape, fields[name]["kind"], value, (*path, name))
    for name, about in fields.items():
        if about["required"] and given.get(name) is None:
            yield (*path, name), "is required"


def _value(shape: Shape, kind: Kind, value: Any, path: Path) -> Iterator[Failure]:
    if value is UNKNOWN or kind == "any":
        return
    if isinstance(kind, str):
        if not _plain(kind, value):
            yield path, f"must be {kind}, not {called(value)}"
        return
    word, inner = kind
    if word == "enum":
        if value not in inner:
            yield path, f"must be one of {', '.join(map(str, inner))}"
    elif word == "union":
        found = [list(_value(shape, item, value, path)) for item in inner]
        if all(found):
            yield from min(found, key=len)
    elif word == "list":
        if not isinstance(value, list):
            yield path, f"must be a list, not {called(value)}"
            return
        for index, item in enumerate(value):
            yield from _value(shape, inner, item, (*path, index))
    elif not isinstance(value, Mapping):
        yield path, f"must be {'a map' if word == 'map' else 'an object'}, not {called(value)}"
    elif word == "map":
        for key, item in value.items():
            yield from _value(shape, inner, item, (*path, key))
    else:
        yield from _fields(shape, shape.objects[inner], value, path)


def _plain(kind: str, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, Mapping) and value.get(SIGNATURE) in (ASSET, ARCHIVE)


def called(value: Any) -> str:
    """A value's type in words; never the value, which may be secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
