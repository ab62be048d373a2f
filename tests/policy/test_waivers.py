"""Waivers: for one rule and resource, with a reason, until a day; anything else is refused."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier import config
from anytier.errors import ConfigError, leaves
from anytier.policy.check import check
from anytier.policy.resource import Resource
from anytier.policy.waivers import read

TODAY = datetime.date(2026, 11, 28)
GOOD = {
    "id": "docker-not-root",
    "resource": "legacy",
    "reason": "the vendor's image wants root",
    "until": "2027-03-31",
}
ROOT = Resource(
    "anytier:docker:Workload",
    "legacy",
    {"template": {"containers": [{"name": "a", "image": "i", "user": "root", "limits": {"memory": 1}}]}},
    urn="urn:pulumi:dev::anytier::anytier:docker:Workload::legacy",
)


def errors(**changed: Any) -> list[ConfigError]:
    waiver = {key: value for key, value in {**GOOD, **changed}.items() if value is not None}
    return read(json.dumps({"waive": [waiver]}), TODAY)[1]


def test_a_good_waiver_is_read() -> None:
    (waiver,), wrong = read(json.dumps({"waive": [GOOD]}), TODAY)
    assert wrong == [] and waiver.until == datetime.date(2027, 3, 31) and waiver.resource == "legacy"


@pytest.mark.parametrize("text", [None, "", "{}", '{"waive": []}'])
def test_there_may_be_none(text: str | None) -> None:
    assert read(text, TODAY) == ([], [])


@pytest.mark.parametrize(
    ("changed", "path", "says"),
    [
        ({"id": "docker-not-rot"}, "waive.0.id", "did you mean 'docker-not-root'?"),
        ({"id": None}, "waive.0.id", "is not given"),
        ({"reason": None}, "waive.0.reason", "is not given"),
        ({"reason": "   "}, "waive.0.reason", "says nothing"),
        ({"reason": "because"}, "waive.0.reason", "says nothing"),
        ({"resource": "*"}, "waive.0.resource", "names every resource"),
        ({"resource": ""}, "waive.0.resource", ""),
        ({"until": None}, "waive.0.until", "is not given"),
        ({"until": "soon"}, "waive.0.until", ""),
        ({"until": "2028-06-01"}, "waive.0.until", "is more than a year from now"),
        ({"untill": "2027-01-01"}, "waive.0.untill", "is not an option"),
    ],
)
def test_a_waiver_that_says_too_little_or_too_much_is_refused(changed: dict[str, Any], path: str, says: str) -> None:
    found = errors(**changed)
    assert [item.path for item in found] == [f"anytier:policy.{path}"]
    assert says in found[0].what and found[0].do


@pytest.mark.parametrize("text", ["3", "[]", "nope", '{"waive": 3}', '{"waive": [3]}', "[" * 5000])
def test_what_is_no_list_of_waivers_is_refused(text: str) -> None:
    found = read(text, TODAY)[1]
    assert found and all(item.path.startswith("anytier:policy") and item.do for item in found)


@settings(max_examples=60)
@given(st.text(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["waive", "id", "resource", "reason", "until", "x"]), inner, max_size=4
    ),
    max_leaves=12,
).map(json.dumps))  # fmt: skip
def test_whatever_stands_there_is_read_or_refused(text: str) -> None:
    _, wrong = read(text, TODAY)
    assert all(isinstance(item, ConfigError) and item.do for item in wrong)


def test_a_preview_refuses_a_wrong_one() -> None:
    values = {"app": "app.yaml", "tier": "docker", "policy": json.dumps({"waive": [{**GOOD, "reason": ""}]})}
    with pytest.raises(ExceptionGroup) as caught:
        config.read(values)
    assert [item.path for item in leaves(caught.value)] == ["anytier:policy.waive.0.reason"]
    config.read({**values, "policy": json.dumps({"waive": [{**GOOD, "until": "2026-12-01"}]})})


def test_what_is_waived_is_still_told_and_breaks_nothing() -> None:
    waivers, _ = read(json.dumps({"waive": [GOOD]}), TODAY)
    report = check([ROOT], waivers, TODAY)
    assert report.findings == [] and not report.broken and report.idle == []
    assert [(item.rule.id, item.waiver) for item in report.waived] == [("docker-not-root", waivers[0])]
    assert check([ROOT], [], TODAY).broken


@pytest.mark.parametrize("resource", ["legacy", "leg*", "urn:*::legacy", ROOT.urn])
def test_a_resource_is_named_by_name_or_urn(resource: str) -> None:
    waivers, _ = read(json.dumps({"waive": [{**GOOD, "resource": resource}]}), TODAY)
    assert not check([ROOT], waivers, TODAY).broken


@pytest.mark.parametrize("changed", [{"resource": "other"}, {"id": "docker-memory-limit"}])
def test_it_covers_nothing_else_and_that_is_told(changed: dict[str, str]) -> None:
    waivers, _ = read(json.dumps({"waive": [{**GOOD, **changed}]}), TODAY)
    report = check([ROOT], waivers, TODAY)
    assert report.broken and report.idle == waivers


def test_on_its_last_day_it_is_over_and_that_is_told() -> None:
    waivers, _ = read(json.dumps({"waive": [GOOD]}), TODAY)
    assert not check([ROOT], waivers, datetime.date(2027, 3, 30)).broken
    report = check([ROOT], waivers, datetime.date(2027, 3, 31))
    assert report.broken and report.idle == []
    assert "a waiver ended on 2027-03-31" in str(report.findings[0])
