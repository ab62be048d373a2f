"""Property values: protobuf `Struct` <-> trees, and what can be asked of a tree. Pure; nothing here knows models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from anytier.marks import SECRET, SIGNATURE, UNKNOWN, UNKNOWN_STRING, UNKNOWN_STRINGS, Secret
from anytier.provider.fields import Path

EXACT_INTEGERS: Final = 2**53  # beyond this a double cannot hold every integer


# Struct <-> tree


def read(struct: Struct) -> dict[str, Any]:
    """A message's properties as a tree."""
    return {key: _read(value) for key, value in struct.fields.items()}


def write(tree: Mapping[str, Any]) -> Struct:
    """A tree as a message."""
    struct = Struct()
    for key, value in tree.items():
        _write(struct.fields[key], value)
    return struct


def _read(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_read(item) for item in value.list_value.values]
    if kind == "struct_value":
        tree = read(value.struct_value)
        return Secret(tree.get("value")) if tree.get(SIGNATURE) == SECRET else tree
    return None


def _number(number: float) -> int | float:
    return int(number) if abs(number) <= EXACT_INTEGERS and number.is_integer() else number


def _write(target: Value, value: Any) -> None:
    if value is None:
        target.null_value = NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, Secret):
        _write(target, {SIGNATURE: SECRET, "value": value.value})
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        if isinstance(value, int) and abs(value) > EXACT_INTEGERS:
            raise ValueError("an integer beyond 2^53 does not survive the engine's doubles")
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _write(target.struct_value.fields[key], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _write(target.list_value.values.add(), item)


# Trees


def plain(tree: Any) -> Any:
    """The tree without secret marks. Unknowns stay."""
    if isinstance(tree, Secret):
        return plain(tree.value)
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.items()}
    return [plain(value) for value in tree] if isinstance(tree, list) else tree


def leaves(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf and its path. Empty containers are leaves; secret marks are looked through."""
    if isinstance(tree, Secret):
        yield from leaves(tree.value, path)
    elif isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list) and tree:
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def has_unknown(tree: Any) -> bool:
    return any(value is UNKNOWN for _, value in leaves(tree))


def secret_paths(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Where the outermost secret marks are."""
    if isinstance(tree, Secret):
        yield path
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from secret_paths(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from secret_paths(value, (*path, index))


def texts(tree: Any) -> frozenset[str]:
    """Every text in a tree, marked or not."""
    return frozenset(value for _, value in leaves(tree) if isinstance(value, str) and value)


def at(tree: Any, path: Path) -> Any:
    """The node at a path; None where there is none."""
    for step in path:
        tree = tree.value if isinstance(tree, Secret) else tree
        if not has_step(tree, step):
            return None
        tree = tree[step]
    return tree


def has_step(tree: Any, step: str | int) -> bool:
    """Whether one more step leads somewhere."""
    if isinstance(tree, list):
        return isinstance(step, int) and 0 <= step < len(tree)
    return isinstance(tree, Mapping) and step in tree


def mark(tree: Any, wanted: Callable[[Path, Any], bool], path: Path = ()) -> Any:
    """The tree with `Secret` around every outermost node that `wanted(path, node)` names."""
    if isinstance(tree, Secret):
        return tree
    if wanted(path, tree):
        return Secret(tree)
    if isinstance(tree, Mapping):
        return {key: mark(value, wanted, (*path, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [mark(value, wanted, (*path, index)) for index, value in enumerate(tree)]
    return tree


# Paths as the engine writes them

BARE = re.compile(r"[A-Za-z0-9_]+")
STEP = re.compile(r'\["(?P<quoted>(?:\\"|[^"])*)"\]|\[(?P<index>[^\]]*)\]|\.?(?P<name>[^.\[]+)')


def path_text(path: Path) -> str:
    """`template.ports[0]["a.b"]`"""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif BARE.fullmatch(step):
            text += f".{step}" if text else step
        else:
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def parse_path(text: str) -> Path:
    """The inverse of `path_text`; `*` stays a step of its own."""
    return tuple(_path_step(match) for match in STEP.finditer(text))


def _path_step(match: re.Match[str]) -> str | int:
    quoted, index, name = match.group("quoted", "index", "name")
    if quoted is not None:
        return str(quoted).replace('\\"', '"')
    if index is not None:
        return int(index) if index.isdigit() else str(index)
    return str(name)
