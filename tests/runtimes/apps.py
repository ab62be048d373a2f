"""Small apps and places for tests of what a runtime registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.runtimes.record import Recording, record

from anytier.app import App
from anytier.spec import App as Spec
from anytier.tiers.places import DockerEndpoint, Hosts, Place

PLACES: Mapping[str, Place] = {
    "docker": DockerEndpoint(endpoint={"host": "unix:///var/run/docker.sock"}, port=8080, tls_port=8443),
    "local": Hosts(
        machine={"kind": "local"}, state_dir="/state", supervisor="systemd-system", port=8080, tls_port=8443
    ),
}


def workload(**more: Any) -> dict[str, Any]:
    return {"containers": {"main": {"image": "x"}}, "host": {"command": ["run"]}, **more}


def job(**more: Any) -> dict[str, Any]:
    return workload(trigger="preDeploy", **more)


def spec(workloads: Mapping[str, Any] | None = None, **more: Any) -> Spec:
    data = {"metadata": {"name": "shop"}, "workloads": workloads or {"web": workload()}, **more}
    return Spec.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


def registered(
    app: Spec | Path,
    place: str,
    after: Callable[[App], Any] = lambda made: None,
    into: Recording | None = None,
    **options: Any,
) -> Recording:
    """What `App(...)` registers on a place; `after` is given the component, inside the program."""
    given = {"app_dir": Path("/app"), **options}
    return record(lambda: after(App("shop", spec=app, place=PLACES[place], **given)), into=into)
