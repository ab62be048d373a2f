"""`anytier preview` as a process, in a repository with a change: every stack before and after it, whatever it holds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.console import Done, anytier
from tests.cli.test_plan import SPEC


def git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *who, *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """In a folder of its repository, with two stacks; then a change of everything that is not committed."""
    made = tmp_path / "deploy"
    made.mkdir()
    (made / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (made / "app.yaml").write_text(SPEC)
    for name in ("one", "two"):
        config = f"config: {{anytier:app: app.yaml, anytier:tier: docker, anytier:port: {8000 + len(name)}}}\n"
        (made / f"Pulumi.{name}.yaml").write_text(config)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    hook = tmp_path / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    return made


def preview(folder: Path, *more: str) -> Done:
    return anytier("preview", *more, cwd=folder)


def test_a_change_is_told_for_every_stack_and_leaves_nothing_behind(project: Path) -> None:
    (project / "app.yaml").write_text(SPEC.replace("image: nginx", "image: nginx:1.27"))
    (project / "Pulumi.two.yaml").write_text("config: {anytier:app: app.yaml, anytier:tier: dokcer}\n")
    (project / "Pulumi.three.yaml").write_text("config: [\n")
    done = preview(project, "--all", "--markdown")
    assert done.code == 1  # two stacks have no plan
    lines = done.out.split("\n")
    assert lines[0] == "<!-- anytier preview -->"
    assert "- ❌ **`three`**: no plan could be made (1 error)" in lines
    assert "- ❌ **`two`**: no plan could be made (1 error)" in lines
    assert any(line.startswith("- 🟡 **`one`**: ") for line in lines), done.out
    assert "did you mean 'docker'" in done.out and "nginx:1.27" in done.out
    assert git(project, "worktree", "list").count("\n") == 0
    assert not (project.parent / "hook-ran").exists() and not (project / "was-run").exists()


def test_one_stack_against_a_commit_as_json(project: Path) -> None:
    (project / "app.yaml").write_text(SPEC.replace("{data: {t", "{date: {t").replace("source: data", "source: date"))
    git(project, "commit", "-q", "-a", "-m", "second")
    assert json.loads(preview(project, "one", "--json").out)[0]["diff"]["changes"] == []
    done = preview(project, "one", "--base", "HEAD~1", "--json", "--fail-on", "data-loss")
    (found,) = json.loads(done.out)
    assert done.code == 1 and found["stack"] == "one" and found["state"] == "changed"
    assert found["diff"]["changes"][0]["effect"] == "data loss"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "needs either stacks or --all"),
        (["--all", "one"], "needs either stacks or --all"),
        (["oen"], "did you mean 'one'"),
        (["one", "--base", "--output=x"], "--base"),
        (["one", "--base", "nowhere"], "git knows no 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_told(project: Path, args: list[str], said: str) -> None:
    done = preview(project, *args)
    assert done.code == 2 and said in done.err and not done.out


def test_what_a_change_breaks_of_the_policy_pack_is_told(project: Path) -> None:
    more = "image: nginx, securityContext: {capAdd: [SYS_ADMIN]}"
    (project / "app.yaml").write_text(SPEC.replace("image: nginx", more))
    plain = preview(project, "one", "--json")
    (found,) = json.loads(plain.out)
    assert found["broken"], found
    assert {"rule", "severity", "what", "do", "new"} <= set(found["broken"][0])


def test_a_stacks_file_that_leads_out_of_the_repository_is_not_read(project: Path) -> None:
    secret = project.parent.parent / f"{project.parent.name}-secret.yaml"
    secret.write_text("password: [c4nary\n")  # a YAML library quotes what it cannot read
    (project / "Pulumi.three.yaml").symlink_to(secret)
    (project / "Pulumi.four.yaml").symlink_to(project.parent / ".git" / "config")
    done = preview(project, "three", "four", "--markdown")
    assert done.code == 1 and done.out.count("leads out of") == 2
    assert "c4nary" not in done.out + done.err and "repositoryformatversion" not in done.out


def test_what_is_saved_is_what_json_prints(project: Path) -> None:
    done = preview(project, "one", "--json", "--save", "found.json")
    assert done.code == 0 and (project / "found.json").read_text() == done.out
    (found,) = json.loads(done.out)
    assert (found["grade"], found["refused"], found["asItIs"]) == ("none", False, False)
    assert preview(project, "one", "--save", "no/such/folder").code == 2


@pytest.mark.parametrize("option", ["--refresh", "--expect-no-changes"])
def test_what_only_the_engine_knows_is_not_asked_of_plans(project: Path, option: str) -> None:
    done = preview(project, "one", option)
    assert done.code == 2 and "give --engine, too" in done.err


def test_a_file_that_means_more_than_there_is_is_that_stacks_failure(project: Path) -> None:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x' * 9] * 10)}]" for n in range(10)]
    bomb = "\n".join([*lines, "config: {anytier:app: app.yaml, anytier:tier: docker, anytier:docker: {host: *a9}}", ""])
    (project / "Pulumi.bomb.yaml").write_text(bomb)
    (project / "Pulumi.deep.yaml").write_text("config: " + "[" * 5000)
    done = preview(project, "--all", "--markdown", "--timeout", "60")
    assert done.code == 1
    assert "❌ **`bomb`**" in done.out and "❌ **`deep`**" in done.out and "✅ **`one`**: no changes" in done.out
