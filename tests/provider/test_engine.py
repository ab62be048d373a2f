"""The plugin under the real engine: one stack for each story, since a run costs a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.provider.inmemory import ThingInputs
from tests.provider.stack import Stack

from anytier.names import UP_ENV
from anytier.provider.registry import RESOURCES

pytestmark = pytest.mark.engine

CANARY = "c4nary-1n-a-coalmine"


@pytest.fixture
def stack(tmp_path: Path, pulumi_env: dict[str, str]) -> Stack:
    return Stack(tmp_path, pulumi_env)


def kinds(step: dict[str, Any]) -> dict[str, str]:
    return {path: change["kind"] for path, change in (step["detailedDiff"] or {}).items()}


def test_life_of_a_thing(stack: Stack) -> None:
    first = {"name": "a", "tags": {"x.y": "1"}, "parts": [{"name": "p"}], "owner": "me", "case": "a"}
    stack.things({"one": first})
    shown = stack.up().stdout
    assert "waiting for a" in shown  # the status line, in the engine's display
    assert stack.state()["one"]["outputs"]["url"] == "thing://a:0"

    stack.things({"one": {**first, "owner": "you", "case": "A"}})
    assert "unchanged" in stack.up("--expect-no-changes").stdout

    changed = {**first, "size": 5, "tags": {"x.y": "2"}, "parts": [{"name": "p"}, {"name": "q"}]}
    stack.things({"one": changed})
    (step,) = stack.preview()
    assert step["op"] == "update"
    assert kinds(step) == {"size": "update", 'tags["x.y"]': "update", "parts[1]": "add"}
    assert "a restarts to grow" in stack.run("preview").stdout  # what a diff cannot say
    shown = stack.run("preview", "--diff").stdout
    assert '~ x.y: "1" => "2"' in shown
    assert "1 => 5" in shown
    stack.up()
    assert stack.state()["one"]["outputs"]["generation"] == 2

    stack.place.history()
    stack.things({"one": {**changed, "name": "b"}})
    (step,) = stack.preview()
    assert (step["op"], kinds(step)) == ("replace", {"name": "update-replace"})
    stack.up()
    assert stack.place.history() == ["create b", "delete a"]

    stack.things({"one": {**changed, "name": "b", "port": 80}})
    stack.up()
    assert stack.place.history() == ["delete b", "create b"]

    stack.run("destroy", "--yes", "--skip-preview")
    assert stack.place.names() == []


def test_a_change_that_is_refused_ends_a_run_before_what_depends_on_it(stack: Stack) -> None:
    first = {"name": "a", "settings": {"kept": "1"}}
    second = {"name": "b", "tags": {"of": {"$of": "one", "get": "url"}}}
    stack.things({"one": first, "two": second})
    stack.up()
    stack.place.history()

    stack.things({"one": {**first, "settings": {"kept": "2"}}, "two": {**second, "size": 2}})
    for failed in (stack.run("preview", check=False), stack.up(check=False)):
        assert failed.returncode != 0 and "settings.kept: cannot change -> put it back" in failed.stdout + failed.stderr
    assert stack.place.history() == []

    stack.things({"one": first, "two": {**second, "size": 2}})
    stack.up()
    assert stack.place.history() == ["update b"]


def test_secrets_are_nowhere_in_plaintext(stack: Stack) -> None:
    thing = {"name": "a", "password": CANARY, "settings": {"key": {"$secret": CANARY + "2"}}}
    stack.things({"one": thing})
    shown = [stack.run(*args).stdout for args in (("preview", "--json"), ("preview", "--diff"))]
    stack.place.faults("create-half")
    failed = stack.up(check=False)
    assert "would not start with [secret]" in failed.stdout
    stack.place.faults()
    shown += [failed.stdout, failed.stderr, stack.up().stdout, stack.run("stack", "output", "--json").stdout]
    stack.things({"one": {**thing, "password": CANARY + "3"}})
    shown += [stack.run("preview", "--diff").stdout, stack.up().stdout, json.dumps(stack.state())]
    recorded = [file.read_text(errors="replace") for file in stack.backend.rglob("*") if file.is_file()]
    assert any("thing://a:0" in text for text in recorded)
    assert not any(CANARY in text for text in [*shown, *recorded])
    assert set(stack.state()["one"]["outputs"]["banner"]) >= {"ciphertext"}


def test_half_made_is_recorded_and_the_next_up_goes_on(stack: Stack) -> None:
    stack.place.faults("create-half")
    stack.things({"one": {"name": "a"}})
    failed = stack.up(check=False)
    assert failed.returncode
    assert "a: would not start" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr
    recorded = stack.state()["one"]
    assert (recorded["id"], recorded["outputs"]["name"]) == ("a", "a")
    assert "would not start" in recorded["initErrors"][0]

    stack.run("refresh", "--yes", "--skip-preview")  # forgets the engine's own note of the failure
    stack.place.faults()
    stack.up()
    assert stack.place.get("a")["finished"]
    assert "__incomplete" not in stack.state()["one"]["outputs"]
    stack.up("--expect-no-changes")

    stack.place.faults("update-half")
    stack.things({"one": {"name": "a", "size": 7}})
    assert "changed but is not well" in stack.up(check=False).stdout
    recorded = stack.state()["one"]
    assert (recorded["inputs"]["size"], recorded["outputs"]["size"]) == (1, 7)  # not wanted any more, but reached
    stack.place.faults("update-refused")
    stack.things({"one": {"name": "a", "size": 8}})
    assert "a: will not change" in stack.up(check=False).stdout
    assert stack.state()["one"]["outputs"]["size"] == 7  # nothing was done: what was recorded before stays

    stack.place.faults("create-half")
    stack.things({"one": {"name": "a", "size": 7}, "two": {"name": "b"}})
    stack.up(check=False)
    assert stack.place.names() == ["a", "b"]
    stack.run("destroy", "--yes", "--skip-preview")
    assert stack.place.names() == []


def test_unknown_inputs_in_a_preview(stack: Stack) -> None:
    two = {
        "name": "b",
        "size": 2,
        "tags": {"where": {"$of": "one", "get": "url"}},
        "password": {"$of": "one", "get": "url"},
    }
    stack.things({"one": {"name": "a"}, "two": two})
    steps = {step["urn"].rpartition("::")[2]: step for step in stack.preview()}
    assert steps["two"]["op"] == "create"
    assert stack.place.history() == []  # a preview does nothing
    stack.things({"one": {"name": "a"}, "two": {**two, "size": -1}})
    refused = stack.run("preview", check=False)
    assert "size: input should be greater than or equal to 0" in refused.stdout

    stack.things({"one": {"name": "a"}, "two": two})
    stack.up()
    assert stack.place.get("b")["inputs"]["tags"] == {"where": "thing://a:0"}
    # an update whose outputs are not planned makes them unknown downstream, but never claims more than an update
    stack.things({"one": {"name": "a", "size": 3}, "two": two})
    assert {step["op"] for step in stack.preview()} == {"update"}
    stack.up()
    stack.up("--expect-no-changes")


def test_drift_is_found_and_repaired(stack: Stack) -> None:
    stack.things({"one": {"name": "a", "tags": {"k": "v"}}, "two": {"name": "b"}})
    stack.up()
    assert stack.run("preview", "--refresh", "--expect-no-changes", check=False).returncode == 0
    stack.place.put(ThingInputs(name="a", size=9), generation=1, finished=True)
    stack.place.remove("b")
    assert stack.run("preview", "--refresh", "--expect-no-changes", check=False).returncode != 0
    shown = stack.run("preview", "--refresh", "--diff").stdout
    assert "9 => 1" in shown
    stack.up("--refresh")
    assert stack.place.get("a")["inputs"]["size"] == 1
    assert stack.place.get("a")["inputs"]["tags"] == {"k": "v"}
    assert stack.place.names() == ["a", "b"]

    before = stack.state()
    stack.place.faults("read-unreachable")
    lost = stack.run("refresh", "--yes", "--skip-preview", check=False)
    assert lost.returncode
    assert "place: does not answer -> start it" in lost.stdout
    assert {name: item["outputs"] for name, item in stack.state().items()} == {
        name: item["outputs"] for name, item in before.items()
    }
    stack.place.faults("delete-unreachable")
    assert stack.run("destroy", "--yes", "--skip-preview", check=False).returncode
    assert set(stack.state()) == {"one", "two"}
    stack.place.faults()
    stack.place.remove("a")
    stack.run("destroy", "--yes", "--skip-preview")  # what is gone already is no obstacle
    assert stack.state() == {}


def test_what_does_not_answer_and_is_no_longer_wanted_leaves_by_anytier_up(stack: Stack) -> None:
    stack.things({"one": {"name": "a"}, "two": {"name": "b"}})
    stack.up()
    stack.place.faults("read-unreachable-a")
    stack.things({"two": {"name": "b"}})
    assert "place: does not answer" in stack.up("--refresh", check=False).stdout
    assert set(stack.state()) == {"one", "two"}

    stack.env[UP_ENV] = "1"
    stack.place.history()
    stack.up("--refresh")
    assert sorted(stack.place.history()) == ["delete a", "read a", "read b"]
    assert set(stack.state()) == {"two"}


def test_what_does_not_answer_and_is_wanted_stops_anytier_up_unless_it_is_back_by_then(stack: Stack) -> None:
    stack.env[UP_ENV] = "1"
    stack.things({"one": {"name": "a"}, "two": {"name": "b", "tags": {"of": {"$of": "one", "get": "url"}}}})
    stack.up()
    before = stack.state()

    stack.place.faults("read-unreachable", "update-unreachable")
    stack.place.history()
    failed = stack.up("--refresh", check=False)
    assert failed.returncode and "error: place: does not answer -> start it" in failed.stdout
    assert stack.place.history()[2:] == ["update a"]  # and nothing of what depends on it
    after = stack.state()
    for name, item in before.items():
        assert after[name]["inputs"] == item["inputs"]
        assert after[name]["outputs"] == item["outputs"] | {"__incomplete": True}

    stack.place.faults("read-unreachable")  # as a machine that is started by what comes before it
    stack.up("--refresh")
    assert stack.place.history()[2:] == ["update a", "update b"]
    stack.place.faults()
    stack.up("--refresh", "--expect-no-changes")


def test_import_by_id_shows_no_difference(stack: Stack) -> None:
    inputs = ThingInputs.model_validate({"name": "a", "size": 4, "parts": [{"name": "p"}], "password": CANARY})
    stack.place.put(inputs, generation=3, finished=True)
    thing = {"name": "a", "size": 4, "parts": [{"name": "p"}], "password": CANARY}
    stack.things({"one": {**thing, "opts": {"import_": "a"}}})
    (step,) = stack.preview()
    assert (step["op"], kinds(step)) == ("import", {})
    stack.up()
    assert CANARY not in json.dumps(stack.state())
    stack.things({"one": thing})
    stack.up("--expect-no-changes")
    assert stack.run("preview", "--refresh", "--expect-no-changes", check=False).returncode == 0


def test_ctrl_c_returns_soon_and_records_what_was_made(stack: Stack) -> None:
    stack.place.faults("slow")
    stack.things({"one": {"name": "a"}})
    stopped, seconds = stack.interrupted_up("create a")
    assert stopped.returncode
    assert seconds < 10
    assert "cancelled" in stopped.stdout
    assert stack.state()["one"]["id"] == "a"
    assert stack.pending() == []
    stack.place.faults()
    stack.up()
    assert stack.place.get("a")["finished"]


def test_errors_are_one_line(stack: Stack) -> None:
    stack.place.faults("create-unreachable")
    stack.things({"one": {"name": "a"}})
    failed = stack.up(check=False)
    assert "error: place: does not answer -> start it" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr
    assert (stack.state(), stack.pending()) == ({}, [])

    stack.place.faults("create-bug")
    stack.things({"one": {"name": "a", "password": CANARY}})
    failed = stack.up(check=False)
    assert "internal error: KeyError: '[secret]'" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr

    stack.place.faults("slow")
    stack.things({"one": {"name": "a", "opts": {"custom_timeouts": {"create": "1s"}}}})
    failed = stack.up(check=False)
    assert "create took longer than 1 s -> raise customTimeouts.create" in failed.stdout
    assert stack.state()["one"]["id"] == "a"


def test_bad_input_is_refused_in_the_preview(stack: Stack) -> None:
    bad: dict[str, dict[str, Any]] = {
        "sise: is not known here; did you mean size?": {"name": "a", "sise": 1},
        "name: is required": {"size": 1},
        "size: 13 brings bad luck; take 12": {"name": "a", "size": 13},
        "password: input should be a valid string": {"name": "a", "password": {"text": CANARY}},
    }
    for says, thing in bad.items():
        stack.things({"one": thing})
        refused = stack.run("preview", check=False)
        assert refused.returncode
        assert says in refused.stdout
        assert CANARY not in refused.stdout + refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr
    assert stack.place.history() == []


def test_engine_accepts_the_schema(stack: Stack) -> None:
    schema = json.loads(stack.run("package", "get-schema", "./bin/pulumi-resource-anytier").stdout)
    thing = schema["resources"]["anytier:test:Thing"]
    assert thing["inputProperties"]["password"] == {"type": "string", "secret": True}
    assert thing["requiredInputs"] == ["name"]


def test_the_schema_of_every_resource_is_served_and_accepted(stack: Stack) -> None:
    plugin = Path(__file__).parents[2] / "bin" / "pulumi-resource-anytier"
    schema = json.loads(stack.run("package", "get-schema", str(plugin)).stdout)
    assert set(schema["resources"]) == set(RESOURCES)
    workload = schema["resources"]["anytier:host:Workload"]["inputProperties"]
    assert workload["secrets"]["secret"] and workload["root"]["willReplaceOnChanges"]
