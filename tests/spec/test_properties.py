"""Properties over random specs: what is written comes back to the byte, and nothing that is read ever raises.

`ANYTIER_EXAMPLES=20` runs twenty times as many examples; `ANYTIER_SHRINK=0` shows the first that fails as it is.
"""

from __future__ import annotations

import json
import math
import os
import string
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.spec.strategies import apps, raw_texts, spoiled

from anytier.capabilities import MODES, TIERS, check
from anytier.spec import App, Diagnostic, diagnose_bytes, resolve
from anytier.spec.model import Update
from anytier.spec.placeholders import Literal, Ref, escape, parse, substitute, unparse
from anytier.spec.schema import schema
from anytier.spec.score import dollars
from anytier.spec.values import format_memory, parse_cpu, parse_memory
from anytier.spec.walk import used_fields

TIMES = int(os.environ.get("ANYTIER_EXAMPLES", "1"))
VALIDATOR = jsonschema.Draft202012Validator(schema())
SHRINK = os.environ.get("ANYTIER_SHRINK", "1") == "1"
# The kinds of text that matter most for placeholders.
DOLLARS = st.text("${}.ab\\ ", max_size=12)


def examples(count: int) -> Any:
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        phases=[phase for phase in Phase if SHRINK or phase != Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def read(text: str) -> App:
    app, found = diagnose_bytes(text.encode(), "app.yaml")
    assert app is not None, found
    assert not found
    return app


@examples(60)
@given(apps(), st.sampled_from([True, False]))
def test_a_spec_comes_back_from_yaml_and_json_as_it_was(spec: dict[str, Any], unicode: bool) -> None:
    app = read(json.dumps(spec))
    for text in (yaml.safe_dump(data, allow_unicode=unicode, sort_keys=unicode) for data in (spec, app.dump())):
        if any(char in text for char in "\x85\u2028\u2029"):  # refused in YAML, see test_bad_input
            text = yaml.safe_dump(spec)
        assert read(text) == app
    assert app.dump() == App.model_validate(app.dump()).dump()
    _same_texts(spec, app)


def _same_texts(spec: dict[str, Any], app: App) -> None:
    for kind, bodies in (("workloads", app.workloads), ("jobs", app.jobs)):
        for name, body in bodies.items():
            for inner, container in body.containers.items():
                written = spec[kind][name]["containers"][inner]
                assert container.variables == written.get("variables", {})
                assert container.command == written.get("command") and container.args == written.get("args")
                assert {path: file.content for path, file in container.files.items()} == {
                    path: file.get("content") for path, file in written.get("files", {}).items()
                }
            if body.host is not None:
                assert body.host.command == spec[kind][name]["host"]["command"]


@examples(40)
@given(apps())
def test_what_the_loader_takes_the_schema_takes(spec: dict[str, Any]) -> None:
    read(json.dumps(spec))
    VALIDATOR.validate(spec)


@examples(30)
@given(apps())
def test_every_field_that_is_used_has_a_row_on_every_tier(spec: dict[str, Any]) -> None:
    app = App.model_validate(spec)
    for tier in TIERS:
        for mode in (None, *MODES.get(tier, ())):
            for finding in check(used_fields(app), tier, mode):
                assert finding.error().path and finding.what


@examples(40)
@given(apps())
def test_texts_without_placeholders_resolve_to_themselves(spec: dict[str, Any]) -> None:
    """All but the one secret that `apps` puts into `VSECRET`."""
    app = App.model_validate(spec)
    made = resolve(app, {f"secrets.{name}": "value" for name in app.secrets}, keep_secrets=False)
    for kind in ("workloads", "jobs"):
        for name, body in getattr(made, kind).items():
            for inner, container in body.containers.items():
                written = spec[kind][name]["containers"][inner]
                for key, text in container.variables.items():
                    assert text == ("xvalue" if key == "VSECRET" else _plain(written["variables"][key]))
                for path, file in container.files.items():
                    was = written["files"][path]
                    if file.content is not None:
                        assert file.content == (was["content"] if was.get("noExpand") else _plain(was["content"]))


def _plain(text: str) -> str:
    return "".join(part.text for part in parse(text))


# nothing raises


def sane(text: str, found: list[Diagnostic]) -> None:
    lines = text.split("\n")
    for item in found:
        assert item.what and "\n" not in item.what
        assert "Traceback" not in item.what and "pydantic" not in item.what.lower()
        assert 1 <= item.line <= len(lines) + 1 and item.column >= 1
    assert found == sorted(set(found))


@examples(80)
@given(spoiled(), st.booleans())
def test_a_spoiled_spec_is_told_never_raised(spec: dict[str, Any], as_json: bool) -> None:
    text = json.dumps(spec) if as_json else yaml.safe_dump(spec)
    app, found = diagnose_bytes(text.encode(), "app.yaml")
    assert (app is None) == any(item.severity == "error" for item in found)
    sane(text, found)
    if app is not None:
        VALIDATOR.validate(yaml.safe_load(text) if not as_json else spec)


@examples(60)
@given(apps(), st.data())
def test_a_text_with_typing_errors_is_told_never_raised(spec: dict[str, Any], data: st.DataObject) -> None:
    text = yaml.safe_dump(spec, default_flow_style=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.one_of(st.sampled_from([*"\t\n:{}[],'\"&*#-!|>?@`%\r ", "<<: ", "\n---\n", "&a *a"]), raw_texts)
        )
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 3)) :]
    raw = text.encode("utf-8", "surrogatepass")
    app, found = diagnose_bytes(raw, "app.yaml")
    assert app is not None or found
    sane(text, found)


@examples(80)
@given(st.one_of(st.text(max_size=80), st.text("ab:-{}[],&*!|>'\"#\n \t$?%@`~<=.0", max_size=60)))
def test_any_text_is_told_never_raised(text: str) -> None:
    app, found = diagnose_bytes(text.encode("utf-8", "surrogatepass"), "app.yaml")
    assert app is None and found
    for start in ("apiVersion: score.dev/v1b1\n", "apiVersion: anytier.dev/v1\nkind: App\n"):
        _, found = diagnose_bytes((start + text).encode("utf-8", "surrogatepass"), "app.yaml")
        assert found


@examples(80)
@given(st.binary(max_size=60))
def test_any_bytes_are_told_never_raised(raw: bytes) -> None:
    app, found = diagnose_bytes(raw, "app.yaml")
    assert app is None and found


# placeholders


@examples(300)
@given(st.one_of(DOLLARS, st.text(max_size=20)))
def test_escape_and_parse_undo_each_other(text: str) -> None:
    assert _plain(escape(text)) == text
    assert all(isinstance(part, Literal) for part in parse(escape(text)))


_parts = st.lists(
    st.one_of(DOLLARS.filter(bool).map(Literal), st.sampled_from([Ref("a.b", ("a", "b")), Ref("c", ("c",))])),
    max_size=5,
)


@examples(300)
@given(_parts)
def test_parse_and_unparse_undo_each_other(parts: list[Any]) -> None:
    again = parse(unparse(parts))
    assert [part for part in again if isinstance(part, Ref)] == [part for part in parts if isinstance(part, Ref)]
    assert _shown(again) == _shown(parts)
    assert unparse(again) == unparse(parts)


def _shown(parts: list[Any]) -> str:
    return "".join(f"\0{part.text}\0" if isinstance(part, Ref) else part.text for part in parts)


@examples(200)
@given(_parts, st.text("${}ab", max_size=5))
def test_a_value_is_put_in_as_it_is(parts: list[Any], value: str) -> None:
    expected = "".join(value if isinstance(part, Ref) else part.text for part in parts)
    escaped = substitute(unparse(parts), lambda ref: value)
    assert substitute(unparse(parts), lambda ref: value, escaped=False) == expected
    assert _plain(escaped) == expected


@examples(300)
@given(st.text("$${}a.", max_size=14))
def test_dollars_mean_here_what_they_mean_in_score(text: str) -> None:
    """Score reads from the left: `$$` is a dollar, `$${...}` a literal, `${...}` a placeholder; all else is text."""
    expected, rest = "", text
    while rest:
        end = rest.find("}")
        if rest.startswith("$${") and end > 0:
            expected, rest = expected + rest[1 : end + 1], rest[end + 1 :]
        elif rest.startswith("${") and end > 0:
            expected, rest = f"{expected}\0{rest[2:end]}\0", rest[end + 1 :]
        elif rest.startswith("$$"):
            expected, rest = expected + "$", rest[2:]
        else:
            expected, rest = expected + rest[0], rest[1:]
    assert _shown(parse(dollars(text))) == expected


# quantities


@examples(300)
@given(st.integers(1, 2**63 - 1))
def test_memory_formats_and_parses(amount: int) -> None:
    assert parse_memory(format_memory(amount)) == amount


@examples(200)
@given(st.integers(1, 100_000_000))
def test_cpu_in_thousandths_and_in_cores_is_the_same(thousandths: int) -> None:
    assert math.isclose(parse_cpu(f"{thousandths}m"), thousandths / 1000)
    assert math.isclose(parse_cpu(f"{thousandths // 1000}.{thousandths % 1000:03}"), thousandths / 1000)
    assert math.isclose(parse_cpu(thousandths / 1000), thousandths / 1000)


@examples(200)
@given(*(st.integers(0, 59) for _ in range(4)))
def test_a_duration_is_the_sum_of_its_units(h: int, m: int, s: int, ms: int) -> None:
    update = Update.model_validate({"drainTimeout": f"{h}h{m}m{s}s{ms}ms"})
    assert math.isclose(update.drain_timeout, h * 3600 + m * 60 + s + ms / 1000)
    assert Update.model_validate({"drainTimeout": update.drain_timeout}) == update


@examples(200)
@given(
    st.text(string.ascii_letters + string.digits + "._-@:/$ ", max_size=30),
    st.sampled_from(["image", "user", "workingDir"]),
)
def test_a_text_of_a_container_is_taken_whole_or_refused(text: str, field: str) -> None:
    body: dict[str, Any] = {"image": "nginx", field: text}
    spec = {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "a"},
        "workloads": {"w": {"containers": {"c": body}}},
    }
    app, found = diagnose_bytes(json.dumps(spec).encode(), "app.yaml")
    if app is None:
        assert [item.path for item in found] == [f"workloads.w.containers.c.{field}"]
    else:
        assert app.dump()["workloads"]["w"]["containers"]["c"][field] == text


@pytest.mark.parametrize("value", ["128Mi", "1.5Gi", "128M", "1k", "500K", "1E", "1B", "0.5Ki"])
def test_forms_of_memory(value: str) -> None:
    assert parse_memory(value) > 0
