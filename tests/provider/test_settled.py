"""What has not changed is told from the request alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2
from tests.provider.stack import Stack

from anytier.provider import values
from anytier.provider.engine import EngineSink
from anytier.provider.registry import Registry
from anytier.provider.servicer import Servicer
from anytier.provider.settled import INCOMPLETE, SETTLED, checked, unchanged

COMPONENTS = Path(__file__).parents[2] / "components"
HERE: Mapping[str, Any] = {"ref": "x", SETTLED: "1"}


def asked(old: Mapping[str, Any], new: Mapping[str, Any], state: Mapping[str, Any] = HERE) -> provider_pb2.DiffRequest:
    return provider_pb2.DiffRequest(
        old_inputs=values.write(dict(old)), news=values.write(dict(new)), olds=values.write(dict(state))
    )


def test_the_same_inputs_of_a_settled_resource_are_unchanged() -> None:
    assert unchanged(asked({"a": 1}, {"a": 1}), "1")


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        ({"a": 1}, {"a": 2}, HERE),
        ({"a": 1}, {"a": True}, HERE),
        ({"a": 1}, {"a": 1, "b": 2}, HERE),
        ({"a": values.UNKNOWN}, {"a": 1}, HERE),
        ({}, {}, HERE),  # nothing is known of it
        ({"a": 1}, {"a": 1}, {"ref": "x"}),  # it had drifted, or an older version wrote it
        ({"a": 1}, {"a": 1}, {**HERE, SETTLED: "0"}),
        ({"a": 1}, {"a": 1}, {**HERE, INCOMPLETE: True}),
    ],
)
def test_all_else_is_looked_at(old: Mapping[str, Any], new: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    assert not unchanged(asked(old, new, state), "1")


TREES = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
        lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=3), below, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)


@given(TREES, TREES)
def test_inputs_that_passed_before_pass_again_and_no_others(old: dict[str, Any], new: dict[str, Any]) -> None:
    request = provider_pb2.CheckRequest(olds=values.write(old), news=values.write(new))
    wanted = bool(old) and request.olds.SerializeToString(deterministic=True) == request.news.SerializeToString(
        deterministic=True
    )
    assert checked(request) == wanted
    assert unchanged(asked(old, new), "1") == wanted


def test_what_has_not_changed_needs_no_handler() -> None:
    servicer = Servicer(Registry({}), EngineSink(), "1")
    inputs = values.write({"a": 1})
    check = provider_pb2.CheckRequest(urn="urn", olds=inputs, news=inputs)
    none: Any = None
    assert asyncio.run(servicer.Check(check, none)).inputs == inputs
    diff = asyncio.run(servicer.Diff(asked({"a": 1}, {"a": 1}), none))
    assert diff.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert servicer._handler is None


def test_serving_imports_no_model() -> None:
    code = """
import sys
from anytier.provider.protocol import import_alone
import_alone()
import anytier.provider.serve
print([name for name in ("pydantic", "pulumi", "yaml", "anytier.provider.handler") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=COMPONENTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.engine
def test_a_state_says_whether_it_is_settled(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    stack = Stack(tmp_path, pulumi_env)
    stack.things({"one": {"name": "a"}})
    stack.up()
    assert stack.state()["one"]["outputs"][SETTLED] == "1.2.3"
    stack.run("refresh", "--yes", "--skip-preview")
    assert stack.state()["one"]["outputs"][SETTLED] == "1.2.3"
    assert SETTLED not in stack.run("preview", "--diff").stdout
    stack.things({"one": {"name": "a", "size": 3}})
    stack.place.faults("update-half")
    stack.up(check=False)
    outputs = stack.state()["one"]["outputs"]
    assert INCOMPLETE in outputs or outputs["size"] == 1
    stack.place.faults()
    stack.up()
    assert stack.state()["one"]["outputs"]["size"] == 3
    assert stack.state()["one"]["outputs"][SETTLED] == "1.2.3"
    stack.up("--expect-no-changes")
