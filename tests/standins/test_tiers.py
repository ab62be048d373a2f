"""The managed tiers' real programs, with the clouds' real SDKs, before the stand-ins: each thing is checked, made and
taken down again as an engine would ask, without one. In a second what test_conformance_managed.py takes minutes for,
as far as the clouds go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2, resource_pb2
from tests.runtimes import record
from tests.standins.installed import needs_sdks
from tests.standins.plugin import Plugin, cloud
from tests.standins.project import PROVIDERS
from tests.standins.stacks import NAME, STACKS, CloudProject
from tests.standins.test_plugin import Rpc
from tests.standins.world import World

from anytier import program

pytestmark = needs_sdks
CLUSTER = {"endpoint": "https://192.0.2.9:6443", "ca": "Q0E="}
ADDRESS = "192.0.2.10"
# Of the app's own load balancer, where the tier waits for one.
BALANCED = {"anytier:kubernetes:Address": {"address": ADDRESS}}


class Clouds:
    """The three plugins, in a loop of their own thread."""

    def __init__(self, world: World, config: dict[str, str]) -> None:
        self.world, self.rpc = world, Rpc()
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.plugins = {name: Plugin(cloud(name), world) for name in PROVIDERS}
        for name, plugin in self.plugins.items():
            own = {key.partition(":")[2]: value for key, value in config.items() if key.startswith(f"{name}:")}
            self.wait(plugin.Configure(provider_pb2.ConfigureRequest(args=record_of(own)), self.rpc))

    def wait(self, running: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(running, self.loop)
        return future.result(60)

    def of(self, token: str) -> Plugin | None:
        return self.plugins.get(token.partition(":")[0])

    def made(self, plugin: Plugin, urn: str, inputs: Any) -> Any:
        """(id, outputs) of what was asked for, once it is there."""
        checked = self.wait(plugin.Check(provider_pb2.CheckRequest(urn=urn, news=inputs, randomSeed=b"1"), self.rpc))
        assert not checked.failures, (urn, [item.reason for item in checked.failures])
        made = self.wait(plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=checked.inputs), self.rpc))
        return made.id, made.properties

    def delete(self, urn: str, id: str) -> None:
        plugin = self.of(urn.split("::")[2].rpartition("$")[2])
        assert plugin is not None
        self.wait(plugin.Delete(provider_pb2.DeleteRequest(urn=urn, id=id), self.rpc))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


def record_of(data: dict[str, Any]) -> Any:
    from google.protobuf.struct_pb2 import Struct

    return json_format.ParseDict(data, Struct())


@contextlib.contextmanager
def answering(clouds: Clouds) -> Iterator[list[tuple[str, str]]]:
    """A monitor for `record` that has the clouds make what is theirs; (urn, id) of it, in order."""
    made: list[tuple[str, str]] = []

    class Monitor(record._Monitor):
        def RegisterResource(self, request: Any) -> Any:
            answer = super().RegisterResource(request)
            plugin = clouds.of(request.type)
            if plugin is None:
                return answer
            with self.lock:  # one after the other: an order in which each has what it needs
                id, outputs = clouds.made(plugin, answer.urn, request.object)
                made.append((answer.urn, id))
            return resource_pb2.RegisterResourceResponse(urn=answer.urn, id=id, object=outputs)

        def Invoke(self, request: Any) -> Any:
            plugin = clouds.of(request.tok)
            if plugin is None:
                return super().Invoke(request)
            asked = provider_pb2.InvokeRequest(tok=request.tok, args=request.args)
            answer = clouds.wait(plugin.Invoke(asked, clouds.rpc))
            assert not answer.failures, (request.tok, answer.failures)
            return resource_pb2.ResourceInvokeResponse(**{"return": getattr(answer, "return")})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "_Monitor", Monitor)
        yield made


@pytest.mark.parametrize("tier", STACKS)
def test_the_shortest_stack_is_taken_and_goes_again(tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = CloudProject(tmp_path, tier, builder="unix:///nowhere.sock")
    project.world.tell(clusters={"*": CLUSTER}, address=ADDRESS)
    stack = yaml.safe_load((project.folder / "stacks" / f"Pulumi.{NAME}.yaml").read_text())["config"]
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stack.items()}
    config["anytier:secret.canary"] = "given"
    monkeypatch.chdir(project.folder)

    def run() -> None:
        loaded = program.load()
        program.check(loaded)
        program.deploy(loaded)

    clouds = Clouds(project.world, config)
    try:
        with answering(clouds) as made:
            found = record.record(run, config, stack=NAME, answers=BALANCED)
        kubeconfig = yaml.safe_load(found.exports["kubeconfig"].value)
        assert kubeconfig["clusters"][0]["cluster"] == {
            "server": CLUSTER["endpoint"],
            "certificate-authority-data": CLUSTER["ca"],
        }
        assert f"http://{ADDRESS}/" == found.exports["url"]
        assert len(made) == len(project.world.things()) > 10
        for urn, id in reversed(made):
            clouds.delete(urn, id)
        assert project.world.things() == []
    finally:
        clouds.close()
