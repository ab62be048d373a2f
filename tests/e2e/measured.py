"""`anytier measure` as a test runs it, in a stack of its own; with ANYTIER_KEEP_MEASUREMENTS=1 the result is kept.

It is then called as the project's stack of that tier is, which names machines that a test cannot have.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from anytier.measure.figures import KINDS, MAKES
from anytier.measure.record import Measurement, file_of, parse, write

ROOT = Path(__file__).resolve().parents[2]
KEEP = bool(os.environ.get("ANYTIER_KEEP_MEASUREMENTS"))
REPEAT = "3" if KEEP else "1"
LONGEST = 2400.0  # seconds
EMULATED = 7200.0


def measured(config: dict[str, Any], said: str = "", longest: float = LONGEST, **environ: str) -> Measurement:
    """A whole run on such a place. `said`: one more line for the account, of what the machines were."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    stack = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    file = file_of(ROOT, name)
    account = file.with_suffix(".txt")
    stack.write_text(json.dumps({"config": {"anytier:app": "apps/conformance/app.yaml", **config}}))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "anytier", "measure", "-s", name, "--repeat", REPEAT],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "components"), **environ},
            capture_output=True,
            text=True,
            timeout=longest,
            check=False,
        )
        print(done.stdout[-6000:], done.stderr[-6000:])
        assert done.returncode == 0
        found = parse(file.read_bytes(), file.name)
        if KEEP:
            kept = found.model_copy(update={"stack": found.tier})
            text = account.read_text().replace(f"stack {name},", f"stack {found.tier},", 1)
            write(ROOT, kept, text + (f"{said}\n" if said else ""))
        return found
    finally:
        for each in (stack, file, account):
            each.unlink(missing_ok=True)
        if file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()


def assert_whole(found: Measurement, tier: str) -> None:
    """Every figure that this tier has; nothing was lost."""
    assert found.tier == tier and found.machine is not None
    assert list(found.figures) == [name for name in KINDS if name != "create" or tier in MAKES]
    assert found.figures["update.lost"].value == 0
    assert all(item.value > 0 for name, item in found.figures.items() if name != "update.lost")
    assert not list((ROOT / "stacks").glob(f"Pulumi.{found.stack}.yaml"))
