"""What the model refuses hides no mistake elsewhere in the file, and nobody is told of one that is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.spec.strategies import apps
from tests.spec.test_properties import examples

from anytier.spec import App, diagnose_bytes
from anytier.spec.container import Node
from anytier.spec.diagnostic import dotted
from anytier.spec.mend import wholes
from anytier.spec.messages import errors_of, explain, unwrap

NONE = "no-such-thing"
# A workload with one mistake in it -> where that is told. What it needs is there: the secret, the volume, a port.
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "dependency": ({"dependsOn": {NONE: {}}}, f"workloads.known.dependsOn.{NONE}"),
    "cycle": ({"dependsOn": {"other": {}}}, "workloads.known.dependsOn.other"),
    "volume": (
        {"containers": {"main": {"image": "a", "volumes": {"/d": {"source": NONE}}}}},
        "workloads.known.containers.main.volumes./d.source",
    ),
    "secret": (
        {"containers": {"main": {"image": "a", "secrets": {"A": NONE}}}},
        "workloads.known.containers.main.secrets.A",
    ),
    "placeholder": (
        {"containers": {"main": {"image": "a", "args": [f"${{workloads.{NONE}.host}}"]}}},
        "workloads.known.containers.main.args[0]",
    ),
    "timing": (
        {
            "containers": {
                "main": {
                    "image": "a",
                    "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1, "timeoutSeconds": 2},
                }
            }
        },
        "workloads.known.containers.main.readinessProbe.timeoutSeconds",
    ),
    "limit": (
        {"containers": {"main": {"image": "a", "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}}},
        "workloads.known.containers.main.resources.limits.cpu",
    ),
    "deadline": (
        {"update": {"healthyDeadline": 60, "minHealthyTime": 60}},
        "workloads.known.update.minHealthyTime",
    ),
    "way": (
        {"containers": {"main": {"image": "a", "files": {"/x": {"content": "", "source": "a"}}}}},
        "workloads.known.containers.main.files./x.source",
    ),
    "nothing": ({"containers": {"main": {}}}, "workloads.known.containers.main"),
    "scale": ({"scale": {"metrics": [{"cpu": 50}]}}, "workloads.known.scale.metrics"),
}
JUNK = st.sampled_from([None, True, 5, -1, 10**40, 1.5, "", "a_b", "x" * 70, "Upper Case", [], {}, [5], {"Zz": 5}])


def with_mistake(spec: dict[str, Any], name: str) -> dict[str, Any]:
    body, _ = MISTAKES[name]
    spec = copy.deepcopy(spec)
    spec["workloads"] |= {
        "known": {"host": {"command": ["a"]}, **body},
        "other": {"host": {"command": ["a"]}, "dependsOn": {"known": {}}, "service": {"ports": {"known": {"port": 1}}}},
    }
    for section, entry in (("secrets", {"from": "env"}), ("resources", {"type": "volume"})):
        spec.setdefault(section, {})["known"] = entry
    return spec


def spots(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from spots(below, (*path, key))


@st.composite
def broken(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[str | int, ...], str]:
    """A valid spec, a place in it, and what to do there: `junk`, `drop`, `misspell` or `upper`."""
    spec = draw(apps())
    return spec, draw(st.sampled_from(list(spots(spec)))), draw(st.sampled_from(["junk", "drop", "misspell", "upper"]))


def spoil(spec: dict[str, Any], path: tuple[str | int, ...], way: str, junk: Any) -> None:
    holder: Any = spec
    for step in path[:-1]:
        holder = holder[step]
    key = path[-1]
    if way == "drop":
        del holder[key]
    elif way == "junk" or isinstance(key, int):
        holder[key] = junk
    else:
        new = key.upper() if way == "upper" else key[:-1] + "xx"
        items = [(new if name == key else name, value) for name, value in holder.items()]
        holder.clear()
        holder.update(items)


def refused(spec: dict[str, Any]) -> list[str]:
    """Where the model alone has something to say."""
    try:
        App.model_validate(spec)
    except ValidationError as error:
        return [dotted(explain(App, item)[0]) for item in errors_of(error)]
    return []


@examples(150)
@given(broken(), JUNK, st.sampled_from(sorted(MISTAKES)))
def test_one_random_breakage_and_one_mistake_are_both_told_and_nothing_else(
    case: tuple[dict[str, Any], tuple[str | int, ...], str], junk: Any, mistake: str
) -> None:
    spec, path, way = case
    spec = with_mistake(spec, mistake)
    spoil(spec, path, way, junk)
    expected = refused(spec)
    assume(expected)
    found = [item.path for item in diagnose_bytes(json.dumps(spec).encode(), "app.json")[1]]
    others = set(found) - set(expected)
    assert set(found) >= set(expected) and len(others) <= 1, (path, way, junk)
    where = MISTAKES[mistake][1]
    if len(path) > 1 or path[0] not in ("workloads", "secrets", "resources"):  # else the mistake is lost with it
        assert others == {where}, (path, way, junk)
    assert all(item.endswith(where.partition(".")[2]) for item in others), (path, way, junk)


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    below = {
        kind
        for info in model.model_fields.values()
        for outer in unwrap(info.annotation)
        for kind in ([outer] if isinstance(outer, type) else unwrap(outer.__args__[-1]))
        if isinstance(kind, type)
    }
    return {model} | {found for kind in below for found in models(kind)}


@pytest.mark.parametrize("model", sorted(models(App), key=str), ids=lambda model: model.__name__)
def test_there_is_a_stand_in_for_all_that_a_mapping_must_have(model: type[Node]) -> None:
    assert model.model_validate(wholes(1).get(model, {}))
