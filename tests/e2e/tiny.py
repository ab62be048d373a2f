"""An app of one native workload, as a throw-away stack on machines of the test's: the least that serves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

from tests.e2e.suite import ROOT
from tests.e2e.test_libvirt import SERVER

from anytier.cli.stack import engine_env
from anytier.conformance.places.local import LocalPlace
from anytier.conformance.trial import Trial


class Tiny(Trial):
    """`web`: what its workload says beside what it needs. A subclass writes the stack's file, then makes the stack."""

    def __init__(self, route: dict[str, Any], **web: Any) -> None:
        super().__init__(ROOT, LocalPlace({}), {"anytier:tier": "baremetal"}, engine_env())
        (self.folder / "state").mkdir()
        self.app_dir.mkdir()
        (self.app_dir / "server.py").write_text(SERVER)
        container = {"build": {"context": "."}, "variables": {"GREETING": "hello"}, **web.pop("container", {})}
        body = {
            "containers": {"web": container},
            "host": {"command": ["python3", "server.py"]},
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "update": {"minHealthyTime": "500ms", "drainTimeout": "2s"},
            **web,
        }
        app = {
            "apiVersion": "anytier.dev/v1",
            "kind": "App",
            "metadata": {"name": "tiny"},
            "workloads": {"web": body},
            "routes": [{"workload": "web", "port": "http", **route}],
        }
        (self.app_dir / "app.yaml").write_text(json.dumps(app))

    def begin(self) -> None:
        self.pulumi("stack", "init", self.name, "--secrets-provider", "passphrase", stack=False)


TinyT = TypeVar("TinyT", bound=Tiny)


@contextlib.contextmanager
def gone_afterwards(made: TinyT) -> Iterator[TinyT]:
    """However the test went."""
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):
            made.pulumi("destroy", "--yes", "--skip-preview", fails=True)
        made.forget()
