"""Whether this run only plans: then no secret is read, and nothing is asked of this machine that a plan can do without.

A plan is made of a spec and a stack's config alone (`anytier.recording`), also of those in a stranger's pull request.
Whoever would read a secret, look for credentials or want a large file here asks `active()` first. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTIVE: ContextVar[bool] = ContextVar("anytier_planning", default=False)


def active() -> bool:
    return _ACTIVE.get()


@contextmanager
def only() -> Iterator[None]:
    """What runs in here plans, and so do the tasks that it starts."""
    before = _ACTIVE.set(True)
    try:
        yield
    finally:
        _ACTIVE.reset(before)


def stand_in(of: str, output: str) -> str:
    """What stands in a plan for a text that only a run knows: `<machine.hostKey>`."""
    return f"<{of}.{output}>"
