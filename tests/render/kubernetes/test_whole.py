"""All objects of an app: goldens of the examples, one order, no secret's value, names that a cluster takes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from tests.render.kubernetes.samples import SPECS, TARGET, finished, of_file, pod, rendered, spec
from tests.spec.strategies import apps

from anytier.errors import ConfigError
from anytier.render.kubernetes import Rendered, render
from anytier.render.kubernetes.finish import tokens_in
from anytier.spec import App

GOLDEN = Path(__file__).with_name("golden")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Kinds whose names are part of a label or of DNS.
_SHORT = {"Service": 63, "Namespace": 63, "Job": 63, "CronJob": 52, "StatefulSet": 52, "Deployment": 63}


def text_of(items: list[Rendered]) -> str:
    parts = []
    for item in items:
        head = f"# {item.key}" + (f", waits for its {item.waits}" if item.waits else "") + (", kept" * item.kept)
        after = f"# after {', '.join(item.after)}\n" if item.after else ""
        after += f"# beside {item.on}\n" if item.on else ""
        parts.append(
            f"---\n{head}\n{after}{yaml.safe_dump(item.object, sort_keys=False, allow_unicode=True, width=120)}"
        )
    return "".join(parts)


@pytest.mark.parametrize("name", SPECS)
def test_an_example_renders_to_what_was_looked_at(name: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / f"{name}.yaml"
    text = text_of(of_file(name))
    if request.config.getoption("--accept"):
        file.write_text(text, encoding="utf-8")
    assert file.is_file() and text == file.read_text(encoding="utf-8"), (
        "changed: if that is meant, run pytest tests/render/kubernetes --accept"
    )


def test_every_object_comes_behind_what_it_waits_for() -> None:
    for name in SPECS:
        seen: set[str] = set()
        for item in of_file(name):
            assert {*item.after, *([item.on] if item.on else [])} <= seen, item.key
            assert (item.update is not None) == (item.waits == "rollout")
            seen.add(item.key)


def test_a_namespace_that_no_cluster_takes_is_refused() -> None:
    with pytest.raises(ConfigError, match="64 characters"):
        rendered(spec(), replace(TARGET, namespace="x" * 64))


# any app


def carried(data: dict[str, Any]) -> App:
    """A random app without what the capability table, or rendering by name, refuses on Kubernetes."""
    for bodies in (data["workloads"], data.get("jobs", {})):
        for body in bodies.values():
            body.setdefault("containers", {"main": {"image": "x"}})
            body.get("placement", {}).pop("hosts", None)
            body.pop("identity", None)
            for item in body["containers"].values():
                item["user"] = "1000:1000"
                item.pop("stopSignal", None)
                _plain(item)
                if (
                    "complete" in [wait["ready"] for wait in item.get("before", {}).values()]
                    or bodies is not data["workloads"]
                ):
                    for field in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
                        item.pop(field, None)
            if any(item.get("volumes") for item in body["containers"].values()):
                body.pop("scale", None)
    return App.model_validate(data)


def _plain(item: dict[str, Any]) -> None:
    """No colon in a path, no owner of a file, no _ in a header."""
    for field in ("files", "volumes"):
        item[field] = {target.replace(":", "_"): given for target, given in item.get(field, {}).items()}
    for file in item["files"].values():
        file.pop("owner", None)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        item.get(probe, {}).get("httpGet", {}).pop("httpHeaders", None)


@settings(max_examples=60)
@given(apps())
def test_any_app_renders_to_objects_that_hold_together(data: dict[str, Any]) -> None:
    app = carried(data)
    items = render(app, TARGET, Path("/app"))
    assert len({item.key for item in items}) == len(items)
    seen: dict[tuple[str, str, str], Any] = {}
    for item in items:
        made = finished(item.object)
        assert json.loads(json.dumps(made)) == made
        identity = (made["apiVersion"], made["kind"], made["metadata"]["name"])
        assert identity not in seen, "two objects have one name"
        seen[identity] = made
        _named(made)
        _found(made)
    assert render(app, TARGET, Path("/app")) == items, "the same every time"


def _named(made: dict[str, Any]) -> None:
    name, kind = made["metadata"]["name"], made["kind"]
    assert (_NAME if kind in _SHORT else _SUBDOMAIN).fullmatch(name), name
    assert len(name) <= _SHORT.get(kind, 253)
    if kind == "Service":
        assert name[0].isalpha()


def _found(made: dict[str, Any]) -> None:
    """A controller's selector finds its own pods, and volumes that are mounted are there."""
    if made["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
        labels = made["spec"]["template"]["metadata"]["labels"]
        assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    if made["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        body = pod(made)
        there = {volume["name"] for volume in body.get("volumes", ())}
        used = {
            m["name"] for c in [*body["containers"], *body.get("initContainers", ())] for m in c.get("volumeMounts", ())
        }
        assert used == there and body["containers"]


@settings(max_examples=40)
@given(apps())
def test_a_secrets_value_is_in_secrets_only(data: dict[str, Any]) -> None:
    app = carried(data)
    for item in render(app, TARGET, Path("/app")):
        tokens = [name for name in tokens_in(item.object) if name.startswith("secrets.")]
        made = finished(item.object, **dict.fromkeys(tokens, "CANARY"))
        if item.object["kind"] == "Secret":
            assert "data" in made
        else:
            assert "CANARY" not in json.dumps(made)


def test_nothing_of_this_machine_is_in_a_golden() -> None:
    for file in GOLDEN.glob("*.yaml"):
        assert str(Path.home()) not in file.read_text(encoding="utf-8")
