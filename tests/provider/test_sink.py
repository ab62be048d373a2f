"""Messages reach the engine's display, not too many of them, and never hold anything up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from anytier.provider.engine import EngineSink


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's display."""

    def __init__(self) -> None:
        self.lines: list[engine_pb2.LogRequest] = []
        self.delay = 0.0
        self.address = ""

    async def Log(self, request: engine_pb2.LogRequest, context: Any) -> Empty:
        await asyncio.sleep(self.delay)
        self.lines.append(request)
        return Empty()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    server, engine = grpc.aio.server(), Engine()
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    engine.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield engine
    await server.stop(None)


async def test_many_status_lines_become_few_and_the_last_one_shows(engine: Engine) -> None:
    sink = EngineSink(engine.address)
    for step in range(100):
        sink.status("urn:a", f"step {step}")
        sink.status("urn:b", "the same")
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.3)
    shown = [line.message for line in engine.lines if line.urn == "urn:a"]
    assert shown[-1] == "step 99"
    assert len(shown) < 12
    assert [line.message for line in engine.lines if line.urn == "urn:b"] == ["the same"]
    assert all(line.ephemeral for line in engine.lines)
    await sink.close()


async def test_lines_that_stay_are_all_sent_in_order(engine: Engine) -> None:
    sink = EngineSink(engine.address)
    sink.info("urn:a", "one")
    sink.warn("urn:a", "two")
    await sink.flush()
    assert [(line.message, line.severity, line.ephemeral) for line in engine.lines] == [
        ("one", engine_pb2.INFO, False),
        ("two", engine_pb2.WARNING, False),
    ]
    await sink.close()


@pytest.mark.parametrize("slow", [True, False], ids=["slow", "gone"])
async def test_an_engine_that_does_not_answer_holds_nothing_up(engine: Engine, slow: bool) -> None:
    engine.delay = 60
    sink = EngineSink(engine.address if slow else "127.0.0.1:1")
    began = time.monotonic()
    for step in range(5000):
        sink.status("urn:a", f"step {step}")
        sink.info("urn:a", "line")
    await sink.flush(0.1)
    assert time.monotonic() - began < 0.5
    await sink.close()


async def test_without_an_engine_everything_is_dropped() -> None:
    sink = EngineSink()
    sink.info("urn:a", "line")
    await sink.flush()
    await sink.close()
