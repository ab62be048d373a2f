"""`cluster status`: healthy only if every node is ready, every check is good and no certificate ends soon."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.provider.kubeadm.look import Seen, checks_of, title
from anytier.report.cluster import as_json, as_text, healthy, rows

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def node(name: str, ready: bool = True, plane: bool = False, **more: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready else "False", "message": "cni plugin not initialized"}
    return {
        "metadata": {
            "name": name,
            "labels": {"node-role.kubernetes.io/control-plane": ""} if plane else {},
            "creationTimestamp": (NOW - timedelta(hours=3)).isoformat(),
        },
        "spec": more,
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}, condition],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.11"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": "v1.34.2"},
        },
    }


SEEN = Seen(
    "https://10.0.0.11:6443",
    "v1.34.2",
    [node("b"), node("a", plane=True)],
    {"ping": True, "etcd": True, "etcd-readiness": True},
    {"apiserver": NOW + timedelta(days=300), "admin.conf": NOW + timedelta(days=200)},
)
KNOWN = ["a", "b"]


def well(seen: Seen, known: list[str] = KNOWN) -> bool:
    return healthy(seen, rows(seen.nodes, known), NOW)


def test_a_cluster_that_needs_nobody() -> None:
    assert well(SEEN)
    text = as_text("anytier-dev", SEEN, rows(SEEN.nodes, KNOWN), NOW)
    assert text.splitlines() == [
        "cluster       anytier-dev at https://10.0.0.11:6443, Kubernetes v1.34.2",
        "API server    ready",
        "etcd          healthy",
        "certificates  valid until 2026-07-21 (200 days); the first to end is admin.conf",
        "",
        "NODE  ROLE           STATE  VERSION  ADDRESS    AGE",
        "a     control-plane  ready  v1.34.2  10.0.0.11  3h",
        "b     worker         ready  v1.34.2  10.0.0.11  3h",
    ]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(SEEN, nodes=[node("a", plane=True), node("b", ready=False)]), "not ready: cni plugin"),
        (replace(SEEN, nodes=[node("a", plane=True)]), "missing"),
        (replace(SEEN, checks={"ping": True, "etcd": False}), "API server    not ready: etcd"),
        (replace(SEEN, checks={"ping": True, "etcd": False}), "etcd          not healthy"),
        (replace(SEEN, checks={}), "does not say"),
        (replace(SEEN, certificates={"apiserver": NOW + timedelta(days=29)}), "(29 days)"),
        (replace(SEEN, certificates={"apiserver": NOW - timedelta(days=2)}), "ENDED on 2025-12-31"),
        (replace(SEEN, certificates={}, unread="machine m: does not answer"), "not looked at: machine m"),
    ],
)
def test_whatever_is_not_well_is_said_and_counts(seen: Seen, said: str) -> None:
    assert not well(seen)
    nodes = rows(seen.nodes, KNOWN)
    assert said in as_text("c", seen, nodes, NOW)
    assert as_json("c", seen, nodes, NOW)["healthy"] is False


def test_a_node_of_others_is_shown_and_a_cordoned_one_is_told() -> None:
    found = rows([node("a", plane=True), node("b", unschedulable=True), node("other")], KNOWN)
    assert [(item.name, item.cordoned) for item in found] == [("a", False), ("b", True), ("other", False)]
    assert "ready, cordoned" in as_text("c", SEEN, found, NOW)


def test_json_has_all_of_it() -> None:
    found = json.loads(json.dumps(as_json("anytier-dev", SEEN, rows(SEEN.nodes, KNOWN), NOW)))
    assert found["nodes"][0]["name"] == "a" and found["nodes"][0]["role"] == "control-plane"
    assert found["certificates"][0] == {"name": "admin.conf", "ends": "2026-07-21T12:00:00+00:00", "days": 200}
    assert found["api"] == {"ready": True, "failing": []} and found["etcd"] == {"healthy": True}


def test_checks_are_read_off_the_api_servers_own_words() -> None:
    text = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]poststarthook/start-x ok\nreadyz check failed\n"
    assert checks_of(text) == {"ping": True, "etcd": False, "poststarthook/start-x": True}
    assert checks_of("[+]\nok\n[+") == {}


def test_a_certificate_is_called_by_its_file() -> None:
    assert title("/etc/kubernetes/pki/etcd/server.crt") == "etcd-server"
    assert title("/etc/kubernetes/pki/apiserver.crt") == "apiserver"
    assert title("/etc/kubernetes/admin.conf") == "admin.conf"


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_of_a_node_moves_a_terminal(name: str, message: str) -> None:
    given_ = node(name, ready=False)
    given_["status"]["conditions"][1]["message"] = message
    text = as_text("c", replace(SEEN, nodes=[given_]), rows([given_], []), NOW)
    assert all(line.isprintable() for line in text.split("\n"))
