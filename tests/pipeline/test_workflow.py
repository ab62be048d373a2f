"""The steps of the workflow files themselves, in a scratch repository with branches, against a forge of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.pipeline.conftest import SPEC, Scratch
from tests.pipeline.forge import Forge
from tests.pipeline.runner import ROOT, Job, Runner

WORKFLOW = ROOT / ".github" / "workflows" / "preview.yml"
ACTION = ROOT / ".github" / "actions" / "preview" / "action.yml"
NUMBER = 7
CANARY = "c4nary-1n-a-coalmine"
OTHER_VOLUME = SPEC.replace("{data: {t", "{date: {t").replace("source: data", "source: date")


def run(runner: Runner, scratch: Scratch, action: str = "opened") -> dict[str, Job]:
    """The workflow for the pull request as it is now. GitHub runs the one of main, for main's commit."""
    main, head = scratch.git("rev-parse", "main"), scratch.git("rev-parse", "refs/pull/7/head")
    made = {"sha": head, "repo": {"full_name": "stranger/fork"}}
    event = {"action": action, "pull_request": {"number": NUMBER, "head": made, "base": {"sha": main}}}
    return runner.run(WORKFLOW, "pull_request_target", event, main)


def results(jobs: dict[str, Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_a_safe_change_gets_a_comment_and_may_go_on(runner: Runner, scratch: Scratch, forge: Forge) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("app.yaml", SPEC.replace("metadata: {name: shop}", "metadata: {name: shop}\n"))
    scratch.pull()
    jobs = run(runner, scratch)
    assert results(jobs) == {"plan": "success", "comment": "success", "cache": "skipped"}, jobs["comment"].log
    (comment,) = forge.comments
    lines = comment["body"].split("\n")
    assert lines[0] == "<!-- anytier preview -->" and comment["issue"] == NUMBER
    for name in ("one", "two"):
        assert any(line.startswith(f"- ✅ **`{name}`**: no changes") for line in lines), comment["body"]
    assert re.search(r"Preview of `[0-9a-f]{12}`\.", comment["body"])
    assert "no changes" in jobs["plan"].summary


def test_danger_stops_it_until_a_label_allows_it_and_new_commits_ask_anew(
    runner: Runner, scratch: Scratch, forge: Forge
) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("app.yaml", OTHER_VOLUME)
    scratch.pull()
    # Somebody else's comment with the same mark is theirs.
    theirs = "<!-- anytier preview -->\n"
    forge.comments.append({"id": 1, "issue": NUMBER, "user": {"login": "stranger"}, "body": theirs})
    jobs = run(runner, scratch)
    assert results(jobs) == {"plan": "success", "comment": "failure", "cache": "skipped"}
    assert "stack one: data-loss" in jobs["comment"].log and "anytier:allow-data-loss" in jobs["comment"].log
    assert "🔴 **`one`**" in forge.comments[1]["body"] and len(forge.comments) == 2
    assert forge.comments[0]["body"] == theirs

    forge.labels = ["anytier:allow-replaces", "bug"]
    assert run(runner, scratch, "labeled")["comment"].result == "failure"  # it allows less than that
    forge.labels = ["anytier:allow-data-loss", "bug"]
    assert run(runner, scratch, "labeled")["comment"].result == "success"

    scratch.write("README", "another commit\n")
    scratch.pull()
    # Whatever event it is that looks at them first: a run that was to do so may have been cancelled.
    jobs = run(runner, scratch, "reopened")
    assert jobs["comment"].result == "failure" and forge.labels == ["bug"]
    assert len(forge.comments) == 2  # updated in place all along


def test_a_label_that_was_there_before_anybody_could_see_anything_allows_nothing(
    runner: Runner, scratch: Scratch, forge: Forge
) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("app.yaml", OTHER_VOLUME)
    scratch.pull()
    forge.labels = ["anytier:allow-data-loss"]
    assert run(runner, scratch, "labeled")["comment"].result == "failure" and forge.labels == []


def test_what_came_to_main_since_is_not_told_as_the_changes_own(runner: Runner, scratch: Scratch, forge: Forge) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("README", "a change\n")
    scratch.pull()
    scratch.git("checkout", "-q", "main")
    scratch.write("app.yaml", OTHER_VOLUME)
    scratch.commit()
    assert run(runner, scratch)["comment"].result == "success"
    assert "✅ **`one`**: no changes" in forge.comments[0]["body"]


def test_a_stack_without_a_preview_is_told_and_no_label_lets_it_pass(
    runner: Runner, scratch: Scratch, forge: Forge
) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.write("stacks/Pulumi.one.yaml", "config: {anytier:app: app.yaml, anytier:tier: dokcer}\n")
    scratch.pull()
    forge.labels = ["anytier:allow-data-loss"]
    jobs = run(runner, scratch)
    assert jobs["comment"].result == "failure" and "no label allows this" in jobs["comment"].log
    body = forge.comments[0]["body"]
    assert "❌ **`one`**: no plan could be made" in body and "✅ **`two`**: no changes" in body


# a stranger's change


def test_nothing_of_a_stranger_is_run_and_no_secret_is_read(runner: Runner, scratch: Scratch, forge: Forge) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    secret = scratch.folder.parent / "secret.yaml"
    secret.write_text(f"password: [{CANARY}\n")  # a YAML library quotes what it cannot read
    lie = "`**no changes**`\n\n# ✅ approved @everyone <script>"
    for name in (".github/actions/preview/github.py", "tools/preview.sh", ".github/actions/preview/action.yml"):
        scratch.write(name, f"#!/bin/sh\ntouch {scratch.folder.parent}/was-run\n")
    scratch.write(".gitattributes", "* filter=evil\n")
    scratch.write(".github/workflows/preview.yml", "name: mine\n")
    scratch.write(
        "app.yaml", SPEC.replace("image: nginx", f"image: nginx, variables: {{A: {yaml.dump(lie).strip()!r}}}")
    )
    (scratch.folder / "stacks" / "Pulumi.evil.yaml").symlink_to(secret)
    (scratch.folder / "app-link.yaml").symlink_to(secret)
    scratch.write("stacks/Pulumi.link.yaml", "config: {anytier:app: app-link.yaml, anytier:tier: docker}\n")
    scratch.write("stacks/Pulumi.git.yaml", "config: {anytier:app: .git/config, anytier:tier: docker}\n")
    scratch.write("stacks/Pulumi.`no changes`.yaml", "config: {anytier:app: app.yaml, anytier:tier: docker}\n")
    scratch.pull()
    jobs = run(runner, scratch)
    body, log = forge.comments[0]["body"], "".join(job.log for job in jobs.values())
    assert not list(scratch.folder.parent.rglob("was-run"))
    assert CANARY not in body + log and "remote" not in body
    for name in ("evil", "link", "git"):
        assert f"❌ **`{name}`**: no plan could be made" in body, body
    assert "\n# ✅" not in body and "**no changes**`\n" not in body
    assert jobs["comment"].result == "failure"


def test_the_job_that_looks_at_it_can_write_nothing_and_has_no_token(
    runner: Runner, scratch: Scratch, forge: Forge
) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.pull()
    jobs = run(runner, scratch)
    assert jobs["plan"].environments and all("GITHUB_TOKEN" not in env for env in jobs["plan"].environments)
    assert list(forge.tokens.values())[:2] == [
        {"contents": "read"},
        {"contents": "read", "pull-requests": "write"},
    ]
    assert not any(uses.startswith(("actions/cache/save", "actions/cache@")) for uses in jobs["plan"].played)


def test_a_project_that_is_gone_is_no_project_without_changes(runner: Runner, scratch: Scratch, forge: Forge) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.git("rm", "-q", "Pulumi.yaml")  # the nearest one above is the trusted clone's
    scratch.pull()
    jobs = run(runner, scratch)
    assert jobs["comment"].result == "failure"
    assert "Nothing could be previewed" in forge.comments[0]["body"] and "✅" not in forge.comments[0]["body"]


def test_what_ends_before_it_begins_is_told_too(runner: Runner, scratch: Scratch, forge: Forge) -> None:
    scratch.git("checkout", "-q", "-b", "change")
    scratch.pull()
    event = {"pull_request": {"number": NUMBER, "head": {"sha": "0" * 40}, "base": {"sha": "0" * 40}}}
    jobs = runner.run(WORKFLOW, "pull_request_target", event, scratch.git("rev-parse", "main"))
    assert results(jobs) == {"plan": "failure", "comment": "failure", "cache": "skipped"}
    assert "Nothing could be previewed" in forge.comments[0]["body"]


def test_only_main_fills_the_cache(runner: Runner, scratch: Scratch) -> None:
    scratch.write("README", "a second commit\n")
    sha = scratch.commit()
    jobs = runner.run(WORKFLOW, "push", {}, sha)
    assert results(jobs) == {"plan": "skipped", "comment": "skipped", "cache": "success"}, jobs["cache"].log
    assert jobs["cache"].played[-1] == "actions/cache/save@v4"


# what every workflow file keeps


def workflows() -> list[Path]:
    return sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("docs/ci/*.yml")])


def steps_of(file: Path) -> Iterator[dict[str, Any]]:
    spec = yaml.safe_load(file.read_text())
    for job in spec.get("jobs", {}).values():
        yield from job["steps"]
    yield from spec.get("runs", {}).get("steps", [])


@pytest.mark.parametrize(
    "file", [*workflows(), ROOT / ".github/actions/preview/action.yml"], ids=lambda file: file.name
)
def test_no_script_has_an_expression_in_it_and_no_checkout_keeps_the_token(file: Path) -> None:
    steps = list(steps_of(file))
    assert steps
    for step in steps:
        assert "${{" not in step.get("run", ""), step
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", workflows(), ids=lambda file: file.name)
def test_rights_are_given_one_by_one(file: Path) -> None:
    spec = yaml.safe_load(file.read_text())
    given = [spec["permissions"], *(job.get("permissions", {}) for job in spec["jobs"].values())]
    written = {name for item in given for name, level in item.items() if level == "write"}
    assert written <= {"pull-requests", "issues", "id-token"}
    if "pull_request_target" in spec[True]:
        # Who checks a stranger's files out may write nothing.
        for job in spec["jobs"].values():
            strange = any("pull" in str(step.get("with", {}).get("ref", "")) for step in job["steps"])
            assert not strange or job["permissions"] == {"contents": "read"}
