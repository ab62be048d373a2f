"""Tier kubeadm: from machines with nothing of Kubernetes on them to an app that serves, and back to such machines."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.suite import AT_LENGTH
from tests.provider.host.systemd_box import docker
from tests.provider.kubeadm.box import QUIRKS, KubeBox, kube_boxes
from tests.provider.kubeadm.stack import Asking, KubeStack, bundle, config, leftovers
from tests.standins.cluster import Kubectl

import kubernetes_bundle
from benchmarks.programs import KUBECTL, ensure

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.usefixtures("kubernetes_plugin")]
at_length = pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it")
APP = "apps/guestbook/app.yaml"


@pytest.fixture
def boxes(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[KubeBox]]:
    with kube_boxes(tmp_path, getattr(request, "param", 2)) as made:
        yield made


@pytest.fixture
def stack(boxes: list[KubeBox], pulumi_env: dict[str, str]) -> Iterator[KubeStack]:
    made = KubeStack(boxes, pulumi_env, APP, bundle())
    yield made
    made.close()


def test_machines_become_a_cluster_with_an_app_and_machines_again(stack: KubeStack, boxes: list[KubeBox]) -> None:
    before = {box.name: leftovers(box) for box in boxes}
    stack.up()
    assert stack.serves("Guestbook", within=10)
    assert stack.post(name="Ada", message="from a test") == 303
    assert stack.serves("from a test")
    stack.up("--expect-no-changes")
    stack.pulumi("preview", "--refresh", "--expect-no-changes")

    found = {item["workload"]: item["replicas"] for item in json.loads(stack.anytier("status", "--json"))}
    assert found == {"web": {"wanted": 2, "ready": 2}, "store": {"wanted": 1, "ready": 1}}
    stack.anytier("cluster status")
    assert "python" in stack.anytier("exec", "web", "--", "python3", "--version").lower()

    # a pod's death is nobody's business but the cluster's, and its volume stays
    for box in boxes:
        box.ssh("pkill -9 -f '[/]app/server.py' || true")  # the pattern does not match this shell itself
    assert stack.serves("from a test", within=60)

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert {box.name: leftovers(box) for box in boxes} == before
    stack.pulumi("stack", "rm", "--yes")


def holder(stack: KubeStack, folder: Path) -> str:
    """The node that has the one volume."""
    (folder / "admin").write_text(stack.pulumi("stack", "output", "kubeconfig", "--show-secrets"))
    (volume,) = json.loads(Kubectl(ensure(KUBECTL), folder / "admin")("get", "persistentvolumes"))["items"]
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    (rule,) = term["matchExpressions"]
    (name,) = rule["values"]
    return str(name)


@at_length
def test_names_are_known_while_the_machine_with_all_of_dns_is_emptied(stack: KubeStack, tmp_path: Path) -> None:
    stack.up()
    (tmp_path / "admin").write_text(stack.pulumi("stack", "output", "kubeconfig", "--show-secrets"))
    kubectl = Kubectl(ensure(KUBECTL), tmp_path / "admin")
    pods = json.loads(kubectl("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"a"} and len(pods) == 2
    with ThreadPoolExecutor(1) as threads:
        emptied = threads.submit(kubectl, "drain", "a", "--ignore-daemonsets", "--delete-emptydir-data")
        least = 2
        while not emptied.done():
            least = min(least, ready_dns(kubectl))
        emptied.result()
    assert least == 1 and ready_dns(kubectl) >= 1
    kubectl("uncordon", "a")
    stack.pulumi("destroy", "--yes", "--skip-preview")


def ready_dns(kubectl: Kubectl) -> int:
    """The pods that are asked for names."""
    found = json.loads(kubectl("get", "endpointslices", "-n", "kube-system", "-l", "k8s-app=kube-dns"))["items"]
    return sum(bool(end["conditions"]["ready"]) for item in found for end in item["endpoints"] or ())


@at_length
@pytest.mark.parametrize("boxes", [3], indirect=True)
def test_a_worker_leaves_and_comes_back(stack: KubeStack, boxes: list[KubeBox], tmp_path: Path) -> None:
    """Unless it has what no other machine has: the guestbook's volume."""
    whole = config(boxes, bundle())
    plane, *workers = whole["machines"]
    del plane["taints"]  # pods run on the workers only
    stack.write(whole)
    stack.up()
    assert stack.serves("Guestbook", within=10)
    assert stack.post(name="Ada", message="before it left") == 303
    home = holder(stack, tmp_path)
    (stays,) = [item for item in workers if item["name"] == home]
    (leaves,) = [item for item in workers if item["name"] != home]
    with Asking(stack) as asking:
        stack.write({**whole, "machines": [plane, leaves]})
        with pytest.raises(AssertionError, match=f"node {home}: has data that is nowhere else"):
            stack.up()
        stack.write({**whole, "machines": [plane, stays]})
        stack.up()
        assert not leftovers(boxes["abc".index(leaves["name"])])
        stack.write(whole)
        stack.up()
    assert stack.serves("before it left")
    assert stack.serves("Guestbook")
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    stack.pulumi("destroy", "--yes", "--skip-preview")


@at_length
def test_a_minor_upgrade_with_the_app_serving(stack: KubeStack, boxes: list[KubeBox]) -> None:
    """1.33 to 1.34. What is asked for does not need the guestbook's store, whose one writer moves with its volume."""
    # That kubeadm, built with a Go that is newer than its own, cannot write an address down (fixed in 1.34).
    older = config(boxes, bundle("1.33"), ignorePreflight=[*QUIRKS["ignorePreflight"], "HTTPProxyCIDR"])
    stack.write(older)
    stack.up()
    assert stack.post(name="Ada", message="before the upgrade") == 303
    assert {node["version"] for node in stack.status()["nodes"]} == {f"v{kubernetes_bundle.version('1.33')}"}
    with Asking(stack, "/style.css") as asking:
        stack.write(config(boxes, bundle()))
        stack.up()
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    assert {node["version"] for node in stack.status()["nodes"]} == {f"v{kubernetes_bundle.version()}"}
    assert stack.serves("before the upgrade", within=30)
    stack.up("--expect-no-changes", "--refresh")

    # and never back
    stack.write(older)
    with pytest.raises(AssertionError, match="is older than"):
        stack.pulumi("preview")
    stack.write(config(boxes, bundle()))
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert not [left for box in boxes for left in leftovers(box)]


@at_length
def test_what_a_cluster_is_made_of_may_die(stack: KubeStack, boxes: list[KubeBox]) -> None:
    """kubelet, containerd and the API server are killed; what serves, serves on."""
    stack.up()
    with Asking(stack) as asking:
        for what in ("kubelet", "containerd", "kube-apiserver", "etcd"):
            boxes[0].ssh(f"pkill -9 -x {what[:15]}")
            assert stack.serves("Guestbook", within=20), what
        boxes[1].ssh("pkill -9 -x kubelet")
    assert len(asking.lost) <= 2, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    eventually(lambda: well(stack))
    stack.up("--expect-no-changes", "--refresh")
    stack.pulumi("destroy", "--yes", "--skip-preview")


@at_length
@pytest.mark.parametrize("boxes", [3], indirect=True)
def test_a_node_may_die(stack: KubeStack, boxes: list[KubeBox], tmp_path: Path) -> None:
    """A worker's power is cut. Its pods get requests until the cluster knows, which takes it 40 to 50 s; then the other
    worker serves, and the app is whole again when the machine is back."""
    whole = config(boxes, bundle())
    del whole["machines"][0]["taints"]
    stack.write(whole)
    stack.up()
    assert stack.post(name="Ada", message="before the power went") == 303
    (dies,) = {"b", "c"} - {holder(stack, tmp_path)}
    box = boxes["abc".index(dies)]
    docker("kill", box.name)
    eventually(lambda: serves_steadily(stack), 150)
    assert not stack.status()["healthy"]
    with Asking(stack) as asking:
        time.sleep(10)
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    docker("start", box.name)
    eventually(lambda: well(stack) and complete(stack), 180)
    assert stack.serves("before the power went", within=10)
    stack.up("--expect-no-changes", "--refresh")
    stack.pulumi("destroy", "--yes", "--skip-preview")


def serves_steadily(stack: KubeStack) -> bool:
    """Whichever pod it comes to."""
    return all(stack.serves("Guestbook") for _ in range(20))


@at_length
@pytest.mark.parametrize(
    ("at", "when"),
    [(0, "pgrep -f 'kubeadm init'"), (0, "test -e /etc/kubernetes/admin.conf"), (1, "pgrep -f 'kubeadm join'")],
    ids=["init", "after init", "join"],
)
def test_a_killed_run_is_gone_on_with(stack: KubeStack, boxes: list[KubeBox], at: int, when: str) -> None:
    stack.killed(when, boxes[at])
    stack.up()
    assert stack.serves("Guestbook", within=10)
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert not [left for box in boxes for left in leftovers(box)]


@at_length
def test_certificates_are_renewed_before_they_end(stack: KubeStack, boxes: list[KubeBox]) -> None:
    """They are made anew for three weeks, as if the year were nearly over."""
    stack.up()
    given, config_file = "/tmp/anytier-test.yaml", "/etc/kubernetes/anytier/kubeadm.yaml"
    soon = "s/^kind: ClusterConfiguration$/&\\ncertificateValidityPeriod: 504h0m0s/"
    renew = f"sed '{soon}' {config_file} >{given} && kubeadm certs renew all --config {given} && rm {given}"
    boxes[0].ssh(renew)
    assert min(item["days"] for item in stack.status()["certificates"]) < 30
    with Asking(stack) as asking:
        stack.up("--refresh")
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    assert min(item["days"] for item in stack.status()["certificates"]) > 300
    stack.up("--expect-no-changes", "--refresh")
    stack.pulumi("destroy", "--yes", "--skip-preview")


@at_length
def test_a_dead_cluster_is_never_taken_for_empty(stack: KubeStack, boxes: list[KubeBox]) -> None:
    """Its control plane is switched off: a run says so and forgets nothing; only `forget` lets go of one for good."""
    stack.up()
    assert stack.post(name="Ada", message="before the lights went out") == 303
    made, whole = stack.resources(), config(boxes, bundle())
    docker("stop", "--time", "1", boxes[0].name)
    now = ("--yes", "--skip-preview")
    for command in (("preview", "--refresh"), ("refresh", *now)):
        with pytest.raises(AssertionError, match=r"does not answer|unreachable|no answer") as error:
            stack.pulumi(*command)
        assert "Traceback" not in str(error.value)
        assert stack.resources() == made, command
    with pytest.raises(AssertionError, match=r"does not answer|unreachable|no answer"):
        stack.pulumi("destroy", *now)
    # What goes with its namespace the engine lets go of first; the namespace and the cluster it does not.
    assert {urn for urn in made if ":kubeadm:" in urn or ":Namespace::" in urn} <= stack.resources()

    docker("start", boxes[0].name)
    eventually(lambda: boxes[0].run("systemctl", "is-active", "--quiet", "kubelet.service").returncode == 0)
    stack.up()
    assert stack.serves("before the lights went out", within=120)
    docker("stop", "--time", "1", boxes[0].name)
    stack.write({**whole, "forget": True})
    with contextlib.suppress(AssertionError):
        stack.up()  # so that the state knows; what does not answer is told again
    stack.pulumi("destroy", *now)
    assert not stack.resources()


def well(stack: KubeStack) -> bool:
    """Not while its API server is away."""
    try:
        return bool(stack.status()["healthy"])
    except (AssertionError, ValueError):
        return False


def complete(stack: KubeStack) -> bool:
    """Whether all instances of the app are ready: those of a machine that is back need a moment more than it does."""
    found = [item["replicas"] for item in json.loads(stack.anytier("status", "--json"))]
    return all(item["ready"] == item["wanted"] for item in found)


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "that takes too long"
        time.sleep(0.5)


@at_length
def test_what_a_machine_lacks_is_told_at_once(boxes: list[KubeBox], pulumi_env: dict[str, str]) -> None:
    """All findings of a machine in one error, and nothing of it is changed."""
    quirks = {key: value for key, value in QUIRKS.items() if key != "ignorePreflight"}
    boxes[0].ssh("mkdir -p /etc/kubernetes && touch /etc/kubernetes/admin.conf")
    given = {"minMemory": 1 << 20, "minCores": 512, "ignorePreflight": [], **quirks}
    stack = KubeStack(boxes[:1], pulumi_env, APP, bundle())
    try:
        stack.write({**config(boxes[:1], bundle()), **given})
        with pytest.raises(AssertionError) as error:
            stack.up()
        said = str(error.value)
        assert "NumCPU" in said and "Mem: " in said and "admin.conf" in said
        assert boxes[0].run("test", "-e", "/opt/anytier/kubernetes").returncode != 0
    finally:
        stack.pulumi("destroy", "--yes", "--skip-preview")
        stack.close()
