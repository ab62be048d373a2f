"""What the engine's JSON says becomes a diff; what cannot be read, or holds an error, is a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.plan.graphs import FEW, HOSTILE, TYPES, VALUES
from tests.report.plan.test_markdown import is_ours

from anytier.report.plan import markdown, words
from anytier.report.plan.engine import Previewed, read

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
OPS = (
    "same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "read", "refresh",
    "import", "discard", "no-such-op",
)  # fmt: skip


def state(type: str, name: str, inputs: Any, **more: Any) -> dict[str, Any]:
    return {"urn": urn(type, name), "custom": True, "type": type, "inputs": inputs, **more}


def urn(type: str, name: str) -> str:
    return f"urn:pulumi:dev::shop::anytier:app:App${type}::{name}"


def step(op: str, type: str, name: str, old: Any = None, new: Any = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"op": op, "urn": urn(type, name), "detailedDiff": None, **more}
    if old is not None:
        found["oldState"] = state(type, name, old)
    if new is not None:
        found["newState"] = state(type, name, new)
    return found


def previewed(*steps: dict[str, Any], **more: Any) -> Previewed:
    return read("dev", json.dumps({"steps": steps, "changeSummary": {"same": 2}, **more}), 0)


def shown(found: Previewed) -> list[tuple[str, str, str, str]]:
    assert found.diff is not None, found.errors
    return [(item.kind, item.name, item.effect, item.why) for item in found.diff.changes]


@st.composite
def digests(draw: st.DrawFn) -> Any:
    """What an engine might print: steps of any kind with anybody's names and values."""
    steps = []
    for _ in range(draw(st.integers(0, 4))):
        op, type, name = draw(st.sampled_from(OPS)), draw(TYPES), draw(HOSTILE)
        inputs = st.dictionaries(HOSTILE, VALUES, max_size=2)
        old, new = (draw(st.one_of(st.none(), inputs)) for _ in range(2))
        steps.append(step(op, type, name, old, new, replaceReasons=draw(st.lists(HOSTILE, max_size=2))))
    severities = st.sampled_from(["error", "warning", "info", "info#err"])
    notes = draw(
        st.lists(st.fixed_dictionaries({"severity": severities, "message": HOSTILE, "urn": HOSTILE}), max_size=2)
    )
    return {"steps": steps, "diagnostics": notes, "changeSummary": {"same": draw(st.integers(0, 9))}}


@FEW
@given(digests(), st.sampled_from([0, 0, 1, 255]), HOSTILE)
def test_no_answer_of_an_engine_is_a_traceback_or_lies(digest: Any, code: int, said: str) -> None:
    found = read("dev", json.dumps(digest), code, said)
    assert (found.diff is None) == bool(found.errors)
    if code or any(note["severity"] == "error" and note["message"].split() for note in digest["diagnostics"]):
        assert found.diff is None
    if found.diff is not None:
        changing = {"create", "update", "delete", "replace", "create-replacement", "delete-replaced", "import"}
        assert bool(found.diff.changes) == any(item["op"] in changing for item in digest["steps"])
        is_ours(markdown.changes(found.diff, words.Names(found.graph)))


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_what_is_no_preview_is_a_failure(text: str) -> None:
    for code in (0, 1):
        found = read("dev", text, code)
        assert found.diff is None and found.errors


@pytest.mark.parametrize("text", ["", "{}", '{"steps": []}', '{"steps": [{}], "changeSummary": {}}', "[]", "null"])
def test_a_preview_that_was_cut_short_is_a_failure(text: str) -> None:
    assert read("dev", text, 0).diff is None


def test_the_reason_is_the_engines_own() -> None:
    note = {"severity": "error", "urn": urn("a:b:C", "web"), "message": "no\n credentials"}
    assert read("dev", json.dumps({"diagnostics": [note, note], "changeSummary": {}}), 255).errors == (
        "web: no credentials",
    )
    assert read("dev", "", 255, "warning: x\nerror: no stack named 'dev'\nmore").errors == ("no stack named 'dev'",)
    assert read("dev", "", 255).errors == ("`pulumi preview` ended with 255",)
    warned = previewed(diagnostics=[{"severity": "warning", "message": "old"}, {"severity": "info", "message": "hi"}])
    assert warned.warnings == ("old",)


def test_each_step_once_the_gravest_first() -> None:
    volume, network, workload = "anytier:docker:Volume", "anytier:docker:Network", "anytier:docker:Workload"
    found = previewed(
        step("same", network, "same", {"name": "a"}, {"name": "a"}),
        step("create", network, "net", None, {"name": "a"}),
        step("update", workload, "web", {"replicas": 1}, {"replicas": 2}),
        step("create-replacement", volume, "data", {"name": "a"}, {"name": "b"}, replaceReasons=["name"]),
        step("replace", volume, "data", {"name": "a"}, {"name": "b"}, replaceReasons=["name"]),
        step("delete-replaced", volume, "data", {"name": "a"}),
        step("delete", network, "old", {"name": "a"}),
        {"op": "create", "urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "newState": {"type": "x"}},
        {**step("create", "anytier:app:App", "app", None, {}), "newState": {"custom": False, "type": "x"}},
    )
    assert shown(found) == [
        ("replace", "data", "data loss", "the data in the volume goes"),
        ("remove", "old", "disruptive", "is no longer there"),
        ("change", "web", "safe", ""),
        ("add", "net", "safe", ""),
    ]
    assert found.diff is not None and found.diff.same == 2
    (name,) = found.diff.changes[0].properties
    assert (name.path, name.before, name.after, name.replaces) == (("name",), "a", "b", "yes")


def test_what_the_engine_knows_better_than_a_plan() -> None:
    """A cloud's resource that it changes in place is not made anew, whatever we do not know of its fields."""
    found = previewed(step("update", "aws:eks/cluster:Cluster", "c", {"version": "1.33"}, {"version": "1.34"}))
    why = "in place; whether it serves meanwhile is the provider's to say"
    assert shown(found) == [("change", "c", "unknown", why)]


def test_drift_is_told() -> None:
    volume, network = "anytier:docker:Volume", "anytier:docker:Network"
    found = previewed(
        step("refresh", volume, "gone", {"name": "a"}),  # was not found; so
        step("create", volume, "gone", None, {"name": "a"}),
        step("update", network, "net", {"name": "a"}, {"name": "a"}, detailedDiff={"x": {"kind": "update"}}),
    )
    assert shown(found) == [
        ("change", "net", "safe", "what is there is not as it was left"),
        ("add", "gone", "safe", "it is gone from its place, and is made again"),
    ]


def test_secrets_and_what_is_not_known_yet_stay_hidden_and_a_providers_books_are_nobodys_business() -> None:
    old = {"a": "[secret]", "b": {"c": "x"}, "__defaults": ["z"]}
    new = {"a": "[secret]", "b": {"c": UNKNOWN}, "__defaults": []}
    found = previewed(step("update", "aws:x/y:Z", "n", old, new))
    assert found.diff is not None
    (item,) = found.diff.changes[0].properties
    assert item.path == ("b", "c") and item.hidden and item.after == "[unknown]"


def test_no_name_hides_what_is_done() -> None:
    found = previewed(step("delete", "a:b:C", "pulumi:pulumi:Stack::x", {}))
    assert [item[:2] for item in shown(found)] == [("remove", "pulumi:pulumi:Stack::x")]
