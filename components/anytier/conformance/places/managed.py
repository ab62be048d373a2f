"""A managed cluster as a place under test: everything by kubectl, since nobody logs in to its machines.

The suite's own stack makes the cluster, and says the way in once it is there. kubectl runs the cloud's command of that
kubeconfig, so whoever tests must be logged in to the cloud; nothing of the way in is kept.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anytier.conformance.check import Failed
from anytier.conformance.places.base import Report
from anytier.conformance.places.kubeadm import ROUTER, bridged

_PATIENCE = 60  # seconds for one command
_GONE = 120.0  # seconds until a cloud has taken volumes and load balancers away
_BALANCED = 300.0  # seconds until it has made a load balancer
_KINDS = "pods,deployments,statefulsets,daemonsets,jobs,services,configmaps,events"
_SIGNAL = "import os, sys; os.kill(int(sys.argv[1]), int(sys.argv[2]))"
# Among all processes of a machine: the one that has this number in this container.
_KILL = """
import os, re, sys
container, pid = sys.argv[1:]
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        groups, status = (open(f"/proc/{name}/{file}").read() for file in ("cgroup", "status"))
    except OSError:
        continue
    if container in groups and re.search(rf"^NSpid:.*\\b{pid}$", status, re.MULTILINE):
        os.kill(int(name), 9)
        sys.exit()
sys.exit(f"no process {pid} runs in container {container}")
"""
_ASKED = 15
# Where the cloud lets no pod look at the machine around it.
_CLOSED = ("autopilot", "automatic")


class ManagedPlace:
    """`Place` on a cluster, which `Heals` and is `Told` where it is. An instance is a pod: its hostname is its name."""

    tier: str
    mode: str | None = None
    containers = True
    patience = 1800.0  # the first run makes the cluster
    backoff = 90.0  # seconds that a kubelet may wait with what has died several times

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.mode = str(config.get("mode") or "standard")
        self.address = "localhost"  # until the stack says more
        self.network: str | None = None
        self._config: Path | None = None

    def told(self, outputs: Mapping[str, Any]) -> bool:
        if outputs.get("kubeconfig"):
            self._config = self._config or self._kept() / "kubeconfig"
            self._config.write_text(str(outputs["kubeconfig"]), encoding="utf-8")
        host = urlsplit(str(outputs.get("url") or "")).hostname
        if host is None:
            return False
        self.address, self.network = host, bridged(host)
        return self._config is not None

    def _kept(self) -> Path:
        """A folder of ours alone, for as long as there is this place."""
        folder = Path(tempfile.mkdtemp(prefix="anytier-test-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def exposed(self, ns: str, port: int) -> str:
        """Each Service has a load balancer of its own."""
        end = time.monotonic() + _BALANCED
        while True:
            for item in self._items(ns, "services"):
                if item["spec"].get("type") == "LoadBalancer" and port in [
                    one["port"] for one in item["spec"]["ports"]
                ]:
                    found = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
                    if address := found[0].get("hostname") or found[0].get("ip"):
                        return str(address)
            if time.monotonic() > end:
                raise Failed(f"no load balancer takes port {port} after {_BALANCED:.0f} s")
            time.sleep(1)

    def versions(self) -> dict[str, str]:
        found = {"kubernetes": str(self._json("version")["serverVersion"]["gitVersion"])}
        nodes = self._json("get", "nodes")["items"]
        if nodes:
            info = nodes[0]["status"]["nodeInfo"]
            found |= {"runtime": info["containerRuntimeVersion"], "machine": info["osImage"]}
            found |= {"kernel": info["kernelVersion"]}
        return {**found, "nodes": str(len(nodes))}

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        self._kill(ns, str(report["hostname"]), int(report["pid"]))

    def kill_instance(self, ns: str, report: Report) -> None:
        self._kill(ns, str(report["hostname"]), 1)

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

    def _kill(self, ns: str, pod: str, pid: int) -> None:
        """SIGKILL from the machine around the container, by a pod that sees its processes: from inside, the kernel
        keeps the first process from it. Where no such pod may be, the first process is asked to end."""
        if self.mode in _CLOSED:
            # By the app's own Python: its image need not have a shell.
            self._kubectl(["-n", ns, "exec", pod, "--", "python3", "-c", _SIGNAL, "1", str(_ASKED)])
            return
        killer = killer_of(self._json("-n", ns, "get", "pod", pod), pid)
        name = killer["metadata"]["name"]
        try:
            self._kubectl(["-n", "default", "create", "-f", "-"], given=json.dumps(killer))
            ended = ["wait", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={_PATIENCE - 10}s", f"pod/{name}"]
            try:
                self._kubectl(["-n", "default", *ended])
            except Failed as failed:
                said = self._kubectl(["-n", "default", "logs", name], check=False).strip()
                raise Failed(f"process {pid} of {pod} is not killed: {said or failed.what}") from None
        finally:
            self._kubectl(["-n", "default", "delete", "pod", "--wait=false", "--ignore-not-found", name])

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        """What somebody reads who may look at everything but Secrets."""
        seen = {"objects": self._kubectl(["-n", ns, "get", _KINDS, "-o", "json"])}
        for pod in self._items(ns, "pods"):
            name = pod["metadata"]["name"]
            seen[f"logs of {name}"] = self._kubectl(["-n", ns, "logs", "--all-containers", name], check=False)
        return seen

    def leftovers(self, ns: str) -> list[str]:
        """In a cluster that does not answer any more, since it has gone with the stack, nothing is left."""
        end = time.monotonic() + _GONE
        while self._kubectl(["get", "--raw=/readyz"], check=False).strip() == "ok":
            found = self._left(ns)
            if not found or time.monotonic() > end:
                return found
            time.sleep(1)  # a volume goes after its claim
        return []

    def _left(self, ns: str) -> list[str]:
        named = self._kubectl(["get", "ns", ns, "--ignore-not-found", "-o", "name"]).strip()
        volumes = self._json("get", "persistentvolumes").get("items") or []
        return [
            *([f"namespace {ns}"] if named else []),
            *(
                f"volume {item['metadata']['name']}"
                for item in volumes
                if (item["spec"].get("claimRef") or {}).get("namespace") == ns
            ),
        ]

    # kubectl

    def _items(self, ns: str, kind: str, *more: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("-n", ns, "get", kind, *more)["items"]
        return found

    def _json(self, *argv: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._kubectl([*argv, "-o", "json"]))
        return found

    def _kubectl(self, argv: list[str], check: bool = True, given: str | None = None) -> str:
        """By the stack's own kubeconfig; before there is one, by whichever this shell has."""
        own = {"KUBECONFIG": str(self._config)} if self._config else {}
        try:
            done = subprocess.run(
                ["kubectl", *argv],
                env={**os.environ, **own},
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"kubectl: {error}") from None
        if check and done.returncode != 0:
            raise Failed(f"kubectl {' '.join(argv[:4])}: {done.stderr.strip()[-300:]}")
        return done.stdout


def balanced_at(service: Mapping[str, Any], port: int) -> str | None:
    """Where a Service's load balancer takes a port; None for one that does not, or that nobody has made yet."""
    spec = service["spec"]
    if spec.get("type") != "LoadBalancer" or port not in [item["port"] for item in spec["ports"]]:
        return None
    found = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    address = found[0].get("hostname") or found[0].get("ip")
    return str(address) if address else None


def killer_of(pod: Mapping[str, Any], pid: int) -> dict[str, Any]:
    """A pod on the machine of `pod` that ends a process of its first container. It is made of that container's own
    image, which has Python and is there already. Failed if the container has not started."""
    first = pod["spec"]["containers"][0]
    states = {item["name"]: item for item in pod["status"].get("containerStatuses") or ()}
    container = str(states.get(first["name"], {}).get("containerID") or "").rpartition("/")[2]
    if not container:
        raise Failed(f"pod {pod['metadata']['name']} has no container")
    rights = {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["KILL"]}, "allowPrivilegeEscalation": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"anytier-test-kill-{secrets.token_hex(4)}"},
        "spec": {
            "nodeName": pod["spec"]["nodeName"],
            "hostPID": True,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "kill",
                    "image": first["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", _KILL, container, str(pid)],
                    "securityContext": rights,
                }
            ],
        },
    }


class EksPlace(ManagedPlace):
    """On Amazon's."""

    tier = "eks"


class GkePlace(ManagedPlace):
    """On Google's."""

    tier = "gke"


class AksPlace(ManagedPlace):
    """On Microsoft's."""

    tier = "aks"
