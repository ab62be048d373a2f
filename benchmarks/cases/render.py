"""An app with very many workloads as Kubernetes objects: rendering alone, and `anytier render` as a user runs it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from anytier.render.kubernetes import Target, render
from anytier.spec import App
from benchmarks.cases import validate
from benchmarks.measure import in_turns, timed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT

LIMIT = 3.0  # seconds for rendering 1,000 workloads
SIZES = (1, 500, 1000)


def run(options: Options) -> list[Row]:
    anytier = str(ROOT / ".venv" / "bin" / "anytier")
    apps = {size: App.model_validate(validate.spec(size)) for size in SIZES}
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as folder:
        project(Path(folder))
        ways = {f"render {size}": lambda app=app: alone(app) for size, app in apps.items()}
        ways |= {
            f"verb {size}": lambda size=size: timed([anytier, "render", "-s", f"of-{size}"], cwd=Path(folder))
            for size in SIZES
        }
        samples = in_turns(options.repeat, ways)
    rows = [
        Row(f"render {count(size)} for Kubernetes", "s", samples[f"render {size}"], limit=limit)
        for size, limit in ((size, Limit("ours", LIMIT) if size == 1000 else None) for size in SIZES)
    ]
    return [*rows, *(Row(f"`anytier render`, {count(size)}", "s", samples[f"verb {size}"]) for size in SIZES)]


def count(size: int) -> str:
    return f"{size:,} workload{'s' if size > 1 else ''}"


def alone(app: App) -> float:
    """Seconds from the app to its objects."""
    start = time.perf_counter()
    render(app, Target("anytier-large", addresses=("10.0.0.11",)), Path())
    return time.perf_counter() - start


def project(folder: Path) -> None:
    """A project with a stack for each size. Its machines are never asked."""
    (folder / "Pulumi.yaml").write_text("name: large\nruntime: python\n")
    for size in SIZES:
        (folder / f"{size}.yaml").write_text(yaml.safe_dump(validate.spec(size), sort_keys=False))
        (folder / f"Pulumi.of-{size}.yaml").write_text(yaml.safe_dump({"config": config(size)}))


def config(size: int) -> dict[str, Any]:
    machines = {"machines": [{"address": "10.0.0.11"}]}
    return {"anytier:app": f"{size}.yaml", "anytier:tier": "kubeadm", "anytier:kubeadm": machines}
