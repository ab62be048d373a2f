"""One workload on Docker with 50 replicas: made, scaled to 60, and removed. anytier and Docker Compose v2, in turns.

Both get the same image, the same command and a network of their own, and each is taken as a user runs it: one command
that returns when all is up. anytier's time has the engine in it, and its second in which every replica must stay up
(`minHealthyTime`); Compose returns when the containers are started. So anytier is measured once more without that
second, which is the same work.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anytier.conformance.trial import free_ports
from benchmarks.measure import CommandFailed, timed
from benchmarks.programs import COMPOSE, ensure
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import Stack, base_image, ours

CREATED, SCALED = Limit("ratio", 0.7), Limit("ratio", 1.0)
IMAGE = "python:3.11-slim"
# A shell that ends at once when it is told to: neither side shall wait for the other's grace period.
COMMAND = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done']
STEPS = ("make", "scale", "remove")


@dataclass(frozen=True)
class Sizes:
    first: int
    then: int


def run(options: Options) -> list[Row]:
    base_image()
    compose = ensure(COMPOSE)
    sizes = Sizes(3, 4) if options.quick else Sizes(50, 60)
    samples: dict[str, list[list[float]]] = {"anytier": [], "same": [], "compose": []}
    for index in range(min(options.repeat, 3)):
        ways = {
            "anytier": lambda: by_anytier(sizes),
            "same": lambda: by_anytier(sizes, gate="0s"),
            "compose": lambda: by_compose(compose, sizes),
        }
        for name in list(ways)[:: 1 if index % 2 == 0 else -1]:
            samples[name].append(ways[name]())
    theirs = samples["compose"]
    return [*rows(sizes, samples["anytier"], theirs), *rows(sizes, samples["same"], theirs, ", not watched")[:2]]


def rows(sizes: Sizes, mine: list[list[float]], theirs: list[list[float]], how: str = "") -> list[Row]:
    said = (
        (f"{sizes.first} replicas on Docker made", CREATED),
        (f"scaled from {sizes.first} to {sizes.then}", SCALED),
        (f"{sizes.then} replicas removed", None),
    )
    return [
        Row(what + how, "s", [run[step] for run in mine], "Compose", [run[step] for run in theirs], limit)
        for step, (what, limit) in enumerate(said)
    ]


def by_anytier(sizes: Sizes, gate: str = "") -> list[float]:
    """`gate`: for how long a replica must stay up; anytier's own second where none is given."""
    port, tls_port = free_ports(2)
    config = {"anytier:port": port, "anytier:tlsPort": tls_port}
    with ours(spec(sizes.first, gate), "docker", config) as stack:
        made = stack.up()
        expect(f"anytier-{stack.name}-", sizes.first)
        scaled = scale(stack, sizes.then)
        expect(f"anytier-{stack.name}-", sizes.then)
        return [made, scaled, stack.destroy()]


def scale(stack: Stack, count: int) -> float:
    """As `anytier scale` does it: the number in the stack's config, then `up`."""
    text = yaml.safe_load(stack.config_file.read_text())["config"]
    stack.config({**text, "anytier:scale": {"app": count}})
    return stack.up()


def by_compose(compose: Path, sizes: Sizes) -> list[float]:
    with project(compose) as (command, folder, env, name):
        file = folder / "compose.yaml"
        file.write_text(yaml.safe_dump(compose_file(sizes.first), sort_keys=False))
        made = timed([*command, "up", "--detach"], folder, env)
        expect(name, sizes.first)
        file.write_text(yaml.safe_dump(compose_file(sizes.then), sort_keys=False))
        scaled = timed([*command, "up", "--detach"], folder, env)
        expect(name, sizes.then)
        return [made, scaled, timed([*command, "down"], folder, env)]


@contextmanager
def project(compose: Path) -> Iterator[tuple[list[str], Path, dict[str, str], str]]:
    """A Compose project in a folder of its own; nothing of it is left, whatever happens."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    env = {**os.environ, "DOCKER_CONFIG": str(folder), "COMPOSE_MENU": "false"}
    command = [str(compose), "--project-name", name, "--progress", "quiet"]
    try:
        yield command, folder, env, name
    finally:
        if (folder / "compose.yaml").exists():
            timed([*command, "down", "--timeout", "1"], folder, env)
        shutil.rmtree(folder, ignore_errors=True)


def expect(prefix: str, count: int) -> None:
    """So many containers run, or there was nothing to measure."""
    listed = ["docker", "ps", "--filter", f"name={prefix}", "--filter", "status=running", "--format", "{{.Names}}"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    if len(found) != count:
        raise CommandFailed(f"{len(found)} containers {prefix}* run, not {count}")


def spec(count: int, gate: str = "") -> str:
    """The app in anytier's words. YAML's JSON form: no string is at risk."""
    container = {"image": IMAGE, "command": COMMAND[:1], "args": COMMAND[1:]}
    body: dict[str, Any] = {"containers": {"app": container}, "scale": {"replicas": count}}
    if gate:
        body["update"] = {"minHealthyTime": gate}
    app: dict[str, Any] = {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "replicas"},
        "workloads": {"app": body},
    }
    return yaml.safe_dump(app, sort_keys=False)


def compose_file(count: int) -> dict[str, Any]:
    """The same in Compose's words. A `$` is doubled there."""
    command = [part.replace("$", "$$") for part in COMMAND]
    service = {"image": IMAGE, "entrypoint": command[:1], "command": command[1:], "deploy": {"replicas": count}}
    return {"services": {"app": service}}
