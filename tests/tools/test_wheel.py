"""The package as somebody gets it who never sees this repository: a wheel, its programs, and its use as a library."""

from __future__ import annotations

import configparser
import json
import socket
import subprocess
import sys
import textwrap
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "components" / "anytier"
PROGRAM = """
    import pulumi
    from anytier.app import App
    from anytier.tiers.local import LocalArgs, LocalTier

    config = pulumi.Config("lib")
    args = LocalArgs(state_dir=config.require("state"), supervisor="supervisord")
    tier = LocalTier("here", args, port=config.require_int("port"), tls_port=config.require_int("tls"))
    pulumi.export("url", App("hello", spec="hello.yaml", place=tier.place).exports["url"])
"""
SPEC = """
    apiVersion: anytier.dev/v1
    kind: App
    metadata: {name: hello}
    workloads:
      web:
        containers:
          web:
            image: python:3.11-slim
            readinessProbe: {httpGet: {path: /, port: 8080}}
        host: {command: [sh, -c, 'exec python3 -m http.server --bind 127.0.0.1 "$PORT"']}
        service: {ports: {http: {port: 80, targetPort: 8080}}}
    routes: [{path: /, workload: web, port: http}]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    wanted = {str(file.relative_to(PACKAGE.parent)) for file in files}
    assert {"anytier/spec/app.schema.json", "anytier/py.typed", "anytier/provider/docker/scripts/entry"} <= wanted
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted


def test_it_installs_its_programs(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    found = configparser.ConfigParser()
    found.read_string(wheel.read(name).decode())
    plugins = {"pulumi-resource-anytier", "pulumi-analyzer-policy-anytier"}
    assert set(found["console_scripts"]) == {"anytier", *plugins}


def test_it_has_its_licence(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("LICENSE")]
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.e2e
def test_a_program_elsewhere_uses_the_components_as_a_library(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    """`pip install` into a virtual environment, and a project of somebody's own without a file of ours."""
    venv, project = tmp_path / "venv", tmp_path / "project"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{ROOT}[local]"], check=True)
    env = {**pulumi_env, "PATH": f"{venv / 'bin'}:{pulumi_env['PATH']}"}

    def run(*argv: str) -> str:
        done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: library\nruntime: python\n")
    (project / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    (project / "hello.yaml").write_text(textwrap.dedent(SPEC))
    port = free_port()
    assert run("anytier", "--version").startswith("anytier 0.")
    assert "replicas" in run("anytier", "matrix")
    run("pulumi", "stack", "init", "anytier-test-library")
    for key, value in {"state": str(tmp_path / "state"), "port": str(port), "tls": str(free_port())}.items():
        run("pulumi", "config", "set", f"lib:{key}", value)
    try:
        run("pulumi", "up", "--yes", "--skip-preview")
        url = json.loads(run("pulumi", "stack", "output", "--json"))["url"]
        assert url == f"http://localhost:{port}/"
        with urllib.request.urlopen(url, timeout=5) as reply:
            assert reply.status == 200
    finally:
        run("pulumi", "destroy", "--yes", "--skip-preview")
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=2)
