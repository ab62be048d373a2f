"""Reads unit files as systemd.syntax(7) and systemd.service(5) say, and knows nothing of how we write them."""

from __future__ import annotations

from collections.abc import Iterator

_C_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'",
    "s": " ",
}  # fmt: skip

Sections = dict[str, dict[str, list[str]]]


def parse(text: str) -> Sections:
    """Section -> key -> values in order; an empty value forgets the ones before it. ValueError for any other line."""
    found: Sections = {}
    section: dict[str, list[str]] | None = None
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if section is None or not equals:
            raise ValueError(line)
        section.setdefault(key.rstrip(), []).append(value.strip(" \t"))
    return found


def _lines(text: str) -> Iterator[str]:
    """Logical lines: comments and blank lines left out, a backslash at the end joined with the next by a space."""
    rest = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\n").split("\n"):
        if line.lstrip(" \t").startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            rest += line[:-1] + " "
            continue
        if whole := (rest + line).strip(" \t"):
            yield whole
        rest = ""


def words(text: str, *, separators: str = " \t\n", c_escapes: bool = True) -> list[str]:
    """`extract_first_word` until nothing is left: quotes taken off, escapes undone."""
    found: list[str] = []
    word: str | None = None
    quote, chars = "", iter(text)
    for char in chars:
        if char == "\\":
            word = (word or "") + _escaped(chars, c_escapes)
        elif quote:
            quote = "" if char == quote else quote
            word = (word or "") + (char if quote else "")
        elif char in "'\"":
            quote, word = char, word or ""
        elif char in separators:
            found, word = (found if word is None else [*found, word]), None
        else:
            word = (word or "") + char
    if quote:
        raise ValueError(f"unbalanced quotes in {text!r}")
    return found if word is None else [*found, word]


def _escaped(chars: Iterator[str], c_escapes: bool) -> str:
    char = next(chars)
    if not c_escapes:
        return char
    if char == "x":
        return chr(int(next(chars) + next(chars), 16))
    if char not in _C_ESCAPES:
        raise ValueError(f"unknown escape \\{char}")
    return _C_ESCAPES[char]


def specified(text: str) -> str:
    """Specifiers expanded: of these only `%%` is known here, and any other would change what was meant."""
    out, chars = "", iter(text)
    for char in chars:
        if char == "%" and next(chars, "") != "%":
            raise ValueError(f"a specifier in {text!r}")
        out += char
    return out


def command(value: str) -> tuple[str, list[str]]:
    """The prefixes and the argument vector of an `Exec...=` line, in an environment where no variable is set."""
    if ";" in value.split():
        raise ValueError("a second command")
    first, *rest = words(value)
    program = first.lstrip("@-:+!")
    prefixes = first[: len(first) - len(program)]
    arguments = [specified(item) for item in rest]
    if ":" not in prefixes:
        arguments = [_variables(item) for item in arguments]
    return prefixes, [specified(program), *arguments]


def _variables(text: str) -> str:
    """`$$` is a dollar; any other `$NAME` or `${NAME}` would be replaced."""
    out, chars = "", iter(text)
    for char in chars:
        if char == "$" and next(chars, "") != "$":
            raise ValueError(f"a variable in {text!r}")
        out += char
    return out


def paths(value: str) -> list[str]:
    """A list of paths, or `source:target` of a bind: no C escapes there."""
    return [specified(item) for item in words(value, separators=" \t\n:", c_escapes=False)]
