"""What the resources of a cluster decide without asking anybody."""

from __future__ import annotations

import base64
import io
import ipaddress
import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.provider.sink import Sink

from anytier.errors import Conflict, Denied, NotFound, Rejected, Unreachable
from anytier.provider import fields
from anytier.provider.host.transport import Machine, Result
from anytier.provider.kubeadm import (
    approve,
    archive,
    certificates,
    controlplane,
    drain,
    kubeadm,
    onnode,
    settings,
    software,
    staticpods,
    worker,
)
from anytier.provider.kubeadm.api import Api
from anytier.provider.kubeadm.approve import is_granted, is_open, requests_of
from anytier.provider.kubeadm.controlplane import ControlPlaneResource
from anytier.provider.kubeadm.drain import to_move
from anytier.provider.kubeadm.image import ref_of
from anytier.provider.kubeadm.models import (
    ControlPlaneInputs,
    ControlPlaneOutputs,
    ImageInputs,
    NodeInputs,
    Taint,
    WorkerInputs,
    WorkerOutputs,
)
from anytier.provider.kubeadm.node import Mark, Node, anothers, require_ours, same
from anytier.provider.kubeadm.worker import WorkerResource
from anytier.provider.resource import Context

MACHINE = {"kind": "ssh", "address": "10.0.0.11", "user": "root"}
BASE: dict[str, Any] = {
    "machine": MACHINE,
    "name": "one",
    "cluster": "demo",
    "owner": "me/shop",
    "version": "v1.34.2",
    "endpoint": "10.0.0.11:6443",
    "advertiseAddress": "10.0.0.11",
    "encryptionKey": "canary-" + "k" * 32,
}


def control(**more: Any) -> ControlPlaneInputs:
    return ControlPlaneInputs.model_validate({**BASE, **more})


def a_worker(**more: Any) -> WorkerInputs:
    found = {
        **{key: BASE[key] for key in ("machine", "cluster", "version", "endpoint")},
        "name": "two",
        "control": MACHINE,
        "address": "10.0.0.12",
        "caHash": "sha256:1",
        "kubeletHash": "k",
    }
    return WorkerInputs.model_validate({**found, **more})


# the control plane


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"advertiseAddress": "node-1"}, "advertiseAddress"),
        ({"serviceSubnet": "10.244.0.0/20"}, "serviceSubnet"),
        ({"podSubnet": "10.0.0.0/16"}, "podSubnet"),
        ({"serviceSubnet": "10.96.0.0/30"}, "serviceSubnet"),
        ({"serviceSubnet": "11.0.0.0/8"}, "serviceSubnet"),
        ({"podSubnet": "10.244.0.0/24"}, "podSubnet"),
        ({"apiServer": {"anonymous-auth": "true"}}, "apiServer.anonymous-auth"),
    ],
)
def test_refused_before_any_machine_is_asked(changed: dict[str, Any], path: str) -> None:
    found = ControlPlaneResource().check(control(**changed))
    assert path in [item.path for item in found]
    assert all(item.do for item in found)


def test_a_good_control_plane_is_not_refused() -> None:
    assert ControlPlaneResource().check(control()) == []


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"version": "v1.36.0"}, "version"),
        ({"version": "v1.34.1"}, "version"),
        ({"podSubnet": "10.245.0.0/16"}, "podSubnet"),
        ({"serviceSubnet": "10.112.0.0/12"}, "serviceSubnet"),
        ({"advertiseAddress": "10.0.0.12"}, "advertiseAddress"),
        ({"controlPlaneEndpoint": "api.example.org:6443"}, "controlPlaneEndpoint"),
        ({"name": "cp1"}, "name"),
        ({"cluster": "other"}, "cluster"),
        ({"machine": {**MACHINE, "address": "10.0.0.12"}}, "machine"),
    ],
)
def test_a_cluster_is_never_replaced_by_a_changed_line(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(Rejected) as caught:
        ControlPlaneResource().replaces(control(), control(**changed))
    assert caught.value.path == path and caught.value.do


def test_a_cluster_whose_machine_is_gone_may_be_another_one() -> None:
    moved = control(machine={**MACHINE, "address": "10.0.0.12"}, incarnation="another installation")
    assert ControlPlaneResource().replaces(control(), moved) == []


@pytest.mark.parametrize("changed", [{"name": "cp1"}, {"machine": {**MACHINE, "address": "10.0.0.12"}}])
def test_forget_in_the_stack_replaces_no_cluster(changed: dict[str, Any]) -> None:
    """Whether the machine answers nobody knows here: one that does would be reset, with all that is in its cluster."""
    with pytest.raises(Rejected, match="or destroy first"):
        ControlPlaneResource().replaces(control(forget=True), control(**changed, forget=True))


@pytest.mark.parametrize("forget", [False, True])
async def test_a_control_plane_that_is_silent_is_destroyed_only_where_that_was_said(
    forget: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After which its stack may have another one."""

    class Away:
        async def mark(self) -> Any:
            raise Unreachable("machine 10.0.0.11", "does not answer", "see to it")

    monkeypatch.setattr(controlplane, "node_of", lambda inputs: Away())
    sink, inputs = Sink(), control(forget=forget)
    gone = ControlPlaneResource().delete(Context("urn", "x", sink), "id", inputs, ControlPlaneOutputs())
    if forget:
        await gone
        assert "is let go" in sink.warnings[0]
        return
    with pytest.raises(Unreachable, match="set `forget: true`"):
        await gone


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("a: 1\n---\nkubernetesVersion: v1.34.2\n", "v1.34.2"),
        ("kind: X\n", ""),
        ("", ""),
        ("---\n", ""),
        ("{", ""),
    ],
)
def test_how_far_an_upgrade_came_is_what_kubeadms_configuration_says(text: str, version: str) -> None:
    assert controlplane.version_in(text.encode()) == version


def test_what_may_change_in_place() -> None:
    changed = control(version="v1.35.0", certSANs=["api"], kubelet={"maxPods": 50}, endpoint="127.0.0.1:16443")
    assert ControlPlaneResource().replaces(control(), changed) == []


def test_certificates_that_end_soon_are_drift() -> None:
    inputs = control()
    state = ControlPlaneOutputs(version="v1.34.2", config_hash=controlplane.config_hash(inputs))
    assert ControlPlaneResource().drifted(inputs, state) == []
    for days, drifted in ((61, []), (59, ["version"])):
        when = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert ControlPlaneResource().drifted(inputs, state.model_copy(update={"certificates_expire": when})) == drifted


def test_a_preview_knows_what_workers_need() -> None:
    inputs = control()
    old = ControlPlaneOutputs(kubeconfig="text", ca_hash="sha256:1", version="v1.34.2")
    known = ControlPlaneResource().planned(old, inputs)
    assert known["caHash"] == "sha256:1" and known["kubeconfig"] == "text" and known["kubeletHash"]
    assert "kubeconfig" not in ControlPlaneResource().planned(old, control(version="v1.35.0"))
    assert "caHash" not in ControlPlaneResource().planned(None, inputs)


def test_only_what_configures_changes_the_hash() -> None:
    same_ = controlplane.config_hash(control())
    assert controlplane.config_hash(control(labels={"a": "b"}, owner="you")) == same_
    assert controlplane.config_hash(control(version="v1.34.9")) == same_
    assert controlplane.config_hash(control(startTimeout=900)) == same_
    for changed in ({"audit": False}, {"encryptionKey": "x" * 40}, {"kubelet": {"maxPods": 5}}, {"certSANs": ["a"]}):
        assert controlplane.config_hash(control(**changed)) != same_


def test_the_encryption_key_is_in_no_plain_file() -> None:
    plain, secret = controlplane.files(control(), [])
    key = base64.b64encode(b"canary").decode()[:6]
    (text,) = secret.values()
    assert "secretbox" in text
    assert not any("canary" in item or key in item for item in plain.values())
    written = [line.split()[-1] for line in text.splitlines() if "secret:" in line]
    assert written and not any(item in file for item in written for file in plain.values())


# workers


def test_a_worker_of_another_cluster_is_another_worker() -> None:
    assert WorkerResource().replaces(a_worker(), a_worker(version="v1.40.1", caHash="sha256:2")) == []
    with pytest.raises(Rejected):
        WorkerResource().replaces(a_worker(), a_worker(version="v1.33.0"))


def test_a_token_is_good_for_one_join() -> None:
    token, secret = worker.bootstrap_token("two", datetime(2026, 1, 1, tzinfo=UTC))
    id, _, rest = token.partition(".")
    assert (len(id), len(rest)) == (6, 16)
    assert secret["metadata"]["name"] == f"bootstrap-token-{id}"
    assert secret["stringData"]["expiration"] == "2026-01-01T00:20:00Z"
    assert "usage-bootstrap-signing" not in secret["stringData"]


def test_whose_a_node_is() -> None:
    node = Node(object(), "one")  # type: ignore[arg-type]
    node.machine = type("Machine", (), {"name": "10.0.0.11"})()
    mine, theirs = Mark(cluster="demo", owner="me/shop"), Mark(cluster="demo", owner="you/shop")
    assert same(mine, control()) and same(mine, control(owner="")) and not same(theirs, control())
    assert not same(Mark(cluster="other", owner="me/shop"), control())
    with pytest.raises(Conflict, match="you/shop"):
        require_ours(theirs, control(), node)
    token = "0" * 32
    moved = control(owner=f"ci@runner:/b#{token}")
    assert same(Mark(cluster="demo", owner=f"me@here:/a#{token}"), moved)
    recorded = Mark(cluster="demo", owner="me@here:/a")  # before there were tokens
    assert not same(recorded, moved) and same(recorded, moved, before="me@here:/a")


def test_a_node_is_gone_only_where_another_stack_surely_has_it() -> None:
    """The state of an older version, which moved, and whose update ended half way: with the mark, or before it."""
    older, newer = "me@here:/a", f"ci@runner:/b#{'0' * 32}"
    assert not anothers(Mark(cluster="demo", owner=older), control(owner=newer))
    assert not anothers(Mark(cluster="demo", owner=newer), control(owner=older))
    assert not anothers(Mark(cluster="demo", owner=newer), control(owner=f"{older}#{'0' * 32}"))
    assert anothers(Mark(cluster="demo", owner=f"{older}#{'1' * 32}"), control(owner=newer))
    assert anothers(Mark(cluster="other", owner=newer), control(owner=newer))


def test_a_node_of_an_older_state_gets_the_token_of_its_stack() -> None:
    marks = [fields.behaviour(NodeInputs, ("owner",)), fields.behaviour(ControlPlaneInputs, ("owner",))]
    assert [bool(item.normalise) for item in marks] == [True, False] and [item.ignored for item in marks] == [
        False,
        True,
    ]


# certificates


def request_for(names: list[str], common: str = "system:node:two", group: str = "system:nodes") -> bytes:
    kinds = [_name(item) for item in names]
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
    built = x509.CertificateSigningRequestBuilder().subject_name(subject)
    built = built.add_extension(x509.SubjectAlternativeName(kinds), critical=False)
    return built.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.UniformResourceIdentifier(text) if "://" in text else x509.DNSName(text)


def test_a_kubelet_gets_what_its_machine_is() -> None:
    assert certificates.refusal(request_for(["two", "10.0.0.12"]), "two", ["10.0.0.12", "fd00::2"]) is None


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (request_for(["two", "10.0.0.11"]), "10.0.0.11"),
        (request_for(["kubernetes.default"]), "kubernetes.default"),
        (request_for(["two"], common="system:node:one"), "system:node:one"),
        (request_for(["two"], group="system:masters"), "system:masters"),
        (request_for(["two", "spiffe://x"]), "cannot be read"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nx\n-----END CERTIFICATE REQUEST-----\n", "cannot be read"),
    ],
)
def test_a_kubelet_gets_nothing_else(request_: bytes, said: str) -> None:
    assert said in str(certificates.refusal(request_, "two", ["10.0.0.12"]))


def certificate(days: int, name: str = "a") -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime(2026, 1, 1, tzinfo=UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=days))
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_the_first_certificate_to_end_counts_wherever_it_lies() -> None:
    conf = json.dumps({"users": [{"user": {"client-certificate-data": base64.b64encode(certificate(10)).decode()}}]})
    assert certificates.first_end([certificate(30), conf.encode(), certificate(20)]) == "2026-01-11T00:00:00Z"
    assert certificates.first_end([]) == ""
    assert certificates.names_of(certificate(1, "api")) == {"api"}
    assert len(certificates.ca_hash(certificate(1).decode())) == len("sha256:") + 64


def test_which_requests_wait_for_us() -> None:
    mine = {"spec": {"username": "system:node:two"}}
    granted = {**mine, "status": {"conditions": [{"type": "Approved"}]}}
    assert requests_of([mine, {"spec": {"username": "system:node:one"}}], "two") == [mine]
    assert is_open(mine) and not is_open(granted) and is_granted(granted)


# nodes


class Cluster:
    """An API server's answers for one node; what was patched."""

    def __init__(self, node: dict[str, Any] | None = None, requests: list[list[dict[str, Any]]] | None = None) -> None:
        self.node, self.requests, self.patched = node, requests or [], list[dict[str, Any]]()

    async def find(self, name: str) -> dict[str, Any] | None:
        return self.node

    async def patch(self, path: str, body: dict[str, Any]) -> None:
        self.patched.append(body)

    async def get(self, path: str) -> dict[str, Any]:
        return {"items": self.requests.pop(0) if len(self.requests) > 1 else self.requests[0]}


async def test_a_join_has_ended_once_the_cluster_has_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much else to do begins its kubelet after kubeadm has ended."""

    class Slow(Cluster):
        asked = 0

        async def find(self, name: str) -> dict[str, Any] | None:
            self.asked += 1
            return {} if self.asked > 2 else None

    async def says(node: Node) -> str:
        return "the kubelet says: nothing"

    monkeypatch.setattr(worker, "kubelet_says", says)
    node, api = Node(cast(Machine, Named()), "two"), Slow()
    await worker.registered(Context("u", "n", Sink()), node, cast(Api, api), 60)
    assert api.asked == 3
    with pytest.raises(NotFound, match="not in the cluster after 0 s; the kubelet says"):
        await worker.registered(Context("u", "n", Sink()), node, cast(Api, Cluster(None)), 0)


class Named:
    name = "10.0.0.12"


OURS = {"anytier.dev/emptied": "true"}


@pytest.mark.parametrize(
    ("closed", "notes", "on", "done"),
    [
        (False, {}, True, True),
        (True, {}, True, None),  # somebody else's: it stays theirs
        (True, OURS, True, None),
        (True, OURS, False, False),
        (True, {}, False, None),
        (False, {}, False, None),
        (False, OURS, False, False),
    ],
)
async def test_a_node_is_opened_again_only_by_who_has_closed_it(
    closed: bool, notes: dict[str, str], on: bool, done: bool | None
) -> None:
    api: Any = Cluster({"metadata": {"annotations": notes}, "spec": {"unschedulable": True} if closed else {}})
    await drain.cordon(api, "two", on)
    wanted = {"metadata": {"annotations": {"anytier.dev/emptied": "true" if on else None}}}
    assert api.patched == ([] if done is None else [{**wanted, "spec": {"unschedulable": True if done else None}}])
    gone: Any = Cluster(None)
    await drain.cordon(gone, "two", on)
    assert gone.patched == []


@pytest.mark.parametrize("shut", [True, False])
@pytest.mark.parametrize("role", ["control-plane", "worker"])
async def test_a_node_that_stays_closed_after_a_change_is_told(
    role: str, shut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: Any = Cluster({"metadata": {"name": "two"}, "spec": {"unschedulable": True} if shut else {}})
    there.credentials = type("Credentials", (), {"ca": b""})()

    async def api_of(node: Any) -> Any:
        return there

    async def nothing(*given: Any, **more: Any) -> Any:
        return None

    class Away:
        name = "two"

        async def read(self, paths: Any) -> Any:
            return dict.fromkeys(paths, b"")

    async def done(*given: Any, **more: Any) -> Any:
        return (WorkerOutputs if role == "worker" else ControlPlaneOutputs)()

    inputs: Any = a_worker() if role == "worker" else control()
    monkeypatch.setattr(certificates, "ca_hash", lambda ca: getattr(inputs, "ca_hash", ""))
    for module, names in ((settings, ["apply"]), (approve, ["grant", "names"])):
        for name in names:
            monkeypatch.setattr(module, name, nothing)
    for module in (worker, controlplane):
        monkeypatch.setattr(module, "api_of", api_of)
    for kind in (WorkerResource, ControlPlaneResource):
        monkeypatch.setattr(kind, "_change", nothing)
    monkeypatch.setattr(worker, "seen", done)
    monkeypatch.setattr(ControlPlaneResource, "_seen", done)
    sink, node = Sink(), Node(Away(), "two")  # type: ignore[arg-type]
    ctx, mark = Context("urn", "x", sink), Mark(cluster="shop", name="two", stage="done")
    if role == "worker":
        await WorkerResource()._have(ctx, node, mark, inputs, inputs, WorkerOutputs())
    else:
        await ControlPlaneResource()._have(ctx, node, mark, inputs, inputs)
    assert sink.warnings == ["two takes no pods: `kubectl uncordon two` if nobody meant that"] * shut
    assert there.patched == []


async def test_an_old_request_of_the_same_name_is_no_answer() -> None:
    def request(name: str) -> dict[str, Any]:
        granted = {"conditions": [{"type": "Approved", "status": "True"}]}
        return {"metadata": {"name": name}, "spec": {"username": "system:node:two"}, "status": granted}

    node: Any = type("Machine", (), {"name": "two"})()
    cluster: Any = Cluster(requests=[[request("old")], [request("old")], [request("old"), request("new")]])
    sink = Sink()
    await approve.grant(Context("urn", "x", sink), cluster, node, wait=5, before={"old"})
    assert len(cluster.requests) == 1 and not sink.warnings
    silent: Any = Cluster(requests=[[request("old")]])
    await approve.grant(Context("urn", "x", sink), silent, node, wait=0.01, before={"old"})
    assert sink.warnings


def test_labels_and_taints_of_others_stay() -> None:
    assert settings.labels({"a": "1", "b": "2", "os": "linux"}, {"a": "1", "b": "2"}, {"a": "3"}) == {
        "b": None,
        "a": "3",
    }
    live = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, {"key": "mine", "effect": "NoSchedule"}]
    old, new = [Taint(key="mine", effect="NoSchedule")], [Taint(key="new", value="x", effect="NoExecute")]
    assert settings.taints(live, old, new) == [live[0], {"key": "new", "value": "x", "effect": "NoExecute"}]


def pod(name: str, phase: str = "Running", owner: str | None = None, mirror: bool = False) -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "namespace": "default"}
    if owner:
        about["ownerReferences"] = [{"kind": owner}]
    if mirror:
        about["annotations"] = {"kubernetes.io/config.mirror": "x"}
    return {"metadata": about, "status": {"phase": phase}}


def test_what_a_drain_moves() -> None:
    pods = [
        pod("web", owner="ReplicaSet"),
        pod("bare"),
        pod("proxy", owner="DaemonSet"),
        pod("etcd", mirror=True),
        pod("done", phase="Succeeded", owner="Job"),
    ]
    assert [item["metadata"]["name"] for item in to_move(pods)] == ["web", "bare"]


def test_a_worker_gets_no_image_that_only_a_control_plane_runs() -> None:
    images = {
        "images/a.tar": ["registry.k8s.io/kube-apiserver:v1.34.2"],
        "images/e.tar": ["registry.k8s.io/etcd:3.6.5-0"],
        "images/p.tar": ["registry.k8s.io/kube-proxy:v1.34.2"],
    }
    assert list(software.wanted_images(images, "worker")) == ["images/p.tar"]
    assert len(software.wanted_images(images, "control-plane")) == 3


@pytest.mark.parametrize(
    ("reference", "known"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("rancher/local:v1", "docker.io/rancher/local:v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/a", "localhost/a:latest"),
        ("reg:5000/a", "reg:5000/a:latest"),
    ],
)
def test_a_reference_as_containerd_has_it(reference: str, known: str) -> None:
    assert software.canonical(reference) == known


def test_a_reason_without_advice_and_without_a_token() -> None:
    out = "[preflight] Running\n\t[WARNING Hostname]: x\n[init] token abcdef.0123456789abcdef\n"
    err = (
        "error execution phase preflight: some errors:\n\t[ERROR Swap]: abcdef.0123456789abcdef\nTo see the stack trace"
    )
    said = kubeadm.reason(out, err)
    assert said == "error execution phase preflight: some errors:; [ERROR Swap]: (token)"
    assert kubeadm.reason("", "") == "it says nothing"


@pytest.mark.parametrize(
    ("said", "slow"),
    [
        ("error: error execution phase wait-control-plane: failed while waiting for the control plane to start", True),
        ("error: error execution phase preflight: some errors", False),
    ],
)
async def test_who_is_too_slow_is_told_what_helps(said: str, slow: bool) -> None:
    error = await kubeadm.failed(Node(cast(Machine, Named()), "one"), ["init"], Result(1, "", said))
    assert error.do is not None and error.do.endswith("mend what it names, then run again: it goes on from here")
    assert ("`startTimeout`" in error.do) == slow


def test_an_upgrade_that_fails_says_at_which_pod_it_was() -> None:
    out = (
        '[upgrade/staticpods] Preparing for "etcd" upgrade\n[upgrade/staticpods] Component "etcd" upgraded\n'
        '[upgrade/staticpods] Preparing for "kube-apiserver" upgrade\n[upgrade/etcd] Waiting\n'
    )
    assert kubeadm.last_pod(out) == "kube-apiserver"
    assert kubeadm.last_pod('x [upgrade/staticpods] Preparing for "etcd" upgrade') == ""


SAVED = """# Generated by iptables-save
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:DOCKER - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -j KUBE-SVC-X
-A POSTROUTING -m comment --comment "flanneld masq" -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -j DOCKER-USER
COMMIT
"""


def test_rules_of_a_cluster_go_and_others_stay() -> None:
    assert onnode.rules(SAVED).splitlines() == [
        "*nat",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-D POSTROUTING -m comment --comment "flanneld masq" -j MASQUERADE',
        "-F KUBE-SERVICES",
        "-F CNI-HOSTPORT-DNAT",
        "-X KUBE-SERVICES",
        "-X CNI-HOSTPORT-DNAT",
        "COMMIT",
    ]
    assert onnode.rules("*filter\n:FORWARD ACCEPT\n-A FORWARD -j DOCKER\nCOMMIT\n") == ""


LINE = st.one_of(
    st.sampled_from(
        ["*nat", "COMMIT", ":KUBE-X - [0:0]", ":INPUT ACCEPT [0:0]", "-A INPUT -j KUBE-X", "-A KUBE-X -j DROP"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Zl", "Zp", "Cc"]), max_size=30),
)


@given(st.lists(LINE, max_size=20))
def test_whatever_iptables_says_only_a_clusters_chains_are_emptied(lines: list[str]) -> None:
    for line in onnode.rules("\n".join(lines)).splitlines():
        assert line.startswith(
            ("*", "-D ", "-F KUBE-", "-X KUBE-", "-F CNI-", "-X CNI-", "-F FLANNEL-", "-X FLANNEL-")
        ) or (line == "COMMIT")


# images


def saved(folder: Path, config: bytes, links: bool = False) -> Path:
    """As `docker save` writes it: layers may be links to others."""
    file = folder / "saved.tar"
    with tarfile.open(file, "w") as made:
        layer = tarfile.TarInfo("blobs/sha256/aa")
        layer.size = 5
        made.addfile(layer, io.BytesIO(b"layer"))
        if links:
            link = tarfile.TarInfo("other/layer.tar")
            link.type, link.linkname = tarfile.SYMTYPE, "../blobs/sha256/aa"
            made.addfile(link)
        second = "other/layer.tar" if links else "blobs/sha256/aa"
        manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["blobs/sha256/aa", second]}]
        for name, data in (("c.json", config), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return file


def read(file: Path) -> tuple[dict[str, Any], bytes, list[bytes]]:
    with tarfile.open(file) as made:
        get = lambda name: made.extractfile(name).read()  # type: ignore[union-attr] # noqa: E731
        (entry,) = json.loads(get("manifest.json"))
        return entry, get(entry["Config"]), [get(name) for name in entry["Layers"]]


@pytest.mark.parametrize("links", [False, True])
def test_an_image_without_another_signal_is_the_same_image(tmp_path: Path, links: bool) -> None:
    config = b'{"config": {"Cmd":["x"]},  "rootfs": {}}'
    digest = archive.rewrite(saved(tmp_path, config, links), tmp_path / "new.tar", "anytier.local/web:1", None)
    entry, kept, layers = read(tmp_path / "new.tar")
    assert kept == config and layers == [b"layer", b"layer"]
    assert entry["RepoTags"] == ["anytier.local/web:1"] and digest == f"sha256:{entry['Config'].removesuffix('.json')}"


def test_a_stop_signal_is_put_into_the_image_and_nothing_else_changes(tmp_path: Path) -> None:
    config = {"config": {"Cmd": ["x"], "StopSignal": "SIGTERM"}, "rootfs": {"diff_ids": ["sha256:1"]}, "os": "linux"}
    source = saved(tmp_path, json.dumps(config).encode())
    first = archive.rewrite(source, tmp_path / "a.tar", "a:1", "SIGQUIT")
    assert first == archive.rewrite(source, tmp_path / "b.tar", "a:1", "SIGQUIT")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    _, data, layers = read(tmp_path / "a.tar")
    assert (
        json.loads(data) == {**config, "config": {"Cmd": ["x"], "StopSignal": "SIGQUIT"}} and layers == [b"layer"] * 2
    )


def test_a_broken_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    with tarfile.open(file, "w") as made:
        info = tarfile.TarInfo("manifest.json")
        data = json.dumps([{"Config": "gone.json", "Layers": []}]).encode()
        info.size = len(data)
        made.addfile(info, io.BytesIO(data))
    with pytest.raises(Rejected, match=r"gone\.json"):
        archive.rewrite(file, tmp_path / "new.tar", "a:1", None)


def test_another_content_or_signal_is_another_name() -> None:
    base = {"machines": [MACHINE], "image": "sha256:1", "name": "shop/web"}
    refs = {
        ref_of(ImageInputs.model_validate({**base, **more})) for more in ({}, {"image": "x"}, {"stopSignal": "SIGINT"})
    }
    assert len(refs) == 3 and all(item.startswith("anytier.local/shop/web:") for item in refs)


def test_a_setting_of_the_kernel_is_written_and_read_again() -> None:
    """In a network of its own, whose settings touch nobody's. The kernel ignores a number that is not written from the
    start of its file, without a word."""
    program = (
        "import json; from anytier.provider.kubeadm import onnode;"
        "path = '/proc/sys/net/ipv4/conf/lo/forwarding';"
        "asked = lambda value: {'modules': [], 'settings': {'net.ipv4.conf.lo.forwarding': value}};"
        "seen = [(onnode.kernel(asked(value)), open(path).read().strip()) for value in ('1', '0', '1', '1')];"
        "print(json.dumps(seen + [onnode.kernel({'modules': [], 'settings': {'net.ipv4.no.such': '1'}})]))"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(done.stderr.strip())
    *seen, missing = json.loads(done.stdout)
    assert seen == [[{}, "1"], [{}, "0"], [{}, "1"], [{}, "1"]]
    assert missing == {"net.ipv4.no.such": "No such file or directory"}


async def test_an_api_server_that_has_just_come_may_know_nobodys_rights_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    def pod(hash: str) -> dict[str, Any]:
        labels = {"component": "etcd"}
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return {"metadata": {"labels": labels, "annotations": {"kubernetes.io/config.hash": hash}}, "status": ready}

    said: list[Any] = [Denied("API server /x", "forbidden", ""), {"items": [pod("old")]}, {"items": [pod("new")]}]

    class Restarting:
        async def get(self, path: str) -> Any:
            found = said.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

    async def at_once(seconds: float) -> None: ...

    monkeypatch.setattr(staticpods.asyncio, "sleep", at_once)
    api: Any = Restarting()
    node: Any = type("Machine", (), {"name": "one"})()
    await staticpods._moved(api, node, ["etcd"], {"etcd": "old"})
    assert not said
