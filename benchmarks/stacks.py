"""Throw-away stacks of the real engine, each with a state of its own in a folder of its own.

`ours` is a stack of this very project, as a user has it; `program` is a Pulumi project that is nothing but one program.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anytier.cli.stack import engine_env, pulumi_argv
from benchmarks.measure import CommandFailed, ending, timed

ROOT = Path(__file__).parents[1]
UP = ("up", "--yes", "--skip-preview")


@dataclass(frozen=True)
class Stack:
    """`project`: where the engine runs. `folder` holds its state, and whatever a benchmark wants to put there."""

    name: str
    project: Path
    folder: Path
    config_file: Path
    env: Mapping[str, str]

    def pulumi(self, *args: str) -> float:
        """Seconds that this run of the engine took. CommandFailed if it fails."""
        return timed(self.command(*args), self.project, self.env)

    def command(self, *args: str) -> list[str]:
        options = ["--non-interactive", "--color", "never", "--stack", self.name]
        return pulumi_argv([*args, *options], self.env)

    def up(self, *args: str) -> float:
        return self.pulumi(*UP, *args)

    def no_change(self, preview: bool = False, refresh: bool = False) -> float:
        """An `up` that must change nothing, as `make up` runs it; with `preview`, as `pulumi up --yes` does. `refresh`:
        it looks at all that is there first."""
        options = [*([] if preview else ["--skip-preview"]), *(["--refresh"] if refresh else [])]
        return self.pulumi("up", "--yes", *options, "--expect-no-changes")

    def destroy(self) -> float:
        return self.pulumi("destroy", "--yes", "--skip-preview")

    def config(self, values: Mapping[str, Any]) -> None:
        """The stack's config from now on; the salt of its passphrase stays."""
        kept = [line for line in _text(self.config_file).splitlines() if line.startswith("encryptionsalt:")]
        self.config_file.write_text("\n".join([f"config: {json.dumps(values)}", *kept, ""]))

    def state(self) -> dict[str, Any]:
        done = subprocess.run(
            self.command("stack", "export"), cwd=self.project, env=self.env, capture_output=True, text=True
        )
        if done.returncode:
            raise CommandFailed(ending(["pulumi", "stack", "export"], done.returncode, done.stderr))
        exported: dict[str, Any] = json.loads(done.stdout)
        return dict(exported["deployment"])


@contextmanager
def ours(spec: str | Path, tier: str, config: Mapping[str, Any]) -> Iterator[Stack]:
    """A stack of this project. `spec`: an app's file, or the text of one, which then gets a folder of its own."""
    name = f"anytier-test-{secrets.token_hex(3)}"

    def prepare(folder: Path) -> tuple[Path, Path]:
        return ROOT, ROOT / "stacks" / f"Pulumi.{name}.yaml"

    with _stack(name, prepare) as stack:
        app = spec if isinstance(spec, Path) else stack.folder / "app.yaml"
        if isinstance(spec, str):
            app.write_text(spec)
        stack.config({"anytier:app": str(app), "anytier:tier": tier, **config})
        stack.pulumi("stack", "init", "--secrets-provider", "passphrase")
        yield stack


@contextmanager
def program(text: str) -> Iterator[Stack]:
    """A stack of a project that consists of this Python program, and finds our plugin should it ask for it."""
    name = f"anytier-test-{secrets.token_hex(3)}"

    def prepare(folder: Path) -> tuple[Path, Path]:
        project = folder / "project"
        project.mkdir()
        (project / "__main__.py").write_text(textwrap.dedent(text))
        plugins = f"plugins: {{providers: [{{name: anytier, path: {json.dumps(str(ROOT / 'bin'))}}}]}}"
        (project / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n{plugins}\n")
        return project, project / f"Pulumi.{name}.yaml"

    with _stack(name, prepare) as stack:
        stack.pulumi("stack", "init", "--secrets-provider", "passphrase")
        yield stack


@contextmanager
def _stack(name: str, prepare: Callable[[Path], tuple[Path, Path]]) -> Iterator[Stack]:
    """Made, and destroyed in the end. Where that fails the state is kept, so that nothing is forgotten."""
    # In the project's own git-ignored folder: the engine asks git about the program's folder, of both sides alike.
    (ROOT / ".anytier").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=ROOT / ".anytier"))
    (folder / "state").mkdir()
    project, config_file = prepare(folder)
    env = engine_env({"PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "NO_COLOR": "1"})
    env.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    env["PULUMI_CONFIG_PASSPHRASE"] = secrets.token_urlsafe(24)
    stack = Stack(name, project, folder, config_file, env)
    try:
        yield stack
    finally:
        if any((folder / "state").rglob("*.json")):
            _destroy(stack)
        config_file.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _destroy(stack: Stack) -> None:
    try:
        stack.destroy()
    except CommandFailed as error:
        kept = stack.folder / "env"
        kept.touch(0o600)
        names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")
        kept.write_text("".join(f"export {key}='{stack.env[key]}'\n" for key in names))
        mend = f"`. {kept}; pulumi destroy -s {stack.name}` in {stack.project}"
        raise CommandFailed(f"{error}\n    what it deployed is still there: {mend}") from None


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def kubernetes_plugin() -> None:
    """The engine's plugin for clusters is where it looks for it; got now, as set-up does, if need be. SetupError."""
    from bootstrap import engine, plugin
    from bootstrap.paths import Paths

    paths = Paths.here()
    found = engine.remembered(paths)
    if found is None:
        raise CommandFailed("set-up has got no Pulumi engine for this clone; run: make engine")
    plugin.ensure(paths, found, "kubernetes")


def base_image() -> None:
    """The image that the example apps are built from, on the daemon."""
    timed([str(ROOT / ".venv" / "bin" / "python"), str(ROOT / "tools" / "base_image.py")], ROOT, os.environ)
