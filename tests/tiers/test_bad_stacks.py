"""What a user of a managed tier may get wrong, walked through `anytier plan`: one line each, with where, what, and what
to do, before anything is asked of a cloud and whether its SDK is there or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from anytier.cli.__main__ import main
from anytier.tiers import gkeplan, managed

WHERE: dict[str, dict[str, Any]] = {
    "eks": {"aws:region": "eu-central-1"},
    "gke": {"gcp:project": "my-project-123", "gcp:region": "europe-west3"},
    "aks": {"azure-native:location": "westeurope"},
}
REGION = {"eks": "aws:region", "gke": "gcp:region", "aks": "azure-native:location"}
NEAR = {
    "eks": ("eu-centrl-1", "eu-central-1"),
    "gke": ("europe-wst3", "europe-west3"),
    "aks": ("westeurop", "westeurope"),
}
# Networks that overlap by default, or with one another: the path that is at fault, and what it is told of.
OVERLAPS: dict[str, list[tuple[dict[str, str], str, str]]] = {
    "eks": [
        ({"network": "172.20.0.0/16"}, "services", "`network`"),
        ({"services": "10.20.128.0/20"}, "services", "`network`"),
    ],
    "gke": [
        ({"network": "10.64.0.0/20"}, "pods", "`network`"),
        ({"services": "10.65.0.0/20"}, "services", "`pods`"),
    ],
    "aks": [
        ({"network": "10.244.0.0/16"}, "podNetwork", "`network`"),
        ({"serviceNetwork": "10.180.4.0/24"}, "serviceNetwork", "`network`"),
    ],
}
# Options, the path below the tier's key, what is said to be wrong, what is said to do.
WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"nodes": [{"size": "mediun"}]}, "nodes.0.size", "did you mean 'medium'?", "an exact type such as"),
    ({"nodes": [{"size": "huge.machine"}]}, "nodes.0.size", "nor a machine type here", "one of these words"),
    ({"nodes": [{"size": "m6i.large; rm -rf"}]}, "nodes.0.size", "nor a machine type here", "one of these words"),
    ({"version": "1.29"}, "version", "1.29 is no version that", "one of 1."),
    ({"version": 1.3}, "version", "1.3 is no version that", "in quotes"),
    ({"version": "1.34.2"}, "version", "is no minor version", "give 1.NN"),
    ({"version": "latest"}, "version", "is no minor version", "give 1.NN"),
    ({"network": "10.0.0.0/33"}, "network", "is no IPv4 network", "give one such as"),
    ({"network": "8.8.0.0/16"}, "network", "is not of the private addresses", "give one such as"),
    ({"nodes": [{"min": 0, "max": 0}]}, "nodes.0", "may have no machine at all", "give it a `max`, or take it out"),
    ({"nodes": [{"min": 0}]}, "nodes", "no pool has a machine to begin with", "a `min` of 1 or more"),
    ({"nodes": []}, "nodes", "names no pool", "a `min` of 1 or more"),
    ({"nodes": [{"min": 5, "max": 2}]}, "nodes.0", "more than its `max` of 2", "docs/stacks.md"),
    ({"nodes": [{"min": -1}]}, "nodes.0.min", "greater than or equal to 0", "docs/stacks.md"),
    ({"nodes": {"min": 2}}, "nodes", "should be a valid list", "docs/stacks.md"),
    ({"nodes": [{}, {}]}, "nodes.1.name", "is the name of pool 0, too", "a `name` of its own"),
    ({"mode": "autopilto"}, "mode", "input should be 'standard' or", "docs/stacks.md"),
    ({"nods": [{}]}, "nods", "did you mean 'nodes'?", "one of "),
    ({"access": ["0.0.0.0/0"]}, "access.0", "is (nearly) everybody", "the addresses that you come from"),
    ({"gateway": {}}, "gateway", "names no Gateway", "give `name` and `namespace` of one"),
    ({"gateway": {"name": "web"}}, "gateway", "is there by half", "such as {name: web, namespace: infra}"),
    ({"gateway": {"namespace": "infra"}}, "gateway", "is there by half", "give both"),
    ({"gateway": {"name": "Web", "namespace": "infra"}}, "gateway.name", "is no name of an object", "docs/stacks.md"),
    ({"gateway": {"name": "web", "namespace": "in.fra"}}, "gateway.namespace", "is no namespace", "docs/stacks.md"),
    ({"gateway": {"className": "a..b"}}, "gateway.className", "is no name of an object", "docs/stacks.md"),
    ({"gateway": {"clasName": "eg"}}, "gateway.clasName", "did you mean 'className'?", "one of "),
    ({"gateway": "traefik"}, "gateway", "should be a valid dictionary", "docs/stacks.md"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "app.yaml").write_text(
        "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: shop}\n"
        "workloads: {web: {containers: {web: {image: nginx}}, service: {ports: {http: {port: 80}}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(managed, "find_spec", lambda name: object())
    return tmp_path


class Told:
    """What `anytier plan` says on stderr: one error."""

    def __init__(self, project: Path, tier: str, config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
        stack = {"anytier:app": "app.yaml", "anytier:tier": tier, **WHERE[tier], **config}
        stack = {key: value for key, value in stack.items() if value is not None}
        (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": stack}))
        code = main(["plan", "-s", "dev"])
        shown = capsys.readouterr()
        lines = shown.err.splitlines()
        assert code == 1 and not shown.out and len(lines) == 2, shown.err
        head, do = lines
        assert head.startswith("error: ") and do.startswith("  -> ")
        self.path, _, self.what = head.removeprefix("error: ").partition(": ")
        self.do = do.removeprefix("  -> ")


@pytest.mark.parametrize("tier", WHERE)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong[1]}-{wrong[2][:20]}")
def test_what_is_wrong_is_one_line_with_its_path_and_what_to_do(
    tier: str, wrong: tuple[dict[str, Any], str, str, str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, path, what, do = wrong
    if tier == "gke" and "access" in options:
        options = {**options, "endpoint": "public"}
    told = Told(project, tier, {f"anytier:{tier}": options}, capsys)
    assert told.path == f"anytier:{tier}.{path}" and what in told.what and do in told.do


@pytest.mark.parametrize("tier", WHERE)
def test_a_region_is_told_by_the_providers_own_key(
    tier: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, (near, meant) = REGION[tier], NEAR[tier]
    told = Told(project, tier, {key: near}, capsys)
    assert told.path == key and f"did you mean '{meant}'?" in told.what and told.do
    told = Told(project, tier, {key: None}, capsys)
    assert told.path == key and "is not set" in told.what and told.do == f"`pulumi config set {key} {meant}`"
    told = Told(project, tier, {key: 5}, capsys)
    assert told.path == key and "'5' is no region" in told.what


@pytest.mark.parametrize(("tier", "case"), [(tier, case) for tier, cases in OVERLAPS.items() for case in cases])
def test_networks_that_overlap_name_the_later_one_and_the_other(
    tier: str, case: tuple[dict[str, str], str, str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, path, other = case
    told = Told(project, tier, {f"anytier:{tier}": options}, capsys)
    assert (
        told.path == f"anytier:{tier}.{path}" and f"overlaps {other}" in told.what and "no address in common" in told.do
    )


@pytest.mark.parametrize("tier", WHERE)
def test_a_version_without_quotes_is_what_was_meant(
    tier: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To YAML 1.35 is a number. What is wrong here is something else."""
    told = Told(project, tier, {f"anytier:{tier}": {"version": 1.35}, REGION[tier]: "mars"}, capsys)
    assert told.path == REGION[tier]


def test_aks_own_pods_need_a_machine(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(project, "aks", {"anytier:aks": {"system": {"min": 1}}}, capsys)
    assert told.path == "anytier:aks.system.min" and "two machines" in told.what and told.do == "give 2 or more"


def test_two_stacks_of_one_name_are_two_clusters() -> None:
    """EKS' and AKS' end in what their providers make up (test_eks.py, test_aks_cluster.py); Google wants names."""
    assert gkeplan.called("gke", "shop") != gkeplan.called("gke", "mail")
    assert gkeplan.called("gke", "shop") == gkeplan.called("gke", "shop")
