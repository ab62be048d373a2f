"""A cluster's ways in: waited for on real sockets, and told of when nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.provider.host.corner import free_port
from tests.provider.sink import Sink

from anytier.errors import Rejected
from anytier.provider.kubernetes import entrance
from anytier.provider.kubernetes.entrance import EntranceInputs, EntranceOutputs, EntranceResource
from anytier.provider.resource import Context


def inputs(*ports: int) -> EntranceInputs:
    return EntranceInputs(ns="anytier-dev-shop", addresses=["127.0.0.1"], ports=[*ports])


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[None]:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        yield


async def test_it_is_there_once_every_port_answers() -> None:
    early, late = free_port(), free_port()
    sink = Sink()
    async with listening(early):
        waiting = asyncio.create_task(EntranceResource().create(Context("urn", "x", sink), inputs(early, late)))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with listening(late):
            assert await waiting == ("anytier-dev-shop", EntranceOutputs())
    assert sink.lines == ["waiting for the machines to open the app's ports"] and not sink.warnings


async def test_whoever_does_not_answer_is_named_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    there, nowhere = free_port(), free_port()
    sink = Sink()
    async with listening(there):
        began = time.monotonic()
        await entrance.opened(Context("urn", "x", sink), inputs(there, nowhere), patience=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert len(sink.warnings) == 1 and f"127.0.0.1:{nowhere} within" in sink.warnings[0]
    assert f":{there}" not in sink.warnings[0] and "kube-proxy" in sink.warnings[0]


async def test_a_new_port_is_waited_for_and_a_look_calls_nobody() -> None:
    port, sink = free_port(), Sink()
    ctx, resource, state = Context("urn", "x", sink), EntranceResource(), EntranceOutputs()
    async with listening(port):
        assert await resource.update(ctx, "id", inputs(), state, inputs(port)) == state
    assert await resource.read(ctx, "id", inputs(port), state) == (inputs(port), state)
    with pytest.raises(Rejected, match="not imported"):
        await resource.read(ctx, "id", None, None)
    await resource.delete(ctx, "id", inputs(port), state)
    assert not sink.warnings
