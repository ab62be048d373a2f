"""A Docker daemon of this machine as a place under test, over the Engine API. Standard library only.

The suite talks to the app on 127.0.0.1, so that only a local socket can be tested; who deploys to a remote daemon runs
the suite there.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from anytier.conformance.check import Failed
from anytier.conformance.places import weigh
from anytier.conformance.places.base import Report, Weight
from anytier.conformance.places.local import command_lines
from anytier.errors import ConfigError, Unreachable

LABEL = "dev.anytier.namespace"


class DockerPlace:
    """`Place` on a Docker daemon."""

    tier = "docker"
    mode: str | None = None
    address = "127.0.0.1"
    containers = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        for key in ("machine", "libvirt"):
            if config.get(key):
                raise ConfigError(f"anytier:docker.{key}", "the suite tests a local daemon", "run it on that machine")
        host = str(config.get("host") or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        if not host.startswith("unix://"):
            raise ConfigError(
                "anytier:docker.host", f"the suite tests a local daemon, not {host}", "run it on that machine"
            )
        self.socket = host.removeprefix("unix://")

    def versions(self) -> dict[str, str]:
        found = self.call("GET", "/version")
        return {"docker": str(found["Version"]), "api": str(found["ApiVersion"]), "kernel": str(found["KernelVersion"])}

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        """The app's own process: where an init is the container's first one, its oldest child.

        The oldest, not the lowest number: numbers wrap, and an init takes over what a health check leaves behind.
        """
        found = self._container(ns, report)
        first = int(found["State"]["Pid"])
        table = self.call("GET", f"/containers/{found['Id']}/top?ps_args={quote('-eo pid,ppid,etimes')}")["Processes"]
        children = [(int(age), int(pid)) for pid, parent, age, *_ in table if int(parent) == first]
        self._kill(found, max(children, default=(0, first))[1])

    def kill_instance(self, ns: str, report: Report) -> None:
        found = self._container(ns, report)
        self._kill(found, int(found["State"]["Pid"]))

    def kill_proxy(self, ns: str) -> None:
        found = [item for item in self._all(ns) if item["Name"].endswith("-proxy")]
        if not found:
            raise Failed(f"no proxy of {ns} runs")
        for item in found:
            self._kill(item, int(item["State"]["Pid"]))

    def remove_instance(self, ns: str, report: Report) -> None:
        self.call("DELETE", f"/containers/{self._container(ns, report)['Id']}?force=true")

    def _container(self, ns: str, report: Report) -> dict[str, Any]:
        for found in self._all(ns):
            if found["Config"]["Hostname"] == report["hostname"] or found["Id"].startswith(report["hostname"]):
                return found
        raise Failed(f"no container of {ns} is {report['instance']}")

    def _kill(self, container: Mapping[str, Any], pid: int) -> None:
        """SIGKILL from outside, as the kernel's OOM killer would: the daemon's own kill would count as a wanted stop.

        A process of another user can only be reached by a container that sees the machine's processes.
        """
        with suppress(PermissionError):
            os.kill(pid, 9)
            return
        made = self.call(
            "POST",
            f"/containers/create?name=anytier-test-kill-{secrets.token_hex(4)}",
            {
                "Image": container["Image"],
                "User": "0:0",
                "Entrypoint": ["python3", "-c", f"import os; os.kill({pid}, 9)"],
                "Cmd": [],
                "HostConfig": {"PidMode": "host", "NetworkMode": "none"},
            },
        )
        try:
            self.call("POST", f"/containers/{made['Id']}/start")
            self.call("POST", f"/containers/{made['Id']}/wait")
        finally:
            self.call("DELETE", f"/containers/{made['Id']}?force=true")

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        seen = {f"argv of process {pid}": text for pid, text in command_lines()}
        for found in self._all(ns):
            name = found["Name"].lstrip("/")
            seen[f"inspect {name}"] = json.dumps(found)
            seen[f"logs of {name}"] = self.text("GET", f"/containers/{found['Id']}/logs?stdout=1&stderr=1&tail=2000")
            seen[f"history of {name}'s image"] = self.text("GET", f"/images/{found['Image']}/history")
        for kind in ("networks", "volumes"):
            seen[kind] = self.text("GET", f"/{kind}")
        return seen

    def leftovers(self, ns: str) -> list[str]:
        found = [f"container {item['Names'][0].lstrip('/')}" for item in self._listed(ns)]
        found += [f"network {item['Name']}" for item in self.call("GET", "/networks") if ns in item["Name"]]
        volumes = self.call("GET", "/volumes")["Volumes"] or []
        found += [f"volume {item['Name']}" for item in volumes if ns in item["Name"]]
        tags = [tag for image in self.call("GET", "/images/json") for tag in image["RepoTags"] or []]
        found += [f"image {tag}" for tag in tags if ns in tag]
        return found + [f"process {pid}: {text[:120]}" for pid, text in command_lines() if ns in text]

    # weights

    def machine(self) -> dict[str, Any]:
        return weigh.machine()

    def platform(self, ns: str) -> dict[str, Weight]:
        found = weigh.docker({"socket": self.socket, **ours(list(self._all(ns)))})
        return {key: Weight(**item) for key, item in found.items()}

    def _listed(self, ns: str) -> list[dict[str, Any]]:
        listed = self.call("GET", "/containers/json?all=true")
        return [c for c in listed if c["Labels"].get(LABEL) == ns or any(ns in name for name in c["Names"])]

    def _all(self, ns: str) -> Iterator[dict[str, Any]]:
        for item in self._listed(ns):
            with suppress(Failed):  # it may go while we look
                yield self.call("GET", f"/containers/{item['Id']}/json")

    # the Engine API

    def call(self, method: str, path: str, body: Any = None) -> Any:
        text = self.text(method, path, body)
        return json.loads(text) if text else {}

    def text(self, method: str, path: str, body: Any = None) -> str:
        connection = Engine(self.socket)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"docker {self.socket}", str(error), "start the daemon") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise Failed(f"docker: {method} {path}: HTTP {answer.status} {text[:200]}")
        return text


def ours(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """What `weigh.docker` is asked for, from the inspections of an app's containers."""
    proxies = [item for item in containers if item["Name"].endswith("-proxy")]
    bound = [item["NetworkSettings"].get("Ports") or {} for item in containers]
    ports = {one["HostPort"] for item in bound for several in item.values() for one in several or ()}
    return {
        "containers": [item["Id"] for item in containers],
        "proxies": [item["State"]["Pid"] for item in proxies if item["State"]["Pid"]],
        "ports": sorted(ports),
    }


class Engine(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)
