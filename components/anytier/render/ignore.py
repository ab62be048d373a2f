"""`.dockerignore`: its lines as rules, and what they say of a path, exactly as Docker's own matcher does. Pure.

The rules of https://pkg.go.dev/github.com/moby/patternmatcher, whose corners people rely on: `**x` is any path that
ends in x, `a**b` spans whole folders only, `[!a]` is not a negation, a `#` counts in the first column alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from anytier.errors import Rejected

_DO = "write it as Docker takes it: `*`, `?`, `**`, `[a-z]`, and a backslash before a sign that is meant as it is"


@dataclass(frozen=True)
class Rule:
    """A line. `keep` is `!`: what matches is taken back."""

    pattern: re.Pattern[str]
    keep: bool


Matched = Sequence[bool]


def parse(text: str, file: str) -> list[Rule]:
    """The rules of a file's text; Rejected, with its line, for a pattern that Docker would not take."""
    rules = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        bare = line.removesuffix("\r").strip()
        if not bare or line.startswith("#"):
            continue
        keep = bare.startswith("!")
        pattern = bare.removeprefix("!").strip() if keep else bare
        where = f"{file}, line {number}"
        if keep and not pattern.strip("/"):
            raise Rejected(where, "`!` takes nothing back", "write a pattern after it, or remove the line")
        pattern = _clean(_clean(pattern).removeprefix("/").strip() or "/")
        try:
            rules.append(Rule(re.compile(translate(pattern)), keep))
        except ValueError as error:
            raise Rejected(where, f"{bare!r} is not a pattern: {error}", _DO) from error
    return rules


def judge(name: str, rules: Sequence[Rule], above: Matched) -> tuple[bool, list[bool]]:
    """Whether a path is ignored, and which rules match it or a folder above it; `above` says so of its folder.

    The last rule that says something new decides; one that would say the same again is not looked at.
    """
    out, matched = False, []
    for number, rule in enumerate(rules):
        match = bool(above and above[number])
        if not match and out is rule.keep:
            match = rule.pattern.fullmatch(name) is not None
        matched.append(match)
        if match:
            out = not rule.keep
    return out, matched


def translate(pattern: str) -> str:
    """The pattern as a regular expression; ValueError where it is not one."""
    out, rest = "", pattern
    while rest:
        if rest.startswith("**"):
            first = rest == pattern
            rest = rest[2:].removeprefix("/")
            if first and _literal(rest):
                return _ending(pattern[2:])
            # At the end it is anything, otherwise whole folders.
            out += "(?:.*/)?" if rest else ".*"
        elif rest[0] == "[":
            made, rest = _class(rest)
            out += made
        elif rest[0] == "\\":
            if len(rest) == 1:
                raise ValueError("a backslash at the end")
            out, rest = out + re.escape(rest[1]), rest[2:]
        else:
            out, rest = out + {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])), rest[1:]
    return out


def _literal(text: str) -> bool:
    return not any(sign in text for sign in "*?[]\\")


def _ending(suffix: str) -> str:
    """`**/x` is x in any folder, `**x` whatever ends so."""
    if suffix.startswith("/"):
        return f"(?:.*/)?{re.escape(suffix[1:])}"
    return f".*{re.escape(suffix)}"


def _class(rest: str) -> tuple[str, str]:
    """A set of signs at the beginning of `rest`, and what follows it."""
    body, index = "", 1
    if rest[index : index + 1] == "^":
        body, index = "^", 2
    count = 0
    while index < len(rest) and (rest[index] != "]" or count == 0):
        low, index = _sign(rest, index)
        body, count = body + re.escape(low), count + 1
        if rest[index : index + 1] == "-":
            high, index = _sign(rest, index + 1)
            if high < low:
                raise ValueError(f"{low}-{high} goes backwards")
            body += f"-{re.escape(high)}"
    if index >= len(rest):
        raise ValueError("`[` is not closed")
    return f"[{body}]", rest[index + 1 :]


def _sign(rest: str, index: int) -> tuple[str, int]:
    """One sign of a set, and where the next one is."""
    if rest[index : index + 1] == "\\":
        index += 1
    elif rest[index : index + 1] in ("-", "]"):
        raise ValueError(f"`{rest[index]}` stands alone in `[...]`")
    if index >= len(rest):
        raise ValueError("`[` is not closed")
    return rest[index], index + 1


def _clean(path: str) -> str:
    """As Go cleans a path: two slashes at the beginning are one."""
    return re.sub("^//", "/", posixpath.normpath(path))
