"""What a revision mounts, held against the volumes that there are. Pure; knows no place."""

from __future__ import annotations

from collections.abc import Mapping

from anytier.errors import NotFound
from anytier.render.template import Template


def require(template: Template, volumes: Mapping[str, str], workload: str, revision: int) -> None:
    """NotFound where the app has no volume any more that a kept revision wants, before anything is stopped for it."""
    missing = [name for name in template.volumes if name not in volumes]
    if missing:
        what = f"{workload} r{revision} mounts it, and the app has no such volume any more"
        raise NotFound(f"volumes.{missing[0]}", what, "declare it in the spec again, or choose another revision")


def reaching(template: Template, volumes: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The volumes of now, and of those of `before` what the template mounts: the way back is to what was deployed,
    and what that mounts goes only once something else is."""
    return {**{name: before[name] for name in template.volumes if name in before}, **volumes}
