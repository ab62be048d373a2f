"""Several calls: all to their end, then the first failure."""

from __future__ import annotations

import asyncio

import pytest

from anytier.provider.waiting import all_of


async def test_results_come_in_order() -> None:
    async def value(number: int) -> int:
        await asyncio.sleep(0.01 * (3 - number))
        return number

    assert await all_of(value(number) for number in range(3)) == [0, 1, 2]
    assert await all_of([]) == []


async def test_a_failure_is_told_once_the_others_have_ended() -> None:
    ended: list[int] = []

    async def call(number: int) -> None:
        await asyncio.sleep(0.01 * number)
        if number == 0:
            raise ValueError("first")
        ended.append(number)

    with pytest.raises(ValueError, match="first"):
        await all_of(call(number) for number in range(4))
    assert ended == [1, 2, 3], "nothing goes on behind the caller's back"
