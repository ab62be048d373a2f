"""`anytier compare` as a process: for people, for programs, as a page; and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.console import Done, anytier

SPEC = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {image: "nginx:1.27", secrets: {TOKEN: token}}}
    service: {ports: {http: {port: 80}}}
    scale: {replicas: 2}
routes: [{workload: web, port: http}]
secrets: {token: {from: command, command: [touch, was-run]}}
"""
KUBEADM = {"machines": [{"address": f"10.0.0.{number}", "user": "root"} for number in (11, 12)]}
MEASUREMENT = {
    "apiVersion": "anytier.dev/measurement/v1",
    "stack": "kubeadm",
    "tier": "kubeadm",
    "mode": None,
    "date": "2026-11-28T20:00:00Z",
    "machine": {"cores": 2, "cpu": "AMD EPYC", "kernel": "6.18", "memory": 24000},
    "versions": {},
    "figures": {"deploy": {"value": 12.5, "unit": "s", "samples": [12.5]}},
}


def stack(folder: Path, name: str, tier: str, **more: object) -> None:
    config = {"anytier:app": "app.yaml", "anytier:tier": tier, **{f"anytier:{key}": item for key, item in more.items()}}
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "app.yaml").write_text(SPEC)
    stack(tmp_path, "kubeadm", "kubeadm", kubeadm=KUBEADM)
    stack(tmp_path, "dev", "docker")
    return tmp_path


def compare(folder: Path, *more: str) -> Done:
    """Neither an engine nor a home nor a daemon: nothing can be found that a comparison must not need."""
    env = {"PATH": "/nowhere", "HOME": str(folder), "DOCKER_HOST": "unix:///nowhere.sock"}
    return anytier("compare", *more, cwd=folder, env=env)


def rows(done: Done) -> dict[str, list[dict[str, object]]]:
    assert done.code == 0, done.err
    found = json.loads(done.out)
    return {row["key"]: row["cells"] for section in found["sections"] for row in section["rows"]}


def test_any_stacks_stand_side_by_side(project: Path) -> None:
    (project / "measurements").mkdir()
    (project / "measurements" / "kubeadm.json").write_text(json.dumps(MEASUREMENT))
    done = compare(project, "kubeadm", "dev", "--html", "page.html", "--machine-price", "40")
    assert done.code == 0, done.err
    head = next(line for line in done.out.splitlines() if line.startswith("WHO PATCHES WHAT"))
    assert head.split()[3:] == ["KUBEADM", "DEV", "(DOCKER)"]
    assert "$80.00" in done.out and "12.5 s" in done.out and "[1] the stack's plan" in done.out
    assert (project / "page.html").read_text().startswith("<!doctype html>")
    assert not (project / "was-run").exists()


def test_a_program_gets_every_cell_with_its_sources(project: Path) -> None:
    found = rows(compare(project, "kubeadm", "dev", "--json"))
    assert [cell["value"] for cell in found["machines.control-plane"]] == [1, 0]
    assert [cell["known"] for cell in found["cost.total"]] == [False, False]
    assert all(cell["sources"] or not cell["known"] for cells in found.values() for cell in cells)


def test_without_names_the_usual_ones_that_are_there(project: Path) -> None:
    found = json.loads(compare(project, "--json").out)
    assert [column["stack"] for column in found["columns"]] == ["kubeadm"]
    (project / "Pulumi.kubeadm.yaml").unlink()
    none = compare(project)
    assert none.code == 2 and "none of kubeadm, eks, gke, aks is here" in none.err and "dev" in none.err


def test_a_recommendation_is_explained_by_its_rows(project: Path) -> None:
    done = compare(project, "kubeadm", "dev", "--recommend", "--compliance", "audit", "--json")
    advice = json.loads(done.out)["recommendation"]
    assert done.code == 0 and advice["ranking"][0]["stack"] == "kubeadm"
    assert advice["decided"] == ["keeps a log of who changed what"]
    none = compare(project, "kubeadm", "dev", "--recommend", "--compliance", "sla")
    assert none.code == 1 and "recommended: None of these stacks meets it." in none.out
    assert "## Recommended" in compare(project, "dev", "--recommend", "--team", "1", "--markdown").out


def test_a_stack_that_cannot_be_planned_is_told_as_that(project: Path) -> None:
    stack(project, "old", "kubeadm", kubeadm={**KUBEADM, "version": "v1.20.0"})
    done = compare(project, "old", "dev", "--html", "page.html")
    assert done.code == 1 and "old (kubeadm): no plan could be made" in done.out and "v1.20.0" in done.out
    assert "no plan could be made" in (project / "page.html").read_text()


def test_a_measurement_that_does_not_count_is_told(project: Path) -> None:
    (project / "measurements").mkdir()
    file = project / "measurements" / "kubeadm.json"
    for text, said in (
        (json.dumps(MEASUREMENT)[:-20], "is no JSON"),
        (json.dumps({**MEASUREMENT, "tier": "docker"}), "was measured on tier 'docker'"),
    ):
        file.write_text(text)
        done = compare(project, "kubeadm", "--json")
        assert done.code == 0 and f"measurements/kubeadm.json: {said}" in done.err
        assert not rows(done)["measured.deploy"][0]["known"]


def test_an_app_outside_of_the_project_is_not_read(project: Path) -> None:
    outside = project.parent / "outside.yaml"
    outside.write_text(SPEC)
    config = {"config": {"anytier:app": "../outside.yaml", "anytier:tier": "docker"}}
    (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump(config))
    done = compare(project, "dev", "--json")
    assert done.code == 1 and json.loads(done.out)["columns"][0]["app"] == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["kubeadn"], "did you mean 'kubeadm'?"),
        (["dev", "--team", "2"], "--team: is a need"),
        (["dev", "--recommend", "--team", "0"], "--team: 0 cannot be"),
        (["dev", "--recommend", "--budget", "nan"], "--budget: nan cannot be"),
        (["dev", "--recommend", "--burst", "0.5"], "--burst: 0.5 cannot be"),
        (["dev", "--machine-price", "-1"], "--machine-price: -1 cannot be"),
        (["dev", "--html", "none/page.html"], "--html: none/page.html: No such file"),
        (["dev", "--compliance", "iso"], "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_told(project: Path, args: list[str], said: str) -> None:
    done = compare(project, *args)
    assert done.code == 2 and said in done.err and not done.out


def test_a_stack_without_a_tier_is_refused(project: Path) -> None:
    stack(project, "bad", "dokcer")
    done = compare(project, "bad")
    assert done.code == 1 and "did you mean 'docker'?" in done.err
