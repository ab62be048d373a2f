"""HTML by parts: an element's text and attributes are escaped as it is made, so that no name can become markup. Pure.

`Markup` is what was made here; whatever else a child is, is text.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from anytier.report.text import clean

_VOID = frozenset({"meta", "link", "br"})


class Markup(str):
    """HTML that is whole in itself."""

    __slots__ = ()


Child = str | Iterable[str]


def element(tag: str, *children: Child, **attributes: str | float | None) -> Markup:
    """`class_` is `class`, and `_` a dash: `data_label`. An attribute that is None is left out."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(clean(str(value)))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{given}>" if tag in _VOID else f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*children: Child) -> Markup:
    parts: list[str] = []
    for child in children:
        found: Iterable[str] = [child] if isinstance(child, str) else child
        parts += (item if isinstance(item, Markup) else html.escape(clean(item)) for item in found)
    return Markup("".join(parts))


def link(url: str, text: str) -> Markup:
    """A link to the web; what is no such address is only its text."""
    if not url.startswith(("https://", "http://")):
        return join(text)
    return element("a", text, href=url, rel="noreferrer noopener")
