"""anytier's own stacks keep every rule without a waiver, as the program registers them; what advice is left is told."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.record import Recording, record
from tests.runtimes.record import Secret as Marked
from tests.runtimes.test_goldens import ROOT, SECRETS, deployed, whole_program
from tests.tiers.test_kubeadm import THREE, VM, filled

from anytier.marks import Secret
from anytier.policy.check import Report, check
from anytier.policy.registry import RULES
from anytier.policy.rendered import rendered
from anytier.policy.resource import Resource

MACHINES = ("local", "docker", "baremetal", "libvirt", "fleet")
KUBEADM = {"machines": THREE, "metrics": True}
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
