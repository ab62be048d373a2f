"""Rules for the way to machines, wherever a resource names one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from anytier.marks import UNKNOWN, Secret
from anytier.policy.look import get, given, judged, opened
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Rule

LEARNS = "anytier:host:Machine"
NAMING = (
    *(f"anytier:host:{kind}" for kind in ("DockerEngine", "Image", "Job", "Packages", "Proxy", "Volume", "Workload")),
    *(f"anytier:docker:{kind}" for kind in ("Image", "Job", "Network", "Proxy", "Volume", "Workload")),
    *(f"anytier:kubeadm:{kind}" for kind in ("ControlPlane", "Image", "Node", "Worker")),
)
_LONGEST = 600


def ways(resource: Resource, look: Callable[[Any], Any] = opened) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every machine that the inputs name, as (path, reference), with those on the way to it. `look`: at each value."""
    for path, tree in resource.props.items():
        yield from _ways(path, look(tree), look)


def _ways(path: str, tree: Any, look: Callable[[Any], Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(tree, Mapping):
        if opened(tree.get("kind")) == "ssh" and "address" in tree:
            yield path, tree
            if isinstance(jump := look(tree.get("jump")), Mapping):
                yield f"{path}.jump", jump
            return
        for key, value in tree.items():
            yield from _ways(f"{path}.{key}", look(value), look)
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from _ways(f"{path}.{index}", look(value), look)


def _known(resource: Resource, context: Context) -> Iterator[Wrong]:
    for base, way in ways(resource):
        for wrong in judged(way, "hostKey", given):
            yield Wrong(f"{base}.hostKey", wrong.what)


def _patient(resource: Resource, context: Context) -> Iterator[Wrong]:
    for base, way in ways(resource):
        if not base.endswith(".jump"):
            found = get(way, "connectTimeout")
            if found is not UNKNOWN and not (isinstance(found, (int, float)) and 0 < found <= _LONGEST):
                yield Wrong(f"{base}.connectTimeout", "is not set" if found is None else f"is {found}")


def _sealed(resource: Resource, context: Context) -> Iterator[Wrong]:
    """The mark of a secret lies on the key, or on something that holds it, into which nobody looks then."""
    for base, way in ways(resource, lambda value: value):
        key = way.get("privateKey")
        if key is not None and key is not UNKNOWN and not isinstance(key, Secret):
            yield Wrong(f"{base}.privateKey", "is in the open")


RULES = (
    Rule(
        "ssh-host-key", "critical", "A machine is known by its host key before anything is said to it",
        "pin hostKey, or take it from host:Machine, which learns it once and keeps it", NAMING, _known,
    ),
    Rule(
        "ssh-time-limit", "medium", "A machine that does not answer is given up in time",
        "set connectTimeout to some seconds, 600 at most", (*NAMING, LEARNS), _patient,
    ),
    Rule(
        "ssh-key-sealed", "critical", "A private key is a secret in the state",
        "give privateKey as a secret, or keyFile", (*NAMING, LEARNS), _sealed,
    ),
)  # fmt: skip
