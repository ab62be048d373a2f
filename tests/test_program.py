"""What `pulumi preview` says to a mistake: all at once, in its place, without a traceback, and nothing is made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import reset_options

import pulumi
from anytier import program

PROJECT = Path(__file__).parents[1]
SPEC = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {image: nginx}}
    host: {command: [python3, -V]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a good spec, the program's working directory; the config is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.yaml").write_text(SPEC)
    # Pulumi wants a loop, and a test before this one may have left none behind.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(NoResources(), project="anytier", stack="test")
    yield tmp_path
    set_all_config({})
    reset_options()  # with the stack that set_mocks made, and its outputs
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.set_event_loop(None)
    loop.close()


class NoResources(pulumi.runtime.Mocks):
    """Nothing may be registered, and nothing asked, before everything is checked."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, object]]:
        raise AssertionError(f"{args.typ} was registered")

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, object]:
        raise AssertionError(f"{args.token} was called")


def load(**values: str) -> program.Stack:
    set_all_config({f"anytier:{key.replace('__', '.')}": value for key, value in values.items()})
    return program.load()


def refused(**values: str) -> list[str]:
    with pytest.raises(pulumi.RunError) as caught:
        program.check(load(**values))
    return str(caught.value).splitlines()


def test_a_good_stack_loads(folder: Path) -> None:
    stack = load(app="app.yaml", tier="docker", scale='{"web": 2}', port="80")
    assert (stack.ns, stack.port, stack.scale, stack.app_dir) == ("anytier-test-shop", 80, {"web": 2}, folder)
    program.check(stack)


def test_mistakes_in_config_and_spec_are_told_together(folder: Path) -> None:
    (folder / "app.yaml").write_text(SPEC.replace("host:", "hosst:"))
    lines = refused(app="app.yaml", tier="docker", port="80abc", prot="1")
    assert len(lines) == 3
    assert lines[0].startswith("anytier:port: '80abc' is not a port -> ")
    assert lines[1].startswith("app.yaml:7:5: workloads.web.hosst: is not a field here (did you mean 'host'?)")
    assert lines[2].startswith("anytier:prot: is read by nothing (did you mean 'port'?)")


def test_an_unknown_tier_does_not_hide_what_is_wrong_in_the_spec(folder: Path) -> None:
    (folder / "app.yaml").write_text(SPEC.replace("nginx", "NGINX"))
    lines = refused(app="app.yaml", tier="dcoker")
    assert any("did you mean 'docker'" in line for line in lines) and any("NGINX" in line for line in lines)


def test_a_field_that_the_tier_does_not_carry_is_told_in_its_place(folder: Path) -> None:
    (folder / "app.yaml").write_text(SPEC + "    placement: {hosts: [a]}\n    disruption: {minAvailable: 1}\n")
    lines = refused(app="app.yaml", tier="docker")
    assert len(lines) == 2
    assert lines[0].startswith("app.yaml:8:17: workloads.web.placement.hosts: is not supported on tier docker: ")
    assert all(" -> " in line for line in lines)


@pytest.mark.parametrize(
    ("file", "said"),
    [("none.yaml", "No such file"), (".", "directory"), ("empty.yaml", "empty"), ("x\0", "cannot be read")],
)
def test_an_app_that_cannot_be_read_is_told(folder: Path, file: str, said: str) -> None:
    (folder / "empty.yaml").touch()
    (line,) = refused(app=file, tier="docker")
    assert said in line and " -> " in line


def test_warnings_are_passed_on_and_stop_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    (folder / "app.yaml").write_text(
        "apiVersion: score.dev/v1b1\nmetadata: {name: a}\n"
        "containers: {m: {image: i, files: {/f: {source: not-here.txt}}}}\n"
    )
    load(app="app.yaml", tier="docker")
    assert len(said) == 1 and "not-here.txt" in said[0] and said[0].startswith("app.yaml:3:")


def test_a_rollback_reaches_the_program_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYTIER_ROLLBACK", json.dumps({"web": 3, "gone": 1}))
    assert load(app="app.yaml", tier="docker").rollback == {"web": 3}


def test_a_bug_is_not_dressed_up_as_a_mistake_of_the_user() -> None:
    @program._clear_errors
    def broken() -> None:
        raise ExceptionGroup("g", [ZeroDivisionError("ours")])

    with pytest.raises(ExceptionGroup):
        broken()


def test_tests_keep_their_own_interrupt(folder: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    load(app="app.yaml", tier="docker")
    assert signal.getsignal(signal.SIGINT) is before


# the same by the real engine


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: anytier\nruntime: python\nmain: .\n"
        f"plugins: {{providers: [{{name: anytier, path: {PROJECT / 'bin'}}}]}}\n"
    )
    (tmp_path / "__main__.py").write_text((PROJECT / "__main__.py").read_text())
    (tmp_path / "app.yaml").write_text(SPEC)
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.fixture
def engine(project: Path, pulumi_env: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real engine on a stack `bad` of the project, whose Docker daemon does not exist."""
    env = {
        **pulumi_env,
        "PULUMI_BACKEND_URL": f"file://{project / 'state'}",
        "PYTHONPATH": str(PROJECT / "components"),
        "DOCKER_HOST": "unix:///nonexistent.sock",
    }

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        argv = ["pulumi", *args, "--stack", "bad", "--non-interactive", "--color", "never"]
        return subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, timeout=120)

    assert subprocess.run(["pulumi", "stack", "init", "bad"], cwd=project, env=env, capture_output=True).returncode == 0
    return run


@pytest.mark.engine
@pytest.mark.parametrize("verb", [["preview"], ["up", "--yes", "--skip-preview"]], ids=["preview", "up"])
def test_the_engine_shows_every_mistake_and_makes_nothing(
    project: Path, engine: Callable[..., subprocess.CompletedProcess[str]], verb: list[str]
) -> None:
    canary = "Canary-value-2b7e"
    (project / "app.yaml").write_text(SPEC.replace("host:", "hosst:"))
    with (project / "Pulumi.bad.yaml").open("a") as config:
        config.write(
            "config:\n  anytier:app: app.yaml\n  anytier:tier: docker\n  anytier:port: 80abc\n"
            f"  anytier:scale: {{web: -1}}\n  anytier:prot: {canary}\n"
        )
    done = engine(*verb)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    for part in ("anytier:port: '80abc'", "anytier:scale.web", "app.yaml:7:5", "did you mean 'host'", "anytier:prot"):
        assert part in said, said
    assert "Traceback" not in said and canary not in said
    exported = json.loads(engine("stack", "export").stdout)["deployment"]
    made = {item["type"] for item in exported.get("resources") or ()}
    assert made <= {"pulumi:pulumi:Stack", "pulumi:providers:anytier"}


@pytest.mark.engine
def test_an_address_that_cannot_be_used_is_told_before_anything_is_registered(
    project: Path, engine: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with (project / "Pulumi.bad.yaml").open("a") as config:
        config.write("config:\n  anytier:app: app.yaml\n  anytier:tier: docker\n")
        config.write("  anytier:docker: {host: 'tcp://10.0.0.1:2375'}\n")
    done = engine("preview")
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "anytier:docker.host: plain TCP" in said and "Traceback" not in said
    assert "anytier:tier:Docker" not in said


def test_an_interrupted_program_ends_without_a_word(project: Path) -> None:
    """As the engine does it when a resource has failed: SIGINT, while the program waits for others."""
    code = (
        "import os, signal, pulumi.runtime.settings as s\n"
        "from anytier import program\n"
        "program.get_monitor = lambda: object()\n"
        "program.end_quietly_when_interrupted()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "components")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
