"""Apps and targets for tests of what is rendered, and how tests look at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anytier.render.kubernetes import Rendered, Target, finish, render, tokens_in
from anytier.spec import App
from anytier.spec.load import load

PROJECT = Path(__file__).parents[3]
EVERYTHING = Path(__file__).with_name("everything.yaml")
SPECS = {path.parent.name: path for path in sorted((PROJECT / "apps").glob("*/app.yaml"))} | {"everything": EVERYTHING}
OFFERS = frozenset({"storage", "metrics"})
TARGET = Target(namespace="anytier-dev-shop", offers=OFFERS, addresses=("${addresses.0}", "10.0.0.2"))


def spec(workloads: Mapping[str, Any] | None = None, **more: Any) -> App:
    data = {"metadata": {"name": "shop"}, "workloads": workloads or {"web": workload()}, **more}
    return App.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


def workload(main: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"containers": {"main": {"image": "x", **(main or {})}}, **more}


def served(main: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return workload(main, service={"ports": {"http": {"port": 80, "targetPort": 8080}}}, **more)


def rendered(app: App, target: Target = TARGET, folder: Path = Path("/app")) -> dict[str, Rendered]:
    return {item.key: item for item in render(app, target, folder)}


def objects(app: App, target: Target = TARGET, folder: Path = Path("/app")) -> dict[str, Any]:
    """By key, finished with made-up values."""
    return {key: finished(item.object) for key, item in rendered(app, target, folder).items()}


def finished(item: dict[str, Any], **given: str) -> dict[str, Any]:
    """`given` by token; others have made-up values."""
    return finish(item, {}, {name: _value(name) for name in tokens_in(item)} | given)


def _value(token: str) -> str:
    kind, _, name = token.partition(".")
    return {"addresses": "10.0.0.1", "images": f"local/{name}:1"}.get(kind, f"value of {token}")


def of_file(name: str) -> list[Rendered]:
    """An example as the stack `dev` has it."""
    path = SPECS[name]
    app = load(path, "kubeadm")
    target = Target(namespace=f"anytier-dev-{name}", offers=OFFERS, addresses=("${addresses.0}",))
    return render(app, target, path.parent)


def pod(item: Mapping[str, Any]) -> dict[str, Any]:
    """The pod's spec, of whatever makes pods."""
    spec = item["spec"]
    found: dict[str, Any] = spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]
    return found


def container(item: Mapping[str, Any], name: str = "main") -> dict[str, Any]:
    found = pod(item)
    return next(each for each in [*found["containers"], *found.get("initContainers", ())] if each["name"] == name)
