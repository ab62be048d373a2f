"""The app's secrets as secret inputs of its workloads: read where the spec says, or generated once and kept in state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi

from anytier.runtimes.resources import Resource
from anytier.spec import App


def secret_inputs(
    app: App, app_dir: Path, config: Callable[[str], str | None], opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Output[Any]]:
    """Secret name -> its value as a secret output. SpecError for every source that has no value."""
    raise NotImplementedError
