"""Few workers of a cluster are emptied for an upgrade at a time: were it all of them, no pod had a place to go to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from anytier.provider.kubeadm.models import WorkerInputs
from anytier.provider.resource import Context

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], asyncio.Semaphore]] = WeakKeyDictionary()


@asynccontextmanager
async def turn(ctx: Context, inputs: WorkerInputs) -> AsyncIterator[None]:
    """Waits until fewer than `maxUnavailable` other workers of this cluster have one; all of a run say the same."""
    known = _turns.setdefault(asyncio.get_running_loop(), {})
    turns = known.setdefault((inputs.owner, inputs.cluster), asyncio.Semaphore(inputs.max_unavailable))
    if turns.locked():
        ctx.status(f"{inputs.name} waits for its turn")
    async with turns:
        yield
