"""What a process manager does for us, whichever it is; `of` picks the implementation for the input `supervisor`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from anytier.provider.host.layout import Layout
from anytier.provider.host.transport import Facts, Machine
from anytier.render.unit import Unit

Supervisor = Literal["systemd-system", "systemd-user", "supervisord"]
T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """How a unit is now. `restarts` only ever grows while the unit exists; an `exit_code` below 0 is a signal.
    `failed`: it has ended badly and stays so, also where its own process never ran and so has no exit code."""

    running: bool
    pid: int = 0
    restarts: int = 0
    exit_code: int | None = None
    uptime: float = 0  # seconds that the process has run
    detail: str = ""
    failed: bool = False


def how_it_ended(code: int | None, memory: int | None) -> str:
    """For people. The kernel kills what passes a memory limit without a word, so that the limit is worth naming."""
    if code is None:
        return "the process is not running"
    if code >= 0:
        return f"the process ended (exit {code})"
    killed = "the process was killed" + (f" (signal {-code})" if code < -1 else "")  # supervisord says -1 for any
    if code == -signal.SIGKILL and memory is not None:
        return f"{killed}, as for want of memory: its limit is {memory / 2**20:.0f} MiB"
    return killed


class Manager(Protocol):
    """Units by name; all calls are idempotent. A unit that the manager does not know is absent from `states`."""

    async def start(self, unit: Unit) -> None:
        """Makes the unit known, enabled at boot where there is such a thing, and running."""

    async def stop(self, name: str) -> None:
        """Ends it gracefully and forgets it."""

    async def restart(self, name: str) -> None: ...

    async def states(self, revive: bool = False) -> dict[str, State]:
        """All units of this namespace. `revive`: bring a dead manager back, with its units, first."""

    async def log(self, name: str, log: str, lines: int) -> str: ...

    def log_argv(self, name: str, log: str, lines: int, follow: bool) -> list[str]:
        """The command that prints the log."""

    async def close(self) -> None:
        """Nothing is left to run: the manager itself goes, if it is ours."""


def of(supervisor: Supervisor, machine: Machine, layout: Layout, facts: Facts) -> Manager:
    if supervisor == "supervisord":
        from anytier.provider.host.supervisord import Supervisord

        return Supervisord(machine, layout, facts)
    from anytier.provider.host.systemd import Systemd

    return Systemd(machine, layout, facts, "system" if supervisor == "systemd-system" else "user")


@dataclass
class _Call(Generic[T]):
    item: T
    done: bool = False
    error: Exception | None = None


class Together(Generic[T]):
    """Calls that come while one is under way are done together by the next one: fifty starts need two reloads."""

    def __init__(self, flush: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._flush = flush
        self._lock = asyncio.Lock()
        self._waiting: list[_Call[T]] = []

    async def __call__(self, item: T) -> None:
        call = _Call(item)
        self._waiting.append(call)
        try:
            async with self._lock:
                if not call.done:
                    await self._flush_waiting()
        finally:
            if call in self._waiting:
                self._waiting.remove(call)
        if call.error is not None:
            raise call.error

    async def _flush_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            await self._flush([call.item for call in batch])
        except Exception as error:
            for call in batch:
                call.done, call.error = True, error
        except BaseException:
            # Only this caller was cancelled; the others try again.
            self._waiting = batch + self._waiting
            raise
        else:
            for call in batch:
                call.done = True
