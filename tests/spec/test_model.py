"""The model has every field that the spec promises: one sample uses all of them, and comes back as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from anytier.spec import App, diagnose, diagnose_bytes, for_tier
from anytier.spec.hidden import SOURCES
from anytier.spec.model import Job, Secret, ServicePort, Update
from anytier.spec.schema import schema
from anytier.spec.walk import all_fields, used_fields

SAMPLE = Path(__file__).with_name("samples") / "everything.yaml"
_SAME = (
    ("jobs.*.containers", "workloads.*.containers"),
    ("jobs.*.host", "workloads.*.host"),
    ("jobs.*.dependsOn", "workloads.*.dependsOn"),
    ("host.files", "containers.*.files"),
)


def _sample() -> App:
    app, found = diagnose_bytes(SAMPLE.read_bytes(), "everything.yaml")
    assert app is not None, found
    assert not found
    return app


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths that are written in plain data, with `*` for names and indices where the model has any names."""
    if isinstance(value, dict):
        for key, below in value.items():
            for step in (key, "*"):
                yield from _leaves(below, f"{path}.{step}" if path else step)
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, f"{path}.*")
    yield path


def _anywhere(field: str) -> str:
    """The same type stands in many places; to use its field in one of them is enough."""
    for here, there in _SAME:
        field = field.replace(here, there)
    for probe in ("livenessProbe.", "readinessProbe.", "startupProbe.", "lifecycle.postStart.", "lifecycle.preStop."):
        field = field.replace(probe, "probe.")
    return field


def test_the_sample_uses_every_field_of_the_model() -> None:
    written = {_anywhere(path) for path in _leaves(yaml.safe_load(SAMPLE.read_text()))}
    fields = {_anywhere(field) for field in all_fields()}
    assert len(fields) > 130
    assert fields - written == set()


def test_no_field_of_the_sample_is_at_its_default() -> None:
    """So that what the capability check is asked about is all that was written."""
    used = {".".join(map(str, path)) for path, _ in used_fields(_sample())}
    assert {"workloads.web.update.autoRollback", "workloads.store.scale.mode", "routes.0.tls.redirect"} <= used
    assert len(used) > 120


def test_it_comes_back_as_it_was_written() -> None:
    app = _sample()
    for text in (json.dumps(app.dump()), yaml.safe_dump(app.dump())):
        again, found = diagnose_bytes(text.encode(), "again")
        assert again == app and not found


def test_an_editor_takes_it_too() -> None:
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(SAMPLE.read_text()))


def test_what_is_written_is_what_is_read() -> None:
    app = _sample()
    web = app.workloads["web"]
    main = web.containers["web"]
    assert main.args == ["--name", "${metadata.name}", "$$ is $", "$${literal}"]
    assert main.resources.limits and main.resources.requests
    assert (main.resources.requests.cpu, main.resources.limits.cpu) == (0.25, 1.5)
    assert (main.resources.requests.memory, main.resources.limits.memory) == (64 * 2**20, 256 * 10**6)
    assert main.stop_grace_period == 90 and web.update.drain_timeout == 30 and web.update.progress_deadline == 600
    assert main.liveness_probe and main.liveness_probe.http_get
    assert main.liveness_probe.http_get.headers == {"Host": "web.example", "X-A": "b"}
    assert web.service and web.service.ports["dns"].target_port == 53
    assert app.jobs["nightly"].trigger == "schedule"
    assert app.secrets["token"].from_ == "generate"


def test_the_sources_that_may_be_shown_are_those_of_the_model() -> None:
    assert set(get_args(Secret.model_fields["from_"].annotation)) == SOURCES


def test_everything_is_frozen() -> None:
    app = _sample()

    def walk(item: Any) -> None:
        if isinstance(item, BaseModel):
            name = next(iter(type(item).model_fields), None)
            if name is not None:
                with pytest.raises(ValidationError):
                    setattr(item, name, None)
            for field in type(item).model_fields:
                walk(getattr(item, field))
        elif isinstance(item, dict):
            for below in item.values():
                walk(below)

    walk(app)


def test_defaults_that_depend_on_others() -> None:
    assert ServicePort.model_validate({"port": 80}).target_port == 80
    assert Update().progress_deadline == 120
    assert Update.model_validate({"healthyDeadline": "5m"}).progress_deadline == 600


def test_an_override_merges_replaces_and_removes() -> None:
    spec = {
        "workloads": {"web": {"scale": {"replicas": 2}, "placement": {"hosts": ["a", "b"]}}},
        "jobs": {"j": {}},
        "overrides": {
            "docker": {"workloads": {"web": {"scale": {"replicas": 3}, "placement": {"hosts": ["c"]}}}, "jobs": None}
        },
    }
    assert for_tier(spec, "docker") == {"workloads": {"web": {"scale": {"replicas": 3}, "placement": {"hosts": ["c"]}}}}
    assert for_tier(spec, "eks") == {key: value for key, value in spec.items() if key != "overrides"}


def test_the_app_of_a_tier_is_the_one_with_its_overrides() -> None:
    app, _ = diagnose_bytes(SAMPLE.read_bytes(), "x", tier="docker")
    other, _ = diagnose_bytes(SAMPLE.read_bytes(), "x", tier="local")
    assert app and other
    assert (app.workloads["web"].scale.replicas, other.workloads["web"].scale.replicas) == (2, 3)


def test_files_that_are_there_are_found(tmp_path: Path) -> None:
    spec = tmp_path / "app.yaml"
    spec.write_bytes(SAMPLE.read_bytes())
    missing = {item.path for item in diagnose(spec)[1]}
    assert missing == {
        "workloads.web.containers.init.build.context",
        'workloads.web.containers.web.files["/etc/theme.css"].source',
    }
    (tmp_path / "src").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "files/theme.css").write_text("x")
    assert diagnose(spec)[1] == []


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "*/5 0-23/2 1,15,31 jan-dec MON-fri", "0 3 * * 1-5", "59 23 31 12 7", "@daily", "5/10 * * * sun"],
)
def test_schedules_that_cron_knows(schedule: str) -> None:
    assert Job.model_validate({"schedule": schedule}).schedule == schedule


@pytest.mark.parametrize(
    "schedule",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-3 * * * *", "*/0 * * * *",
     "* * * mon *", "@often", "* *  * * *", "1,,2 * * * *", "-1 * * * *"],
)  # fmt: skip
def test_schedules_that_cron_does_not_know(schedule: str) -> None:
    with pytest.raises(ValidationError):
        Job.model_validate({"schedule": schedule})
