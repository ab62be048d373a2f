"""Tier -> the place that knows how to look at it; strings, so that nothing is imported for other tiers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any, cast

from anytier.conformance.places.base import Place
from anytier.errors import ConfigError

PLACES: dict[str, str] = {
    "local": "anytier.conformance.places.local:LocalPlace",
    "baremetal": "anytier.conformance.places.baremetal:BaremetalPlace",
    "libvirt": "anytier.conformance.places.libvirt:LibvirtPlace",
    "docker": "anytier.conformance.places.docker:DockerPlace",
    "kubeadm": "anytier.conformance.places.kubeadm:KubeadmPlace",
    "eks": "anytier.conformance.places.managed:EksPlace",
    "gke": "anytier.conformance.places.managed:GkePlace",
    "aks": "anytier.conformance.places.managed:AksPlace",
}


def open_place(config: Mapping[str, Any]) -> Place:
    """The place that a stack's config names."""
    tier = str(config.get("anytier:tier", ""))
    if tier not in PLACES:
        raise ConfigError("anytier:tier", f"the suite does not know tier {tier!r} yet", f"one of {', '.join(PLACES)}")
    module, _, name = PLACES[tier].partition(":")
    options = config.get(f"anytier:{tier}") or {}
    return cast(
        Place,
        getattr(importlib.import_module(module), name)(json.loads(options) if isinstance(options, str) else options),
    )
