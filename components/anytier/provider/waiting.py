"""Several calls at once, all of them to their end: nothing goes on behind the back of who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
S = TypeVar("S")


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Their results in order; the first failure only once every one has ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def both(first: Awaitable[S], second: Awaitable[T]) -> tuple[S, T]:
    """Of two that are not of one kind. Where each is a question to another machine, one round trip and not two."""
    found: list[Any] = await all_of([first, second])
    return found[0], found[1]
