"""Software from a repository, as far as it is decided without machines; tests/e2e/test_packages_kubeadm.py has some."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.render.kubeadm.test_openpgp import ARMOURED, OWN, PROJECT

from anytier.errors import NotFound, Rejected
from anytier.packages import Package
from anytier.provider.host.distributions.apt import explain
from anytier.provider.kubeadm import nodes, packaged, software
from anytier.provider.kubeadm.models import NodeInputs
from anytier.provider.kubeadm.node import Mark, Node, node_of
from anytier.provider.kubeadm.nodes import NodeResource
from anytier.render.kubeadm import containerd, kubelet, openpgp, packages, registries

URL = "https://pkgs.k8s.io/core:/stable:/v1.34/deb/"
BASE: dict[str, Any] = {
    "machine": {"kind": "ssh", "address": "10.0.0.11", "user": "root"},
    "name": "one",
    "cluster": "demo",
    "owner": "me/shop",
    "version": "v1.34.2",
}
IMAGES = [
    "registry.k8s.io/kube-proxy:v1.34.2",
    "registry.k8s.io/pause:3.10.1",
    "registry.k8s.io/coredns/coredns:v1.12.1",
]


def a_node(repository: dict[str, str] | None = None, **more: Any) -> NodeInputs:
    given = {"repository": {"url": URL, **(repository or {})}} if repository is not None else {"bundle": "/nowhere"}
    return NodeInputs.model_validate({**BASE, **given, **more})


def test_only_the_projects_key_is_believed_where_none_is_given() -> None:
    own = base64.b64decode(PROJECT)[:272]
    assert packaged.checked(own, "x") == own
    for other in (ARMOURED, own + openpgp.dearmor(ARMOURED)):
        with pytest.raises(Rejected, match=OWN) as caught:
            packaged.checked(other, "https://x/Release.key (from machine one)")
        assert "from machine one" in caught.value.path and "mirror" in caught.value.do
    with pytest.raises(Rejected, match="no public key"):
        packaged.checked(b"<html>", "x")


def test_a_key_that_is_none_is_refused_by_the_preview() -> None:
    good = base64.b64encode(openpgp.dearmor(ARMOURED)).decode()
    assert not NodeResource().check(a_node({"key": good}))
    for key in ("%%%", base64.b64encode(b"text").decode()):
        (problem,) = NodeResource().check(a_node({"key": key}))
        assert problem.path == "repository.key"


def test_a_machine_keeps_the_way_its_software_comes() -> None:
    bundled, packed = a_node(), a_node({})
    for old, new in ((bundled, packed), (packed, bundled)):
        with pytest.raises(Rejected, match="is to come from") as caught:
            NodeResource().replaces(old, new)
        assert "destroy the stack first" in caught.value.do
    assert NodeResource().replaces(packed, a_node({"registry": "a.example.org/b"}, version="v1.34.3")) == []
    assert NodeResource().replaces(bundled, a_node({}, incarnation="2")) == []


def test_a_machine_that_was_made_otherwise_is_told() -> None:
    """By its mark, whatever the state says."""
    bundled, packed = Mark(cluster="demo"), Mark(cluster="demo", software="packages")
    assert nodes.mixed("one", None, a_node({})) is None
    assert nodes.mixed("one", packed, a_node({})) is None and nodes.mixed("one", bundled, a_node()) is None
    for mark, asked in ((bundled, a_node({})), (packed, a_node())):
        error = nodes.mixed("one", mark, asked)
        assert error is not None and f"software: {mark.software}" in error.do


def test_a_packages_unit_is_added_to_and_not_replaced() -> None:
    found = software.texts(a_node({"registry": "r.example.org/m"}), IMAGES[1], "/usr/bin/containerd")
    assert kubelet.UNIT not in found and kubelet.DROP_IN in found
    assert found[packages.SOURCE] == packages.source(URL)
    assert registries.FOLDER in found[containerd.FILE]
    assert {path for path in found if path.startswith(registries.FOLDER)} == set(registries.files("r.example.org/m"))
    bundled = software.texts(a_node(), IMAGES[1], "/usr/bin/containerd")
    assert set(bundled) & {kubelet.UNIT, kubelet.DROP_IN, packages.SOURCE} == {kubelet.UNIT}


async def test_what_was_there_already_is_in_the_way_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a kubectl that somebody had, in the right version, the hold is ours by the next run."""
    facts = {"installed": {"kubectl": "1.34.2-1.1"}, "held": ["kubectl"], "sources": {}, "trust": True}

    async def about(node: Node) -> dict[str, Any]:
        return facts

    monkeypatch.setattr(packaged, "about", about)
    source, node = nodes.source_of(a_node({})), node_of(a_node({}))
    assert [item.name for item in await source.findings(node, None)] == ["Package-kubectl"]
    mark = await source.begin(node, Mark(cluster="demo", software="packages"), False)
    assert "kubectl" not in mark.brought and "kubelet" in mark.brought
    assert await source.findings(node, mark) == []
    newer = nodes.source_of(a_node({}, version="v1.34.3"))
    assert await newer.findings(node, mark) == [] and await newer.findings(node, None)
    assert await source.brought(node, mark) == {"brought": []}


async def test_programs_are_where_the_mark_says() -> None:
    node: Node = node_of(a_node())
    assert node.program("v1.34.2", "kubeadm") == "/opt/anytier/kubernetes/v1.34.2/bin/kubeadm"
    node.software = "packages"
    assert node.program("v1.34.2", "kubeadm") == "/usr/bin/kubeadm"


def test_a_source_knows_what_tells_it_from_another() -> None:
    one, same, other = a_node({}), a_node({}), a_node({"registry": "a.example.org/b"})
    digests = [nodes.digest(item, nodes.source_of(item), {}) for item in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_the_image_of_the_pause_is_found_by_its_name() -> None:
    assert packaged.pause_of(IMAGES) == "registry.k8s.io/pause:3.10.1"
    with pytest.raises(NotFound, match="names no image of pause"):
        packaged.pause_of(IMAGES[:1])


def test_what_apt_lacks_is_told_with_the_machine_the_place_and_the_way_out() -> None:
    asked = {Package("kubeadm", "1.34.9-*"): "machine one"}
    said = "E: Failed to fetch https://x/InRelease  Could not connect"
    told = {"kind": "version", "name": "kubeadm", "offered": ["1.34.2-1.1"], "said": said}
    error = packaged.unmet("one", URL, explain(told, asked, "one"))
    assert error.path == "machine one" and URL in error.what and "Could not connect" in error.what
    assert "1.34.2-1.1" in error.what and "mirror" in error.do and "software: bundle" in error.do
    broken = Rejected("packages of one", "apt-get install ended with 100", "mend it")
    assert packaged.unmet("one", URL, broken) is broken


def test_an_image_that_does_not_come_is_named() -> None:
    said = 'I1 pulling\nerror: failed to pull image "registry.k8s.io/a:1": output: x: not found\nTo see the stack trace'
    error = packaged.unpulled("one", "r.example.org/m", said)
    assert error.path == "machine one" and "registry.k8s.io/a:1" in error.what and "r.example.org/m" in error.what
    assert "kubeadm says nothing" in packaged.unpulled("one", "", "").what
    assert "software: bundle" in packaged.unreached("one", URL, "E: x").do
