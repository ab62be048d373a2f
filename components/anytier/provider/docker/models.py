"""Inputs that the Docker resources share, and what a workload remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.frozen import Frozen
from anytier.provider.docker.client import Endpoint
from anytier.provider.fields import ignored, replaces, secret
from anytier.render.template import Template


class AppInputs(Frozen):
    """Which daemon, and which app there; a change of either is another deployment. `owner`: see `provider.owner`.
    `incarnation`: which installation of the daemon's machine it is; on another one everything is looked at."""

    endpoint: Annotated[Endpoint, replaces] = Endpoint()
    ns: Annotated[str, replaces]
    owner: Annotated[str, ignored] = ""
    incarnation: str | None = None


class ContainerInputs(AppInputs):
    """What workloads and jobs have in common. `volumes`: name in the spec -> name on the daemon."""

    network: Annotated[str, replaces]
    volumes: dict[str, str] = Field(default_factory=dict)
    template: Template
    secrets: Annotated[dict[str, str], secret] = Field(default_factory=dict)


class Revision(Frozen):
    """One kept revision. The template holds no secret value. `served`: a rollout of it has once ended well."""

    revision: int
    hash: str
    template: Template
    created_at: float
    served: bool = False


class Kept(Frozen):
    """A revision with its secrets: all that is needed to run it again."""

    revision: Revision
    secrets: dict[str, str] = Field(default_factory=dict)


class Deployed(Frozen):
    """What is deployed now, so that read and import are exact. `revision` 0: nothing yet. Inputs without secrets."""

    inputs: dict[str, Any]
    revision: int
    replicas: int


def without_secrets(inputs: AppInputs) -> dict[str, Any]:
    """What may lie on the daemon."""
    bare = inputs.model_copy(update={"endpoint": inputs.endpoint.keyless()})
    return {key: value for key, value in bare.wire().items() if key not in ("secrets", "certificates")}


def secret_values(kept: Mapping[int, Kept]) -> set[str]:
    return {value for item in kept.values() for value in item.secrets.values()}
