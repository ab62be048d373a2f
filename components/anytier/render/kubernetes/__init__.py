"""An app as Kubernetes objects: what a cluster must be told for the app to run there. Pure.

`render` gives the objects with their order; `finish` puts into each what only a run knows: secrets, names of built
images, addresses. One aspect of the spec is one module.
"""

from __future__ import annotations

from pathlib import Path

from anytier.render.kubernetes.finish import finish, secrets_in, tokens_in
from anytier.render.kubernetes.target import Json, Offer, Rendered, Target
from anytier.spec import App


def render(app: App, target: Target, app_dir: Path) -> list[Rendered]:
    """Every object of an app, each behind what it needs. SpecError or CapabilityError for what cannot be."""
    from anytier.render.kubernetes.whole import objects

    return objects(app, target, app_dir)


__all__ = ["Json", "Offer", "Rendered", "Target", "finish", "render", "secrets_in", "tokens_in"]
