"""What may name a package of a machine's distribution: the same for the spec and for the plugin. Pure.

`nginx`, or with a version `nginx=1.22.1-9`; a `*` at its end takes every version that begins so. Names and versions are
Debian's (policy 5.6.1 and 5.6.12): nothing in them is a shell's, an option of apt's, or one of its patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# apt takes `name-` for "remove it", so that a name may not end so, whatever Debian's policy says.
NAME = r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]"
VERSION = r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*\*?"
PATTERN = f"{NAME}(?:={VERSION})?"
LONGEST = 200

_NAME, _VERSION = re.compile(NAME), re.compile(VERSION)
_DO = "a name such as nginx, or with its version nginx=1.22.1-9; a * at the end takes all that begin so"


@dataclass(frozen=True)
class Package:
    """`version`: None takes any, one that ends with `*` all that begin so."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}={self.version}"

    def takes(self, version: str | None) -> bool:
        """Whether an installed version is what is asked for; None is none installed."""
        if version is None or self.version is None:
            return version is not None
        if self.version.endswith("*"):
            return version.startswith(self.version[:-1])
        return version == self.version


class NoPackage(ValueError):
    """`what` is wrong, and what to `do`."""

    def __init__(self, what: str, do: str = _DO) -> None:
        super().__init__(f"{what}; {do}")
        self.what, self.do = what, do


def parse(text: str) -> Package:
    """NoPackage for what is no package's name, or no version."""
    name, equals, version = text.partition("=")
    shown = repr(text if len(text) <= 60 else f"{text[:40]}...")
    if len(text) > LONGEST:
        raise NoPackage(f"has {len(text)} characters", f"a package and its version have at most {LONGEST}")
    if not _NAME.fullmatch(name):
        raise NoPackage(f"{shown} is not a package")
    if equals and not _VERSION.fullmatch(version):
        raise NoPackage(f"{shown} has no version that a package can have")
    return Package(name, version if equals else None)


def package(text: str) -> str:
    """The text itself, if it is a package."""
    return str(parse(text))


def missing(wanted: Iterable[str], installed: dict[str, str]) -> list[Package]:
    """Of `wanted`, what is not installed, or in another version."""
    asked = [parse(text) for text in wanted]
    return [item for item in asked if not item.takes(installed.get(item.name))]
