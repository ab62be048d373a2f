"""A node whose volumes are nowhere else is not taken out of its cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.provider.kubeadm.test_api import Machine, api

from anytier.errors import Conflict
from anytier.provider.kubeadm import volumes


def volume(claim: str, *hosts: str, phase: str = "Bound") -> dict[str, Any]:
    spec: dict[str, Any] = {"claimRef": {"namespace": "shop", "name": claim}}
    if hosts:
        rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(hosts)}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    return {"spec": spec, "status": {"phase": phase}}


def answers(*said: tuple[int, Any]) -> dict[str, Any]:
    return {"answers": [[status, json.dumps(body)] for status, body in said]}


def test_those_that_only_one_node_can_reach_are_found() -> None:
    other_zone = volume("zonal")
    rule = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}
    other_zone["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    all_of_them = [
        volume("data", "b"),
        volume("elsewhere", "c"),
        volume("either", "b", "c"),
        volume("network"),
        other_zone,
        volume("left", "b", phase="Released"),
        {"spec": {"capacity": {}}, "status": {"phase": "Available"}},
    ]
    assert [volumes.title(item) for item in volumes.only_on(all_of_them, "b")] == ["shop/data"]


async def test_data_that_is_nowhere_else_is_told_by_its_claim() -> None:
    found = {"items": [volume("data", "b"), volume("more", "b"), volume("gone", "b")]}
    machine = Machine(answers((200, found)), answers((200, {}), (200, {}), (404, {})))
    with pytest.raises(Conflict, match=r"node b: has data .*, of shop/data, shop/more ->") as error:
        await volumes.require_none(api(machine), "b")
    assert "kubectl delete pvc" in error.value.do


async def test_without_such_data_a_node_may_go() -> None:
    gone = Machine(answers((200, {"items": [volume("gone", "b")]})), answers((404, {})))
    await volumes.require_none(api(gone), "b")
    none = Machine(answers((200, {"items": [volume("data", "c")]})))
    await volumes.require_none(api(none), "b")
    assert none.asked == 1
