"""How verbs talk to the engine: the project's folder, the environment, a run of `pulumi`, a stack's config and state.

Not a verb, and no knowledge of any tier. Where state lies is decided in one place only, the launcher (tools/launch.sh).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anytier.errors import AnytierError, ConfigError, NotFound
from anytier.suggest import did_you_mean

STACK_NOT_FOUND = 6  # the engine's exit code for it


def project_dir(start: Path | None = None) -> Path:
    """The nearest folder upwards that has a Pulumi.yaml."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise ConfigError(str(here), "is not in a Pulumi project", "cd into the folder that has Pulumi.yaml")


def engine_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which `pulumi` is this project's: its own programs come first."""
    own = str(Path(sys.executable).parent)
    rest = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part != own]
    return {**os.environ, "PATH": os.pathsep.join([own, *rest]), **(extra or {})}


def passphrase(project: Path) -> dict[str, str]:
    """The passphrase file that `anytier init` made, where the project keeps its state beside it and nobody says more.

    In anytier's own clone the launcher (tools/launch.sh) sees to that.
    """
    file = project / ".anytier" / "passphrase"
    given = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"} & os.environ.keys()
    if given or not file.is_file() or "file://./.anytier/state" not in (project / "Pulumi.yaml").read_text():
        return {}
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}


def pulumi_argv(args: Sequence[str], env: Mapping[str, str]) -> list[str]:
    found = shutil.which("pulumi", path=env["PATH"])
    if found is None:
        raise NotFound("pulumi", "there is no Pulumi engine", "`make engine` gets one")
    return [found, *args]


def run_pulumi(args: Sequence[str], *, extra_env: Mapping[str, str] | None = None, quiet: bool = False) -> int:
    """Run it in the project, with the terminal as it is; its exit code. `quiet`: says nothing when all is well.

    KeyboardInterrupt, after it has ended in order, where a user stopped it.
    """
    env = engine_env({**passphrase(project_dir()), **(extra_env or {})})
    out = subprocess.PIPE if quiet else None
    with subprocess.Popen(
        pulumi_argv(args, env),
        cwd=project_dir(),
        env=env,
        stdout=out,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    ) as process:
        with passing_signals(process) as interrupted:
            said, _ = process.communicate()
    if quiet and process.returncode:
        print(said, end="", file=sys.stderr)
    if interrupted and process.returncode:
        raise KeyboardInterrupt
    return process.returncode


@contextmanager
def passing_signals(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """The engine ends an update in order when asked to, so wait. A terminal's Ctrl-C has reached it already.

    Yields the list that will hold the interrupts which came.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ask_pulumi(args: Sequence[str], stack: str) -> str:
    """What it prints on stdout. NotFound if there is no such stack."""
    env = engine_env({**passphrase(project_dir()), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"})
    done = subprocess.run(
        [*pulumi_argv(args, env), "--stack", stack, "--non-interactive", "--color", "never"],
        cwd=project_dir(),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode == STACK_NOT_FOUND:
        raise not_deployed(stack)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        what = lines[0].removeprefix("error: ") if lines else f"`pulumi {args[0]}` ended with {done.returncode}"
        raise AnytierError(f"stack {stack}", what, f"`anytier doctor -s {stack}` looks at what it needs")
    return done.stdout


def stacks_dir(project: Path) -> Path:
    """Where the project keeps its stacks' files. A pattern is enough, and costs no YAML library."""
    found = re.search(r"^stackConfigDir: *[\"']?([^\"'#\n]+)", (project / "Pulumi.yaml").read_text(), re.MULTILINE)
    return project / found[1].strip() if found else project


def stack_names(project: Path) -> list[str]:
    return sorted(re.sub(r"^Pulumi\.|\.yaml$", "", file.name) for file in stacks_dir(project).glob("Pulumi.*.yaml"))


def not_deployed(stack: str) -> NotFound:
    """Says what can be done: deploy it, if it has a file; else the nearest name that has one."""
    names = stack_names(project_dir())
    if stack in names:
        return NotFound(f"stack {stack}", "nothing is deployed", f"`anytier up -s {stack}` deploys it")
    known = ", ".join(names) or "none yet"
    return NotFound(f"stack {stack}", f"there is no such stack{did_you_mean(stack, names)}", f"one of {known}")


def stack_config(stack: str) -> dict[str, Any]:
    """The `config` of a stack's file. ConfigError if there is none, with the nearest name."""
    return config_in(project_dir(), stack)


def config_in(project: Path, stack: str) -> dict[str, Any]:
    """The same, of any project."""
    import yaml

    from anytier.spec.document import without_text

    file = stacks_dir(project) / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        names = stack_names(project)
        what = f"has no file {file.name}{did_you_mean(stack, names)}"
        raise ConfigError(f"stack {stack}", what, f"one of {', '.join(names) or 'none yet'}")
    name = str(file.relative_to(project))
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(name, f"cannot be read: {without_text(error)}", "mend the file") from None
    config = (loaded or {}).get("config") or {} if isinstance(loaded or {}, dict) else None
    if not isinstance(config, dict):
        raise ConfigError(name, "must be a mapping with `config:`, a mapping too", "write `config:` and keys below it")
    return config


def stack_state(stack: str, secrets: bool = False) -> dict[str, Any]:
    """The stack's deployment: its `resources` and the rest. NotFound if the stack was never made.

    `secrets`: what is sealed in it is opened; never for anything that is printed.
    """
    shown = ["--show-secrets"] if secrets else []
    exported: dict[str, Any] = json.loads(ask_pulumi(["stack", "export", *shown], stack))
    return dict(exported.get("deployment") or {})


def sealed(value: Any) -> bool:
    """Whether a value of the state is a secret."""
    from anytier.marks import is_sealed

    return is_sealed(value)


def opened(value: Any) -> Any:
    """The value of a secret in a state that was asked for with `secrets`; others as they are."""
    return json.loads(value["plaintext"]) if sealed(value) else value


def stack_outputs(stack: str) -> dict[str, Any]:
    outputs: dict[str, Any] = json.loads(ask_pulumi(["stack", "output", "--json"], stack))
    return outputs


def resources_of(state: Mapping[str, Any], type_: str) -> list[dict[str, Any]]:
    """The resources of one type, such as `anytier:docker:Workload`, in the state's order."""
    return [item for item in state.get("resources") or () if item.get("type") == type_]
