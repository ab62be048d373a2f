"""No silent loss: every field of the spec changes what is rendered, or the capability table says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.render.kubernetes.samples import TARGET
from tests.runtimes.test_fields import ELSEWHERE, ONLY_KEPT, _about, folder, steps, values_of, written

from anytier import capabilities
from anytier.errors import CapabilityError
from anytier.render.kubernetes import render
from anytier.spec import App
from anytier.spec.walk import all_fields, used_fields

__all__ = ["folder"]

# Not in an object: what a Secret's value is, how an image is built, and how the rollout is watched.
BESIDE = {
    **dict.fromkeys(("command", "from", "key", "length", "charset", "path", "timeout"), "secrets.*."),
    **dict.fromkeys(("id", "version", "region", "project", "vault"), "secrets.*."),
    **dict.fromkeys(("context", "dockerfile", "args", "target", "platforms"), ".build."),
    "stopSignal": ".containers.",
}


def outcome(app: App, folder: Path) -> tuple[list[str], str]:
    refused = [str(found.error().path) for found in capabilities.check(used_fields(app), "kubeadm")]
    if refused:
        return refused, ""
    try:
        return [], repr(render(app, TARGET, folder))
    except CapabilityError as error:
        return [error.path], ""


ALIKE = {"workloads.*.service.ports.*.expose": "host and public are alike: what is internal differs (test_network)"}
OWN = {
    "resources.*.params": ({"size": "2Gi"}, {"size": "3Gi"}),
    "objects": tuple([{"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}}] for kind in ("Secret", "Pod")),
}


def with_it(field: str, value: Any) -> App:
    """The field in an app, with what Kubernetes wants to see beside it."""
    data = written(field, value).dump()
    web, job = data["workloads"]["web"], data["jobs"]["job"]
    if field.startswith(("workloads.*.scale.min", "workloads.*.scale.metrics")):
        web["scale"]["max"] = 9
    if field in ("jobs.*.schedule", "jobs.*.timeZone", "jobs.*.concurrencyPolicy"):
        job |= {"trigger": "schedule", "schedule": job.get("schedule", "@daily")}
    return App.model_validate(data)


@pytest.mark.parametrize("field", [field for field in all_fields() if field not in {**ELSEWHERE, **ALIKE}])
def test_no_field_is_lost_in_silence(field: str, folder: Path) -> None:
    path = ".".join(map(str, steps(field)))
    values = OWN.get(field) or values_of(path)
    (refused, one), (refused_too, two) = (outcome(with_it(field, value), folder) for value in values)
    if refused or refused_too:
        strange = [item for item in (*refused, *refused_too) if not _about(item, path)]
        assert not strange, f"refused for something else: {strange}"
    elif one == two and not _beside(field):
        cell = capabilities.lookup(path, "kubeadm")
        assert cell.status == "emulated" and ONLY_KEPT.search(cell.note), f"{path} changes nothing, and is {cell}"


def _beside(field: str) -> bool:
    place = BESIDE.get(field.rpartition(".")[2])
    return (place is not None and place in field) or ".build." in field
