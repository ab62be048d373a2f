"""The shop's benchmark: the role does what the app's spec says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.benchmarks.test_machines import machine

from benchmarks.cases import shop
from benchmarks.measure import CommandFailed

APP: dict[str, Any] = yaml.safe_load((shop.SHOP / "app.yaml").read_text())
ROLE: dict[str, Any] = yaml.safe_load(shop.PLAYBOOK.read_text())[0]


def task(name: str) -> dict[str, Any]:
    return next(item for item in ROLE["tasks"] if item["name"] == name)


def test_it_installs_the_packages_of_the_spec() -> None:
    parts = [*APP["workloads"].values(), *APP["jobs"].values()]
    wanted = {package for part in parts for package in part["host"].get("packages", [])}
    assert set(task("packages")["ansible.builtin.apt"]["name"]) == wanted


def test_it_runs_as_many_of_each_as_the_spec_wants_with_the_same_limits() -> None:
    units = task("units")["vars"]["units"]
    for name, body in APP["workloads"].items():
        mine = [unit for unit in units if unit["name"].split("-")[0] == name]
        assert len(mine) == body.get("scale", {}).get("replicas", 1), name
        (container,) = body["containers"].values()
        assert {f"{unit['memory']}i" for unit in mine} == {container["resources"]["limits"]["memory"]}, name
    template = (shop.PLAYBOOK.parent / "shop-unit.j2").read_text()
    assert "Restart=always" in template and "NoNewPrivileges=yes" in template


def test_nothing_of_it_waits_for_ever_and_every_handler_exists() -> None:
    told = {
        name
        for item in ROLE["tasks"]
        for name in ([item["notify"]] if isinstance(item.get("notify"), str) else item.get("notify", []))
    }
    assert told == {handler["name"] for handler in ROLE["handlers"]}
    assert all("retries" in item for item in ROLE["tasks"] if "until" in item)


def test_a_shop_that_does_not_sell_is_no_figure(tmp_path: Path) -> None:
    broken = machine()
    broken.box.app_port = 9  # discard: nobody listens there
    with pytest.raises(CommandFailed, match="does not answer"):
        shop.expect(broken)


def test_both_figures_are_beside_ansible() -> None:
    found = shop.rows({"anytier": [(10.0, 2.0)], "Ansible": [(20.0, 1.0)]})
    assert [(row.beside, row.verdict) for row in found] == [("Ansible", "met"), ("Ansible", "missed")]
