"""A corner of this machine to test host resources in: short names for what a stack's program would say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anytier.provider.host.day2 import HostBackend
from anytier.provider.host.layout import Layout
from anytier.provider.host.manager import Supervisor
from anytier.provider.host.place import Place, of
from anytier.provider.host.proxy import ProxyInputs, ProxyOutputs, ProxyResource
from anytier.provider.host.transport import LocalMachine
from anytier.provider.host.workload import WorkloadInputs, WorkloadOutputs, WorkloadResource
from anytier.provider.resource import Context
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route
from anytier.render.template import HostProcess, HttpGet, Limits, Mount, Port, Probe, Template, UpdatePolicy

APP = Path(__file__).with_name("hostapp.py")
CANARY = "canary-7f3a-secret"
READY = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, timeout=1)


class Sink:
    """Keeps what a user would see."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def status(self, urn: str, text: str) -> None:
        self.lines.append(text)

    info = warn = status


class Corner:
    """One app called `shop` in a folder of its own."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.root = str(folder / "state dir")  # a space, since users have those
        self.ns = f"anytier-test-{folder.name[-12:].lower().replace('_', '-').strip('-')}-shop"
        self.supervisor = supervisor
        self.port = free_port()
        self.sink = Sink()
        self.base: dict[str, Any] = {
            "machine": {"kind": "local"},
            "root": self.root,
            "supervisor": supervisor,
            "ns": self.ns,
            "owner": "/home/me/shop",
        }
        self.volume_path = f"{self.root}/volumes/data"

    def context(self) -> Context:
        return Context("urn:pulumi:dev::shop::x::y", "y", self.sink)

    async def place(self) -> Place:
        return await of(self.proxy_inputs())

    # inputs

    def proxy_inputs(self, **more: Any) -> ProxyInputs:
        config = ProxyConfig(
            listeners={"public": Listener(address=f"127.0.0.1:{self.port}")},
            routes=[Route(listener="public", pool="web/http")],
            pools={"web/http": Pool()},
        )
        return ProxyInputs.model_validate({**self.base, "config": config, **more})

    def template(self, version: str = "1", mode: str = "good", **more: Any) -> Template:
        process: dict[str, Any] = {
            "command": ["python3", str(APP)],
            "working_dir": str(APP.parent),
            "env": {"VERSION": version, "MODE": mode},
            "secret_env": {"PASSWORD": "db"},
            "readiness": READY,
            "stop_grace": 5,
            **more,
        }
        ports = [Port(name="http", port=80, target=8080)]
        return Template(process=HostProcess(**process), ports=ports)

    def inputs(self, version: str = "1", mode: str = "good", **more: Any) -> WorkloadInputs:
        process = {key: more.pop(key) for key in list(more) if key in HostProcess.model_fields}
        policy = {"min_healthy_time": 0.3, "healthy_deadline": 6, "progress_deadline": 20, "drain_timeout": 5}
        values = {
            **self.base,
            "workload": "web",
            "template": self.template(version, mode, **process),
            "secrets": {"db": CANARY},
            "replicas": 2,
            "update": UpdatePolicy(**{**policy, **more.pop("policy", {})}),
            "pools": {"http": "web/http"},
            "proxy": f"{self.ns}/proxy",
            **more,
        }
        return WorkloadInputs.model_validate(values)

    def with_volume(self, **more: Any) -> WorkloadInputs:
        mounts = [Mount(target="/data", volume="data")]
        return self.inputs(volumes={"data": self.volume_path}, mounts=mounts, **more)

    # acts

    async def make_proxy(self) -> ProxyOutputs:
        return (await ProxyResource().create(self.context(), self.proxy_inputs()))[1]

    async def create(self, inputs: WorkloadInputs | None = None) -> WorkloadOutputs:
        return (await WorkloadResource().create(self.context(), inputs or self.inputs()))[1]

    async def up(self, inputs: WorkloadInputs | None = None) -> WorkloadOutputs:
        await self.make_proxy()
        return await self.create(inputs)

    async def update(self, state: WorkloadOutputs, inputs: WorkloadInputs) -> WorkloadOutputs:
        return await WorkloadResource().update(self.context(), f"{self.ns}/web", inputs, state, inputs)

    async def read(self, inputs: WorkloadInputs | None = None) -> tuple[WorkloadInputs, WorkloadOutputs] | None:
        return await WorkloadResource().read(self.context(), f"{self.ns}/web", inputs or self.inputs(), None)

    async def delete(self, inputs: WorkloadInputs | None = None) -> None:
        state = WorkloadOutputs(revision=1, hash="", replicas=1)
        await WorkloadResource().delete(self.context(), f"{self.ns}/web", inputs or self.inputs(), state)

    async def delete_proxy(self) -> None:
        await ProxyResource().delete(
            self.context(), f"{self.ns}/proxy", self.proxy_inputs(), ProxyOutputs(running=True)
        )

    async def down(self, inputs: WorkloadInputs | None = None) -> None:
        await self.delete(inputs)
        await self.delete_proxy()

    def backend(self) -> HostBackend:
        return HostBackend({"kind": "local"}, self.root, self.ns, self.supervisor)

    # looks

    def get(self, path: str = "/", timeout: float = 10) -> str:
        url = f"http://127.0.0.1:{self.port}{urllib.parse.quote(path, safe='/?')}"
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return str(answer.read().decode())

    async def aget(self, path: str = "/", timeout: float = 10) -> str:
        return await asyncio.to_thread(self.get, path, timeout)

    async def pids(self) -> dict[str, int]:
        states = await (await self.place()).manager.states()
        return {name: state.pid for name, state in states.items() if "-web-" in name and state.running}

    async def until(self, check: Any, timeout: float = 15) -> None:
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError, AssertionError):
                found = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.1)

    def processes(self) -> list[str]:
        """Command lines of everything that carries our marker."""
        wanted = f"ANYTIER_ROOT={self.root}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def units(self) -> list[str]:
        folders = [Path("/etc/systemd/system"), Path.home() / ".config/systemd/user"]
        return [str(path) for folder in folders if folder.is_dir() for path in folder.rglob(f"{self.ns}-*")]

    def clean(self) -> None:
        """Nothing is left: no process, no unit, no file."""
        assert self.processes() == []
        assert self.units() == []
        assert not Path(self.root).exists(), sorted(str(path) for path in Path(self.root).rglob("*"))

    def wipe(self) -> None:
        """After a test, however it went."""
        user = ["--user"] if self.supervisor == "systemd-user" else []
        for unit in self.units():
            subprocess.run(["systemctl", *user, "disable", "--now", Path(unit).name], capture_output=True)
            Path(unit).unlink(missing_ok=True)
        tool = Path(sys.modules["anytier"].__path__[0]) / "provider/host/tool.py"
        asked = json.dumps({"root": self.root, "grace": 0.3}).encode()
        subprocess.run([sys.executable, str(tool), "reap"], input=asked, capture_output=True, check=True)
        sockets = Layout(self.root, self.ns).sockets(asyncio.run(LocalMachine().facts()), self.supervisor)
        shutil.rmtree(sockets, ignore_errors=True)


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
        import http.client

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
            time.sleep(0.005)

        if connection is not None:
            connection.close()

    def _slow(self) -> None:
        for _ in range(1000):
            if self._stop.is_set():
                return
            try:
                url = f"http://127.0.0.1:{self.port}/slow?0.7"
                with urllib.request.urlopen(url, timeout=10) as answer:
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


@contextlib.contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield


def limits(**values: Any) -> Limits:
    return Limits(**values)


def is_root() -> bool:
    return os.geteuid() == 0
