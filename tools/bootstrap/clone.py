"""What makes this clone usable by hand: the `pulumi` launcher, the passphrase of its local state, the git filter.

State and passphrase are made once and never replaced: losing either means that deployed things are forgotten.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path

from bootstrap.packages import write
from bootstrap.paths import Paths
from bootstrap.say import SetupError, line

# Drops the salt on the way into git, unless the file holds values that cannot be read without it.
CLEAN = (
    "awk '{ l[NR] = $0 } /^[ -]*secure:/ { s = 1 } "
    "END { for (i = 1; i <= NR; i++) if (s || l[i] !~ /^encryptionsalt:/) print l[i] }'"
)


def launcher(paths: Paths, engine: str) -> None:
    """.venv/bin/pulumi: the engine with this clone's settings. What it does is in tools/launch.sh."""
    settings = {"root": paths.root, "venv": paths.venv, "engine": engine}
    lines = [f"anytier_{name}={shlex.quote(str(value))}" for name, value in settings.items()]
    text = "\n".join(["#!/bin/sh", *lines, '. "$anytier_root/tools/launch.sh"', ""])
    write(paths.venv / "bin" / "pulumi", text, 0o755)


def elsewhere() -> bool:
    """The user keeps state somewhere else, by variable or by `pulumi login`. tools/launch.sh asks the same."""
    if os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError, AttributeError):
        return False


def passphrase(paths: Paths) -> None:
    """A random one in a file that only its owner can read, made together with the state that it protects."""
    paths.state.parent.mkdir(mode=0o700, exist_ok=True)
    paths.state.mkdir(exist_ok=True)
    file = paths.passphrase
    if file.exists():
        if file.stat().st_mode & 0o077:
            raise SetupError(f"{file} can be read by others", f"chmod 600 {file}")
        return
    if any(paths.state.glob(".pulumi/stacks/*/*.json*")):
        raise SetupError(
            f"{paths.state} has stacks, but their passphrase {file} is gone",
            "put it back; or give up what is deployed and remove .anytier/state",
        )
    made = file.with_name(f".passphrase-{os.getpid()}")
    made.touch(0o600)
    made.write_text(secrets.token_urlsafe(32) + "\n")
    made.rename(file)
    state, sealed = (path.relative_to(paths.root) for path in (paths.state, file))
    line("state", f"kept in {state}, its secrets sealed by {sealed}: keep a copy of both")


def git_filter(paths: Paths) -> None:
    """Tell git how to clean the stacks' files (.gitattributes names the filter). Nothing to do outside a git clone."""
    config = paths.root / ".git" / "config"
    if not (paths.root / ".git").exists() or (config.is_file() and "anytier-salt" in config.read_text()):
        return
    git = shutil.which("git")
    if git is None:
        return
    done = subprocess.run(
        [git, "-C", str(paths.root), "config", "filter.anytier-salt.clean", CLEAN], capture_output=True, text=True
    )
    if done.returncode:
        line("git", f"no filter for the stacks' files (do not commit their encryptionsalt): {done.stderr.strip()}")


def stack_names(paths: Paths) -> list[str]:
    return sorted(re.sub(r"^Pulumi\.|\.yaml$", "", file.name) for file in paths.stacks.glob("Pulumi.*.yaml"))
