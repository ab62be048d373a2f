"""The shop on tier local: on a machine with systemd that has its packages, and before that on one that does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.suite import ROOT
from tests.provider.host.systemd_box import Box, box

from bootstrap import engine
from bootstrap.paths import Paths

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
HOME, STACK = "/root", "anytier-test-shop"
PROJECT = f"{HOME}/anytier"
PARTS = ("Pulumi.yaml", "__main__.py", "bin", "components", "policy", "apps", "stacks")
CONFIG = {"anytier:app": "apps/shop/app.yaml", "anytier:tier": "local", "anytier:port": 8080}
ASK = """
import json, sys, urllib.request
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], body), timeout=10) as answer:
    print(answer.read().decode())
"""


class Shop:
    """A copy of this project on a machine, and the stack of the shop there."""

    def __init__(self, machine: Box) -> None:
        self.machine = machine
        copy = f'mkdir -p {PROJECT}/state && cp -r --preserve=timestamps "$@" {PROJECT}/'
        self.ran(machine.run("sh", "-c", copy, "sh", *PARTS))
        file = f"{PROJECT}/stacks/Pulumi.{STACK}.yaml"
        self.ran(machine.run("sh", "-c", f'printf %s "$1" >{file}', "sh", json.dumps({"config": CONFIG})))
        self.pulumi("stack", "init", STACK, "--secrets-provider", "passphrase")

    def pulumi(self, *args: str, fails: bool = False) -> str:
        named = () if args[:2] == ("stack", "init") else ("--stack", STACK)
        command = ["pulumi", "--non-interactive", "--color", "never", *args, *named]
        done = self.machine.run("env", "-C", PROJECT, *environment(), *command)
        assert (done.returncode != 0) == fails, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout

    def ask(self, path: str, body: Any = None) -> Any:
        given = [] if body is None else [json.dumps(body)]
        return json.loads(self.ran(self.machine.run("python3", "-c", ASK, path, *given)))

    @staticmethod
    def ran(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


def environment() -> list[str]:
    """The engine itself, and this virtual environment's Python."""
    known = engine.remembered(Paths.here())
    assert known is not None, "set-up has got no Pulumi engine for this clone; run: make engine"
    given = {
        "HOME": HOME,
        "PATH": f"{known.folder}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "VIRTUAL_ENV": sys.prefix,
        "PYTHONPATH": f"{PROJECT}/components",
        "PULUMI_BACKEND_URL": f"file://{PROJECT}/state",
        "PULUMI_CONFIG_PASSPHRASE": "for tests only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    return [f"{name}={value}" for name, value in given.items()]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with box() as machine:
        yield Shop(machine)


def packages() -> list[str]:
    """All that the spec asks for."""
    app = yaml.safe_load((Path(ROOT) / "apps" / "shop" / "app.yaml").read_text())
    parts = [*app["workloads"].values(), *app["jobs"].values()]
    return sorted({package for part in parts for package in part["host"].get("packages", [])})


def test_it_sells_where_the_packages_are_and_says_what_to_install_where_they_are_not(shop: Shop) -> None:
    refused = shop.pulumi("preview", fails=True)
    assert "apt-get install" in refused and all(package in refused for package in packages())
    install = "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"
    done = shop.machine.run("sh", "-c", f'{install} "$@"', "sh", *packages())
    if done.returncode and "Unable to fetch" in done.stderr + done.stdout:
        pytest.skip("no mirror of the distribution's packages can be reached")
    shop.ran(done)

    shop.pulumi("up", "--yes", "--skip-preview")
    before = {item["id"]: item["stock"] for item in shop.ask("/api/products")["products"]}
    assert len(before) == 5 and shop.ask("/api/orders", {"product": 1, "quantity": 2})["left"] == before[1] - 2
    shop.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    shop.pulumi("destroy", "--yes", "--skip-preview")
    assert "mariadbd" not in shop.machine.run("ps", "-A", "-o", "comm").stdout
