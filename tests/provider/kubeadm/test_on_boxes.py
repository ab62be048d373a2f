"""The resources of a cluster on real machines: an init that is cut short, hardening as it is, changes in place, and a
clean end. A whole stack is tests/e2e/test_kubeadm.py's."""

from __future__ import annotations

import asyncio
import base64
import io
import ssl
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.suite import AT_LENGTH
from tests.provider.sink import Sink

from anytier.bundle.manifest import Bundle
from anytier.errors import Conflict, Rejected
from anytier.provider.host.machines import close_all
from anytier.provider.kubeadm import certificates
from anytier.provider.kubeadm.api import Api, Call, api_of
from anytier.provider.kubeadm.controlplane import ControlPlaneResource
from anytier.provider.kubeadm.drain import pods, to_move
from anytier.provider.kubeadm.image import ImageResource
from anytier.provider.kubeadm.models import (
    ControlPlaneInputs,
    ControlPlaneOutputs,
    ImageInputs,
    NodeInputs,
    NodeOutputs,
    WorkerInputs,
    WorkerOutputs,
)
from anytier.provider.kubeadm.node import node_of
from anytier.provider.kubeadm.nodes import NodeResource
from anytier.provider.kubeadm.software import pause_of
from anytier.provider.kubeadm.worker import WorkerResource
from anytier.provider.resource import Context
from anytier.provider.waiting import all_of

from .box import QUIRKS, KubeBox, kube_boxes
from .stack import bundle, leftovers

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
CLUSTER, OWNER = "anytier-test-cluster", "me/shop"
CANARY = "canary-91c4-at-rest"
KEY = "k" * 40
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "kept"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}},
}


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()


def context(sink: Sink | None = None) -> Context:
    return Context("urn:pulumi:dev::shop::x::y", "y", sink or Sink())


def on(box: KubeBox, name: str, **more: Any) -> dict[str, Any]:
    ignored = QUIRKS["ignorePreflight"]
    given = {"machine": box.ref("root").wire(), "name": name, "cluster": CLUSTER, "owner": OWNER}
    return {**given, "ignorePreflight": ignored, **more}


def a_node(box: KubeBox, name: str, software: Bundle, **more: Any) -> NodeInputs:
    given = {"version": software.version, "bundle": str(software.path), "bundleDigest": software.digest}
    quirks = {"containerd": QUIRKS["containerd"], "protectKernelDefaults": False, "cores": 0, "memory": 0}
    return NodeInputs.model_validate(on(box, name, **given, **quirks, **more))


def a_control_plane(box: KubeBox, software: Bundle, **more: Any) -> ControlPlaneInputs:
    given = {"version": software.version, "endpoint": f"127.0.0.1:{box.api}", "advertiseAddress": box.address}
    quirks = {"kubelet": QUIRKS["kubelet"], "kubeProxy": QUIRKS["kubeProxy"], "encryptionKey": KEY, "taints": []}
    return ControlPlaneInputs.model_validate(on(box, "one", **{**given, **quirks, **more}))


def a_worker(box: KubeBox, control: KubeBox, software: Bundle, of: ControlPlaneOutputs, **more: Any) -> WorkerInputs:
    given = {
        "control": control.ref("root").wire(),
        "endpoint": f"{control.address}:6443",
        "address": box.address,
        "version": software.version,
        "caHash": of.ca_hash,
        "kubeletHash": of.kubelet_hash,
        "deadline": 20,
    }
    return WorkerInputs.model_validate(on(box, "two", **{**given, **more}))


async def prepared(boxes: list[KubeBox], software: Bundle) -> list[NodeInputs]:
    roles = ("control-plane", "worker")
    wanted = [
        a_node(box, name, software, role=role) for box, name, role in zip(boxes, ("one", "two"), roles, strict=False)
    ]
    await all_of(NodeResource().create(context(), item) for item in wanted)
    return wanted


async def images_go_where_the_nodes_are(boxes: list[KubeBox]) -> None:
    """From this machine's Docker to every node, and again to one that lost it; the stop signal is in it."""
    made = subprocess.run(["docker", "import", "-"], input=empty_tar(), capture_output=True, check=True).stdout.decode()
    try:
        given = {
            "machines": [box.ref("root").wire() for box in boxes],
            "image": made.strip(),
            "name": "anytier-test/web",
        }
        inputs = ImageInputs.model_validate({**given, "stopSignal": "SIGQUIT"})
        id, state = await ImageResource().create(context(), inputs)
        assert ImageResource().planned(None, inputs) == {"ref": state.ref}
        for box in boxes:
            assert state.ref in box.run("ctr", "-n", "k8s.io", "images", "list", "--quiet").stdout.split()
        boxes[-1].ssh(f"ctr -n k8s.io images remove --sync {state.ref}")
        _, seen = await ImageResource().read(context(), id, inputs, state) or (None, state)
        assert len(seen.lacking) == 1 and ImageResource().drifted(inputs, seen)
        assert await ImageResource().update(context(), id, inputs, seen, inputs) == state
        exported = boxes[-1].ssh(
            f"ctr -n k8s.io images export /tmp/i.tar {state.ref} && tar -xOf /tmp/i.tar | tr , '\\n'"
        )
        assert '"StopSignal":"SIGQUIT"' in exported
        await ImageResource().delete(context(), id, inputs, state)
        assert state.ref not in boxes[0].run("ctr", "-n", "k8s.io", "images", "list", "--quiet").stdout
    finally:
        subprocess.run(["docker", "rmi", "--force", made.strip()], capture_output=True, check=False)


def empty_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("etc-nothing"))
    return out.getvalue()


async def budgeted_pods_stay_for_a_while(api: Api, inputs: WorkerInputs, state: WorkerOutputs) -> None:
    """The worker leaves: a pod without a budget goes at once, one that a budget keeps when the deadline is over."""
    await api.send("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", BUDGET)
    for name in ("kept", "free"):
        await api.send("POST", "/api/v1/namespaces/default/pods", resting(name, inputs.name))
    async with asyncio.timeout(60):
        while [item["status"]["phase"] for item in await movable(api, inputs.name)] != ["Running", "Running"]:
            await asyncio.sleep(0.5)
    sink, begun = Sink(), time.monotonic()
    short = inputs.model_copy(update={"deadline": 6.0})
    leaving = asyncio.ensure_future(WorkerResource().delete(context(sink), "x", short, state))
    async with asyncio.timeout(60):
        while [item["metadata"]["name"] for item in await movable(api, inputs.name)] != ["kept"]:
            assert not leaving.done(), leaving.exception()
            await asyncio.sleep(0.2)
    await leaving
    assert time.monotonic() - begun > 6
    assert sink.warnings == [f"left {inputs.name} against their budgets: default/kept"]


async def movable(api: Api, node: str) -> list[dict[str, Any]]:
    return to_move(await pods(api, node))


def resting(name: str, node: str) -> dict[str, Any]:
    """A pod that does nothing, on a node where no network of pods is needed."""
    rests = {"name": "rests", "image": pause_of(Bundle.read(bundle())), "imagePullPolicy": "Never"}
    spec = {"nodeName": node, "hostNetwork": True, "terminationGracePeriodSeconds": 1, "containers": [rests]}
    spec["tolerations"] = [{"operator": "Exists"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


async def removed(*inputs: NodeInputs) -> None:
    for item in inputs:
        await NodeResource().delete(context(), "x", item, NodeOutputs())


def asked(kubeconfig: str, path: str) -> int:
    """The status that somebody without a name gets, over TLS that is checked."""
    cluster = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    try:
        with urllib.request.urlopen(cluster["server"] + path, context=trusted, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def test_machines_become_a_cluster_and_machines_again(tmp_path: Path) -> None:
    software = Bundle.read(bundle())
    with kube_boxes(tmp_path, 2) as boxes:
        before = [leftovers(box) for box in boxes]
        first, second = boxes
        nodes = await prepared(boxes, software)

        await images_go_where_the_nodes_are(boxes)

        # an init that is cut short is taken back and begun again
        wanted = a_control_plane(first, software)
        cut = asyncio.ensure_future(ControlPlaneResource().create(context(), wanted))
        while first.run("test", "-e", "/etc/kubernetes/pki/ca.crt").returncode:
            assert not cut.done(), cut.exception()
            await asyncio.sleep(0.05)
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        sink = Sink()
        id, made = await ControlPlaneResource().create(context(sink), wanted)
        assert any("begun again" in line for line in sink.lines)
        assert made.version == software.version and not made.pending and made.certificates_expire > "2026"

        # nobody without a name gets more than health; secrets are unreadable at rest; files are root's
        paths = ("/livez", "/version", "/api/v1/namespaces/kube-public/configmaps")
        assert [asked(made.kubeconfig, path) for path in paths] == [200, 401, 401]
        api = await api_of(node_of(wanted))
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "canary"}, "stringData": {"a": CANARY}}
        await api.send("POST", "/api/v1/namespaces/default/secrets", secret)
        read = await api.get("/api/v1/namespaces/default/secrets/canary")
        assert base64.b64decode(read["data"]["a"]).decode() == CANARY
        assert first.run("grep", "-r", "--text", "-l", CANARY, "/var/lib/etcd", "/var/log/kubernetes").stdout == ""
        assert first.run("grep", "-r", "--text", "-q", "k8s:enc:secretbox", "/var/lib/etcd").returncode == 0
        assert first.run("find", "/etc/kubernetes", "-name", "*.conf", "-perm", "/077").stdout == ""
        assert first.run("find", "/etc/kubernetes/anytier", "-type", "f", "-perm", "/077").stdout == ""
        assert "10255" not in first.run("ss", "-ltn").stdout

        # a worker joins, its kubelet has a certificate that the API server trusts, its token is gone
        joined = a_worker(second, first, software, made, labels={"zone": "b"})
        _, worker = await WorkerResource().create(context(), joined)
        assert worker.version == software.version and not worker.pending
        node = await api.find("two")
        assert node is not None and node["metadata"]["labels"]["zone"] == "b"
        status, _ = (await api.ask(Call("GET", "/api/v1/nodes/two/proxy/configz")))[0]
        assert status == 200
        listed = (await api.get("/api/v1/namespaces/kube-system/secrets"))["items"]
        assert not [item for item in listed if "anytier" in str(item) and item["type"].startswith("bootstrap")]
        assert second.run("test", "-e", "/etc/kubernetes/anytier").returncode != 0

        # as it was left; changed in place; what does not come up gets its old configuration back
        assert (await ControlPlaneResource().read(context(), id, wanted, made) or ())[1] == made
        bad = a_control_plane(first, software, apiServer={"no-such-flag": "1"})
        if AT_LENGTH:
            with pytest.raises(Rejected, match="old configuration"):
                await ControlPlaneResource().update(context(), id, wanted, made, bad)
        more = {"kubelet": {**QUIRKS["kubelet"], "maxPods": 50}, "certSANs": ["api.example.org"]}
        changed = a_control_plane(first, software, **more)
        new = await ControlPlaneResource().update(context(), id, wanted, made, changed)
        assert new.kubelet_hash != made.kubelet_hash and new.ca_hash == made.ca_hash
        assert ControlPlaneResource().drifted(changed, new) == []
        assert "maxPods: 50" in first.ssh("cat /var/lib/kubelet/config.yaml")
        serving = first.ssh("cat /etc/kubernetes/pki/apiserver.crt").encode()
        assert {"api.example.org", "127.0.0.1", first.address} <= certificates.names_of(serving)
        follows = a_worker(second, first, software, new, labels={})
        worker = await WorkerResource().update(context(), "x", joined, worker, follows)
        assert "maxPods: 50" in second.ssh("cat /var/lib/kubelet/config.yaml")
        assert "zone" not in ((await api.find("two")) or {})["metadata"]["labels"]

        # an admin.conf that was taken away is made again, and nothing else happens
        first.ssh("mv /etc/kubernetes/admin.conf /root/")
        with pytest.raises(Rejected, match="makes the file again"):
            await WorkerResource().delete(context(), "x", follows, worker)
        _, lacking = await ControlPlaneResource().read(context(), id, changed, new) or (None, new)
        _, alone = await WorkerResource().read(context(), "x", follows, worker) or (None, worker)
        assert ControlPlaneResource().drifted(changed, lacking) and WorkerResource().drifted(follows, alone)
        again = await ControlPlaneResource().update(context(), id, changed, lacking, changed)
        assert (again.ca_hash, again.version) == (new.ca_hash, new.version)
        assert (await WorkerResource().update(context(), "x", follows, alone, follows)).uid == worker.uid
        read = await api.get("/api/v1/namespaces/default/secrets/canary")
        assert base64.b64decode(read["data"]["a"]).decode() == CANARY

        if AT_LENGTH:  # a worker that comes back within the hour has a certificate of its own again
            await WorkerResource().delete(context(), "x", follows, worker)
            _, worker = await WorkerResource().create(context(), follows)
            status, _ = (await api.ask(Call("GET", "/api/v1/nodes/two/proxy/configz")))[0]
            assert status == 200 and not worker.pending

        # another stack's hands are kept off
        with pytest.raises(Conflict, match=OWNER):
            theirs = changed.model_copy(update={"owner": "you/shop"})
            await ControlPlaneResource().update(context(), id, theirs, new, theirs)

        await budgeted_pods_stay_for_a_while(api, follows, worker)
        assert await api.find("two") is None
        await ControlPlaneResource().delete(context(), id, changed, new)
        await removed(*nodes)
        assert [leftovers(box) for box in boxes] == before
        for box in boxes:
            assert "KUBE-" not in box.run("iptables-save").stdout
            assert box.run("pgrep", "-x", "kubelet").returncode != 0
