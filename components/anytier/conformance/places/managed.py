"""A managed cluster as a place under test: everything by kubectl, since nobody logs in to its machines.

kubectl is whoever the KUBECONFIG of this shell says: `pulumi stack output kubeconfig --show-secrets` writes one.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from anytier.conformance.check import Failed
from anytier.conformance.places.base import Report

ROUTER = "anytier.dev/router"
_PATIENCE = 60  # seconds for one command
_KINDS = "pods,deployments,statefulsets,daemonsets,jobs,services,configmaps,events"
_KILL = "import os, sys; os.kill(int(sys.argv[1]), int(sys.argv[2]))"
_KILLED, _ASKED = 9, 15


class ManagedPlace:
    """`Place` on a cluster, which `Heals`. An instance is a pod: its hostname is the pod's name."""

    tier: str
    mode: str | None = None
    containers = True
    patience = 1800.0  # the first run makes the cluster
    grace = 600.0  # a cloud's provider that is asked to end writes down what is there before it does
    backoff = 90.0  # seconds that a kubelet may wait with what has died several times

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.mode = str(config.get("mode") or "standard")
        self.address = str(config.get("address") or "localhost")

    def versions(self) -> dict[str, str]:
        found = self._json("version")
        return {"kubernetes": str(found["serverVersion"]["gitVersion"])}

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        self._signal(ns, str(report["hostname"]), int(report["pid"]), _KILLED)

    def kill_instance(self, ns: str, report: Report) -> None:
        """The kernel keeps a container's first process from SIGKILL that comes from inside; nothing else is at hand."""
        self._signal(ns, str(report["hostname"]), 1, _ASKED)

    def kill_proxy(self, ns: str) -> None:
        """Each router's only pod, at once; there is no program in it that could end it."""
        names = [pod["metadata"]["name"] for pod in self._items(ns, "pods", f"-l{ROUTER}")]
        if not names:
            raise Failed(f"no router of {ns} runs")
        self._kubectl(["-n", ns, "delete", "pod", "--grace-period=0", "--force", *names])

    def remove_instance(self, ns: str, report: Report) -> None:
        self._kubectl(["-n", ns, "delete", "pod", "--wait=false", str(report["hostname"])])

    def meddle(self, ns: str, workload: str, replicas: int) -> None:
        for kind in ("deployment", "statefulset"):
            if self._kubectl(["-n", ns, "get", kind, workload, "--ignore-not-found", "-o", "name"]).strip():
                self._kubectl(["-n", ns, "scale", kind, workload, f"--replicas={replicas}"])
                return
        raise Failed(f"nothing in {ns} is called {workload}")

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        """What somebody reads who may look at everything but Secrets."""
        seen = {"objects": self._kubectl(["-n", ns, "get", _KINDS, "-o", "json"])}
        for pod in self._items(ns, "pods"):
            name = pod["metadata"]["name"]
            seen[f"logs of {name}"] = self._kubectl(["-n", ns, "logs", "--all-containers", name], check=False)
        return seen

    def leftovers(self, ns: str) -> list[str]:
        found = (
            [f"namespace {ns}"] if self._kubectl(["get", "ns", ns, "--ignore-not-found", "-o", "name"]).strip() else []
        )
        volumes = self._json("get", "persistentvolumes").get("items") or []
        found += [
            f"volume {item['metadata']['name']}"
            for item in volumes
            if (item["spec"].get("claimRef") or {}).get("namespace") == ns
        ]
        return found

    # kubectl

    def _signal(self, ns: str, pod: str, pid: int, number: int) -> None:
        """By the app's own Python: its image need not have a shell."""
        self._kubectl(["-n", ns, "exec", pod, "--", "python3", "-c", _KILL, str(pid), str(number)])

    def _items(self, ns: str, kind: str, *more: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("-n", ns, "get", kind, *more)["items"]
        return found

    def _json(self, *argv: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._kubectl([*argv, "-o", "json"]))
        return found

    def _kubectl(self, argv: list[str], check: bool = True) -> str:
        try:
            done = subprocess.run(["kubectl", *argv], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"kubectl: {error}") from None
        if check and done.returncode != 0:
            raise Failed(f"kubectl {' '.join(argv[:4])}: {done.stderr.strip()[-300:]}")
        return done.stdout


class EksPlace(ManagedPlace):
    """On Amazon's."""

    tier = "eks"


class GkePlace(ManagedPlace):
    """On Google's."""

    tier = "gke"


class AksPlace(ManagedPlace):
    """On Microsoft's."""

    tier = "aks"
