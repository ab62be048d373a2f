"""Requests per second: some clients on connections that are kept alive, each asking again as soon as it is answered.

One Python process on one core asks, on this machine: a figure says how much it took of that core. Where that is nearly
all, the app may be faster than the figure; where app and clients share a machine's cores, it would be faster alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from anytier.conformance.check import Failed
from anytier.conformance.load import BadAnswer, Connection, Target

CLIENTS = 16
SECONDS = 5.0
PATIENCE = 10.0  # seconds for a connection, and beyond SECONDS for the last answers
BOUND = 0.9  # of a core: from here on the clients are what limits the figure


@dataclass(frozen=True)
class Rate:
    """`per_second`: whole answers with status 200. `client`: of a core, what asking took."""

    per_second: float
    client: float

    def note(self) -> str:
        text = f"{CLIENTS} clients, which took {self.client:.0%} of a core"
        return f"{text}: the app may be faster" if self.client >= BOUND else text


def take(target: Target, seconds: float = SECONDS, clients: int = CLIENTS, pace: float = 1.0) -> Rate:
    """Failed if any request is: a rate in which some get no answer means nothing."""
    start, cpu = time.monotonic(), time.thread_time()
    try:
        count = asyncio.run(_all(target, seconds, clients, PATIENCE * pace))
    except (OSError, EOFError, TimeoutError, ValueError, BadAnswer) as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise Failed(f"{clients} clients at a time were not always answered: {said}") from error
    took = time.monotonic() - start
    return Rate(count / took, (time.thread_time() - cpu) / took)


async def _all(target: Target, seconds: float, clients: int, patience: float) -> int:
    async with asyncio.timeout(seconds + patience):
        end = time.monotonic() + seconds
        return sum(await asyncio.gather(*(_client(target, end, patience) for _ in range(clients))))


async def _client(target: Target, end: float, patience: float) -> int:
    connection = await Connection.open(target, patience)
    count = 0
    try:
        while time.monotonic() < end:
            if connection.gone:
                connection.close()
                connection = await Connection.open(target, patience)
            await connection.get("/")
            count += 1
    finally:
        connection.close()
    return count
