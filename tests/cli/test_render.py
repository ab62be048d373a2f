"""`anytier render` as a process: every object in order, for people, for programs and in files; and what it refuses."""

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
    containers: {web: {image: nginx, user: 101, secrets: {TOKEN: token}}}
    service: {ports: {http: {port: 80}}}
routes: [{workload: web, port: http}]
secrets: {token: {from: config}}
"""
STACK = {
    "anytier:app": "app.yaml",
    "anytier:tier": "kubeadm",
    "anytier:kubeadm": {"machines": [{"address": "10.0.0.11"}]},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "app.yaml").write_text(SPEC)
    stack(tmp_path)
    return tmp_path


def stack(folder: Path, **more: object) -> None:
    config = {**STACK, **{f"anytier:{key}": value for key, value in more.items()}}
    given = {key: value for key, value in config.items() if value is not None}
    (folder / "Pulumi.kube.yaml").write_text(yaml.safe_dump({"config": given}))


def rendered(folder: Path, *more: str) -> Done:
    """Neither an engine nor a home: no credentials can be found."""
    return anytier("render", "-s", "kube", *more, cwd=folder, env={"PATH": "/nowhere", "HOME": str(folder)})


def test_people_get_yaml_in_order_with_secrets_by_name(project: Path) -> None:
    done = rendered(project)
    assert done.code == 0, done.err
    found = list(yaml.safe_load_all(done.out))
    assert [item["kind"] for item in found][:2] == ["Namespace", "NetworkPolicy"]
    assert found[0]["metadata"]["name"] == "anytier-kube-shop"
    [secret] = [item for item in found if item["kind"] == "Secret"]
    assert secret["stringData"] == {"web.TOKEN": "${secrets.token}"}
    assert secret["metadata"]["name"].startswith("web-secret-") and "$" not in secret["metadata"]["name"]
    assert "# web, whose rollout is waited for" in done.out
    [service] = [item for item in found if item["metadata"]["name"] == "anytier-router" and item["kind"] == "Service"]
    assert service["spec"]["externalIPs"] == ["10.0.0.11"]


def test_programs_get_keys_and_their_order(project: Path) -> None:
    found = json.loads(rendered(project, "--json").out)
    seen: set[str] = set()
    for item in found:
        assert set(item["after"]) <= seen
        seen.add(item["key"])
    assert {"app/namespace", "web", "router/proxy"} <= seen


def test_files_come_in_order_into_a_folder_that_is_empty(project: Path) -> None:
    done = rendered(project, "--output", "out")
    names = sorted(file.name for file in (project / "out").iterdir())
    assert done.code == 0 and done.out == f"{len(names)} objects in out\n"
    assert names[0] == "01-app-namespace.yaml"
    again = rendered(project, "--output", "out")
    assert again.code == 2 and "is not empty" in again.err


def test_another_tier_is_told_apart(project: Path) -> None:
    stack(project, tier="docker", kubeadm=None)
    done = rendered(project)
    assert done.code == 2 and "is of tier docker, which takes no Kubernetes objects" in done.err


def test_what_the_tier_cannot_carry_is_told_before_anything_is_printed(project: Path) -> None:
    (project / "app.yaml").write_text(SPEC.replace("user: 101", "user: nginx"))
    done = rendered(project)
    assert done.code == 1 and not done.out
    assert "workloads.web.containers.web.user" in done.err and "give the number" in done.err


def test_a_mistake_in_the_stack_is_told(project: Path) -> None:
    stack(project, scale={"wbe": 2})
    done = rendered(project)
    assert done.code == 1 and "anytier:scale.wbe" in done.err and "(did you mean 'web'?)" in done.err


def test_names_of_services_are_below_the_clusters_own_domain(project: Path) -> None:
    spec = yaml.safe_load(SPEC)
    spec["workloads"]["web"]["containers"]["web"]["variables"] = {"SELF": "${workloads.web.host}"}
    (project / "app.yaml").write_text(yaml.safe_dump(spec))
    stack(project, kubeadm={"machines": [{"address": "10.0.0.11"}], "dnsDomain": "corp.example"})
    done = rendered(project)
    assert "web.anytier-kube-shop.svc.corp.example" in done.out, done.err
