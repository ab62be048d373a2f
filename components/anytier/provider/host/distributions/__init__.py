"""The distributions that machines may run, one file each. Adding one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from anytier.errors import AnytierError, Denied, Rejected
from anytier.provider.host.distributions.base import Distribution

# ID of /etc/os-release -> where its Distribution is
DISTRIBUTIONS: dict[str, str] = {
    "debian": "anytier.provider.host.distributions.debian:DEBIAN",
    "ubuntu": "anytier.provider.host.distributions.ubuntu:UBUNTU",
}


def distribution(name: str) -> Distribution | None:
    module, _, attribute = DISTRIBUTIONS.get(name, "").partition(":")
    found: Distribution | None = getattr(import_module(module), attribute) if module else None
    return found


def unfit(path: str, about: Mapping[str, Any]) -> AnytierError | None:
    """Why no app can be put on a machine of which the agent says this; None if one can."""
    known, shown = distribution(about["distribution"]), about["pretty"] or about["distribution"] or "an unknown system"
    if known is None:
        return Rejected(path, f"runs {shown}", f"anytier knows {', '.join(DISTRIBUTIONS)}; use a machine with one")
    if numbers(about["version"]) < known.oldest:
        oldest = ".".join(f"{number:02}" if index else str(number) for index, number in enumerate(known.oldest))
        return Rejected(path, f"runs {shown}, which is too old", f"use {known.name} {oldest} or newer")
    if not about["systemd"]:
        return Rejected(path, "systemd does not run there", "boot it with systemd; a container is no machine")
    if about["uid"] != 0:
        return Denied(path, f"the login is {about['user']}, who is not root", "set sudo: true, or user: root")
    return None


def numbers(version: str) -> tuple[int, ...]:
    """`22.04` as (22, 4); a rolling release names none and is newer than any."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (10**6,)
