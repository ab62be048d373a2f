"""What a run of the program begins with, before the rest of it is even imported: it is what makes `pulumi up` quick.

The engine starts the plugin only when it is first asked for, and starting it takes as long as importing the rest of the
program does. So it is asked at once, and both happen side by side. And what every resource would say of the program is
left out: that is half of a state, all of which a file backend writes at each step.
"""

from __future__ import annotations

import atexit
import gc
import threading
from typing import Any

from pulumi.runtime import resource
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.settings import get_monitor

from anytier.names import READY


def begin() -> None:
    """Have the engine start the plugin, keep the garbage collector out of a process that lives for a second, and the
    program's lines out of the state."""
    monitor = get_monitor()
    if monitor is None or isinstance(monitor, MockMonitor):
        return
    _without_traces()
    gc.disable()
    atexit.register(gc.freeze)  # it would else look through everything once more, only for the process to end
    threading.Thread(target=_wake, args=(monitor,), daemon=True).start()


def _without_traces() -> None:
    """The stack of calls that made a resource is anytier's own, whatever the spec says, with paths of this machine.
    The SDK has no switch for it; one that takes it in another way keeps it."""
    if hasattr(resource, "_get_stack_trace"):
        resource._get_stack_trace = source_pb2.StackTrace


def _wake(monitor: Any) -> None:
    try:
        monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=READY, acceptResources=True))
    except Exception:
        return  # a plugin that cannot start is told of by the first resource that needs it
