"""The versions that set-up installs, and how to compare them. Tests hold them equal to go.mod and pyproject.toml."""

from __future__ import annotations

import re

ENGINE = "3.259.0"  # pulumi, and its Python SDK
LANGUAGE_HOST = "3.79.0"  # the last release whose Python host can be built as a Go module
KUBERNETES_PLUGIN = "4.25.0"  # the engine's plugin for Kubernetes; anytier.clusterobjects names it too

Version = tuple[int, ...]


def version(text: str) -> Version:
    """`v3.259.0-dev` -> (3, 259, 0); () if there is no version in it."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def compatible(found: str, wanted: str = ENGINE) -> bool:
    """The same major version, and nothing older: the engine's protocol only grows within one."""
    have, want = version(found), version(wanted)
    return bool(have) and have[0] == want[0] and have >= want
