"""Costs: known prices are multiplied, what has none is named, and neither is ever taken for the other."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from tests.report.compare.made import DAY, EKS_COSTS, eks, graph, kubeadm
from tests.report.plan.graphs import node

from anytier.report.compare import cost


def bill(costs: Any, tier: str = "eks", version: str = "1.35") -> list[cost.Item]:
    return cost.bill(tier, graph(node("aws:eks/cluster:Cluster", "c", {"version": version}), costs=costs), DAY)


def test_a_clouds_stack_is_priced_item_by_item() -> None:
    found = eks()
    assert found.graph
    items = cost.bill("eks", found.graph, DAY)
    assert [(item.what, item.monthly) for item in items if item.monthly is not None] == [
        ("standard control plane", pytest.approx(73.0)),
        ("2 × m6i.large", pytest.approx(2 * 0.115 * 730)),
    ]
    assert [item.what for item in items if item.monthly is None] == [
        "100 GiB of disks",
        "1 NAT gateway",
        "1 load balancer",
        "keys, logs, addresses, registry and traffic",
    ]
    total = cost.total(items)
    assert total.text == "at least $240.90" and total.value == 240.9
    assert [source.name for source in total.sources if source.url], "where the prices are from"
    assert "1 NAT gateway" in cost.unpriced(items).text


def test_a_type_or_a_region_without_a_price_is_unknown_and_so_is_spot() -> None:
    pool = EKS_COSTS["nodes"][0]
    for costs in (
        {**EKS_COSTS, "region": "mars-1"},
        {**EKS_COSTS, "nodes": [{**pool, "types": ["m7g.large"]}]},
        {**EKS_COSTS, "nodes": [{**pool, "spot": True}]},
        {**EKS_COSTS, "nodes": [pool, {**pool, "types": ["x9.large"]}]},
    ):
        cell = cost.part(bill(costs), "machines")
        assert not cell.known and cell.value is None and "2 ×" in cell.note
        assert cost.total(bill(costs)).text.startswith("at least $")


def test_machines_as_pods_need_them_have_no_price() -> None:
    for costs in ({**EKS_COSTS, "nodes": []}, {**EKS_COSTS, "nodes": "as pods need them (node auto provisioning)"}):
        cell = cost.part(bill(costs), "machines")
        assert not cell.known and cell.note == "machines, as pods need them"


def test_a_version_in_extended_support_costs_more() -> None:
    assert cost.part(bill(EKS_COSTS, version="1.33"), "control-plane").value == pytest.approx(438.0)
    before = graph(node("aws:eks/cluster:Cluster", "c", {"version": "1.33"}), costs=EKS_COSTS)
    assert cost.part(cost.bill("eks", before, datetime.date(2026, 7, 1)), "control-plane").value == pytest.approx(73.0)


def test_azures_premium_tier_has_no_price_here() -> None:
    costs = {"region": "westeurope", "controlPlane": "AKS premium, by the hour", "nodes": []}
    assert not cost.part(cost.bill("aks", graph(costs=costs), DAY), "control-plane").known
    standard = {**costs, "controlPlane": "AKS standard, by the hour"}
    assert cost.part(cost.bill("aks", graph(costs=standard), DAY), "control-plane").value == 73


def test_the_control_plane_of_aks_automatic_costs_more() -> None:
    costs = {"region": "westeurope", "controlPlane": "AKS Automatic, by the hour", "nodes": "as pods need them"}
    cell = cost.part(cost.bill("aks", graph(costs=costs), DAY), "control-plane")
    assert cell.value == pytest.approx(116.8) and any("Azure/AKS" in (item.url or "") for item in cell.sources)


def test_a_plan_that_says_nothing_of_costs_is_not_free() -> None:
    items = bill(None)
    assert not cost.total(items).known and "does not say" in cost.unpriced(items).text


def test_machines_of_ones_own_cost_what_somebody_says() -> None:
    found = kubeadm().graph
    assert found
    free = cost.bill("kubeadm", found, DAY)
    assert not cost.total(free).known and not cost.part(free, "control-plane").known
    assert cost.own("kubeadm", found) == cost.Own(control_planes=1, others=2)
    said = cost.bill("kubeadm", found, DAY, 40)
    assert cost.part(said, "control-plane").value == 40 and cost.part(said, "machines").value == 80
    total = cost.total(said)
    assert total.text == "$120.00" and total.sources[1].name == "given by --machine-price"
    rented = cost.rented(cost.own("kubeadm", found))
    assert rented.text == "$189.07 to $251.85" and len(rented.detail) == 3
    assert not cost.rented(cost.own("eks", found)).value


def test_one_machine_is_there_wherever_no_other_is_named() -> None:
    assert cost.own("docker", graph()).all == cost.own("local", graph()).all == 1
    two = graph(*(node("anytier:libvirt:Domain", name) for name in "ab"))
    assert cost.own("libvirt", two) == cost.Own(control_planes=0, others=2)
