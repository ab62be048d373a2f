"""What a run of the program begins with, before the rest of it is even imported: it is what makes `pulumi up` quick.

The engine starts the plugin only when it is first asked for, and starting it takes as long as importing the rest of the
program does. So it is asked at once, and both happen side by side.
"""

from __future__ import annotations

import atexit
import gc
import threading
from typing import Any

from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

import pulumi
from anytier.names import READY

# Tier -> the provider's module that its stacks use. Only a hint: a tier that is not here starts a little later.
MODULES = {"local": "host", "baremetal": "host", "docker": "docker"}


def begin() -> None:
    """Have the engine start the plugin, and keep the garbage collector out of a process that lives for a second."""
    monitor = get_monitor()
    if monitor is None or isinstance(monitor, MockMonitor):
        return
    gc.disable()
    atexit.register(gc.freeze)  # it would else look through everything once more, only for the process to end
    module = MODULES.get(pulumi.Config("anytier").get("tier") or "", "")
    threading.Thread(target=_wake, args=(monitor, module), daemon=True).start()


def _wake(monitor: Any, module: str) -> None:
    request = resource_pb2.ResourceInvokeRequest(tok=READY, acceptResources=True)
    request.args.update({"module": module})
    try:
        monitor.Invoke(request)
    except Exception:
        return  # a plugin that cannot start is told of by the first resource that needs it
