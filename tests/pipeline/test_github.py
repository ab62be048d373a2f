"""The program that speaks to GitHub, as a process: what it posts, finds, refuses and tries again."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.forge import BOT, REPOSITORY, Forge
from tests.pipeline.runner import ROOT

from anytier.cli.plan import GRADES
from anytier.report.plan.preview import MARK

PROGRAM = ROOT / ".github" / "actions" / "preview" / "github.py"
TEXT = f"{MARK}\n\n- ✅ **`one`**: no changes\n"


def program() -> Any:
    spec = importlib.util.spec_from_file_location("pipeline_github", PROGRAM)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


LOADED = program()


class Desk:
    """Where a job would run it: an event, a token, files."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self.folder, self.forge = folder, forge
        self.event({"action": "opened", "pull_request": {"number": 7, "head": {"sha": "a" * 40}}})
        (folder / "comment.md").write_text(TEXT)
        self.token = forge.token({"contents": "read", "pull-requests": "write", "issues": "write"})

    def event(self, found: Any) -> None:
        (self.folder / "event.json").write_text(json.dumps(found))

    def stacks(self, *items: Any) -> None:
        (self.folder / "preview.json").write_text(json.dumps(items))

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), *args],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_API_URL": self.forge.url,
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_TOKEN": self.token,
                "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
                "ANYTIER_RETRY_SECONDS": "0",
                **env,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert self.token not in done.stdout + done.stderr and "Traceback" not in done.stderr, done.stderr
        return done

    def comment(self, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("comment", "--file", "comment.md", **env)


@pytest.fixture
def desk(tmp_path: Path, forge: Forge) -> Desk:
    return Desk(tmp_path, forge)


def test_it_knows_the_grades_and_the_mark_of_the_preview() -> None:
    assert LOADED.GRADES == GRADES and LOADED.COMMENT_MARK == MARK and LOADED.AUTHOR == BOT


def test_one_comment_however_often(desk: Desk) -> None:
    for text in ("one", "two"):
        (desk.folder / "comment.md").write_text(f"{TEXT}{text}\n")
        assert desk.comment().returncode == 0
    (comment,) = desk.forge.comments
    assert comment["body"].endswith("two\n") and comment["issue"] == 7


def test_it_is_found_behind_hundreds_of_others_and_no_strangers_is_taken_for_it(desk: Desk) -> None:
    others = [{"id": number, "issue": 7, "user": {"login": "me"}, "body": TEXT} for number in range(250)]
    quoted = {"id": 300, "issue": 7, "user": {"login": BOT}, "body": f"> {TEXT}"}
    elsewhere = {"id": 301, "issue": 8, "user": {"login": BOT}, "body": TEXT}
    ours = {"id": 302, "issue": 7, "user": {"login": BOT}, "body": TEXT}
    desk.forge.comments = [*others, quoted, elsewhere, ours]
    (desk.folder / "comment.md").write_text(f"{TEXT}new\n")
    assert desk.comment().returncode == 0
    assert [item["id"] for item in desk.forge.comments if item["body"].endswith("new\n")] == [302]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_a_server_refuses_for_the_moment_is_tried_again(desk: Desk, status: int) -> None:
    desk.forge.fail = [(status, {}), (status, {"Retry-After": "0"})]
    assert desk.comment().returncode == 0 and len(desk.forge.comments) == 1


def test_a_secondary_limit_is_waited_for(desk: Desk) -> None:
    desk.forge.fail = [(403, {"Retry-After": "0"})]
    assert desk.comment().returncode == 0


def test_it_gives_up_in_the_end(desk: Desk) -> None:
    desk.forge.fail = [(503, {})] * 4
    done = desk.comment()
    assert done.returncode == 1 and "503" in done.stderr and "as the test asked" in done.stderr


def test_the_token_goes_to_no_other_server(desk: Desk) -> None:
    desk.forge.fail = [(302, {"Location": f"{desk.forge.url}/elsewhere"})]
    assert desk.comment().returncode == 1
    assert desk.forge.redirected == []


def test_a_token_that_may_not_is_told_what_it_lacks(desk: Desk) -> None:
    desk.token = desk.forge.token({"contents": "read", "pull-requests": "read"})
    done = desk.comment()
    assert done.returncode == 1 and "pull-requests: write" in done.stderr
    desk.token = "none"
    assert "401" in desk.comment().stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN: is not set"),
        ({"GITHUB_REPOSITORY": "a/../../b"}, "is no OWNER/NAME"),
        ({"GITHUB_EVENT_PATH": "none"}, "GITHUB_EVENT_PATH: cannot be read"),
    ],
)
def test_what_a_job_forgot_is_told(desk: Desk, env: dict[str, str], said: str) -> None:
    done = desk.comment(**env)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize("text", ["", "something else\n", f"{MARK}\n{'x' * 65_536}"])
def test_what_no_preview_wrote_is_not_posted(desk: Desk, text: str) -> None:
    (desk.folder / "comment.md").write_text(text)
    assert desk.comment().returncode == 2 and desk.forge.log == []


@pytest.mark.parametrize(
    "event", [{}, [], {"pull_request": {"number": 7}}, {"pull_request": {"head": {"sha": "x -->"}}}]
)
def test_an_event_without_a_pull_request_is_told(desk: Desk, event: Any) -> None:
    desk.event(event)
    done = desk.comment()
    assert done.returncode == 2 and "for pull requests only" in done.stderr


def test_a_comment_on_other_commits_takes_the_labels_away_before_it_is_posted(desk: Desk) -> None:
    assert desk.comment().returncode == 0
    assert desk.forge.comments[0]["body"].split("\n")[:2] == [MARK, f"<!-- head {'a' * 40} -->"]
    desk.forge.labels = ["anytier:allow-policy", "anytier:allow-replaces", "other"]
    assert desk.comment().returncode == 0 and len(desk.forge.labels) == 3
    desk.event({"pull_request": {"number": 7, "head": {"sha": "b" * 40}}})
    before = len(desk.forge.log)
    assert desk.comment().returncode == 0 and desk.forge.labels == ["other"]
    assert [line.split()[0] for line in desk.forge.log[before:]] == ["GET", "GET", "DELETE", "DELETE", "PATCH"]


# the verdict


def stack(grade: str, refused: bool = False, name: str = "one") -> dict[str, Any]:
    return {"stack": name, "grade": grade, "refused": refused}


@pytest.mark.parametrize(
    ("grade", "limit", "labels", "code"),
    [
        ("none", "safe", [], 0),
        ("disruptive", "data-loss", [], 0),
        ("data-loss", "data-loss", [], 1),
        ("data-loss", "data-loss", ["anytier:allow-data-loss"], 0),
        ("replaces", "disruptive", ["anytier:allow-data-loss"], 0),
        ("data-loss", "disruptive", ["anytier:allow-replaces"], 1),
        ("data-loss", "data-loss", ["anytier:allow-policy", "allow-data-loss"], 1),
        ("data-loss", "never", [], 0),
        ("failed", "never", ["anytier:allow-data-loss", "anytier:allow-failed"], 1),
    ],
)
def test_a_label_allows_what_it_names_and_less(
    desk: Desk, grade: str, limit: str, labels: list[str], code: int
) -> None:
    desk.stacks(stack("none", name="other"), stack(grade))
    desk.forge.labels = labels
    assert desk.run("verdict", "--save", "preview.json", "--fail-on", limit).returncode == code


def test_a_rule_that_is_broken_anew_has_a_label_of_its_own(desk: Desk) -> None:
    desk.stacks(stack("safe", refused=True))
    assert desk.run("verdict", "--save", "preview.json").returncode == 0
    assert desk.run("verdict", "--save", "preview.json", "--fail-on-policy").returncode == 1
    desk.forge.labels = ["anytier:allow-policy"]
    assert desk.run("verdict", "--save", "preview.json", "--fail-on-policy").returncode == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '[{"stack": "a"}]', '[{"stack": "a", "grade": "x", "refused": false}]']
)
def test_what_is_no_preview_is_no_permission(desk: Desk, text: str) -> None:
    (desk.folder / "preview.json").write_text(text)
    assert desk.run("verdict", "--save", "preview.json", "--fail-on", "never").returncode == 2
    (desk.folder / "preview.json").unlink()
    assert desk.run("verdict", "--save", "preview.json", "--fail-on", "never").returncode == 2


@given(st.text(max_size=60), st.sampled_from(["failed", *GRADES]), st.booleans())
def test_no_name_of_a_stack_is_a_command_of_the_workflow(name: str, grade: str, refused: bool) -> None:
    for line in LOADED.refused([stack(grade, refused, name)], "safe", True, set()):
        assert line.isprintable() and line.isascii() and line.startswith("stack ")
        assert "##[" not in line and "\n" not in line


# drift


def test_one_issue_opened_updated_closed(desk: Desk) -> None:
    args = ("issue", "--file", "comment.md")
    assert desk.run("issue", "--close").returncode == 0 and desk.forge.issues == []
    assert desk.run(*args).returncode == 0
    (issue,) = desk.forge.issues
    assert issue["body"].startswith("<!-- anytier drift -->\n") and issue["labels"] == [{"name": "anytier-drift"}]
    (desk.folder / "comment.md").write_text(f"{TEXT}more\n")
    assert desk.run(*args).returncode == 0
    assert len(desk.forge.issues) == 1 and issue["body"].endswith("more\n")
    before = len(desk.forge.log)
    assert desk.run(*args).returncode == 0
    assert [line.split()[0] for line in desk.forge.log[before:]] == ["GET"]  # nothing new, so nobody is told again
    assert desk.run("issue", "--close").returncode == 0
    assert issue["state"] == "closed"
    assert desk.run(*args).returncode == 0
    assert [item["state"] for item in desk.forge.issues] == ["closed", "open"]


def test_an_issue_that_somebody_else_wrote_stays_as_it_is(desk: Desk) -> None:
    theirs = {
        "number": 1, "state": "open", "user": {"login": "me"}, "labels": [{"name": "anytier-drift"}],
        "title": "mine", "body": "<!-- anytier drift -->\n",
    }  # fmt: skip
    desk.forge.issues = [dict(theirs)]
    assert desk.run("issue", "--file", "comment.md").returncode == 0
    assert desk.run("issue", "--close").returncode == 0
    assert desk.forge.issues[0] == theirs and desk.forge.issues[1]["state"] == "closed"


@pytest.mark.parametrize("args", [("issue",), ("issue", "--close", "--file", "comment.md"), ("nothing",)])
def test_a_wrong_command_line_is_told(desk: Desk, args: tuple[str, ...]) -> None:
    assert desk.run(*args).returncode == 2
