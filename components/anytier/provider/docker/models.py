"""Inputs that the Docker resources share, and what a workload remembers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anytier.frozen import Frozen
from anytier.provider.docker.client import Endpoint
from anytier.provider.fields import replaces, secret
from anytier.render.template import Template


class AppInputs(Frozen):
    """Which daemon, and which app there. A change of either is another deployment."""

    endpoint: Annotated[Endpoint, replaces] = Endpoint()
    ns: Annotated[str, replaces]


class ContainerInputs(AppInputs):
    """What workloads and jobs have in common. `volumes`: name in the spec -> name on the daemon."""

    network: Annotated[str, replaces]
    volumes: dict[str, str] = Field(default_factory=dict)
    template: Template
    secrets: Annotated[dict[str, str], secret] = Field(default_factory=dict)


class Revision(Frozen):
    """One kept revision. The template holds no secret value."""

    revision: int
    hash: str
    template: Template
    created_at: float
