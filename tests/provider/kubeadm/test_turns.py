"""Workers are upgraded as few at a time as was said; those of another cluster do not wait for them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from anytier.provider.kubeadm.turns import turn


def worker(name: str, cluster: str = "dev", at_once: int = 1) -> Any:
    return SimpleNamespace(name=name, cluster=cluster, owner="me", max_unavailable=at_once)


async def upgraded(names: list[tuple[str, str]], at_once: int = 1) -> tuple[int, list[str]]:
    """How many were under way at the same time, at most; and what was told."""
    told: list[str] = []
    now = most = 0

    async def one(name: str, cluster: str) -> None:
        nonlocal now, most
        async with turn(SimpleNamespace(status=told.append), worker(name, cluster, at_once)):  # type: ignore[arg-type]
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1

    await asyncio.gather(*(one(*item) for item in names))
    return most, told


async def test_one_at_a_time_and_the_others_say_that_they_wait() -> None:
    assert await upgraded([("a", "dev"), ("b", "dev"), ("c", "dev")]) == (
        1,
        ["b waits for its turn", "c waits for its turn"],
    )
    assert (await upgraded([("a", "dev"), ("b", "prod")]))[0] == 2


async def test_a_batch_at_a_time_where_the_stack_says_so() -> None:
    four = [(name, "dev") for name in "abcd"]
    assert await upgraded(four, at_once=2) == (2, ["c waits for its turn", "d waits for its turn"])
    assert (await upgraded([(name, "prod") for name in "abcd"], at_once=9))[0] == 4


async def test_one_that_fails_gives_its_turn_back() -> None:
    ctx: Any = SimpleNamespace(status=lambda text: None)
    with pytest.raises(ValueError):
        async with turn(ctx, worker("a")):
            raise ValueError
    async with asyncio.timeout(1), turn(ctx, worker("b")):
        pass
