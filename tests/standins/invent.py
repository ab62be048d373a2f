"""Outputs that nobody made up yet: plausible, and the same for the same thing every time. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests.standins.check import fits
from tests.standins.shapes import Kind, Shape

Words = Callable[[str], str | None]  # a property's name -> what the cloud says there, None for nothing particular
DEEP = 4  # objects within objects that are still made up


def digest(*parts: str, length: int = 17) -> str:
    """Hexadecimal digits as clouds put them into ids."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def guid(*parts: str) -> str:
    return str(uuid.UUID(digest(*parts, length=32)))


def outputs(shape: Shape, inputs: Mapping[str, Any], said: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """What was given, what the cloud says particularly (`said`, which goes over it), and the rest made up.

    Of what could have been given and was not, nothing is made up: it is None.
    """
    made: dict[str, Any] = {}
    for name, kind in shape.outputs.items():
        if name in inputs and fits(shape, kind, inputs[name]):
            made[name] = inputs[name]
        elif name in shape.inputs:
            made[name] = None
        else:
            made[name] = invented(shape, kind, name, words)
    whole: dict[str, Any] = merged(made, said)
    return whole


def invented(shape: Shape, kind: Kind, name: str, words: Words, depth: int = 0) -> Any:
    if isinstance(kind, str):
        if kind == "string":
            return words(name) or f"{name}-{digest(name, words('id') or '', length=8)}"
        return {"integer": 0, "number": 0, "boolean": False}.get(kind)
    word, inner = kind
    if word == "enum":
        return inner[0]
    if word == "union":
        return invented(shape, inner[0], name, words, depth)
    if word == "map":
        return {}
    if depth >= DEEP:
        return [] if word == "list" else {}
    if word == "list":
        return [invented(shape, inner, name, words, depth + 1)]
    return {key: invented(shape, about["kind"], key, words, depth + 1) for key, about in shape.objects[inner].items()}


def merged(below: Any, above: Any) -> Any:
    """Two trees as one; `above` wins where both have a value."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {key: merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    return below if above is None else above
