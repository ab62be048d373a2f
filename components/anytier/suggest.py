"""The "did you mean" of every message that names something which does not exist."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterable

# Comparing is slow; among more names than this only those beside the word in the alphabet are looked at.
MANY = 100


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'replicas'?)`, or nothing where no known word is near."""
    near = nearest(word, known)
    return f" (did you mean {near!r}?)" if near is not None else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is near at all."""
    names = list(known)
    if len(names) > MANY:
        names.sort()
        middle = bisect.bisect(names, word)
        names = names[max(0, middle - MANY // 2) : middle + MANY // 2]
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return near[0] if near else None
