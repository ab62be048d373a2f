"""The proxy's container that is made anew, where the daemon does not play along."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.provider.sink import Sink

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.provider.docker import caddy, proxy
from anytier.provider.docker.client import Daemon, Endpoint
from anytier.provider.docker.models import without_secrets
from anytier.provider.docker.proxy import ProxyInputs, ProxyResource
from anytier.provider.resource import Context
from anytier.render.proxy import ProxyConfig

ID, OLD = "app-proxy", "0" * 64


class Losing(Daemon):
    """A daemon on which somebody removes the old container as soon as the new one is made, which cannot start then."""

    def __init__(self) -> None:
        super().__init__(Endpoint(), None)  # type: ignore[arg-type]
        self.there = {ID: OLD}
        self.files: list[str] = []

    async def put_files(self, container: str, path: str, tar: bytes) -> None:
        self.files.append(container)

    async def get_files(self, container: str, path: str) -> bytes:
        raise NotFound(f"container {container}", "has no such file")

    async def call(self, method: str, path: str, body: Any = None, about: str = "", *_: Any, **params: Any) -> Any:
        if path == "containers/create":
            self.there = {params["name"]: "new"}
            return {"Id": "new"}
        name, _, verb = path.removeprefix("containers/").partition("/")
        name = next((key for key, id in self.there.items() if id == name), name)
        if name not in self.there:
            raise NotFound(path, "No such container")
        if verb == "json":
            return {"Id": self.there[name]}
        if verb == "start":
            raise Rejected("proxy", "port 80 is taken")
        if verb == "rename":
            self.there[params["name"]] = self.there.pop(name)
        if method == "DELETE":
            del self.there[name]
        return None


async def test_why_a_new_proxy_could_not_start_is_said_though_the_old_one_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ensured(there: Daemon) -> None:
        return

    monkeypatch.setattr(proxy.tools, "ensure", ensured)
    there, ctx = Losing(), Context("urn", "proxy", Sink())
    inputs = ProxyInputs(ns="app", network="app", config=ProxyConfig(listeners={}, routes=[], pools={}))
    assert caddy.container_name("app") == ID
    with pytest.raises(AnytierError, match="port 80 is taken"):
        await ProxyResource()._replace(ctx, there, ID, inputs, {}, {"Id": OLD})
    assert there.there == {}, "no half of a proxy stays"


async def test_a_refresh_gives_a_busy_machine_time_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking is running a command in the container, which takes seconds where much else is going on."""
    patience = []

    class Running(Losing):
        async def call(self, method: str, path: str, *_: Any, **__: Any) -> Any:
            return {"Id": OLD, "State": {"Running": True}}

        async def run(self, container: str, argv: Any, timeout: float = 60, user: str | None = None) -> Any:
            patience.append(timeout)
            raise TimeoutError

    async def daemon(endpoint: Endpoint) -> Daemon:
        return Running()

    monkeypatch.setattr(proxy, "daemon", daemon)
    inputs = ProxyInputs(ns="app", network="app", config=ProxyConfig())
    seen = await ProxyResource().read(Context("urn", "t", Sink()), ID, inputs, None)
    assert seen is not None and seen[1].running is False and patience == [30.0]


def test_the_key_to_the_daemons_machine_is_not_written_there() -> None:
    """Whoever may read a container's labels, or what a workload remembers, must not be able to log in."""
    machine = {"address": "10.0.0.5", "user": "anytier", "privateKey": "the key"}
    where = {"endpoint": {"machine": machine}, "ns": "app", "network": "app"}
    made = ProxyInputs.model_validate({**where, "config": ProxyConfig()})
    assert made.endpoint.machine is not None and made.endpoint.machine.private_key == "the key"
    for written in (proxy.container_body(made, "caddy"), without_secrets(made)):
        assert "10.0.0.5" in json.dumps(written) and "the key" not in json.dumps(written)
