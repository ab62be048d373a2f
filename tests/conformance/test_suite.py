"""The suite's own behaviour: what makes a check unsupported, what a failure does, and that it always cleans up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anytier import capabilities
from anytier.capabilities import Support
from anytier.conformance import report, suite
from anytier.conformance.check import Check, Failed, Result, expect, same
from anytier.conformance.checks.state import acquainted, clean, import_file, importable, imports
from anytier.conformance.registry import CHECKS, FIRST, LAST
from anytier.conformance.trial import free_ports, reason_in, stack_config
from anytier.errors import AnytierError, ConfigError


class FakePlace:
    tier, mode = "local", "supervisord"

    def versions(self) -> dict[str, str]:
        return {"machine": "one"}


class FakeTrial:
    name, port, folder = "anytier-test-0", 1, Path("/nowhere")
    place = FakePlace()

    def __init__(self) -> None:
        self.did: list[str] = []

    versions: dict[str, str] = {}  # noqa: RUF012

    def make(self) -> None:
        self.did.append("make")

    def keep(self) -> None:
        self.did.append("keep")

    def forget(self) -> None:
        self.did.append("forget")


def passes(trial: Any) -> str:
    trial.did.append("pass")
    return "seen"


def fails(trial: Any) -> str:
    raise Failed("not as the spec says", "line one\nline two")


def breaks(trial: Any) -> str:
    raise KeyError("oops")


def interrupted(trial: Any) -> str:
    raise KeyboardInterrupt


def check(run: str, name: str = "one", *fields: str) -> Check:
    return Check(name, "a title", fields, run)


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "function", lambda check: globals()[check.run])


def run(*checks: Check, keep: bool = False) -> tuple[list[Result], FakeTrial, list[str]]:
    trial, said = FakeTrial(), []
    results = suite.run(trial, checks, said.append, keep)  # type: ignore[arg-type]
    return results, trial, said


def test_a_failure_is_told_with_its_detail_and_the_rest_runs_on() -> None:
    results, trial, said = run(check("fails"), check("breaks", "two"), check("passes", "three"), check("passes", LAST))
    assert [result.status for result in results] == ["fail", "fail", "pass", "pass"]
    assert "| line two" in "\n".join(said)
    assert "KeyError" in results[1].evidence
    assert trial.did[-1] == "forget"


def test_an_interruption_still_destroys() -> None:
    trial, said = FakeTrial(), []
    with pytest.raises(KeyboardInterrupt):
        suite.run(trial, [check("interrupted"), check("passes", LAST)], said.append)  # type: ignore[arg-type]
    assert trial.did == ["make", "pass", "forget"]


@pytest.mark.parametrize("last", ["fails", "interrupted"])
def test_what_an_interruption_leaves_undestroyed_keeps_its_state(last: str) -> None:
    """Also where the destroy is interrupted, too: somewhere it goes on costing, and only the state leads there."""
    trial, said = FakeTrial(), []
    with pytest.raises(KeyboardInterrupt):
        suite.run(trial, [check("interrupted"), check(last, LAST)], said.append)  # type: ignore[arg-type]
    assert trial.did == ["make", "keep"] and "could not be destroyed" in said[-1]


def test_a_stack_that_cannot_be_made_is_an_error_and_no_traceback() -> None:
    class Broken(FakeTrial):
        def make(self) -> None:
            raise Failed("`pulumi stack init` ended with 2: no engine")

    trial = Broken()
    with pytest.raises(AnytierError, match="no engine -> run `anytier doctor`"):
        suite.run(trial, [check("passes"), check("passes", LAST)], lambda text: None)  # type: ignore[arg-type]
    assert trial.did == ["forget"]  # nothing was made, so nothing is destroyed


def test_what_could_not_be_destroyed_keeps_its_state() -> None:
    _, trial, said = run(check("passes"), check("fails", LAST))
    assert trial.did[-1] == "keep"
    assert "could not be destroyed" in said[-1]


def test_keep_destroys_nothing_and_says_how_to_go_on() -> None:
    results, trial, said = run(check("passes"), check("fails", LAST), keep=True)
    assert len(results) == 1 and trial.did == ["make", "pass", "keep"]
    assert "kept: stack anytier-test-0" in said[-1]


def test_only_the_capability_table_makes_a_check_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    field = "workloads.*.containers.*.before"
    results, trial, _ = run(check("passes", "one", field))
    cell = capabilities.lookup(field, "local", "supervisord")
    assert not cell.carried
    assert results[0].status == "unsupported" and cell.note in results[0].evidence
    assert "pass" not in trial.did
    monkeypatch.setattr(suite, "lookup", lambda *_: Support("emulated", "somehow"))
    assert run(check("fails", "one", field))[0][0].status == "fail"


def test_every_check_exists_once_and_names_fields_that_the_table_knows() -> None:
    names = [each.id for each in CHECKS]
    assert len(names) == len(set(names))
    assert names[0] == FIRST and names[-1] == LAST
    for each in CHECKS:
        assert callable(real_function(each))
        for field in each.fields:
            path, _, value = field.partition("=")
            for tier in capabilities.BUILT:
                capabilities.lookup(path, tier, None, value or None)


def real_function(each: Check) -> Any:
    import importlib

    module, _, name = each.run.partition(":")
    return getattr(importlib.import_module(f"anytier.conformance.{module}"), name)


def test_only_runs_what_is_named_between_the_first_deploy_and_destroy() -> None:
    assert [each.id for each in suite.chosen(["env", "drift"])] == [FIRST, "env", "drift", LAST]
    with pytest.raises(ConfigError, match="no check 'enf'"):
        suite.chosen(["enf"])


def test_the_result_as_json_has_the_environment_and_every_check() -> None:
    results = [Result(check("passes"), "pass", "seen", 1.234), Result(check("fails", "two"), "fail", "no", 2.0, "log")]
    data = json.loads(json.dumps(report.as_json(results, {"tier": "docker"}, 3.21)))
    assert data["environment"] == {"tier": "docker"}
    assert data["counts"] == {"pass": 1, "fail": 1, "unsupported": 0}
    assert [each["id"] for each in data["checks"]] == ["one", "two"]
    assert "detail" not in data["checks"][0] and data["checks"][1]["detail"] == "log"
    assert "failed: two" in report.summary(results, 3, "docker")


def test_lines_align() -> None:
    lines = [report.line(Result(check("passes", name), "pass", "seen", 1.0)) for name in ("a", "rolling-update")]
    assert {line.index("seen") for line in lines} == {lines[0].index("seen")}


def test_the_throw_away_stack_takes_the_place_and_nothing_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.there.yaml").write_text(
        "encryptionsalt: v1:x\nconfig:\n  anytier:app: a.yaml\n  anytier:tier: docker\n  anytier:port: '81'\n"
        "  anytier:docker:\n    host: unix:///x.sock\n  anytier:secret.canary: {secure: abc}\n"
        "  anytier:scale: {web: 3}\n"
    )
    assert stack_config(tmp_path, "there") == {"anytier:tier": "docker", "anytier:docker": {"host": "unix:///x.sock"}}
    with pytest.raises(ConfigError, match="one of there"):
        stack_config(tmp_path, "thare")


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("Updating\n  error: app: port taken\n", "error: app: port taken"),
        ("x\nerror: update failed\n error: the real one", "error: the real one"),
        ("x\n  error: 1 error occurred:\n  \t* app: port taken\nOutputs:", "app: port taken"),
        ("only this", "only this"),
        ("", "no output"),
    ],
)
def test_the_reason_is_the_line_that_says_most(output: str, reason: str) -> None:
    assert reason_in(output) == reason


def test_resources_are_forgotten_without_dangling_edges_and_imported_under_their_parents() -> None:
    parent = "urn:pulumi:s::p::anytier:index:App::app"
    item = {
        "urn": f"{parent}$anytier:docker:Volume::data",
        "type": "anytier:docker:Volume",
        "id": "vol",
        "parent": parent,
    }
    other = {"urn": "x", "dependencies": [item["urn"], "y"], "propertyDependencies": {"id": [item["urn"]], "n": None}}
    assert clean(other, {item["urn"]})["dependencies"] == ["y"]
    assert clean(other, {item["urn"]})["propertyDependencies"] == {"id": [], "n": []}
    assert import_file([item]) == {
        "nameTable": {"parent0": parent},
        "resources": [{"type": "anytier:docker:Volume", "name": "data", "id": "vol", "parent": "parent0"}],
    }


def test_expectations_say_what_was_found_and_what_was_wanted() -> None:
    expect(True, "fine")
    same(1, 1, "fine")
    with pytest.raises(Failed, match="mode of x: '0644', wanted '0600'"):
        same("0644", "0600", "mode of x")


def machine(address: str, **inputs: Any) -> dict[str, Any]:
    given = {"machine": {"kind": "ssh", "address": address}, **inputs}
    return {"type": "anytier:host:Machine", "inputs": given, "outputs": {"hostKey": f"ssh-ed25519 {address}"}}


def test_what_is_imported_is_what_lives_on_at_the_place() -> None:
    kinds = (
        "host:Workload",
        "host:Job",
        "host:Image",
        "docker:Volume",
        "docker:Push",
        "libvirt:Domain",
        "index:Secret",
    )
    assert [kind for kind in kinds if importable({"type": f"anytier:{kind}", "inputs": {}})] == [
        "host:Workload",
        "docker:Volume",
    ]
    assert importable(machine("10.0.0.1"))
    assert not importable(machine("10.0.0.1", firstBoot={"timeout": 1}))  # the wait for one that we start ourselves


def test_where_the_stack_makes_the_place_there_may_be_nothing_of_ours_to_import() -> None:
    class Cluster(FakePlace):
        def told(self, outputs: Any) -> bool:
            return True

        def exposed(self, ns: str, port: int) -> str:
            return ""

    class Settled(FakeTrial):
        def settle(self) -> None:
            pass

        def replicas(self, count: int) -> dict[str, Any]:
            return {"one": {"started": 1.0}, "two": {"started": 2.0}}

        def state(self) -> Any:
            kinds = ("anytier:docker:Push", "kubernetes:core/v1:Service", "aws:eks/cluster:Cluster")
            return {"deployment": {"resources": [{"type": kind} for kind in kinds]}}

    trial: Any = Settled()
    with pytest.raises(Failed, match="holds no resource"):
        imports(trial)
    trial.place = Cluster()
    assert "their providers' to import" in imports(trial)


def test_an_import_knows_the_machines_that_the_stack_has_made_and_nobody_elses_home_is_touched(tmp_path: Path) -> None:
    class Made:
        pace, network, key_file = 1.0, "10.0.0.0/24", str(tmp_path / "key")

    class Trial:
        folder, made, env = tmp_path, Made, {"ANYTIER_TOOLS_DIR": "/tools"}

    (tmp_path / "key").write_text("private")
    state = {"deployment": {"resources": [machine("10.0.0.1"), {"type": "anytier:host:Proxy"}, machine("10.0.0.2")]}}
    found = acquainted(Trial, state)  # type: ignore[arg-type]
    home = Path(found["HOME"])
    assert tmp_path in home.parents and found["ANYTIER_TOOLS_DIR"] == "/tools"
    assert (
        home / ".ssh" / "known_hosts"
    ).read_text() == "10.0.0.1 ssh-ed25519 10.0.0.1\n10.0.0.2 ssh-ed25519 10.0.0.2\n"
    assert (home / ".ssh" / "id_ed25519").read_text() == "private"
    Trial.made = None  # type: ignore[assignment]
    assert acquainted(Trial, state) == {}  # type: ignore[arg-type]


def test_what_the_place_is_made_of_is_asked_while_it_is_there() -> None:
    trial = FakeTrial()
    suite.run(trial, [check("passes"), check("passes", LAST)], lambda text: None)  # type: ignore[arg-type]
    assert trial.versions == {"machine": "one"}

    class Gone(FakePlace):
        def versions(self) -> dict[str, str]:
            raise AnytierError("machine", "does not answer")

    trial.place = Gone()
    assert suite.versions(trial) == {}  # type: ignore[arg-type]
