"""How a predicate looks at properties: by a dotted path, through secrets, never into what is not known yet. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from anytier.marks import UNKNOWN, Secret, Unknown
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Predicate

Test = Callable[[Any], bool]
_SHOWN = 60


def opened(value: Any) -> Any:
    """The value in a secret."""
    while isinstance(value, Secret):
        value = value.value
    return value


def get(tree: Any, path: str) -> Any:
    """The value at `a.b.0.c`; None where there is none, UNKNOWN where it, what holds it or an element of it is that."""
    for step in path.split("."):
        tree = opened(tree)
        if tree is UNKNOWN:
            return UNKNOWN
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, (list, tuple)) and step.isdigit():
            tree = tree[int(step)] if int(step) < len(tree) else None
        else:
            return None
    found = opened(tree)
    listed = found if isinstance(found, (list, tuple)) else ()
    return UNKNOWN if any(item is UNKNOWN for item in listed) else found


def inside(tree: Any, path: str) -> Any:
    """The value at `path`, to be looked into: an empty tuple where there is none, or it is not known yet."""
    found = get(tree, path)
    return () if found is None or found is UNKNOWN else found


def items(tree: Any, path: str) -> list[tuple[str, Any]]:
    """(path, element) for each element of the list at `path`; nothing where there is none or it is not known yet."""
    found = get(tree, path)
    if not isinstance(found, (list, tuple)):
        return []
    return [(f"{path}.{index}", opened(item)) for index, item in enumerate(found)]


def shown(value: Any) -> str:
    """As a finding quotes it: short, on one line, and nothing of a secret."""
    if isinstance(value, Secret):
        return "a secret"
    try:
        text = json.dumps(value, default=lambda item: "..." if isinstance(item, Secret | Unknown) else str(item))
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def said(value: Any) -> str:
    return "is not set" if value is None else f"is {shown(value)}"


# tests of one value


def true(value: Any) -> bool:
    """The engine and some providers carry flags as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def not_true(value: Any) -> bool:
    return not true(value)


def not_false(value: Any) -> bool:
    return not (value is False or (isinstance(value, str) and value.lower() == "false"))


def given(value: Any) -> bool:
    return value not in (None, "", [], {}, ())


def one_of(*wanted: Any) -> Test:
    return lambda value: value in wanted


def at_least(number: float) -> Test:
    def test(value: Any) -> bool:
        try:
            return float(value) >= number
        except (TypeError, ValueError):
            return False

    return test


def both(*tests: Test) -> Test:
    return lambda value: all(test(value) for test in tests)


# predicates of a property


def judged(tree: Any, path: str, test: Test) -> Iterator[Wrong]:
    """Wrong, where the value at `path` is known and fails."""
    value = get(tree, path)
    if value is not UNKNOWN and not test(value):
        yield Wrong(path, said(value))


def must(path: str, test: Test = true) -> Predicate:
    """The property at `path` passes `test`, as soon as it is known."""
    return lambda resource, context: judged(resource.props, path, test)


def each(of: Callable[[Resource], Iterable[tuple[str, Any]]], path: str, test: Test = true) -> Predicate:
    """The same for every part that `of` finds, as (its path, the part)."""

    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        for base, part in of(resource):
            for item in judged(part, path, test):
                yield Wrong(f"{base}.{item.path}" if base else item.path, item.what)

    return wrong


def any_address(cidrs: Any) -> list[Any]:
    """Those of a list of CIDRs that let everybody in."""
    return [item for item in cidrs or () if opened(item) in ("0.0.0.0/0", "::/0", "0.0.0.0", "Internet", "*")]


def strings(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf as (path, value), secrets as they are marked."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from strings(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from strings(value, f"{path}.{index}" if path else str(index))
    else:
        yield path, tree


def has_secret(tree: Any) -> bool:
    return any(isinstance(value, Secret) for _, value in strings(tree))
