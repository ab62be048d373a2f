"""A command in a pod's container, on the caller's own terminal, over the API server's websocket (v5.channel.k8s.io)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from httpx2.websockets import HTTPXWSException, WebSocketDisconnect, WebSocketUpgradeError

from anytier.errors import Rejected, Unreachable
from anytier.provider import terminal
from anytier.provider.kubernetes.client import Api

# Channels: the first byte of every message.
_STDIN, _STDOUT, _STDERR, _STATUS, _SIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOL = "v5.channel.k8s.io"


async def run(there: Api, ns: str, pod: str, container: str, argv: Sequence[str]) -> int:
    """The command's exit code. With a terminal on both ends if we have one; our standard input is its own."""
    tty = terminal.present()
    params = {
        "container": container,
        "command": list(argv),
        "stdin": "true",
        "stdout": "true",
        "stderr": "false" if tty else "true",  # a terminal has one stream
        "tty": "true" if tty else "false",
    }
    url = f"/api/v1/namespaces/{ns}/pods/{pod}/exec"
    try:
        async with there.http.websocket(url, subprotocols=[_PROTOCOL], params=params) as session:
            with terminal.lent(partial(_resize, session)) if tty else contextlib.nullcontext():
                return await _talk(session, pod)
    except WebSocketUpgradeError as error:
        what = f"no session: the cluster answered {error.response.status_code}"
        raise Rejected(f"pods/{pod}", what, "`anytier status` shows what runs") from None
    except WebSocketDisconnect:
        raise _lost(pod) from None
    except HTTPXWSException as error:
        raise Unreachable(there.where, f"no session ({type(error).__name__})", "run again") from None


async def _talk(session: Any, pod: str) -> int:
    typing = asyncio.ensure_future(_feed(session))
    try:
        while True:
            message = await session.receive_bytes()
            channel, data = message[0], message[1:]
            if channel in (_STDOUT, _STDERR) and data:
                out = sys.stdout.buffer if channel == _STDOUT else sys.stderr.buffer
                out.write(data)
                out.flush()
            elif channel == _STATUS:
                return exit_code(data, pod)
    finally:
        typing.cancel()


def exit_code(status: bytes, pod: str) -> int:
    """The command's own, from the last message. Rejected where it never ran."""
    try:
        found = json.loads(status)
    except ValueError:
        raise _lost(pod) from None
    if found.get("status") == "Success":
        return 0
    for cause in (found.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode" and str(cause.get("message")).isdigit():
            return int(cause["message"])
    said = " ".join(str(found.get("message") or "it did not run").split())
    raise Rejected(f"pods/{pod}", said, "is the command in the image?")


def _lost(pod: str) -> Unreachable:
    return Unreachable(f"pods/{pod}", "the connection ended before the command did", "run it again")


async def _feed(session: Any) -> None:
    with contextlib.suppress(HTTPXWSException):
        async for data in terminal.typed():
            await session.send_bytes(bytes([_STDIN]) + data)
        await session.send_bytes(bytes([_CLOSE, _STDIN]))


async def _resize(session: Any, size: os.terminal_size) -> None:
    wanted = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
    with contextlib.suppress(HTTPXWSException):  # it may have ended
        await session.send_bytes(bytes([_SIZE]) + wanted)
