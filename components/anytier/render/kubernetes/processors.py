"""For which processor an app's images are built, and how its pods keep to machines that have it. Pure.

A cluster whose machines are alike needs no word of it; in a mixed one an image is for one kind, which the workload
names by its placement, else for the kind of the cluster's first machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anytier.render.kubernetes.target import Json

LABEL = "kubernetes.io/arch"  # as every Node has it: amd64, arm64


def processor_of(body: Any, processors: Sequence[str]) -> str | None:
    """That of a workload's or a job's images; None where nobody knows what the machines have. `processors`: the
    machines', the first ones first."""
    if not processors:
        return None
    placement = getattr(body, "placement", None)  # a job has none
    named: str | None = placement.labels.get(LABEL) if placement else None
    return named or processors[0]


def kept_to(body: Any, processors: Sequence[str]) -> Json:
    """Labels of the nodes on which images that are built here can run. Images of a registry may be for all of them."""
    built = any(item.build for item in body.containers.values())
    found = processor_of(body, processors)
    return {LABEL: found} if built and found and len(processors) > 1 else {}
