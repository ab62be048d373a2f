"""One app called `shop` on a daemon, to test workloads in: short names for what a stack's program would say."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from anytier.provider.docker import labels
from anytier.provider.docker.client import Daemon, Endpoint
from anytier.provider.docker.day2 import DockerBackend
from anytier.provider.docker.network import NetworkInputs, NetworkOutputs, NetworkResource
from anytier.provider.docker.proxy import ProxyInputs, ProxyOutputs, ProxyResource
from anytier.provider.docker.workload import WorkloadInputs, WorkloadOutputs, WorkloadResource
from anytier.provider.resource import Context
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route
from anytier.render.template import Container, File, HttpGet, Port, Probe, Template, UpdatePolicy

from .ground import Ground

IMAGE = "python:3.11-slim"
APP = Path(__file__).with_name("dockerapp.py")
CANARY = "canary-7f3a-secret"
READY = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, timeout=1)
_INSIDE = 48080


class Shop:
    """Everything begins with `ns`, the ground's."""

    def __init__(self, ground: Ground, host: str | None = None) -> None:
        self.ground, self.ns, self.there = ground, ground.ns, ground.there
        self.endpoint = Endpoint(host=host) if host else Endpoint()
        self.port = free_port()
        self.base: dict[str, Any] = {"endpoint": self.endpoint, "ns": self.ns, "network": self.ns}
        self.id = f"{self.ns}/web"

    def context(self) -> Context:
        return self.ground.context()

    # inputs

    def proxy_inputs(self, **more: Any) -> ProxyInputs:
        config = ProxyConfig(
            listeners={"public": Listener(address=f":{_INSIDE}")},
            routes=[Route(listener="public", pool="web/http")],
            pools={"web/http": Pool()},
        )
        publish = [{"address": "127.0.0.1", "port": self.port, "listen_port": _INSIDE}]
        return ProxyInputs.model_validate({**self.base, "config": config, "publish": publish, **more})

    def container(self, version: str = "1", mode: str = "good", **more: Any) -> Container:
        values: dict[str, Any] = {
            "name": "web",
            "image": IMAGE,
            "command": ["python3", "/app/app.py"],
            "user": "10001",
            "env": {"VERSION": version, "MODE": mode},
            "secret_env": {"PASSWORD": "db"},
            "readiness": READY,
            "stop_grace": 5,
            **more,
        }
        app = File(target="/app/app.py", content=APP.read_text())
        return Container(**{**values, "files": [app, *values.get("files", [])]})

    def inputs(self, version: str = "1", mode: str = "good", **more: Any) -> WorkloadInputs:
        process = {key: more.pop(key) for key in list(more) if key in Container.model_fields}
        policy = {"min_healthy_time": 0.3, "healthy_deadline": 10, "progress_deadline": 40, "drain_timeout": 5}
        ports = [Port(name="http", port=80, target=8080)]
        values = {
            **self.base,
            "owner": "/home/me/shop",
            "workload": "web",
            "template": Template(containers=[self.container(version, mode, **process)], ports=ports),
            "secrets": {"db": CANARY},
            "replicas": 2,
            "update": UpdatePolicy(**{**policy, **more.pop("policy", {})}),
            "pools": {"http": "web/http"},
            "proxy": f"{self.ns}-proxy",
            **more,
        }
        return WorkloadInputs.model_validate(values)

    def alone(self, *args: str, **more: Any) -> WorkloadInputs:
        """One replica that no proxy knows."""
        return self.inputs(*args, **{"replicas": 1, "pools": {}, "proxy": None, **more})

    # acts

    async def make_network(self) -> None:
        await NetworkResource().create(self.context(), NetworkInputs(endpoint=self.endpoint, name=self.ns))

    async def make_proxy(self) -> ProxyOutputs:
        await self.make_network()
        return (await ProxyResource().create(self.context(), self.proxy_inputs()))[1]

    async def create(self, inputs: WorkloadInputs | None = None) -> WorkloadOutputs:
        return (await WorkloadResource().create(self.context(), inputs or self.inputs()))[1]

    async def up(self, inputs: WorkloadInputs | None = None) -> WorkloadOutputs:
        await self.make_proxy()
        return await self.create(inputs)

    async def update(self, state: WorkloadOutputs, inputs: WorkloadInputs) -> WorkloadOutputs:
        return await WorkloadResource().update(self.context(), self.id, inputs, state, inputs)

    async def read(self, inputs: WorkloadInputs | None = None) -> tuple[WorkloadInputs, WorkloadOutputs] | None:
        return await WorkloadResource().read(self.context(), self.id, inputs or self.inputs(), None)

    async def delete(self, inputs: WorkloadInputs | None = None) -> None:
        state = WorkloadOutputs(revision=1, hash="", replicas=1)
        await WorkloadResource().delete(self.context(), self.id, inputs or self.inputs(), state)

    async def down(self, inputs: WorkloadInputs | None = None) -> None:
        await self.delete(inputs)
        name = f"{self.ns}-proxy"
        await ProxyResource().delete(self.context(), name, self.proxy_inputs(), ProxyOutputs(running=True))
        network = NetworkInputs(endpoint=self.endpoint, name=self.ns)
        await NetworkResource().delete(self.context(), self.ns, network, NetworkOutputs())

    def backend(self) -> DockerBackend:
        return DockerBackend(self.endpoint.wire(), self.ns)

    # looks

    def get(self, path: str = "/", timeout: float = 10) -> str:
        url = f"http://127.0.0.1:{self.port}{urllib.parse.quote(path, safe='/?')}"
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return str(answer.read().decode())

    async def aget(self, path: str = "/", timeout: float = 10) -> str:
        return await asyncio.to_thread(self.get, path, timeout)

    async def containers(self, role: str = "workload") -> dict[str, str]:
        """Name -> id of what runs."""
        listed = await self.there.get("containers/json", filters=labels.filters(namespace=self.ns, role=role))
        return {labels.name_of(item): str(item["Id"]) for item in listed}

    async def pid(self, name: str) -> int:
        """Of the container's first process."""
        return int((await self.there.get(f"containers/{name}/json"))["State"]["Pid"])

    async def until(self, check: Any, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                found = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.1)

    async def left(self) -> list[str]:
        """What is there of this app, in words."""
        there: Daemon = self.there
        found = [f"container {labels.name_of(item)}" for item in await there.get("containers/json", all=True)]
        found += [f"network {item['Name']}" for item in await there.get("networks")]
        found += [f"volume {item['Name']}" for item in (await there.get("volumes"))["Volumes"] or ()]
        return [text for text in found if self.ns in text]


class Load:
    """Steady requests from several clients, keep-alive, fresh and slow ones among them."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port, self.failed, self.done = port, list[str](), 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        self._threads.append(threading.Thread(target=self._slow, daemon=True))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *error: object) -> None:
        time.sleep(0.3)
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _client(self, number: int) -> None:
        keep = number % 2 == 0
        connection: http.client.HTTPConnection | None = None
        for _ in range(20000):
            if self._stop.is_set():
                break
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self._count(answer.status)
                if answer.will_close or not keep:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{'kept' if keep else 'fresh'}: {error!r}")
                if connection is not None:
                    connection.close()
                connection = None
            time.sleep(0.01)
        if connection is not None:
            connection.close()

    def _slow(self) -> None:
        for _ in range(1000):
            if self._stop.is_set():
                return
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/slow?0.7", timeout=10) as answer:
                    self._count(answer.status)
            except OSError as error:
                self.failed.append(f"slow: {error!r}")

    def _count(self, status: int) -> None:
        self.done += 1
        if status != 200:
            self.failed.append(f"status {status}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def have_base_image() -> None:
    """The image that the tests' app runs in; where no registry answers, the project's own stand-in."""
    tool = Path(__file__).parents[3] / "tools" / "base_image.py"
    subprocess.run([sys.executable, str(tool)], check=True, capture_output=True)
