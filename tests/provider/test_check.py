"""Inputs are judged as far as they are known; messages have paths and no secrets; defaults are filled in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from anytier.errors import AnytierError, SpecError
from anytier.frozen import Frozen
from anytier.marks import UNKNOWN, Secret
from anytier.provider.check import check, completed, parse, partial, remark
from anytier.provider.fields import replaces, secret


class Probe(Frozen):
    path: str = "/"
    port: int = Field(ge=1, le=65535)


class Exec(Frozen):
    argv: list[str]


class Inputs(Frozen):
    name: Annotated[str, replaces, Field(min_length=1)]
    replicas: int = Field(default=1, ge=0)
    probe: Probe | Exec | None = None
    probes: dict[str, Probe] = Field(default_factory=dict)
    strategy: Literal["rolling", "recreate"] = "rolling"
    secrets: Annotated[dict[str, str], secret] = Field(default_factory=dict)
    trigger: Any = None
    cpu: float = 1.0


class Outputs(Frozen):
    name: str = ""
    texts: list[str] = Field(default_factory=list)


def reasons(tree: dict[str, Any], *extra: AnytierError) -> list[str]:
    return [str(item) for item in check(Inputs, tree, lambda _: extra)[1]]


def test_defaults_are_filled_in() -> None:
    tree, failures = check(Inputs, {"name": "a", "probe": {"port": 80}})
    assert failures == []
    assert tree["probe"] == {"path": "/", "port": 80}
    assert tree["replicas"] == 1
    assert "trigger" not in tree


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, "name: is required"),
        ({"name": "a", "replica": 1}, "replica: is not known here; did you mean replicas?"),
        ({"name": "a", "replicas": -1}, "replicas: input should be greater than or equal to 0"),
        (
            {"name": "a", "replicas": 1.5},
            "replicas: input should be a valid integer",
        ),
        (
            {"name": "a", "probes": {"x.y": {"port": 0}}},
            'probes["x.y"].port: input should be greater than or equal to 1',
        ),
        ({"name": "a", "probes": {"x": {"prt": 1, "port": 1}}}, "probes.x.prt: is not known here; did you mean port?"),
        ({"name": "a", "strategy": "canary"}, "strategy: input should be 'rolling' or 'recreate'"),
        ({"name": "a", "cpu": float("nan")}, "cpu: must be a finite number"),
        ({"name": "a", "trigger": {"x": 2**60}}, "trigger.x: must be at most 2^53"),
        ({"name": "a\ud800"}, "name: input should be a valid string, unable to parse raw data as a unicode string"),
    ],
)
def test_errors_have_paths_and_reasons(tree: dict[str, Any], said: str) -> None:
    assert any(reason.startswith(said) for reason in reasons(tree))


def test_all_errors_are_told_at_once() -> None:
    assert len(reasons({"replicas": -1, "cpu": "much", "strat": 1})) == 4


def test_unknown_values_pass_and_their_neighbours_are_judged() -> None:
    tree, failures = check(Inputs, {"name": UNKNOWN, "probes": {"x": {"port": UNKNOWN}}, "cpu": 2})
    assert failures == []
    assert tree["probes"] == {"x": {"path": "/", "port": UNKNOWN}}
    assert tree["replicas"] == 1
    assert reasons({"name": UNKNOWN, "replicas": -1}) == ["replicas: input should be greater than or equal to 0"]
    assert reasons({"replicas": UNKNOWN}) == ["name: is required"]
    assert reasons({"name": UNKNOWN, "cpuu": 1}) == ["cpuu: is not known here; did you mean cpu?"]


def test_an_unknown_inside_a_union_is_judged_by_the_member_that_fits() -> None:
    tree, failures = check(Inputs, {"name": "a", "probe": {"argv": ["sh", UNKNOWN]}})
    assert (tree["probe"], failures) == ({"argv": ["sh", UNKNOWN]}, [])


def test_the_resource_adds_its_own_errors_once_the_types_are_right() -> None:
    error = SpecError("replicas", "too many", "take fewer")
    assert reasons({"name": "a"}, error) == ["replicas: too many; take fewer"]
    assert reasons({}, error) == ["name: is required"]
    assert reasons({"name": "a", "replicas": UNKNOWN}, error) == []  # it cannot know


def test_a_check_that_trips_over_an_unknown_waits_for_the_real_run() -> None:
    def extra(inputs: Inputs) -> list[AnytierError]:
        return [SpecError("name", "too long")] if inputs.name.endswith("x") else []

    assert check(Inputs, {"name": UNKNOWN}, extra)[1] == []
    assert [str(item) for item in check(Inputs, {"name": "ax"}, extra)[1]] == ["name: too long"]


def test_a_bug_in_a_check_is_not_hidden() -> None:
    def extra(inputs: Inputs) -> list[AnytierError]:
        raise TypeError("bug")

    with pytest.raises(TypeError):
        check(Inputs, {"name": "a"}, extra)


def test_secrets_stay_secret() -> None:
    tree, _ = check(
        Inputs, {"name": Secret("hidden"), "secrets": {"db": "hunter22"}, "trigger": ["see hunter22 there"]}
    )
    assert tree["name"] == Secret("hidden")
    assert tree["secrets"] == Secret({"db": "hunter22"})
    assert tree["trigger"] == [Secret("see hunter22 there")]
    said = reasons({"name": "a", "secrets": {"db": "hunter22"}}, SpecError("name", "hunter22 is no name"))
    assert said == ["name: [secret] is no name"]


def test_outputs_that_tell_a_secret_are_marked() -> None:
    inputs = {"name": Secret("anna"), "secrets": Secret({"db": "hunter22"})}
    found = remark(Outputs, {"name": "anna", "texts": ["db://hunter22@host", "annabel", "x"]}, inputs)
    assert found == {"name": Secret("anna"), "texts": [Secret("db://hunter22@host"), "annabel", "x"]}


def test_state_of_another_version_is_read_as_far_as_it_goes() -> None:
    assert parse(Inputs, {"name": "a", "gone": 1}) == Inputs(name="a")
    assert parse(Inputs, {"replicas": 3}).replicas == 3
    assert completed(Inputs, {"name": "a"})["replicas"] == 1
    assert completed(Inputs, {"bad": 1}) == {"bad": 1}


def test_a_partial_model_has_what_is_known() -> None:
    found = partial(Inputs, {"name": UNKNOWN, "probe": {"port": 8080}, "probes": {"x": {"port": UNKNOWN}}})
    assert repr(found.name) == "UNKNOWN"
    assert found.probe == Probe(port=8080)
    assert found.probes["x"].path == "/"
    assert found.replicas == 1
