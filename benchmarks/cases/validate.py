"""`anytier validate` of one file with very many workloads, as a user runs it: process start included.

The workloads are not toys: each has probes, limits, a service, a dependency, and placeholders that must resolve.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import in_turns, timed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT

LIMIT = 2.0  # seconds for 1,000 workloads
LINEAR = 2.2  # twice the workloads, at most so many times the time
SIZES = (1, 250, 500, 1000, 2000)


def run(options: Options) -> list[Row]:
    anytier = str(ROOT / ".venv" / "bin" / "anytier")
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as folder:
        files = {size: Path(folder, f"{size}.yaml") for size in SIZES}
        for size, file in files.items():
            file.write_text(yaml.safe_dump(spec(size), sort_keys=False))
        ways = {str(size): lambda file=file: timed([anytier, "validate", str(file)]) for size, file in files.items()}
        samples = {int(size): found for size, found in in_turns(options.repeat, ways).items()}
    rows = [
        Row(f"validate {size:,} workload{'s' if size > 1 else ''}", "s", samples[size], limit=limit)
        for size, limit in ((size, Limit("ours", LIMIT) if size == 1000 else None) for size in SIZES)
    ]
    return [*rows, growth(samples)]


def growth(samples: dict[int, list[float]]) -> Row:
    """2,000 beside 1,000 workloads, less what one workload takes: that is the process's start and not growth."""
    start = min(samples[1])
    more, less = ([max(took - start, 1e-3) for took in samples[size]] for size in (2000, 1000))
    return Row("validate 2,000 workloads, start aside", "s", more, "1,000 workloads", less, Limit("ratio", LINEAR))


def spec(size: int) -> dict[str, Any]:
    """An app of that many workloads, each after the one before it and talking to it."""
    names = [f"w{index:04d}" for index in range(size)]
    return {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "large"},
        "workloads": {name: workload(before) for before, name in zip([None, *names], names, strict=False)},
    }


def workload(before: str | None) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2}
    container: dict[str, Any] = {
        "image": "example.org/team/app:1.0",
        "command": ["/bin/app"],
        "variables": {"LEVEL": "info"},
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"limits": {"memory": "128Mi"}},
    }
    body: dict[str, Any] = {
        "containers": {"main": container},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "scale": {"replicas": 2},
    }
    if before:
        container["variables"]["PEER"] = f"http://${{workloads.{before}.host}}:${{workloads.{before}.ports.http}}"
        body["dependsOn"] = {before: {"condition": "healthy"}}
    return body
