"""XML as an element tree: the only way in which anytier makes any. Pure.

A text that XML cannot carry at all (NUL, most control characters) raises ValueError; every other comes back unchanged.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from xml.etree.ElementTree import Element

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def carried(value: str) -> bool:
    """Whether XML can hold this text."""
    return not _ILLEGAL.search(value)


def element(tag: str, /, *children: Element | None, text: str | None = None, **attributes: str | None) -> Element:
    """An element. A None among attributes or children is left out; `type_` is the attribute `type`."""
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_"), _checked(value))
    if text is not None:
        made.text = _checked(text)
    made.extend(child for child in children if child is not None)
    return made


def leaf(tag: str, text: str | None) -> Element | None:
    """An element with a text; none without."""
    return None if text is None else element(tag, text=text)


def written(root: Element) -> str:
    """The element as text that parses back into the same one."""
    ET.indent(root)
    # ElementTree leaves a carriage return in a text as it is, and a parser would make a newline of it.
    return ET.tostring(root, encoding="unicode").replace("\r", "&#13;") + "\n"


def read(text: str) -> Element:
    """What libvirt answered; ValueError where that is no XML."""
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"no XML: {error}") from error


def attribute(root: Element, path: str, name: str) -> str | None:
    found = root.find(path)
    return None if found is None else found.get(name)


def amount(root: Element, path: str, units: Mapping[str, int]) -> int | None:
    """A number with a unit, such as `<memory unit='KiB'>`, in the unit whose factor is 1."""
    found = root.find(path)
    if found is None or not (found.text or "").strip():
        return None
    return int(str(found.text).strip()) * units[found.get("unit", "KiB")]


def yes(value: bool) -> str:
    return "yes" if value else "no"


def _checked(value: str) -> str:
    if not carried(value):
        raise ValueError(f"{value!r} cannot be written in XML")
    return value
