"""The capability table: every tier in every row, lookup by the nearest row, and what a check refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from anytier import capabilities as c
from anytier.report import matrix
from anytier.spec import App, diagnose_bytes
from anytier.spec.load import TIERS
from anytier.spec.messages import unwrap
from anytier.spec.model import Tier
from anytier.spec.walk import all_fields, used_fields
from anytier.tiers.registry import REGISTRY


@pytest.mark.parametrize("path", sorted(c.TABLE))
def test_every_row_has_every_tier_and_explains_what_is_not_native(path: str) -> None:
    assert tuple(c.TABLE[path]) == c.TIERS
    for cell in [cell for base in c.TABLE[path].values() for cell in (base, *base.modes.values())]:
        if cell.status != "native":
            assert cell.note, path
        if cell.status == "unsupported":
            assert cell.instead, path


def test_a_tier_that_is_not_built_says_so() -> None:
    for tier in set(c.TIERS) - set(c.BUILT):
        assert c.lookup("workloads.web.scale.replicas", tier).status == "planned"


def test_who_a_workload_is_to_a_cloud_is_carried_where_there_is_one() -> None:
    assert c.lookup("workloads.web.identity.cloudRoles", "eks").status == "native"
    assert c.lookup("workloads.web.identity.cloudRoles", "kubeadm").status == "unsupported"


def test_lookup_takes_the_nearest_row_above() -> None:
    assert c.lookup("workloads.web.containers.web.livenessProbe.httpGet.path", "docker").status == "emulated"
    assert c.lookup("workloads.web.containers.web.livenessProbe.grpc.port", "docker").status == "unsupported"


def test_a_value_can_have_a_row_of_its_own() -> None:
    path = "workloads.web.update.strategy"
    assert c.lookup(path, "docker", value="canary").status == "planned"
    assert c.lookup(path, "docker", value="rolling").status == "emulated"


def test_a_mode_overrides_its_tier() -> None:
    path = "workloads.web.containers.web.resources.limits.cpu"
    assert c.lookup(path, "local", "systemd").status == "native"
    assert c.lookup(path, "local", "supervisord").status == "unsupported"


@pytest.mark.parametrize(
    ("path", "standard", "autopilot"),
    [
        ("workloads.web.placement.labels", "native", "emulated"),
        ("workloads.web.containers.web.resources.requests.cpu", "native", "emulated"),
        ("workloads.web.containers.web.resources.limits.gpu", "planned", "emulated"),
        ("workloads.web.containers.web.securityContext.capAdd", "native", "emulated"),
        ("workloads.web.scale.mode", "native", "emulated"),
        ("objects", "native", "emulated"),
    ],
)
def test_autopilots_limits_are_in_the_table(path: str, standard: str, autopilot: str) -> None:
    assert c.lookup(path, "gke", "standard").status == standard
    assert c.lookup(path, "gke", "autopilot").status == autopilot


@pytest.mark.parametrize(
    ("path", "standard", "auto"),
    [
        ("workloads.web.placement.labels", "native", "emulated"),
        ("workloads.web.containers.web.resources.limits.gpu", "emulated", "unsupported"),
        ("jobs.once.containers.once.resources.requests.gpu", "emulated", "unsupported"),
    ],
)
def test_the_limits_of_eks_auto_mode_are_in_the_table(path: str, standard: str, auto: str) -> None:
    assert c.lookup(path, "eks", "standard").status == standard
    assert c.lookup(path, "eks", "auto").status == auto


@pytest.mark.parametrize(
    ("path", "value", "standard", "automatic"),
    [
        ("workloads.web.service.ports.http.expose", "public", "emulated", "unsupported"),
        ("workloads.web.service.ports.http.expose", "internal", "emulated", "emulated"),
        ("workloads.web.containers.web.resources.requests.cpu", None, "native", "emulated"),
        ("jobs.once.containers.once.resources.requests.cpu", None, "native", "emulated"),
        ("workloads.web.containers.web.resources.limits.cpu", None, "native", "emulated"),
        ("workloads.web.placement.labels", None, "native", "emulated"),
        ("objects", None, "native", "emulated"),
    ],
)
def test_the_limits_of_aks_automatic_are_in_the_table(
    path: str, value: str | None, standard: str, automatic: str
) -> None:
    assert c.lookup(path, "aks", "standard", value).status == standard
    assert c.lookup(path, "aks", "automatic", value).status == automatic


def test_a_finding_names_the_field_the_tier_the_reason_and_the_way_out() -> None:
    [finding] = c.check([(("workloads", "web", "placement", "hosts"), None), (("kind",), "App")], "docker")
    text = str(finding.error())
    for part in ("workloads.web.placement.hosts", "docker", "there is one machine", "overrides"):
        assert part in text


def test_a_field_without_a_row_is_a_defect() -> None:
    with pytest.raises(KeyError):
        c.lookup("nothing.like.this", "docker")


def test_the_matrix_prints_every_row_in_every_form() -> None:
    text, page = matrix.as_text(c.TIERS), matrix.as_markdown()
    for path in c.TABLE:
        assert path in text and f"`{path}`" in page
    assert [row["field"] for row in matrix.as_json(c.TIERS)] == sorted(c.TABLE)


# the model and the table, both ways


def _literals() -> dict[str, set[str]]:
    """Field -> the words it may hold, for each field that has a list of words."""
    found: dict[str, set[str]] = {}
    for path, annotation in _annotations(App, ""):
        words = {word for member in _members(annotation) for word in get_args(member) if get_origin(member) is Literal}
        if words:
            found[path] = words
    return found


def _members(annotation: Any) -> list[Any]:
    return [annotation] if get_origin(annotation) is Literal else [m for a in get_args(annotation) for m in _members(a)]


def _annotations(model: type[BaseModel], path: str) -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        here = f"{path}.{info.alias or name}" if path else (info.alias or name)
        yield here, info.annotation
        for kind in unwrap(info.annotation):
            yield from _inside(kind, here)


def _inside(kind: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _annotations(kind, path)
    elif get_origin(kind) in (dict, list):
        for inner in unwrap(get_args(kind)[-1]):
            yield from _inside(inner, f"{path}.*")


FIELDS = sorted(all_fields())
PSEUDO = {"host=absent", "host=image", "containers=several", "user=named", "stopSignal=image"}


@pytest.mark.parametrize("tier", c.TIERS)
def test_every_field_of_the_model_has_a_row_on_every_tier(tier: str) -> None:
    assert len(FIELDS) > 250
    for field in FIELDS:
        for mode in (None, *c.MODES.get(tier, ())):
            assert c.lookup(field, tier, mode).status in get_args(c.Status)


def test_every_row_leads_to_a_field_of_the_model() -> None:
    parts = [field.split(".") for field in FIELDS]
    for key in c.TABLE:
        steps = key.partition("=")[0].split(".")
        assert any(field[: len(steps)] == steps for field in parts), key


def test_every_row_for_a_value_is_for_one_that_the_field_can_have() -> None:
    words = _literals()
    assert len(words) > 15
    for key in c.TABLE:
        path, _, value = key.partition("=")
        if value and f"{path.rpartition('.')[2]}={value}" not in PSEUDO and path != "resources.*.type":
            assert value in words[path], key


def test_every_word_of_every_field_is_answered_on_every_tier() -> None:
    for path, words in _literals().items():
        for word in words:
            for tier in c.TIERS:
                assert c.lookup(path, tier, None, word).status


@pytest.mark.parametrize("tier", [tier for tier in c.TIERS if tier not in c.BUILT])
def test_a_tier_that_is_planned_says_so_in_every_row(tier: str) -> None:
    for path, row in c.TABLE.items():
        assert row[tier].status == "planned" and "not built yet" in row[tier].note and row[tier].instead, path


def test_the_table_the_model_and_the_registry_name_the_same_tiers() -> None:
    assert c.TIERS == get_args(Tier) == TIERS
    assert set(REGISTRY) == set(c.BUILT)
    assert set(c.MODES) <= set(c.BUILT)


def test_a_note_is_a_phrase_that_a_person_can_read() -> None:
    for path, row in c.TABLE.items():
        for cell in [cell for base in row.values() for cell in (base, *base.modes.values())]:
            for text in (cell.note, cell.instead):
                assert text == text.strip() and not text.endswith(".") and "  " not in text and len(text) < 130, path
                assert not text or text[0].islower() or text.startswith(("RLIMIT", "Docker", "Kubernetes")), text


@pytest.mark.parametrize(
    ("field", "value", "tier", "status"),
    [
        ("secrets.token.from", "aws-sm", "docker", "planned"),
        ("secrets.token.from", "env", "docker", "native"),
        ("workloads.web.containers.web.livenessProbe.httpGet.scheme", "HTTPS", "docker", "unsupported"),
        ("workloads.web.containers.web.livenessProbe.httpGet.scheme", "HTTPS", "local", "emulated"),
        ("jobs.once.containers.once.livenessProbe.httpGet.path", None, "docker", "unsupported"),
        ("jobs.once.containers.once.lifecycle.preStop.exec.command", None, "local", "unsupported"),
        ("jobs.once.metadata.labels", None, "local", "emulated"),
        ("jobs.once.trigger", "schedule", "docker", "planned"),
        ("resources.db.type", "postgres", "docker", "planned"),
        ("resources.data.type", "volume", "docker", "native"),
        ("routes.0.tls.auto", None, "local", "emulated"),
        ("objects", None, "docker", "unsupported"),
        ("objects", None, "kubeadm", "native"),
        ("jobs.once.trigger", "schedule", "kubeadm", "native"),
        ("workloads.web.scale.max", None, "kubeadm", "native"),
        ("workloads.web.containers.web.livenessProbe.grpc.port", None, "kubeadm", "native"),
        ("workloads.web.containers.web.user", "named", "kubeadm", "unsupported"),
        ("workloads.web.containers.web.user", "named", "docker", "native"),
        ("workloads.web.containers.web.stopSignal", "image", "kubeadm", "unsupported"),
        ("jobs.once.containers.once.stopSignal", "SIGINT", "kubeadm", "emulated"),
        ("workloads.web.identity.cloudRoles", None, "gke", "native"),
        ("workloads.web.placement.hosts", None, "gke", "unsupported"),
        ("workloads.web.placement.labels", None, "gke", "native"),
        ("workloads.web.containers.web.resources.limits.gpu", None, "gke", "planned"),
        ("workloads.web.containers.web.livenessProbe.grpc.port", None, "gke", "native"),
        ("workloads.web.identity.cloudRoles", None, "aks", "native"),
        ("workloads.web.containers.web.build.context", None, "aks", "emulated"),
        ("workloads.web.placement.hosts", None, "aks", "unsupported"),
        ("workloads.web.service.ports.http.expose", "internal", "aks", "emulated"),
    ],
)
def test_cells_that_must_not_be_lost(field: str, value: str | None, tier: str, status: str) -> None:
    assert c.lookup(field, tier, None, value).status == status


CLOUDS = ("eks", "gke", "aks")
CLUSTERS = ("kubeadm", *CLOUDS)


@pytest.mark.parametrize("tier", c.TIERS)
def test_an_app_that_uses_everything_is_answered_field_by_field(tier: str) -> None:
    sample = Path(__file__).with_name("spec") / "samples" / "everything.yaml"
    app, _ = diagnose_bytes(sample.read_bytes(), "everything.yaml")
    assert app is not None
    used = list(used_fields(app))
    refused = {finding.path for finding in c.check(used, tier)}
    if tier not in c.BUILT:
        assert refused == {path for path, _ in used}
        return
    shown = {".".join(map(str, path)) for path in refused}
    assert "workloads.web.update.canary" in shown
    assert ("workloads.web.identity.cloudRoles" in shown) is (tier not in CLOUDS)
    assert not {"kind", "workloads.web.update.retain", "secrets.from-env.from"} & shown
    sub_path = ("workloads", "web", "containers", "web", "volumes", "/data", "subPath")
    assert {("objects",), sub_path} & refused == (set() if tier in CLUSTERS else {("objects",), sub_path})
    for finding in c.check(used, tier):
        assert (tier in finding.what and finding.error().do) or finding.cell.status == "planned"
