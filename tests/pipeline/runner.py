"""The part of GitHub's runner that the pipeline's workflows use: it runs their very steps, read from the YAML.

What it does not know it refuses, so that no step is passed over in silence. Actions of GitHub's own are played:
checkout by git, artifacts by folders, caches and Python by nothing, since this machine has them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.pipeline.forge import REPOSITORY, Forge

ROOT = Path(__file__).parents[2]
PLAYED = ("actions/setup-python@v5", "actions/cache@v4", "actions/cache/restore@v4", "actions/cache/save@v4")
TOKENS = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z0-9_.*-]+)|(?P<sign>==|!=|&&|\|\||[!(),]))")


class Expression:
    """`${{ ... }}`: paths, texts, `==`, `!=`, `&&`, `||`, `!`, `always()`. Whatever else is in one is an error."""

    def __init__(self, text: str, context: Mapping[str, Any]) -> None:
        self.context, self.tokens, at = context, [], 0
        while at < len(text.rstrip()):
            found = TOKENS.match(text, at)
            assert found, f"an expression that this runner does not know: {text}"
            self.tokens.append((found.lastgroup, found[found.lastgroup or 0]))
            at = found.end()

    def value(self) -> Any:
        found = self._or()
        assert not self.tokens, self.tokens
        return found

    def _take(self, *signs: str) -> str | None:
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return str(self.tokens.pop(0)[1])
        return None

    def _or(self) -> Any:
        found = self._and()
        while self._take("||"):
            other = self._and()
            found = found or other
        return found

    def _and(self) -> Any:
        found = self._equal()
        while self._take("&&"):
            other = self._equal()
            found = found and other
        return found

    def _equal(self) -> Any:
        found = self._one()
        while sign := self._take("==", "!="):
            found = (found == self._one()) == (sign == "==")
        return found

    def _one(self) -> Any:
        if self._take("!"):
            return not self._one()
        if self._take("("):
            found = self._or()
            assert self._take(")")
            return found
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        assert kind == "word", text
        if self._take("("):
            if text == "hashFiles":
                while not self._take(")"):
                    self.tokens.pop(0)
                return "hash"
            assert self._take(")") and text in ("always", "cancelled"), text
            return text == "always"
        if text.isdigit():
            return int(text)
        found: Any = self.context
        for step in text.split("."):
            found = found.get(step, "") if isinstance(found, Mapping) else ""
        return found


def filled(text: Any, context: Mapping[str, Any]) -> str:
    """A value of the YAML with its expressions evaluated."""
    if isinstance(text, bool):
        return str(text).lower()
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: _shown(Expression(found[1], context).value()), str(text))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def holds(condition: Any, context: Mapping[str, Any], well: bool) -> bool:
    """An `if`: without `always()` or `cancelled()` it is only asked while all is well."""
    if condition is None:
        return well
    text = str(condition).strip().removeprefix("${{").removesuffix("}}")
    return (well or "always()" in text or "cancelled()" in text) and bool(Expression(text, context).value())


@dataclass
class Job:
    """What came of one. `environments`: what each step of a shell could see."""

    result: str = "skipped"
    log: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    environments: list[dict[str, str]] = field(default_factory=list)
    summary: str = ""
    played: list[str] = field(default_factory=list)


@dataclass
class Runner:
    """`origin` is the repository; `more` goes into every step's environment."""

    folder: Path
    origin: Path
    forge: Forge
    more: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0

    def run(self, workflow: Path, event_name: str, event: Mapping[str, Any], sha: str) -> dict[str, Job]:
        """All jobs of a workflow, in order of their needs. `sha`: what a plain checkout gets."""
        self.runs += 1
        spec = yaml.safe_load(workflow.read_text())
        assert event_name in spec[True], (
            f"{workflow.name} does not run for {event_name}"
        )  # `on` is a boolean in YAML 1.1
        assert spec["permissions"] == {}, "permissions are given job by job"
        done: dict[str, Job] = {}
        self.artifacts = self.folder / f"artifacts-{self.runs}"
        for name, job in spec["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            well = all(done[item].result == "success" for item in needs)
            github = {
                "event_name": event_name,
                "event": event,
                "repository": REPOSITORY,
                "ref": "refs/heads/main",
                "workflow": spec["name"],
                "token": self.forge.token(job["permissions"]),
            }
            matrix = {key: values[0] for key, values in job.get("strategy", {}).get("matrix", {}).items()}
            context = {
                "github": github, "runner": {"os": "Linux", "arch": "X64"}, "vars": self.variables,
                "secrets": self.secrets, "matrix": matrix,
            }  # fmt: skip
            done[name] = Job()
            if holds(job.get("if"), context, well):
                self._job(done[name], job["steps"], context, sha, self.folder / f"run-{self.runs}-{name}")
        return done

    def _job(self, job: Job, steps: Sequence[Any], context: dict[str, Any], sha: str, home: Path) -> None:
        workspace = home / "work"
        for folder in (workspace, home / "temp", home / "home"):
            folder.mkdir(parents=True)
        (home / "event.json").write_text(json.dumps(context["github"]["event"]))
        base = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(home / "home"),
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_EVENT_PATH": str(home / "event.json"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_STEP_SUMMARY": str(home / "summary.md"),
            "RUNNER_TEMP": str(home / "temp"),
            **self.more,
        }
        well = self._steps(job, steps, {**context, "steps": {}}, base, sha, home)
        job.result = "success" if well else "failure"
        summary = home / "summary.md"
        job.summary = summary.read_text() if summary.exists() else ""

    def _steps(
        self, job: Job, steps: Sequence[Any], context: dict[str, Any], base: dict[str, str], sha: str, home: Path
    ) -> bool:
        well = True
        for index, step in enumerate(steps):
            unknown = set(step) - {"id", "if", "uses", "with", "run", "env", "shell", "name", "continue-on-error"}
            assert not unknown, unknown
            if not holds(step.get("if"), context, well):
                continue
            env = {**base, **{key: filled(value, context) for key, value in step.get("env", {}).items()}}
            given = {key: filled(value, context) for key, value in step.get("with", {}).items()}
            outputs: dict[str, str] = {}
            if "run" in step:
                fine = self._shell(job, step, env, outputs, home, index)
            elif step["uses"].startswith("./"):
                fine = self._action(job, step["uses"], given, context, env, outputs, sha, home)
            else:
                fine = self._played(job, step["uses"], given, sha, home)
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": outputs}
                job.outputs[step["id"]] = outputs
            well = well and (fine or step.get("continue-on-error") is True)
        return well

    def _shell(self, job: Job, step: Any, env: dict[str, str], outputs: dict[str, str], home: Path, index: int) -> bool:
        assert "${{" not in step["run"], "an expression in a script is a way in for whoever wrote its value"
        file = home / f"output-{len(job.environments)}"
        file.touch()
        env = {**env, "GITHUB_OUTPUT": str(file)}
        job.environments.append(env)
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") else ["bash", "-e"]
        script = home / f"script-{len(job.environments)}.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            [*shell, str(script)], cwd=home / "work", env=env, capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        job.log += done.stdout + done.stderr
        outputs |= dict(line.split("=", 1) for line in file.read_text().splitlines())
        return done.returncode == 0

    def _action(
        self, job: Job, uses: str, given: dict[str, str], context: dict[str, Any], env: dict[str, str],
        outputs: dict[str, str], sha: str, home: Path,
    ) -> bool:  # fmt: skip
        folder = home / "work" / uses
        action = yaml.safe_load((folder / "action.yml").read_text())
        assert action["runs"]["using"] == "composite" and not set(given) - set(action["inputs"]), given
        inputs = {key: filled(item.get("default", ""), context) for key, item in action["inputs"].items()} | given
        within = {**context, "inputs": inputs, "steps": {}}
        assert all("shell" in step for step in action["runs"]["steps"] if "run" in step)
        env = {**env, "GITHUB_ACTION_PATH": str(folder.resolve())}
        fine = self._steps(job, action["runs"]["steps"], within, env, sha, home)
        outputs |= {key: filled(item["value"], within) for key, item in action["outputs"].items()}
        return fine

    def _played(self, job: Job, uses: str, given: dict[str, str], sha: str, home: Path) -> bool:
        job.played.append(uses)
        if uses in PLAYED:
            return True
        if uses == "actions/checkout@v4":
            return self._checkout(job, given, sha, home / "work")
        if uses == "actions/upload-artifact@v4":
            target = self.artifacts / given["name"]
            target.mkdir(parents=True)
            found = [Path(line) for line in given["path"].split() if Path(line).is_file()]
            for file in found:
                shutil.copy(file, target)
            return bool(found)
        if uses == "actions/download-artifact@v4":
            source = self.artifacts / given["name"]
            if not source.is_dir():
                return False
            shutil.copytree(source, home / "work" / given["path"], dirs_exist_ok=True)
            return True
        raise AssertionError(f"this runner does not know {uses}")

    def _checkout(self, job: Job, given: dict[str, str], sha: str, workspace: Path) -> bool:
        assert given.get("persist-credentials") == "false", "the token would lie in the folder of a stranger's files"
        target = workspace / given.get("path", ".")
        target.mkdir(exist_ok=True)
        depth, wanted = given.get("fetch-depth", "1"), given.get("ref", sha)
        git = ["git", "-C", str(target)]
        some = ["--depth", depth] if depth != "0" else []
        every = [] if some else ["+refs/heads/main:refs/remotes/origin/main"]
        for command in (
            ["init", "-q"],
            ["fetch", "-q", *some, f"file://{self.origin}", wanted, *every],
            ["checkout", "-q", "--detach", "FETCH_HEAD"],
        ):
            done = subprocess.run([*git, *command], capture_output=True, text=True)
            job.log += done.stderr
            if done.returncode:
                return False
        return True
