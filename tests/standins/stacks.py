"""The shortest stack of each managed tier, in a project of its own whose clouds are stood in.

What is said besides is what a test has to say: a daemon that builds, and that the API server may be called from here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.standins.installed import sdks
from tests.standins.project import ROOT, commands, plugins, provider_lines
from tests.standins.world import FOLDER, World

NAME = "standin"
ACCESS = ["192.0.2.1/32"]
# Tier -> the config of its cloud, and its own.
STACKS: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]] = {
    "eks": ({"aws:region": "eu-central-1"}, {"access": ACCESS}),
    # By the public endpoint: that of DNS has a certificate of an authority that everybody knows.
    "gke": (
        {"gcp:project": "my-project-123", "gcp:region": "europe-west3"},
        {"endpoint": "public", "access": ACCESS},
    ),
    "aks": ({"azure-native:location": "westeurope"}, {"access": ACCESS}),
}
# By these the tiers find somebody to be; no cloud is ever asked whether they are.
SOMEBODY = {
    "AWS_ACCESS_KEY_ID": "stand-in",
    "AWS_SECRET_ACCESS_KEY": "stand-in",
    "GCE_METADATA_HOST": "stand-in",
    "AZURE_CONFIG_DIR": "stand-in",
}


class CloudProject:
    """A copy of this project as far as the engine wants one, with one stack, NAME. `world`: its clouds' folder."""

    def __init__(self, folder: Path, tier: str, **more: Any) -> None:
        self.folder = folder / "project"
        (self.folder / "stacks").mkdir(parents=True)
        self.world = World(folder / "world")
        self._commands = commands(folder / "commands")
        ours = f"    - {{name: anytier, path: {ROOT / 'bin'}}}\n"
        head = "name: anytier\nruntime: python\nmain: .\nstackConfigDir: stacks\n"
        (self.folder / "Pulumi.yaml").write_text(head + provider_lines(plugins(folder / "plugins")) + ours)
        shutil.copy(ROOT / "__main__.py", self.folder)
        shutil.copytree(ROOT / "apps" / "conformance", self.folder / "apps" / "conformance")
        cloud, own = STACKS[tier]
        config = {
            **cloud,
            "anytier:app": "apps/conformance/app.yaml",
            "anytier:tier": tier,
            f"anytier:{tier}": {**own, **more},
        }
        (self.folder / "stacks" / f"Pulumi.{NAME}.yaml").write_text(json.dumps({"config": config}))

    def env(self, path: str) -> dict[str, str]:
        """What a verb needs beside its usual environment; `path` is that one's PATH."""
        return {
            **SOMEBODY,
            FOLDER: str(self.world.folder),
            "PATH": f"{self._commands}:{path}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "components"), *sdks()]),
        }
