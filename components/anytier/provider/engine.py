"""Messages to the engine's display: status lines that pass, info and warnings that stay.

Nothing here may block or fail an operation: messages are queued, coalesced and sent by one task; errors are dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Any

import grpc.aio
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

EVERY = 0.1  # seconds between two status lines of one resource
SEND_TIMEOUT = 2.0
KEPT = 1000  # messages that wait at most; older ones go first


class EngineSink:
    """The engine's log service. Without an address everything is dropped."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self._status: dict[str, str] = {}
        self._sent: dict[str, tuple[float, str]] = {}
        self._lines: deque[tuple[int, str, str]] = deque(maxlen=KEPT)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._pump: asyncio.Task[None] | None = None

    def status(self, urn: str, text: str) -> None:
        self._status[urn] = text
        self._start()

    def info(self, urn: str, text: str) -> None:
        self._lines.append((engine_pb2.INFO, urn, text))
        self._start()

    def warn(self, urn: str, text: str) -> None:
        self._lines.append((engine_pb2.WARNING, urn, text))
        self._start()

    def forget(self, urn: str) -> None:
        """The operation is over: a status line that has not gone out is stale."""
        self._status.pop(urn, None)
        self._sent.pop(urn, None)

    async def flush(self, timeout: float = 0.5) -> None:
        """Waits until lines that must stay are out."""
        if self._lines:
            try:
                await asyncio.wait_for(self._idle.wait(), timeout)
            except TimeoutError:
                return

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    def _start(self) -> None:
        if not self.address:
            self._status.clear()
            self._lines.clear()
            return
        self._idle.clear()
        self._wake.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = engine_pb2_grpc.EngineStub(channel)
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._lines:
                    severity, urn, text = self._lines.popleft()
                    await self._send(stub, severity=severity, urn=urn, message=text)
                for urn, text in self._due():
                    await self._send(stub, severity=engine_pb2.INFO, urn=urn, message=text, ephemeral=True)
                if self._status:
                    asyncio.get_running_loop().call_later(EVERY, self._wake.set)
                elif not self._lines:
                    self._idle.set()

    def _due(self) -> list[tuple[str, str]]:
        now = monotonic()
        ready = [urn for urn in self._status if now - self._sent.get(urn, (0.0, ""))[0] >= EVERY]
        due = []
        for urn in ready:
            text = self._status.pop(urn)
            if self._sent.get(urn, (0.0, ""))[1] != text:
                due.append((urn, text))
                self._sent[urn] = (now, text)
        return due

    async def _send(self, stub: Any, **message: Any) -> None:
        try:
            await stub.Log(engine_pb2.LogRequest(**message), timeout=SEND_TIMEOUT)
        except grpc.RpcError:
            return
