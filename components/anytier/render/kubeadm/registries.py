"""Where containerd asks for images: a mirror in the place of the registries that a cluster's images name. Pure.

Images keep their names, so that nothing in the cluster changes with the mirror. containerd 1.6 and newer read this.
"""

from __future__ import annotations

import re
from typing import Any

from anytier.render.kubeadm import toml

FOLDER = "/etc/anytier/registries"
MIRRORED = ("registry.k8s.io", "ghcr.io", "docker.io")
_PREFIX = re.compile(r"(?:https?://)?[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?")


def prefix(text: str) -> str:
    """What stands before the names of images; ValueError says what to give."""
    if not _PREFIX.fullmatch(text) or len(text) > 300:
        raise ValueError(f"{text[:80]!r} is no registry; give one such as registry.example.org/mirror")
    return text


def plain(mirror: str) -> bool:
    """Whether it is asked without TLS."""
    return mirror.startswith("http://")


def files(mirror: str) -> dict[str, str]:
    """Path -> content. `mirror`: as `anytier bundle build --registry` has it; empty is none, and no file."""
    if not mirror:
        return {}
    scheme, _, rest = mirror.rpartition("://")
    host, _, path = rest.rstrip("/").partition("/")
    return {f"{FOLDER}/{name}/hosts.toml": _hosts(scheme or "https", host, path, name) for name in MIRRORED}


def _hosts(scheme: str, host: str, path: str, registry: str) -> str:
    """The server itself is the mirror: what it lacks is asked for nowhere else."""
    at = "/".join([f"{scheme}://{host}", "v2", *([path] if path else []), registry])
    asked: dict[str, Any] = {"capabilities": ["pull", "resolve"], "override_path": True}
    return f"# made by anytier\n{toml.text({'server': at, **asked, 'host': {at: asked}})}"
