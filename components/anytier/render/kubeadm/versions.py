"""Versions of Kubernetes, and which may follow which. Pure."""

from __future__ import annotations

import re

from anytier.errors import AnytierError, Rejected

_VERSION = re.compile(r"v?(\d{1,3})\.(\d{1,3})\.(\d{1,4})(?:-[0-9A-Za-z.-]{1,40})?")
OLDEST = (1, 32)  # health checks without anonymous access need it (AnonymousAuthConfigurableEndpoints)
_DO = "give one such as v1.34.2"


def version(text: str) -> str:
    """With its `v`; ValueError for what is none, or one that is too old."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no version of Kubernetes; {_DO}")
    if (int(match[1]), int(match[2])) < OLDEST:
        raise ValueError(f"{text} is too old; 1.{OLDEST[1]} is the oldest that will do")
    return text if text.startswith("v") else f"v{text}"


def minor(text: str) -> tuple[int, int]:
    major, second, _ = numbers(text)
    return major, second


def numbers(text: str) -> tuple[int, int, int]:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no version of Kubernetes; {_DO}")
    return int(match[1]), int(match[2]), int(match[3])


def problem(path: str, old: str, new: str) -> AnytierError | None:
    """Why a cluster of `old` cannot become one of `new`; None where it can."""
    before, after = numbers(old), numbers(new)
    if after < before:
        what = f"{new} is older than {old}, which the cluster has: a cluster does not go back"
        return Rejected(path, what, f"name {old} or a newer one; or make another cluster")
    if after[0] != before[0] or after[1] > before[1] + 1:
        steps = f"v{before[0]}.{before[1] + 1}.x"
        return Rejected(path, f"{old} to {new} skips a minor version", f"go to {steps} first, then on")
    return None
