"""Runs a Pulumi program against a monitor that records: what it would register, as it goes over the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import configure, reset_options
from pulumi.runtime.stack import run_in_stack

from anytier.recording import no_collection

# How the protocol marks a secret.
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
# What a provider would answer; everything else comes back as it went in.
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "anytier:docker:Image": {"ref": "sha256:0123"},
    "anytier:docker:Push": {"ref": "r.example.org/images@sha256:0123"},
    "anytier:docker:Workload": {"revision": 3},
    "anytier:host:Machine": {"hostKey": _KEY, "jumpHostKey": _KEY, "memory": 8 * 2**30},
    "anytier:host:Image": {"digest": "sha256:0123"},
    "anytier:host:Workload": {"revision": 3},
    "anytier:host:DockerEngine": {"socket": "/run/docker.sock"},
    "anytier:kubeadm:Image": {"ref": "anytier.local/image:0123"},
    "anytier:kubernetes:Rollout": {"revision": 3, "replicas": 2},
    "anytier:index:Identity": {"token": "0123456789abcdef" * 2},
    "anytier:index:Secret": {"value": "generated"},
    "anytier:index:KeyPair": {"publicKey": _KEY, "privateKey": {_SIGNATURE: _SECRET, "value": "generated"}},
    "anytier:index:Certificate": {"certificate": "a PEM", "privateKey": {_SIGNATURE: _SECRET, "value": "generated"}},
    "anytier:kubeadm:ControlPlane": {
        "kubeconfig": {_SIGNATURE: _SECRET, "value": "apiVersion: v1"},
        "caHash": "sha256:ca",
        "kubeletHash": "kubelet",
        "version": "v1.34.2",
    },
    "anytier:libvirt:SeedIso": {"path": "/pool/seed.iso", "hostPublicKey": f"{_KEY} of the guest"},
    "anytier:libvirt:Volume": {"path": "/pool/volume"},
    "gcp:serviceaccount/account:Account": {"email": "nodes@my-project.iam.gserviceaccount.com"},
    "gcp:projects/serviceIdentity:ServiceIdentity": {"member": "serviceAccount:gke@google.com"},
    "gcp:container/cluster:Cluster": {
        "endpoint": "203.0.113.9",
        "masterVersion": "1.35.8-gke.1036000",
        "masterAuth": {"clusterCaCertificate": "Y2E=", "clientCertificateConfig": {"issueClientCertificate": False}},
        "privateClusterConfig": {"privateEndpoint": "10.0.0.2", "enablePrivateNodes": True},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "gke-0123-45.europe-west3.gke.goog"}},
    },
}


@dataclass(frozen=True)
class Registered:
    """A resource. `inputs` are plain data; a secret is `Secret(value)`. `parent`, `depends` and `gone_with` (of
    deletedWith) are names; `needs` are the dependencies with their types. `gone_first`: whether the old one goes before
    the new one comes, if that is said. `protect`: it is not deleted. `ignored`: inputs whose changes are none. `stays`:
    what is deleted of it stays where it is (retainOnDelete)."""

    type: str
    name: str
    parent: str
    depends: tuple[str, ...]
    inputs: Any
    gone_with: str = ""
    gone_first: bool | None = None
    protect: bool = False
    ignored: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    stays: bool = False


@dataclass(frozen=True)
class Secret:
    value: Any


@dataclass
class Recording:
    resources: list[Registered] = field(default_factory=list)
    exports: Any = None

    def __getitem__(self, name: str) -> Registered:
        (found,) = [item for item in self.resources if item.name == name]
        return found

    def of(self, kind: str) -> list[Registered]:
        return sorted((item for item in self.resources if item.type == f"anytier:{kind}"), key=lambda item: item.name)

    def after(self, name: str) -> set[str]:
        """All that must be there before it, by the way of dependencies and of theirs."""
        direct = set(self[name].depends)
        return direct.union(*(self.after(other) for other in direct))


class _NoCalls(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"no function is called: {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise AssertionError("resources are answered by the monitor")


class _Monitor(mocks.MockMonitor):
    """Answers on the wire's own form: Pulumi's own would open an event loop in each of its threads."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(_NoCalls())
        self.recording = Recording()
        self.answers = {**ANSWERS, **answers}
        self.lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        inputs = json_format.MessageToDict(request.object)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        made = Registered(
            type=request.type,
            name=request.name,
            parent=_name(request.parent),
            depends=tuple(sorted({_name(urn) for urn in request.dependencies})),
            inputs=_plain(inputs),
            gone_with=_name(request.deletedWith),
            gone_first=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            protect=request.protect,
            ignored=tuple(request.ignoreChanges),
            stays=request.retainOnDelete,
            needs=tuple(sorted({(_type(urn), _name(urn)) for urn in request.dependencies})),
        )
        with self.lock:
            self.recording.resources.append(made)
        outputs = json_format.ParseDict({**inputs, **self.answers.get(request.type, {})}, struct_pb2.Struct())
        id = f"{request.name}-id" if request.custom else ""
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=outputs)

    def Invoke(self, request: Any) -> Any:
        """Of the functions of providers only those may be called that have an answer."""
        assert request.tok in self.answers, f"no function is called: {request.tok}"
        told = {**json_format.MessageToDict(request.args), **self.answers[request.tok]}
        return resource_pb2.ResourceInvokeResponse(**{"return": json_format.ParseDict(told, struct_pb2.Struct())})

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack" in request.urn:
            self.recording.exports = _plain(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _type(urn: str) -> str:
    """Its own, without those of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def _plain(value: Any) -> Any:
    """Data from the wire, with secrets marked and whole numbers whole."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return Secret(_plain(value["value"]))
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _settings(monitor: _Monitor, stack: str) -> mocks.MockSettings:
    """As `set_mocks` makes them, but without its stack: `run_in_stack` makes the one that takes the exports."""
    return mocks.MockSettings(
        monitor=monitor,
        monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
        engine=mocks.MockEngine(None),
        project="anytier",
        stack=stack,
        dry_run=False,
        organization=None,
    )


LONGEST = 90.0  # seconds: a recording takes less than one


def record(
    program: Callable[[], Any],
    config: Mapping[str, str] | None = None,
    stack: str = "dev",
    into: Recording | None = None,
    longest: float = LONGEST,
    answers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recording:
    """What `program` registers and exports. Its errors come out; `into` then has what there was before them. `answers`
    by type, or by function: what a provider says beside what it was given.

    Pulumi's state is the process's. An output that an earlier test left in it belongs to a loop that is closed, and
    would be waited for forever; its root stack would be in the way.
    """
    monitor = _Monitor(answers or {})
    monitor.recording = into or monitor.recording
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        reset_options()
        configure(_settings(monitor, stack))
        set_all_config(dict(config or {}))
        with no_collection():  # what earlier tests left must not end in here
            loop.run_until_complete(_ended(run_in_stack(program), longest))
    finally:
        set_all_config({})
        reset_options()
        asyncio.set_event_loop(None)
        loop.close()
    return monitor.recording


async def _ended(running: Any, longest: float) -> None:
    """The program's own end; or, after too long, what it still waits for."""
    task = asyncio.ensure_future(running)
    done, _ = await asyncio.wait({task}, timeout=longest)
    if done:
        return await task
    others = [item for item in asyncio.all_tasks() if item is not asyncio.current_task()]
    waiting = sorted(map(str, others))
    for item in others:
        item.cancel()
    await asyncio.wait(others, timeout=1)
    raise AssertionError(f"the program did not end within {longest:g} s; it waits for\n" + "\n".join(waiting))
