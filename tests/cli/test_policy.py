"""`anytier policy`: every rule, and a state held against them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from anytier.cli import policy
from anytier.errors import UsageError
from anytier.policy.registry import RULES

BAD = {
    "urn": "urn:pulumi:dev::anytier::anytier:docker:Workload::web",
    "type": "anytier:docker:Workload",
    "inputs": {"template": {"containers": [{"name": "a", "image": "i", "user": "root", "limits": {"memory": 1}}]}},
}


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    policy.configure(parser)
    return policy.run(parser.parse_args(argv))


def test_list_has_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(RULES) + 1
    assert run("list", "--section", "ssh", "--json") == 0
    assert {item["section"] for item in json.loads(capsys.readouterr().out)} == {"ssh"}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["list", "--section", "dcoker"], "did you mean 'docker'?"),
        (["list", "-s", "local"], "says nothing of the rules"),
        (["list", "--plan", "plan.json"], "says nothing of the rules"),
        (["check"], "is not given"),
        (["check", "--plan", "nowhere.json"], "No such file"),
        (["check", "-s", "local", "--section", "eks"], "is for list"),
        (["check", "-s", "local", "--markdown"], "is for list"),
    ],
)
def test_wrong_usage_says_what_is_right(argv: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(*argv)
    assert says in str(caught.value) and caught.value.do


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stack `dev` has one bad workload in its state; the file of the stack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: anytier\nruntime: python\n")
    monkeypatch.setattr("anytier.cli.stack.stack_state", state)
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("config: {anytier:tier: docker}\n")
    return file


def state(stack: str) -> dict[str, Any]:
    assert stack == "dev"
    return {"resources": [BAD]}


def test_check_ends_with_1_where_a_rule_is_broken(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "-s", "dev") == 1
    out = capsys.readouterr().out
    assert "docker-not-root" in out and out.endswith("1 high\n")


def test_check_knows_the_stacks_waivers(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiver = "{id: docker-not-root, resource: web, reason: the vendor wants it, until: %s}"
    until = policy_day(30)
    deployed.write_text(f"config:\n  anytier:policy: {{waive: [{waiver % until}]}}\n")
    assert run("check", "-s", "dev", "--json") == 0
    assert json.loads(capsys.readouterr().out)["waived"][0]["waiver"]["until"] == until.strip("'")
    deployed.write_text(
        "config:\n  anytier:policy: {waive: [{id: x, resource: web, reason: '', until: '2026-01-01'}]}\n"
    )
    with pytest.raises(ExceptionGroup):
        run("check", "-s", "dev")


def test_check_takes_a_plan_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = {"key": "anytier:docker:Workload::web", "name": "web", **{key: BAD[key] for key in ("type", "inputs")}}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"format": 1, "project": "p", "stack": "s", "resources": [node]}))
    assert run("check", "--plan", str(file)) == 1
    assert "docker-not-root" in capsys.readouterr().out
    for text in ("nope", "[]", "{}", '{"resources": [{}]}'):
        file.write_text(text)
        with pytest.raises(UsageError, match="plan"):
            run("check", "--plan", str(file))


def policy_day(days: int) -> str:
    from datetime import date, timedelta

    return f"'{date.today() + timedelta(days=days)}'"
