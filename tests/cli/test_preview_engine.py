"""`anytier preview --engine` with the real engine and a place for tests: what is there, what drifted, what fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.console import Done, anytier
from tests.cli.test_plan import SPEC
from tests.cli.test_preview import git
from tests.provider.stack import Stack

pytestmark = pytest.mark.engine

CANARY = "c4nary-1n-a-coalmine"
THING = {"name": "a", "size": 1, "password": CANARY}


@pytest.fixture
def stack(tmp_path: Path, pulumi_env: dict[str, str]) -> Stack:
    """Its plan is that of an app on Docker, which never changes here; its program is that of the things."""
    (tmp_path / "project").mkdir()
    made = Stack(tmp_path / "project", pulumi_env)
    config = "  anytier:app: app.yaml\n  anytier:tier: docker\n"
    for name in ("test", "absent"):
        file = made.folder / f"Pulumi.{name}.yaml"
        salt = [line for line in file.read_text().splitlines() if "encryptionsalt" in line] if file.exists() else []
        file.write_text("\n".join([*salt, f"config:\n{config}"]))
    (made.folder / "app.yaml").write_text(SPEC)
    (made.folder / ".gitignore").write_text("backend\nplace\n__pycache__\n")
    git(made.folder, "init", "-q", "-b", "main")
    git(made.folder, "add", ".")
    git(made.folder, "commit", "-q", "-m", "first")
    made.things({"one": THING})
    made.up()
    return made


def preview(stack: Stack, *more: str, **env: str) -> Done:
    return anytier("preview", "--all", "--engine", *more, cwd=stack.folder, env={**stack.env, **env})


def found(done: Done) -> dict[str, Any]:
    return {item["stack"]: item for item in json.loads(done.out)}


def test_the_engine_sees_what_is_there_and_what_is_not_deployed_is_planned(stack: Stack) -> None:
    done = preview(stack, "--json", "--expect-no-changes")
    stacks = found(done)
    assert done.code == 0, done.out + done.err
    assert {name: (item["way"], item["asItIs"]) for name, item in stacks.items()} == {
        "test": ("engine", True),
        "absent": ("not deployed", True),
    }

    stack.things({"one": {**THING, "name": "b", "password": CANARY + "2"}})
    done = preview(stack, "--json", "--expect-no-changes", "--fail-on", "replaces")
    (change,) = found(done)["test"]["diff"]["changes"]
    assert done.code == 1 and (change["kind"], change["name"]) == ("replace", "one")
    assert {"path": ["name"], "before": "a", "after": "b", "replaces": "yes"}.items() <= change["properties"][0].items()
    shown = done.out + preview(stack, "--markdown").out + preview(stack).out
    assert CANARY not in shown
    assert "1 to replace" in shown and "as the engine sees it" in shown


def test_drift_is_seen_only_where_one_looks(stack: Stack) -> None:
    file = stack.place.root / "a.json"
    file.write_text(file.read_text().replace('"size": 1', '"size": 9'))
    assert preview(stack, "--expect-no-changes").code == 0
    done = preview(stack, "--expect-no-changes", "--refresh", "--json")
    assert done.code == 1 and found(done)["test"]["diff"]["changes"][0]["name"] == "one"
    file.unlink()
    done = preview(stack, "--expect-no-changes", "--refresh", "--markdown")
    assert done.code == 1 and "it is gone from its place, and is made again" in done.out


def test_a_preview_that_fails_is_told_with_the_engines_reason(stack: Stack) -> None:
    stack.things({"one": {**THING, "size": 13}})
    done = preview(stack, "--markdown")
    assert done.code == 1
    assert "❌ **`test`**: `pulumi preview` failed" in done.out and "13 brings bad luck" in done.out
    assert "✅ **`absent`**" in done.out


def test_one_that_takes_too_long_is_ended_and_told(stack: Stack) -> None:
    (stack.folder / "__main__.py").write_text("import time\ntime.sleep(600)\n")
    began = time.monotonic()
    done = preview(stack, "--markdown", "--timeout", "8")
    assert done.code == 1 and "took longer than 8 s" in done.out
    assert time.monotonic() - began < 60


def test_a_state_out_of_reach_is_no_stack_without_changes(stack: Stack) -> None:
    done = preview(stack, "--markdown", "--expect-no-changes", PULUMI_BACKEND_URL="file:///nowhere/at/all")
    assert done.code == 1
    assert done.out.count("planned only: it is out of reach") == 2 and "out of reach: `` pulumi stack ls: " in done.out
    done = preview(stack, "--expect-no-changes", PULUMI_BACKEND_URL=f"file://{stack.folder / 'place'}")
    assert done.code == 1  # another backend, in which nothing is: that is not "as it was"
