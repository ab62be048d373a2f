"""Plain data as TOML 1.0. Pure; any text is a legal value and a legal key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def text(data: Mapping[str, Any]) -> str:
    """A document. None is left out; ValueError for what TOML has no form for."""
    return "\n".join([*_table((), data), ""])


def _table(path: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: item for key, item in data.items() if item is not None and not isinstance(item, Mapping)}
    if path and (plain or not data):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for key, item in plain.items():
        yield f"{_key(key)} = {_value(item)}"
    for key, item in data.items():
        if isinstance(item, Mapping):
            yield from _table((*path, key), item)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float):
        if not math.isfinite(item):
            raise ValueError(f"{item} is no number of a configuration")
        return str(int(item)) if item.is_integer() else repr(item)  # on the wire every number is a float
    if isinstance(item, str):
        return _string(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(_value(each) for each in item)}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(each)}' for key, each in item.items() if each is not None)}}}"
    raise ValueError(f"{type(item).__name__} has no form in TOML")


def _string(text: str) -> str:
    return f'"{"".join(_character(each) for each in text)}"'


def _character(each: str) -> str:
    if each in _ESCAPES:
        return _ESCAPES[each]
    if 0xD800 <= ord(each) < 0xE000:
        raise ValueError("half of a surrogate pair is no character")
    return f"\\u{ord(each):04x}" if ord(each) < 32 or ord(each) == 127 else each
