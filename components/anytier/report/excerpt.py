"""The line of a file that a finding is about, with a mark below it, as a compiler shows it. Pure.

A value that may be a secret is never shown: where the document could be read, by its structure; else by its keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anytier.report.text import CUT, clean, width
from anytier.spec.document import SecretKey, parse
from anytier.spec.hidden import HIDDEN, has_login, image_has_login, is_secret_key

# (line, column, end line, end column), counted from 0, the end being the first place after it.
Region = tuple[int, int, int, int]
_TAB = "    "
_KEY = re.compile(r"""\s*(?:- +)*["']?([^\s"':{\[][^"':]*)["']?\s*:""")
# Tried where a word begins only: a text may be one word of a million characters.
_INLINE_KEY = re.compile(r"""(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)["']?\s{0,9}:\s""")
_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[^\s,:{}\[\]#"']+""")
# What is in a comment or in a text that is no document can only be told by its form.
_WORD = re.compile(r"\S+")
# How much of a text that cannot be read at all is looked at.
_ENOUGH = 2**16


@dataclass(frozen=True)
class Source:
    """A file's lines, and where in them nobody may look. `regions` is None where the text is no document."""

    lines: Sequence[str]
    regions: Sequence[Region] | None


def source(raw: bytes, secret: SecretKey = is_secret_key) -> Source:
    """Never raises, whatever the bytes are. `secret` tells the keys of whose values nothing is shown."""
    document = parse(raw)
    text = document.text or raw[:_ENOUGH].decode("utf-8", "replace")
    # YAML counts all of these as line ends, and its positions must be ours.
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    return Source(lines, document.hidden(secret) if document.root is not None else None)


def excerpt(source: Source, line: int, column: int, room: int) -> tuple[str, str] | None:
    """(text, mark) for a position counted from 1, neither wider than `room`. None where there is nothing to show."""
    if not 1 <= line <= len(source.lines) or not source.lines[line - 1].strip():
        return None
    text = source.lines[line - 1].rstrip()
    start = min(max(column - 1, 0), len(text))
    return _window(_masked(source, line - 1, text), start, _token_length(text, start), max(room, 8))


def _token_length(text: str, start: int) -> int:
    """How many characters belong to what begins at `start`: a word, or what is in quotes."""
    found = _TOKEN.match(text, start)
    return len(found[0]) if found else 1


def _masked(source: Source, index: int, text: str) -> list[str]:
    """The line as pieces, one for each of its characters, "" where the piece before stands for it too."""
    shown = [_TAB if sign == "\t" else clean(sign) for sign in text]
    for start, end in _secret_spans(source, index, text):
        if start < end:
            shown[start:end] = [HIDDEN, *[""] * (end - start - 1)]
    return shown


def _secret_spans(source: Source, index: int, text: str) -> Iterator[tuple[int, int]]:
    yield from (word.span() for word in _WORD.finditer(text) if has_login(word[0]))
    if source.regions is None:
        yield from _guessed(source.lines, index, text)
        return
    for line, column, end_line, end_column in source.regions:
        if line <= index <= end_line:
            first = column if index == line else _indent(text)
            yield first, min(end_column, len(text)) if index == end_line else len(text)


def _guessed(lines: Sequence[str], index: int, text: str) -> Iterator[tuple[int, int]]:
    """What a text that is not YAML may hide: all after a key that sounds like a secret's, and all below such a key."""
    if _below_secret(lines, index):
        yield _indent(text), len(text)
        return
    for found in _INLINE_KEY.finditer(text):
        if is_secret_key(found[1]) or (found[1] == "image" and image_has_login(text[found.end() :])):
            yield found.end(), len(text)
            return


def _below_secret(lines: Sequence[str], index: int) -> bool:
    indent = _indent(lines[index])
    for line in reversed(lines[max(0, index - 1000) : index]):
        if line.strip() and _indent(line) < indent:
            indent = _indent(line)
            key = _KEY.match(line)
            if key and is_secret_key(key[1]):
                return True
    return False


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _window(pieces: list[str], start: int, marked: int, room: int) -> tuple[str, str]:
    """The line, or the part of it around the mark that fits, with a `…` where something is missing."""
    first, last = 0, len(pieces)
    widths = [width(piece) for piece in pieces]
    if sum(widths) > room:
        first = last = start
        taken = 0
        while first > 0 and taken + widths[first - 1] <= room // 3:
            first -= 1
            taken += widths[first]
        while last < len(pieces) and taken + widths[last] <= room - 2:
            taken += widths[last]
            last += 1
    head, tail = (CUT if first else ""), (CUT if last < len(pieces) else "")
    before = width(head + "".join(pieces[first:start]))
    length = width("".join(pieces[start : min(start + marked, last)]))
    return head + "".join(pieces[first:last]) + tail, " " * before + "^" * max(1, length)
