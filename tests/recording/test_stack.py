"""Stacks, planned: every tier that is built, the same for everybody, without a secret read or a command run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from anytier.errors import AnytierError, leaves
from anytier.recording.stack import as_given, plan
from anytier.report.plan.graph import Graph
from anytier.report.plan.svg import picture
from anytier.tiers import managed
from anytier.tiers.registry import REGISTRY

ROOT = Path(__file__).parents[2]
SPEC = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {image: nginx, user: 101, secrets: {T: a, U: b, V: c, W: d}}}
    service: {ports: {http: {port: 80}}}
secrets:
  a: {from: config}
  b: {from: env, key: ANYTIER_TEST_CANARY}
  c: {from: file, path: secret.txt}
  d: {from: command, command: [touch, was-run]}
"""
CANARY = "Canary-4c1d"
SDKS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    (made / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (made / "app.yaml").write_text(SPEC)
    return made


def refused(project: Path, config: dict[str, Any]) -> list[str]:
    with pytest.raises((AnytierError, ExceptionGroup)) as caught:
        plan(project, "dev", {"anytier:app": "app.yaml", "anytier:tier": "docker", **config})
    return [str(item) for item in leaves(caught.value)]


@pytest.mark.parametrize("tier", REGISTRY)
def test_the_stack_of_every_tier_has_a_plan(tier: str) -> None:
    """As they lie in the project: without their images, bundles, keys, machines."""
    if tier in SDKS:
        pytest.importorskip(SDKS[tier], reason="make test-clouds")
    file = ROOT / "stacks" / f"Pulumi.{tier}.yaml"
    made = plan(ROOT, tier, yaml.safe_load(file.read_text())["config"])
    assert any(node.type.startswith("anytier:tier:") for node in made.graph.resources)
    assert str(ROOT) not in made.graph.text()
    assert made.graph.exports


def test_a_docker_host_that_is_made_has_a_plan_without_libvirt_and_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)  # its import fails
    machine = {"image": "not-here.qcow2", "sha256": "ab" * 32}
    config = {"anytier:app": "apps/guestbook/app.yaml", "anytier:tier": "docker"}
    made = plan(ROOT, "vm", {**config, "anytier:docker": {"libvirt": machine}})
    assert {"anytier:libvirt:Domain", "anytier:host:DockerEngine", "anytier:docker:Workload"} <= {
        node.type for node in made.graph.resources
    }


@pytest.mark.parametrize("tier", SDKS)
def test_a_clouds_sdk_that_is_not_installed_is_told_with_the_way_to_get_it(
    tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed, "find_spec", lambda name: None)
    config = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{tier}.yaml").read_text())["config"]
    with pytest.raises((AnytierError, ExceptionGroup)) as caught:
        plan(ROOT, tier, config)
    (told,) = map(str, leaves(caught.value))
    assert told.startswith(
        f"anytier:tier: tier {tier} needs {SDKS[tier].replace('_', '-')}, which is not installed here"
    )
    assert f"`python3 tools/setup.py --extra {tier}`" in told


def test_the_picture_in_the_documents_is_what_a_plan_draws(request: pytest.FixtureRequest) -> None:
    file = ROOT / "docs" / "images" / "plan-libvirt.svg"
    config = yaml.safe_load((ROOT / "stacks" / "Pulumi.libvirt.yaml").read_text())["config"]
    text = picture(plan(ROOT, "libvirt", config).graph)
    if request.config.getoption("--accept"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "changed: if that is meant, run pytest tests/recording --accept"


def test_two_clones_have_the_same_plan(tmp_path: Path) -> None:
    def planned(root: Path) -> Graph:
        config = {"anytier:app": "apps/guestbook/app.yaml", "anytier:tier": "docker"}
        return plan(root, "dev", config).graph

    other = tmp_path / "somewhere else"
    other.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", other)
    shutil.copytree(ROOT / "apps" / "guestbook", other / "apps" / "guestbook")
    assert planned(other).text() == planned(ROOT).text() == planned(ROOT).text()


@pytest.mark.parametrize("tier", ["docker", "kubeadm"])
def test_no_secret_is_read_and_no_command_run(tier: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYTIER_TEST_CANARY", CANARY)
    (project / "secret.txt").write_text(CANARY)
    config: dict[str, Any] = {"anytier:app": "app.yaml", "anytier:tier": tier, "anytier:a": CANARY}
    if tier == "kubeadm":
        config["anytier:kubeadm"] = {"machines": [{"address": "10.0.0.1"}]}
    text = plan(project, "dev", config).graph.text()
    assert CANARY not in text and '"[secret]"' in text and "<secret." not in text
    assert not (project / "was-run").exists()


def test_a_secret_that_is_encrypted_in_the_stack_is_not_opened(project: Path) -> None:
    config = {"anytier:app": "app.yaml", "anytier:tier": "docker", "anytier:a": {"secure": "v1:abc"}}
    assert plan(project, "dev", config).graph.of("anytier:docker:Workload")


def test_the_projects_own_program_is_not_run(project: Path) -> None:
    (project / "__main__.py").write_text("open('was-run', 'w')\n")
    plan(project, "dev", {"anytier:app": "app.yaml", "anytier:tier": "docker"})
    assert not (project / "was-run").exists()


def test_a_hypervisors_password_and_keys_stay_where_they_are(project: Path) -> None:
    options = {
        "image": "none.qcow2",
        "sha256": "0" * 64,
        "keyFile": "~/.ssh/none",
    }
    (project / "app.yaml").write_text(SPEC.replace("containers:", "host: {command: [a]}\n    containers:"))
    made = plan(project, "dev", {"anytier:app": "app.yaml", "anytier:tier": "libvirt", "anytier:libvirt": options})
    (seed,) = made.graph.of("anytier:libvirt:SeedIso")
    assert "none.pub>" in json.dumps(seed.inputs)


def test_no_file_outside_of_the_repository_is_read(project: Path) -> None:
    (project.parent / "outside.txt").write_text(CANARY)
    (project / "link").symlink_to(project.parent / "outside.txt")
    (project / "inside.txt").write_text("fine")
    files = "{/a: {source: ../outside.txt}, /b: {source: link}, /c: {source: inside.txt}}"
    (project / "app.yaml").write_text(SPEC.replace("{image: nginx,", f"{{image: nginx, files: {files},"))
    found = refused(project, {})
    assert len(found) == 2 and all("is outside of project" in line and CANARY not in line for line in found)
    assert "workloads.web.containers.web.files./a.source" in found[0]
    (project.parent / ".git").mkdir()  # now all of it is one repository
    assert plan(project, "dev", {"anytier:app": "app.yaml", "anytier:tier": "docker"}).graph.resources


def test_what_git_keeps_for_itself_is_not_read(project: Path) -> None:
    """A CI system's token lies there."""
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text(f"[{CANARY}")
    (project / "link").symlink_to(project / ".git" / "config")
    files = "{/a: {source: .git/config}, /b: {source: link}}"
    (project / "app.yaml").write_text(SPEC.replace("{image: nginx,", f"{{image: nginx, files: {files},"))
    found = refused(project, {}) + refused(project, {"anytier:app": ".git/config"})
    assert len(found) == 3 and all("is outside of project" in line and CANARY not in line for line in found)


def test_a_projects_file_that_is_a_link_out_of_it_is_not_read(project: Path) -> None:
    outside = project.parent / "outside.yaml"
    outside.write_text(f"name: [{CANARY}\n")
    (project / "Pulumi.yaml").unlink()
    (project / "Pulumi.yaml").symlink_to(outside)
    (line,) = refused(project, {})
    assert "leads out of project" in line and CANARY not in line


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"anytier:app": "../app.yaml"}, "anytier:app: '../app.yaml' is outside of project"),
        (
            {"anytier:tier": "baremetal", "anytier:baremetal": {"inventory": "/etc/passwd"}},
            "anytier:baremetal.inventory: '/etc/passwd' is outside of project",
        ),
        ({"anytier:docker": "nonsense"}, "anytier:docker: must be a mapping"),
        ({"anytier:tier": "dokcer"}, "did you mean 'docker'"),
        ({"anytier:app": "none.yaml"}, "No such file"),
        ({"anytier:app": "a\0b"}, "cannot be read"),
        ({"anytier:prot": 1}, "did you mean 'port'"),
    ],
)
def test_what_is_wrong_is_told_as_a_preview_tells_it(project: Path, config: dict[str, Any], said: str) -> None:
    assert any(said in line for line in refused(project, config))


def test_mistakes_in_config_and_spec_are_told_together(project: Path) -> None:
    (project / "app.yaml").write_text(SPEC.replace("containers:", "containres:"))
    found = refused(project, {"anytier:port": "80abc"})
    assert any("anytier:port" in line for line in found) and any("did you mean 'containers'" in line for line in found)


def test_a_project_without_a_name_is_told(project: Path) -> None:
    (project / "Pulumi.yaml").write_text("runtime: python\n")
    assert any("Pulumi.yaml: has no `name`" in line for line in refused(project, {}))


def test_the_working_folder_is_as_it_was(project: Path) -> None:
    before = Path.cwd()
    refused(project, {"anytier:tier": "dokcer"})
    assert Path.cwd() == before


def test_config_is_given_as_the_engine_gives_it() -> None:
    found = as_given({"anytier:port": 80, "aws:region": "x", "own": True, "anytier:a": {"secure": "v1"}}, "shop")
    assert found == {"anytier:port": "80", "aws:region": "x", "shop:own": "true", "anytier:a": ""}
