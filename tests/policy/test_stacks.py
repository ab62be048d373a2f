"""anytier's own stacks keep every rule without a waiver, as the program registers them; what advice is left is told."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.runtimes.record import Recording, record
from tests.runtimes.record import Secret as Marked
from tests.runtimes.test_goldens import ROOT, SECRETS, deployed, whole_program
from tests.tiers.test_kubeadm import THREE, VM, filled

from anytier.marks import Secret
from anytier.policy.check import Report, check
from anytier.policy.registry import RULES
from anytier.policy.rendered import rendered
from anytier.policy.resource import Resource
from anytier.recording.judged import judged
from anytier.recording.stack import plan
from anytier.report.plan.graph import Graph
from anytier.tiers.registry import REGISTRY

MACHINES = ("local", "docker", "baremetal", "libvirt", "fleet")
KUBEADM = {"machines": THREE, "metrics": True, "ingressController": "traefik", "networkPolicy": "kube-router"}
IN_VMS = {"libvirt": {**VM, "machines": 2}, "cni": "flannel"}


def values(tree: Any) -> Any:
    if isinstance(tree, Marked):
        return Secret(values(tree.value))
    if isinstance(tree, dict):
        return {key: values(item) for key, item in tree.items()}
    return [values(item) for item in tree] if isinstance(tree, list) else tree


def resources(recording: Recording) -> list[Resource]:
    return [Resource(item.type, item.name, values(item.inputs) or {}) for item in recording.resources]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("bundle"))


@cache
def on_machines(app: str, tier: str) -> Report:
    return check(resources(deployed(app, tier)))


RECORDED: dict[str, list[Resource]] = {}


def on_cluster(app: str, bundle: Path, **args: Any) -> tuple[list[Resource], Report]:
    key = f"{app} {json.dumps(args)}"
    if key not in RECORDED:
        RECORDED[key] = registered(app, bundle, **args)
    return RECORDED[key], check(RECORDED[key])


def registered(app: str, bundle: Path, **args: Any) -> list[Resource]:
    spec = str(ROOT / "apps" / app / "app.yaml")
    config = {"anytier:app": spec, "anytier:tier": "kubeadm", **SECRETS.get(app, {})}
    kubeadm = {"anytier:kubeadm": json.dumps({"bundle": str(bundle), **args})}
    return resources(record(whole_program, config | kubeadm))


def told(report: Report) -> set[str]:
    assert not report.broken and not report.waived, [str(item) for item in report.findings if item.mandatory]
    return {f"{item.rule.id} {item.resource.name}" for item in report.findings}


@pytest.mark.parametrize("tier", MACHINES)
def test_our_stack_on_machines_and_docker_keeps_every_rule(tier: str) -> None:
    assert told(on_machines("guestbook", tier)) == set()


@pytest.mark.parametrize("tier", MACHINES)
def test_the_conformance_app_keeps_all_but_the_advice_to_limit_memory(tier: str) -> None:
    assert {line.split()[0] for line in told(on_machines("conformance", tier))} <= {
        "host-memory-limit",
        "docker-memory-limit",
    }


@pytest.mark.parametrize("args", [KUBEADM, IN_VMS], ids=["ssh", "libvirt"])
def test_our_cluster_with_our_app_keeps_every_rule(bundle: Path, args: dict[str, Any]) -> None:
    """The app's containers may write to their root, which its spec does not forbid."""
    _, report = on_cluster("guestbook", bundle, **args)
    assert told(report) == {"pod-read-only-root store", "pod-read-only-root web"}


def test_the_conformance_app_on_our_cluster(bundle: Path) -> None:
    _, report = on_cluster("conformance", bundle, **KUBEADM)
    assert {line.split()[0] for line in told(report)} == {"pod-read-only-root", "pod-memory-limit"}


def test_the_rules_looked_at_something(bundle: Path) -> None:
    """What our stacks register is of the types that the rules are about: all of those that are no cloud's."""
    found = list(on_cluster("conformance", bundle, **KUBEADM)[0])
    for tier in ("docker", "libvirt"):
        found += resources(deployed("conformance", tier))
    types = {seen.type for item in found for seen in (item, *rendered(item))}
    idle = {rule.id for rule in RULES.values() if not types & set(rule.on)}
    assert {name.split("-")[0] for name in idle} == {"eks", "gke", "aks"}


def test_what_a_stack_lays_over_a_cluster_is_seen(bundle: Path) -> None:
    _, report = on_cluster("guestbook", bundle, **KUBEADM, apiServer={"profiling": "true"})
    assert [item.rule.id for item in report.findings if item.mandatory] == ["kubeadm-no-profiling"]
    _, report = on_cluster("guestbook", bundle, **KUBEADM, kubelet={"readOnlyPort": 10255})
    assert [item.rule.id for item in report.findings if item.mandatory] == ["kubeadm-kubelet-read-only-port"]


# As they lie in the project: what `anytier preview --fail-on-policy` says of them, in every mode of every cloud.

SDKS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
ANYWHERE = "203.0.113.7/32"
AUTOMATIC = {"mode": "automatic", "access": [ANYWHERE], "address": "shop.westeurope.cloudapp.azure.com"}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "eks": [{}, {"mode": "auto"}, {"access": [ANYWHERE], "os": "al2023", "nat": "none"}],
    "gke": [{}, {"mode": "autopilot"}, {"endpoint": "public", "access": [ANYWHERE]}, {"endpoint": "private"}],
    "aks": [{}, AUTOMATIC, {"access": [ANYWHERE], "ingress": "app-routing", "address": "shop.example.org"}],
}
ARM = {"nodes": [{"arch": "arm64", "spot": True}]}
STACKS = [
    (tier, options) for tier in REGISTRY for options in [*OPTIONS.get(tier, [{}]), *([ARM] if tier in SDKS else [])]
]
PLANNED: dict[str, Graph] = {}


def planned(tier: str, options: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    """The stack of the project's own file, with some options laid over its tier's."""
    if tier in SDKS:
        pytest.importorskip(SDKS[tier], reason="make test-clouds")
    config = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{tier}.yaml").read_text())["config"]
    if options:
        config[f"anytier:{tier}"] = {**config.get(f"anytier:{tier}", {}), **options}
    key = json.dumps([tier, options])
    PLANNED[key] = PLANNED.get(key) or plan(ROOT, tier, config).graph
    return PLANNED[key], config


def named(stack: tuple[str, dict[str, Any]]) -> str:
    return "-".join([stack[0], *map(str, stack[1])])


@pytest.mark.parametrize("stack", STACKS, ids=named)
def test_the_projects_own_stack_breaks_nothing_and_waives_nothing(stack: tuple[str, dict[str, Any]]) -> None:
    tier, options = stack
    graph, config = planned(tier, options)
    assert "anytier:policy" not in config
    found = judged(graph, config)
    assert [(item.rule, item.resource, item.path, item.what) for item in found if item.mandatory or item.waived] == []


# An app that is somebody at each cloud, and whose image is built.
SOMEBODY = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {build: {context: web}, user: 101, securityContext: {readOnlyRootFilesystem: true}}}
    service: {ports: {http: {port: 80}}}
    identity:
      cloudRoles:
        aws: arn:aws:iam::123456789012:role/web
        gcp: web@my-project-123.iam.gserviceaccount.com
        azure: IDENTITY
  worker:
    containers: {worker: {image: "nginx:1.29", user: 101, securityContext: {readOnlyRootFilesystem: true}}}
    identity: {cloudRoles: {aws: arn:aws:iam::123456789012:role/worker}}
"""
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shop"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"
)


@pytest.mark.parametrize("tier", SDKS)
def test_an_app_that_is_somebody_at_its_cloud_breaks_nothing_and_the_rules_looked_at_it(
    tier: str, tmp_path: Path
) -> None:
    """Each rule of the cloud is about something that our stacks register; else keeping it would mean nothing."""
    graphs = [planned(tier, options)[0] for options in OPTIONS[tier]]
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text("FROM scratch\n")
    roles = {"eks": "aws", "gke": "gcp", "aks": "azure"}
    spec = yaml.safe_load(SOMEBODY.replace("IDENTITY", IDENTITY))
    for body in spec["workloads"].values():
        given = body["identity"]["cloudRoles"]
        body["identity"]["cloudRoles"] = {key: role for key, role in given.items() if key == roles[tier]}
    (tmp_path / "app.yaml").write_text(yaml.safe_dump(spec))
    config = planned(tier, OPTIONS[tier][0])[1] | {"anytier:app": "app.yaml"}
    graphs.append(plan(tmp_path, "prod", config).graph)
    assert [str(item) for item in judged(graphs[-1], config) if item.mandatory] == []
    types = {node.type for graph in graphs for node in graph.resources}
    assert {rule.id for rule in RULES.values() if rule.id.startswith(f"{tier}-") and not types & set(rule.on)} == set()
