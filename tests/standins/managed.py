"""The shortest stack of a managed tier under the real engine, by this project's own program: the cloud is stood in, and
its cluster is Kubernetes' own control plane without a node (tests/provider/kubernetes/controlplane.py).

So all that the stack registers is made, changed and taken down; no pod runs, a kubelet is stood in, too.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.provider.kubernetes.controlplane import TOKEN, control_plane, kubelet
from tests.standins.project import ROOT, Project, commands, provider_lines
from tests.standins.stacks import SOMEBODY, STACKS
from tests.standins.world import Fault

IMAGE = "example.org/team/app:1.0"
NS = "anytier-test-shop"
# Without routes: nobody would make a load balancer.
APP = f"""\
apiVersion: anytier.dev/v1
kind: App
metadata: {{name: shop}}
workloads:
  web:
    containers: {{web: {{image: "{IMAGE}", user: "10001", secrets: {{TOKEN: token}}}}}}
    service: {{ports: {{http: {{port: 80, targetPort: 8080}}}}}}
    update: {{minHealthyTime: 0s}}
  worker:
    containers: {{worker: {{image: "{IMAGE}", user: "10001"}}}}
    update: {{minHealthyTime: 0s}}
    dependsOn: {{web: {{condition: healthy}}}}
secrets: {{token: {{from: env, key: ANYTIER_TEST_CANARY}}}}
"""
CANARY = "c4nary-1n-a-coalmine"


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, Any]]:
    """What `World.tell` is told of a control plane, whose kubelet has pods of NS ready at once."""
    folder.mkdir()
    with control_plane(folder) as kubeconfig, kubelet(kubeconfig, NS, {IMAGE: "good"}):
        authority = re.findall(
            "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n",
            (folder / "certs" / "apiserver.crt").read_text(),
            re.DOTALL,
        )[-1]  # the server's own comes first
        (server,) = re.findall(r"https://[0-9.:]+", kubeconfig)
        about = {"endpoint": server, "ca": base64.b64encode(authority.encode()).decode()}
        yield {"clusters": {"*": about}, "credential": {"token": TOKEN}}


class ManagedProject(Project):
    """`told`: of `cluster`. The stack is called `test`, as NS has it."""

    def __init__(self, folder: Path, env: Mapping[str, str], tier: str, told: Mapping[str, Any]) -> None:
        self.tier, self._told = tier, told
        self._where, self._own = STACKS[tier]
        path = commands(folder / "commands")
        more = {"PATH": f"{path}:{env['PATH']}", "ANYTIER_TEST_CANARY": CANARY}
        super().__init__(folder, {**env, **SOMEBODY, **more}, {})
        ours = f"    - {{name: anytier, path: {ROOT / 'bin'}}}\n"
        (folder / "Pulumi.yaml").write_text(f"name: test\nruntime: python\n{provider_lines(Path('plugins'))}{ours}")
        (folder / "app.yaml").write_text(APP)
        self.program((ROOT / "__main__.py").read_text())
        self.options()
        self.trouble()

    def options(self, **more: Any) -> None:
        """The stack's file from now on; `more` over the tier's own."""
        own = {**self._own, **more}
        self.config({**self._where, "anytier:app": "app.yaml", "anytier:tier": self.tier, f"anytier:{self.tier}": own})

    def trouble(self, *faults: Fault) -> None:
        """What goes wrong from now on, and nothing else."""
        self.world.tell(faults=list(faults), **self._told)

    def nobody(self) -> None:
        """Whoever was logged in is no longer."""
        for name in SOMEBODY:
            self.env.pop(name, None)
        self.env["HOME"] = str(self.folder)
