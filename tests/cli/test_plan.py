"""`anytier plan` as a process: for people, for programs, for comments, as a picture; and what it refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from tests.cli.console import Done, anytier

from anytier.cli.plan import GRADES
from anytier.report.plan.diff import EFFECTS

SPEC = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {image: nginx, volumes: {/data: {source: data}}, secrets: {TOKEN: token}}}
    service: {ports: {http: {port: 80}}}
routes: [{workload: web, port: http}]
resources: {data: {type: volume}}
secrets: {token: {from: command, command: [touch, was-run]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "app.yaml").write_text(SPEC)
    config = {"anytier:app": "app.yaml", "anytier:tier": "docker"}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    return tmp_path


def plan(folder: Path, *more: str) -> Done:
    """Neither an engine nor a home nor a daemon: nothing can be found that a plan must not need."""
    env = {"PATH": "/nowhere", "HOME": str(folder), "DOCKER_HOST": "unix:///nowhere.sock"}
    return anytier("plan", "-s", "dev", *more, cwd=folder, env=env)


def test_people_get_a_tree(project: Path) -> None:
    done = plan(project, "--inputs", "--graph", "plan.svg")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "stack dev: 6 resources of 6 kinds"
    assert any(line.startswith("   └─ web") and "docker:Workload" in line and "after" in line for line in lines)
    assert any(line.endswith("secrets = [secret]") for line in lines)
    assert ET.parse(project / "plan.svg").getroot().tag.endswith("svg")
    assert not (project / "was-run").exists()


def test_a_plan_is_compared_with_an_earlier_one(project: Path) -> None:
    base = plan(project, "--json")
    (project / "base.json").write_text(base.out)
    assert plan(project, "--diff", "base.json").out == "stack dev: no changes, 6 as before\n"
    (project / "app.yaml").write_text(SPEC.replace("{data: {t", "{date: {t").replace("source: data", "source: date"))
    told = plan(project, "--diff", "base.json", "--fail-on", "data-loss")
    assert told.code == 1 and "- remove docker:Volume anytier-dev-shop-data  [data loss]" in told.out
    assert plan(project, "--diff", "base.json").code == 0
    comment = plan(project, "--diff", "base.json", "--markdown").out
    assert comment.startswith("🔴 **`dev`**: ")
    found = json.loads(plan(project, "--diff", "base.json", "--json").out)
    assert found["changes"][0]["effect"] == "data loss" and found["changes"][0]["kind"] == "remove"


def test_what_cannot_be_done_is_told(project: Path) -> None:
    alone = plan(project, "--fail-on", "safe")
    assert alone.code == 2 and "give --diff BASE" in alone.err
    nothing = plan(project, "--diff", "none.json")
    assert nothing.code == 2 and "--diff: none.json: No such file" in nothing.err
    wrong = plan(project, "--diff", "app.yaml")
    assert wrong.code == 2 and "--diff: is no JSON" in wrong.err
    nowhere = plan(project, "--graph", "none/plan.svg")
    assert nowhere.code == 2 and "--graph: none/plan.svg: No such file" in nowhere.err
    (project / "app.yaml").write_text(SPEC.replace("nginx", "NGINX"))
    spec = plan(project)
    assert spec.code == 1 and not spec.out and "NGINX" in spec.err and "-> " in spec.err


def test_grades_are_those_of_a_diff() -> None:
    assert tuple(grade.replace("-", " ") for grade in GRADES) == EFFECTS
