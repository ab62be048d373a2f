"""What every stack on a cluster needs here, whatever made the cluster: the engine's Kubernetes plugin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from anytier.clusterobjects import PLUGIN_VERSION
from anytier.doctor.check import Finding, Subject, missing, note, ok

PROGRAM = "pulumi-resource-kubernetes"


def plugin(subject: Subject) -> Iterator[Finding]:
    """Where the engine looks for it: in its own folder, then on PATH."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    file = home / "plugins" / f"resource-kubernetes-v{PLUGIN_VERSION}" / PROGRAM
    found = shutil.which(PROGRAM)
    if file.is_file():
        yield ok("kubernetes plugin", f"{PLUGIN_VERSION} at {file.parent}")
    elif found:
        yield note("kubernetes plugin", f"{found} is used, whatever its version is", _get(subject))
    else:
        what = f"Pulumi's plugin {PROGRAM} {PLUGIN_VERSION} is not there; where there is a network, the engine gets it"
        yield missing("kubernetes plugin", what, _get(subject))


def _get(subject: Subject) -> str:
    if subject.clone:
        return f"python3 tools/setup.py --stack {subject.stack}" if subject.stack else "python3 tools/setup.py"
    return f"pulumi plugin install resource kubernetes {PLUGIN_VERSION}"
