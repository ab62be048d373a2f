"""One worker of a cluster at a time is emptied for an upgrade: were it all of them, no pod had a place to go to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from anytier.provider.kubeadm.models import OnNode
from anytier.provider.resource import Context

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], asyncio.Lock]] = WeakKeyDictionary()


@asynccontextmanager
async def turn(ctx: Context, inputs: OnNode) -> AsyncIterator[None]:
    """Waits until no other node of this cluster has it."""
    known = _turns.setdefault(asyncio.get_running_loop(), {})
    lock = known.setdefault((inputs.owner, inputs.cluster), asyncio.Lock())
    if lock.locked():
        ctx.status(f"{inputs.name} waits for its turn")
    async with lock:
        yield
