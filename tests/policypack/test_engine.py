"""The pack under the real engine: `pulumi preview --policy-pack policy` over a stack of ours, and over a bad one."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOON = (date.today() + timedelta(days=30)).isoformat()
SPEC = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers:
      web: {image: nginx, user: root, resources: {limits: {memory: 64Mi}}}
"""


def preview(folder: Path, env: dict[str, str], config: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
    """A copy of the project that has no files of its own but the stack's."""
    (folder / "stacks").mkdir(exist_ok=True)
    for name in ("Pulumi.yaml", "__main__.py", "bin", "components", "policy", "apps"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / "app.yaml").write_text(SPEC)
    run = {**env, "PYTHONPATH": str(ROOT / "components"), "VIRTUAL_ENV": str(Path(env["PATH"].split(":")[0]).parent)}
    file = folder / "stacks" / "Pulumi.policy.yaml"
    if not file.exists():
        subprocess.run(["pulumi", "stack", "init", "policy"], cwd=folder, env=run, check=True, capture_output=True)
    file.write_text(yaml.safe_dump({"config": {f"anytier:{key}": value for key, value in config.items()}}))
    argv = ["pulumi", "preview", "-s", "policy", "--non-interactive", "--policy-pack", "policy", *more]
    return subprocess.run(argv, cwd=folder, env=run, capture_output=True, text=True, timeout=300)


@pytest.mark.engine
def test_our_stack_passes_and_a_bad_one_is_stopped_unless_waived(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    ours = {"app": "apps/guestbook/app.yaml", "tier": "local", "local": {"stateDir": str(tmp_path / "state")}}
    done = preview(tmp_path, pulumi_env, ours)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "anytier@v" in done.stdout and "mandatory" not in done.stdout

    bad = {"app": "app.yaml", "tier": "docker", "docker": {"host": "unix:///nowhere/docker.sock"}}
    done = preview(tmp_path, pulumi_env, bad)
    assert done.returncode != 0
    assert "docker-not-root" in done.stdout and "[mandatory]" in done.stdout
    assert "template.containers.0.user is root -> take user: root out of the spec" in done.stdout

    waiver = {"id": "docker-not-root", "resource": "web", "reason": "the vendor wants it", "until": SOON}
    done = preview(tmp_path, pulumi_env, {**bad, "policy": {"waive": [waiver]}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"waived until {SOON} (the vendor wants it)" in done.stdout and "[advisory]" in done.stdout

    (tmp_path / "levels.json").write_text(json.dumps({"docker-not-root": "disabled"}))
    done = preview(tmp_path, pulumi_env, bad, "--policy-pack-config", "levels.json")
    assert done.returncode == 0 and "docker-not-root" not in done.stdout
