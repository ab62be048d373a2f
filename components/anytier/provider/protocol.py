"""The engine's messages and services, as the Pulumi SDK ships them: the one door between the plugin and that package.

`import_alone` is for the plugin's own process: the SDK around the messages costs more to import than all the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

PACKAGES = ("pulumi", "pulumi.runtime")
MODULES = ("provider_pb2", "provider_pb2_grpc", "plugin_pb2", "engine_pb2", "engine_pb2_grpc", "status_pb2")


def import_alone(modules: Sequence[str] = MODULES) -> None:
    """Imports the messages under empty parent packages, so that neither package's own code runs.

    The empty parents are taken away again: whoever imports `pulumi` later gets the real one.
    """
    absent = [name for name in PACKAGES if name not in sys.modules]
    try:
        for name in absent:
            sys.modules[name] = _empty(name)
        for name in modules:
            import_module(f"pulumi.runtime.proto.{name}")
    finally:
        for name in absent:
            del sys.modules[name]


def _empty(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return module_from_spec(spec)
