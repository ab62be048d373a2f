"""What differs between two sets of inputs, leaf by leaf, and what each difference means. Pure.

Names of kinds are those of the engine's protocol; the model's field behaviours decide the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from anytier.marks import UNKNOWN
from anytier.provider.fields import Behaviour, Path, behaviour
from anytier.provider.values import leaves, parse_path, path_text

Kind = Literal["ADD", "DELETE", "UPDATE"]


@dataclass(frozen=True)
class Change:
    path: Path
    kind: Kind
    replaces: bool = False
    delete_first: bool = False

    @property
    def name(self) -> str:
        """The kind as the protocol says it."""
        return f"{self.kind}_REPLACE" if self.replaces else self.kind


def diff(
    model: type[BaseModel], old: Mapping[str, Any], new: Mapping[str, Any], ignore: Sequence[Path] = ()
) -> list[Change]:
    """The changes from `old` to `new` (plain trees), without those that a field or the user ignores."""
    return [change for change in _compare(model, (), old, new) if not _covered(change.path, ignore)]


def forced(changes: Iterable[Change], paths: Iterable[Path]) -> list[Change]:
    """The changes, with a replacement wherever one of `paths` is concerned; paths without a change become one."""
    wanted, found = list(paths), list(changes)
    missing = [path for path in wanted if not any(_touch(change.path, path) for change in found)]
    marked = [
        replace(change, replaces=True) if any(_touch(change.path, path) for path in wanted) else change
        for change in found
    ]
    return marked + [Change(path, "UPDATE", replaces=True) for path in missing]


def drift(changes: Iterable[Change], paths: Iterable[Path]) -> list[Change]:
    """The changes, and an update at each of `paths` that has none."""
    found = list(changes)
    return found + [Change(path, "UPDATE") for path in paths if not any(_touch(item.path, path) for item in found)]


def ignored_paths(texts: Iterable[str]) -> list[Path]:
    """`ignoreChanges` as paths."""
    return [parse_path(text) for text in texts]


def top_level(changes: Iterable[Change]) -> list[str]:
    """The properties concerned, once each."""
    return list(dict.fromkeys(str(change.path[0]) for change in changes if change.path))


def by_path(changes: Iterable[Change]) -> dict[str, Change]:
    return {path_text(change.path): change for change in changes}


def _compare(model: type[BaseModel], path: Path, old: Any, new: Any) -> Iterator[Change]:
    if old is not UNKNOWN and new is not UNKNOWN and _same(old, new):
        return
    how = behaviour(model, path)
    if how.ignored or (how.normalise and new is not UNKNOWN and _same(how.normalise(old), how.normalise(new))):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            yield from _member(model, (*path, key), key in old, key in new, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = index < len(old), index < len(new)
            pair = (old[index] if before else None, new[index] if after else None)
            yield from _member(model, (*path, index), before, after, *pair)
    else:
        yield _change(path, "UPDATE", how)


def _member(model: type[BaseModel], path: Path, before: bool, after: bool, old: Any, new: Any) -> Iterator[Change]:
    if before and after:
        yield from _compare(model, path, old, new)
        return
    value = old if before else new
    live = [how for below, _ in leaves(value, path) if not (how := behaviour(model, below)).ignored]
    if live:
        total = live[0]
        for how in live[1:]:
            total |= how
        yield _change(path, "DELETE" if before else "ADD", total)


def _change(path: Path, kind: Kind, how: Behaviour) -> Change:
    return Change(path, kind, how.replaces, how.delete_first)


def _same(old: Any, new: Any) -> bool:
    """Equality in which True is not 1."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def _covered(path: Path, patterns: Sequence[Path]) -> bool:
    """Whether a pattern names this place or one above it."""
    return any(len(pattern) <= len(path) and _touch(path[: len(pattern)], pattern) for pattern in patterns)


def _touch(path: Path, other: Path) -> bool:
    """Whether one of the two places holds the other."""
    return all(a == b or b == "*" for a, b in zip(path, other, strict=False))
