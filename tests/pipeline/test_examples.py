"""The workflows that docs/ci shows: their very steps, with the real engine where one is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import Scratch
from tests.pipeline.forge import REPOSITORY, Forge
from tests.pipeline.runner import ROOT, Job, Runner
from tests.provider.stack import Stack

DOCS = ROOT / "docs" / "ci"
THING = {"name": "a", "size": 1}


@pytest.fixture
def stack(tmp_path: Path, scratch: Scratch, runner: Runner, pulumi_env: dict[str, str]) -> Stack:
    """A stack whose files are the scratch repository's, deployed from elsewhere; the runner reaches its state."""
    (tmp_path / "project").mkdir()
    made = Stack(tmp_path / "project", pulumi_env)
    made.things({"one": THING})
    made.up()
    scratch.git("rm", "-q", "-r", "stacks")
    for name in ("Pulumi.yaml", "__main__.py", "things.json", "bin"):
        source, target = made.folder / name, scratch.folder / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    config = "config:\n  anytier:app: app.yaml\n  anytier:tier: docker\n"
    file = made.folder / "Pulumi.test.yaml"
    salt = [line for line in file.read_text().splitlines() if "encryptionsalt" in line] if file.exists() else []
    scratch.write("Pulumi.test.yaml", "\n".join([*salt, config]))
    scratch.commit()
    engine = {key: value for key, value in made.env.items() if key.startswith("PULUMI_") and key != "PULUMI_STACK"}
    for key in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"):
        del engine[key]  # the workflow gives them
    runner.more = {**runner.more, **engine, "PATH": made.env["PATH"], "ANYTIER_TEST_PLACE": str(made.place.root)}
    runner.variables = {"PULUMI_BACKEND_URL": made.env["PULUMI_BACKEND_URL"]}
    runner.secrets = {"PULUMI_CONFIG_PASSPHRASE": made.env["PULUMI_CONFIG_PASSPHRASE"]}
    return made


def drift(runner: Runner, scratch: Scratch) -> Job:
    return runner.run(DOCS / "drift.yml", "schedule", {}, scratch.git("rev-parse", "main"))["look"]


@pytest.mark.engine
def test_drift_opens_one_issue_and_closes_it(stack: Stack, runner: Runner, scratch: Scratch, forge: Forge) -> None:
    done = drift(runner, scratch)
    assert done.result == "success" and forge.issues == [], done.log
    file = stack.place.root / "a.json"
    before = file.read_text()
    file.write_text(before.replace('"size": 1', '"size": 9'))
    for _ in range(2):
        assert drift(runner, scratch).result == "failure"
        (issue,) = forge.issues
        assert issue["state"] == "open" and "1 to change" in issue["body"] and "`size`" in issue["body"]
    file.write_text(before)
    assert drift(runner, scratch).result == "success"
    assert [item["state"] for item in forge.issues] == ["closed"]


@pytest.mark.engine
def test_a_state_out_of_reach_is_an_issue_too(stack: Stack, runner: Runner, scratch: Scratch, forge: Forge) -> None:
    runner.variables = {"PULUMI_BACKEND_URL": "file:///nowhere/at/all"}
    assert drift(runner, scratch).result == "failure"
    assert "out of reach" in forge.issues[0]["body"]


def pull(repository: str, sha: str) -> dict[str, Any]:
    head = {"sha": sha, "repo": {"full_name": repository}}
    return {"action": "opened", "pull_request": {"number": 7, "head": head}}


@pytest.mark.engine
def test_a_pull_request_of_our_own_is_previewed_by_the_engine_and_a_forks_is_not(
    stack: Stack, runner: Runner, scratch: Scratch, forge: Forge
) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("things.json", json.dumps({"one": {**THING, "size": 5}}))
    head, merge = scratch.pull(), scratch.merged()
    workflow = DOCS / "preview-engine.yml"
    assert runner.run(workflow, "pull_request", pull("stranger/fork", head), merge)["preview"].result == "skipped"
    done = runner.run(workflow, "pull_request", pull(REPOSITORY, head), merge)["preview"]
    assert done.result == "success", done.log
    (comment,) = forge.comments
    assert "⚪ **`test`**: 1 to change (1 unknown)" in comment["body"] and "as the engine sees it" in comment["body"]


def test_what_is_merged_is_deployed(runner: Runner, scratch: Scratch, tmp_path: Path) -> None:
    stand_in = tmp_path / "anytier"
    stand_in.write_text(f'#!/bin/sh\necho "$@" "$PULUMI_BACKEND_URL" >>{tmp_path}/called\n')
    stand_in.chmod(0o755)
    runner.more = {**runner.more, "ANYTIER": str(stand_in)}
    runner.variables = {"PULUMI_BACKEND_URL": "s3://state"}
    jobs = runner.run(DOCS / "deploy.yml", "push", {}, scratch.git("rev-parse", "main"))
    assert jobs["deploy"].result == "success", jobs["deploy"].log
    assert (tmp_path / "called").read_text() == "up -s docker s3://state\n"
