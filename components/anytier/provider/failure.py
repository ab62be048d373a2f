"""What went wrong, as the engine wants to hear it: one clear line, and whatever exists already with its id.

The traceback of an unexpected exception goes to a file, and only if `ANYTIER_DEBUG` asks for it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from pulumi.runtime.proto import provider_pb2, status_pb2

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Unreachable
from anytier.provider import values
from anytier.provider.settled import INCOMPLETE

DETAILS = "grpc-status-details-bin"
# UNKNOWN, INTERNAL and DATA_LOSS would make the engine keep a pending operation that a person has to clear. Our
# creates find by name what an earlier one made, so none is needed.
CODES: dict[type[AnytierError], grpc.StatusCode] = {
    NotFound: grpc.StatusCode.NOT_FOUND,
    Unreachable: grpc.StatusCode.UNAVAILABLE,
    Denied: grpc.StatusCode.PERMISSION_DENIED,
    Conflict: grpc.StatusCode.ALREADY_EXISTS,
    NoSpace: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass(frozen=True)
class Status:
    """How a request ends that did not succeed."""

    code: grpc.StatusCode
    details: str
    metadata: tuple[tuple[str, str | bytes], ...] = ()


def status(error: BaseException, hide: Callable[[str], str] = str) -> Status:
    """The failure of an operation that left nothing behind."""
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), grpc.StatusCode.FAILED_PRECONDITION)
    return Status(code, hide(line(error)))


def partial(reason: str, id: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> Status:
    """The failure of an operation that left something: the engine records it and comes back to it."""
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=id,
            properties=values.write({**outputs, INCOMPLETE: True}),
            inputs=values.write(inputs),
            reasons=[reason],
        )
    )
    code = grpc.StatusCode.ABORTED
    packed = status_pb2.Status(code=code.value[0], message=reason, details=[detail])
    return Status(code, reason, ((DETAILS, packed.SerializeToString()),))


def line(error: BaseException) -> str:
    """An error as a person reads it."""
    if isinstance(error, AnytierError):
        return str(error)
    text = " ".join(str(error).split())
    hint = "" if debug_file() else " (ANYTIER_DEBUG=1 writes the traceback to a file)"
    return f"internal error: {type(error).__name__}{': ' if text else ''}{text}{hint}"


def note(error: BaseException, hide: Callable[[str], str] = str) -> None:
    """Keeps the traceback of an unexpected error, where that is wanted."""
    file = debug_file()
    if file is None or isinstance(error, AnytierError):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as out:
            out.write(hide("".join(traceback.format_exception(error))))
    except OSError:
        return  # debugging must not break what it looks at


def debug_file() -> Path | None:
    """`ANYTIER_DEBUG` is a path, or `1` for the usual place."""
    wish = os.environ.get("ANYTIER_DEBUG", "")
    if wish in ("", "0"):
        return None
    if "/" in wish:
        return Path(wish)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "anytier" / "provider-debug.log"
