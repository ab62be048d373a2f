"""What the suite does and looks at on a machine of a cluster, run there. Standard library only, one file, Python 3.8+.

`VERB` and a JSON object in argv; what it has found as JSON on stdout. The verbs that begin with `api-` run on the
control plane, as its administrator; the others on the machine that has the container.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from typing import Any

ADMIN = "/etc/kubernetes/admin.conf"
OURS = "/opt/anytier/kubernetes"
# What is left of a cluster on a machine, in files. `*` has nothing else of a user's below it.
LEFT: tuple[str, ...] = (
    "/etc/kubernetes/*.conf",
    "/etc/kubernetes/manifests/*",
    "/etc/kubernetes/pki/*",
    "/var/lib/etcd/*",
    OURS,
    "/etc/cni/net.d/*flannel*",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pods/*",
    "/opt/cni/bin/flannel",
    "/etc/apt/*/anytier-kubernetes.*",
    "/etc/anytier/registries",
)
KINDS = {
    "/api/v1": ("pods", "services", "configmaps", "persistentvolumeclaims", "serviceaccounts", "endpoints", "events"),
    "/apis/apps/v1": ("deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"),
    "/apis/batch/v1": ("jobs", "cronjobs"),
    "/apis/networking.k8s.io/v1": ("networkpolicies", "ingresses"),
}


def main(argv: list[str]) -> None:
    verbs = {
        "api-pods": api_pods,
        "api-delete": api_delete,
        "api-scale": api_scale,
        "api-visible": api_visible,
        "api-about": api_about,
        "kill": kill,
        "visible": visible,
        "leftovers": leftovers,
    }
    json.dump(verbs[argv[1]](json.loads(argv[2])), sys.stdout)


# the API server, as its administrator


def api(method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    """The answer; text where it is no JSON."""
    with open(ADMIN) as stream:
        said = stream.read()

    def part(name: str) -> str:
        found = re.search(name + r": *(\S+)", said)
        return found.group(1) if found else ""

    trusted = base64.b64decode(part("certificate-authority-data")).decode()
    context = ssl.create_default_context(cadata=trusted)
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        files = []
        for name in ("client-certificate-data", "client-key-data"):
            files.append(os.path.join(folder, name))
            with open(os.open(files[-1], os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
                out.write(base64.b64decode(part(name)))
        context.load_cert_chain(*files)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(part("server") + path, data=data, method=method, headers={"Content-Type": kind})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=20) as answer:
        text = answer.read().decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def api_pods(asked: dict[str, Any]) -> Any:
    """Pods of the namespace: name, node, labels, and the containers by name -> id."""
    found = []
    for pod in api("GET", "/api/v1/namespaces/{ns}/pods".format(**asked))["items"]:
        states = pod["status"].get("containerStatuses") or []
        ids = {item["name"]: item.get("containerID", "").rpartition("/")[2] for item in states}
        first = pod["spec"]["containers"][0]["name"]
        meta = pod["metadata"]
        node = pod["spec"].get("nodeName", "")
        found.append(
            {"name": meta["name"], "node": node, "labels": meta.get("labels") or {}, "container": ids.get(first, "")}
        )
    return found


def api_delete(asked: dict[str, Any]) -> str:
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    api("DELETE", "/api/v1/namespaces/{ns}/pods/{pod}".format(**asked), body)
    return ""


def api_scale(asked: dict[str, Any]) -> str:
    """Behind everybody's back: how many a Deployment has."""
    path = "/apis/apps/v1/namespaces/{ns}/deployments/{name}/scale".format(**asked)
    api("PATCH", path, {"spec": {"replicas": asked["replicas"]}}, "application/merge-patch+json")
    return ""


def api_visible(asked: dict[str, Any]) -> dict[str, str]:
    """What somebody who may read everything of the namespace but Secrets can read."""
    seen = {}
    for group, kinds in KINDS.items():
        for kind in kinds:
            seen["objects " + kind] = json.dumps(api("GET", "{0}/namespaces/{ns}/{1}".format(group, kind, **asked)))
    for pod in api("GET", "/api/v1/namespaces/{ns}/pods".format(**asked))["items"]:
        for item in (pod["spec"].get("initContainers") or []) + pod["spec"]["containers"]:
            name = pod["metadata"]["name"]
            path = f"/api/v1/namespaces/{asked['ns']}/pods/{name}/log?container={item['name']}&tailLines=2000"
            try:
                seen[f"logs of {name}/{item['name']}"] = str(api("GET", path))
            except urllib.error.HTTPError:
                continue  # it has not started
    return seen


def api_about(asked: dict[str, Any]) -> dict[str, str]:
    nodes = api("GET", "/api/v1/nodes")["items"]
    info = nodes[0]["status"]["nodeInfo"]
    return {
        "nodes": str(len(nodes)),
        "kubernetes": info["kubeletVersion"],
        "runtime": info["containerRuntimeVersion"],
        "machine": info["osImage"],
        "kernel": info["kernelVersion"],
    }


# a machine


def kill(asked: dict[str, Any]) -> str:
    """SIGKILL to a process of a container, by its number in there; empty, or why not."""
    for pid in pids():
        if asked["container"] in text(f"/proc/{pid}/cgroup") and inside(pid) == asked["pid"]:
            os.kill(pid, signal.SIGKILL)
            return ""
    return "no process {pid} runs in container {container}".format(**asked)


def inside(pid: int) -> int:
    """A process's number in its own namespace."""
    found = re.search(r"^NSpid:.*?(\d+)$", text(f"/proc/{pid}/status"), re.MULTILINE)
    return int(found.group(1)) if found else 0


def visible(asked: dict[str, Any]) -> dict[str, str]:
    """What any process can read of the others, and what the machine's journal and the API's audit log hold."""
    seen = {f"argv of process {pid}": command_line(pid) for pid in pids()}
    journal = ["journalctl", "--since=-30min", "--no-pager", "--output=cat"]
    seen["journal"] = subprocess.run(journal, stdout=subprocess.PIPE).stdout.decode(errors="replace")
    for path in glob.glob("/var/log/kubernetes/**/*", recursive=True):
        seen["file " + path] = text(path)
    return seen


def leftovers(asked: dict[str, Any]) -> list[str]:
    """Of the whole cluster: it goes with the stack."""
    found = ["file " + path for pattern in LEFT for path in glob.glob(pattern)]
    for pid in pids():
        if "/kubepods" in text(f"/proc/{pid}/cgroup") or os.path.basename(command_line(pid).split(" ")[0]) == "kubelet":
            found.append(f"process {pid}: {command_line(pid)[:120]}")
    found += ["network " + name for name in ("cni0", "flannel.1") if os.path.exists("/sys/class/net/" + name)]
    return found


def pids() -> list[int]:
    own = {os.getpid(), os.getppid()}
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]


def command_line(pid: int) -> str:
    return text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(50_000_000).decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv)
