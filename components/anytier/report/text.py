"""Text that fits a terminal: columns a character takes, what is cut, what must not reach a terminal as it is. Pure."""

from __future__ import annotations

import unicodedata

CUT = "…"


def clean(text: str) -> str:
    """On one line and without anything that moves a terminal: control characters stand as escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def width(text: str) -> int:
    """How many columns `text` takes."""
    return len(text) if text.isascii() else sum(columns(sign) for sign in text)


def columns(sign: str) -> int:
    """0 for what joins the character before it, 2 for wide characters, else 1."""
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1


def pad(text: str, wanted: int) -> str:
    return text + " " * (wanted - width(text))


def fit(text: str, wanted: int) -> str:
    """`text`, or its beginning and a `…` where it takes more than `wanted` columns."""
    if width(text) <= wanted:
        return text
    out, taken = "", 0
    for sign in text:
        taken += columns(sign)
        if taken > wanted - 1:
            break
        out += sign
    return out + CUT if wanted > 0 else ""
