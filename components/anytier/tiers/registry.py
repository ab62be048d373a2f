"""Tier name -> the module and component class that makes its place. Strings, so that no tier pays for another's SDK."""

from __future__ import annotations

import importlib
from typing import Any

from anytier.capabilities import TIERS
from anytier.errors import ConfigError
from anytier.suggest import did_you_mean

REGISTRY: dict[str, str] = {
    "local": "anytier.tiers.local:LocalTier",
    "baremetal": "anytier.tiers.baremetal:BaremetalTier",
    "libvirt": "anytier.tiers.libvirt:LibvirtTier",
    "docker": "anytier.tiers.docker:DockerTier",
    "kubeadm": "anytier.tiers.kubeadm:KubeadmTier",
    "eks": "anytier.tiers.eks:EksTier",
    "gke": "anytier.tiers.gke:GkeTier",
    "aks": "anytier.tiers.aks:AksTier",
}


def tier_class(tier: str) -> Any:
    """The component class of `tier`. ConfigError says whether the name is wrong or the tier is still planned."""
    if tier not in TIERS:
        raise ConfigError(
            "anytier:tier", f"there is no tier {tier!r}{did_you_mean(tier, TIERS)}", f"one of {', '.join(TIERS)}"
        )
    if tier not in REGISTRY:
        raise ConfigError("anytier:tier", f"tier {tier} is planned, not built yet", f"one of {', '.join(REGISTRY)}")
    module, _, name = REGISTRY[tier].partition(":")
    return getattr(importlib.import_module(module), name)
