"""The plugin's life: it prints its port, serves until the engine is done with it, and never outlives the engine.

Standard output belongs to the engine: the port, and nothing else ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import grpc.aio
from pulumi.runtime.proto import provider_pb2_grpc

from anytier import __version__
from anytier.provider.engine import EngineSink
from anytier.provider.registry import Registry
from anytier.provider.servicer import Servicer

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
LOOK = 1.0  # seconds between looks whether the engine still lives
WAIT_FOR_CANCEL = 2.0  # seconds from an interrupt until the engine has said whether it means it
LAST_WORDS = 0.5  # seconds for answers on their way


def main(argv: Sequence[str], registry: Registry | None = None, version: str = __version__) -> None:
    """Serves, and leaves without the interpreter's slow goodbye: the engine waits for this process to end."""
    engine = os.getppid()  # first of all: it may be gone by the time that the port is out
    asyncio.run(serve(engine, engine_address(argv), registry or Registry(), version))
    os._exit(0)


def engine_address(argv: Sequence[str]) -> str:
    """The last word of the command line; flags before it are the engine's logging and tracing."""
    return argv[-1] if argv and not argv[-1].startswith("-") else ""


async def serve(engine: int, address: str, registry: Registry, version: str) -> None:
    server = grpc.aio.server(options=OPTIONS)
    servicer = Servicer(registry, EngineSink(address), version)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    leave = asyncio.Event()
    _on_signals(leave)
    await server.start()
    _say_port(port)
    watch = asyncio.ensure_future(_engine_gone(engine))
    asked = asyncio.ensure_future(leave.wait())
    await asyncio.wait({watch, asked}, return_when=asyncio.FIRST_COMPLETED)
    await _wind_up(servicer, orphan=watch.done())
    await server.stop(LAST_WORDS)


async def _wind_up(servicer: Servicer, orphan: bool) -> None:
    """An interrupt alone is only a wish: the engine's Cancel, which comes with it, says that work must stop."""
    operations = servicer.operations
    if not orphan:
        with suppress(TimeoutError):
            await asyncio.wait_for(operations.cancelled.wait(), WAIT_FOR_CANCEL)
    operations.cancel()
    await operations.drained()


def _on_signals(leave: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave.set)


async def _engine_gone(parent: int) -> None:
    """Returns when the process that started this one is no more."""
    while os.getppid() == parent:
        await asyncio.sleep(LOOK)


def _say_port(port: int) -> None:
    """Prints the port, then makes standard output another name of standard error."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    os.dup2(2, 1)
