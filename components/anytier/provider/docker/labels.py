"""How our objects on a daemon are named and labelled, and how they are found again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "dev.anytier."
NAMESPACE = "dev.anytier.namespace"
ROLE = "dev.anytier.role"  # workload, job, files, store, proxy, tools, network, volume, image, held
WORKLOAD = "dev.anytier.workload"
REVISION = "dev.anytier.revision"
HASH = "dev.anytier.hash"
INDEX = "dev.anytier.index"
INSTANCE = "dev.anytier.instance"
CONTAINER = "dev.anytier.container"
KIND = "dev.anytier.kind"  # of a workload's container: init, sidecar, main, network
PORTS = "dev.anytier.ports"  # where an instance listens: http=8080,admin=9000
OWNER = "dev.anytier.owner"  # whose deployment it is
INPUTS = "dev.anytier.inputs"  # what it was made from, packed, without secrets: an import is exact
CREATED = "dev.anytier.created"
IMAGE = "dev.anytier.image"  # the name under which we built it


def instance_name(ns: str, workload: str, revision: int, index: int) -> str:
    return f"{ns}-{workload}-r{revision}-{index}"


def files_volume(ns: str, workload: str, revision: int | str, container: str) -> str:
    """The files and secrets of one container of one revision."""
    return f"{ns}-{workload}-r{revision}-{container}"


def filters(**labels: str) -> dict[str, list[str]]:
    """Docker's filter for objects that have all these labels, by the names of the constants in lower case."""
    return {"label": [f"{globals()[key.upper()]}={value}" for key, value in labels.items()]}


def label(item: Mapping[str, Any], key: str) -> str:
    """From a list's entry or an inspection; empty where it has none."""
    labels = item.get("Labels") or (item.get("Config") or {}).get("Labels") or {}
    return str(labels.get(key) or "")


def number(item: Mapping[str, Any], key: str) -> int:
    text = label(item, key)
    return int(text) if text.isdigit() else 0


def name_of(item: Mapping[str, Any]) -> str:
    names = item.get("Names") or [item.get("Name") or ""]
    return str(names[0]).lstrip("/")
