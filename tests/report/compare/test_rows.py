"""The rows: figures are the plan's, the table's and the pack's; what was not planned is unknown, never nothing."""

from __future__ import annotations

import dataclasses

from tests.report.compare.made import DAY, app, both, eks, kubeadm
from tests.report.plan.graphs import node

from anytier.measure.figures import KINDS
from anytier.report.compare.facts import NEEDS, PATCHES, WAYS
from anytier.report.compare.rows import compared
from anytier.report.plan.graph import graph_of
from anytier.spec.walk import used_fields


def test_every_known_cell_says_where_it_is_from() -> None:
    found = both()
    for row in found.rows.values():
        assert len(row.cells) == 2
        for cell in row.cells:
            assert cell.sources or not cell.known, row.key
            assert cell.text and (cell.known or cell.value is None)
    assert list(found.sources.values()) == list(range(1, len(found.sources) + 1))


def test_every_row_that_is_asked_for_is_there() -> None:
    keys = set(both().rows)
    assert {*PATCHES, *WAYS, *NEEDS, *(f"measured.{name}" for name in KINDS)} <= keys
    assert {"resources.total", "security.kept", "app.native", "app.lost", "cost.total", "cost.unpriced"} <= keys


def test_resources_are_counted_by_kind() -> None:
    found = both()
    first = found.cell("resources.total", 0)
    assert first.value == 5 and first.detail[0] == "3 × host:Machine"
    assert [cell.value for cell in found.rows["resources.machines"].cells] == [3, 0]
    assert [cell.value for cell in found.rows["resources.aws"].cells] == [0, 1]
    assert [cell.value for cell in found.rows["machines.control-plane"].cells] == [1, 0]
    assert [cell.text for cell in found.rows["machines.workers"].cells] == ["2 of yours", "2 rented"]
    assert [cell.text for cell in found.rows["machines.all"].cells] == ["3 of yours", "2 rented"]


def test_a_family_is_called_by_all_that_is_in_it() -> None:
    nodes = [node("anytier:host:Workload", "web"), node("anytier:index:Secret", "key")]
    found = compared([kubeadm(graph=graph_of("p", "dev", [*nodes, node("anytier:index:Identity", "owner")]))], DAY)
    rows = {key: (row.title, row.cells[0].value) for key, row in found.rows.items() if key.startswith("resources.")}
    assert rows["resources.machines"] == ("of these: machines and what is on them", 1)
    assert rows["resources.secrets"] == ("of these: secrets and keys", 1), "who owns a deployment is no secret"
    assert rows["resources.other"] == ("of these: other", 1)


def test_components_are_nobodys_to_own() -> None:
    nodes = [node("anytier:index:App", "app", component=True), node("anytier:docker:Network", "net")]
    found = compared([kubeadm(graph=graph_of("p", "dev", nodes))], DAY)
    assert found.cell("resources.total", 0).value == 1


def test_fields_are_the_capability_tables() -> None:
    found = both()
    sums = [
        sum(found.cell(f"app.{kind}", column).value or 0 for kind in ("native", "emulated", "lost"))
        for column in (0, 1)
    ]
    assert sums == [len(list(used_fields(app(tier)))) for tier in ("kubeadm", "eks")]
    emulated = found.cell("app.emulated", 0)
    assert emulated.value == len(emulated.detail) and all(line.count(": ") >= 1 for line in emulated.detail)
    assert found.cell("app.lost", 0).value == 0


def test_what_a_tier_loses_is_told_by_its_field() -> None:
    web = app("eks").workloads["web"]
    container = web.containers["web"]
    many = {"web": web.model_copy(update={"host": None, "containers": {"a": container, "b": container}})}
    lost = app("eks").model_copy(update={"workloads": many})
    found = compared([kubeadm(app=lost, tier="baremetal", stack="bare"), eks(app=lost)], DAY)
    assert found.cell("app.lost", 1).value == 0 and (found.cell("app.lost", 0).value or 0) > 0
    assert any("one native process" in line for line in found.cell("app.lost", 0).detail)


def test_the_baseline_is_judged_over_the_plan() -> None:
    good = both().cell("security.kept", 1)
    machine = node("anytier:docker:Workload", "web", {"template": {"containers": {"web": {"image": "x"}}}})
    assert good.unit == "%" and (good.value or 0) <= 100
    pod = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "a", "image": "x", "securityContext": {"privileged": True}}]}}
        }
    }
    bad = compared([eks(graph=graph_of("p", "s", [node("kubernetes:apps/v1:Deployment", "web", pod), machine]))], DAY)
    cell = bad.cell("security.kept", 0)
    assert cell.value is not None and cell.value < 100 and any("web" in line for line in cell.detail)


def test_a_stack_without_a_plan_is_unknown_and_says_why() -> None:
    failed = eks(graph=None, errors=("anytier:eks.version: is old -> give another",))
    found = compared([failed, kubeadm()], DAY)
    for key in ("resources.total", "machines.workers", "security.kept", "cost.total", "cost.unpriced", "cost.rented"):
        assert not found.cell(key, 0).known and found.cell(key, 1) is not None
    assert found.columns[0].errors and found.cell("sla", 0).value == 99.95
    unread = compared([dataclasses.replace(failed, app=None)], DAY)
    assert not unread.cell("app.native", 0).known and unread.columns[0].app == ""


def test_it_is_the_same_each_time_and_goes_to_json() -> None:
    assert both() == both()
    assert both().wire()["apiVersion"] == "anytier.dev/comparison/v1"
