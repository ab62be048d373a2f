"""What the day-two verbs share: which workloads a stack has and how to reach what runs them. Not a verb itself."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from anytier.errors import ConfigError


@dataclass(frozen=True)
class Deployed:
    """One workload resource of a stack's state: what was wanted (`inputs`) and what was reached (`outputs`). `counted`:
    an autoscaler, or the number of nodes, says how many there are; of `replicas` the inputs then have what was reached.
    """

    name: str
    kind: str  # docker | host | kubernetes
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    counted: bool = False

    @property
    def revision(self) -> int:
        return int(self.outputs.get("revision") or 0)

    @property
    def history(self) -> list[dict[str, Any]]:
        return list(self.outputs.get("history") or [])


class InstanceRow(Protocol):
    """One running (or dead) instance, the same on every tier: plain data. `started` is an ISO timestamp or empty."""

    @property
    def id(self) -> str: ...
    @property
    def workload(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def revision(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def health(self) -> str: ...
    @property
    def restarts(self) -> int: ...
    @property
    def started(self) -> str: ...


class Backend(Protocol):
    """What a kind of place can tell and do about its instances."""

    async def instances(self) -> Sequence[InstanceRow]: ...

    async def wanted(self) -> Mapping[str, int]:
        """How many instances there are to be by now, of those workloads of which the place itself knows that."""
        ...

    def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]: ...

    async def exec(self, instance: Any, command: list[str]) -> int: ...

    async def close(self) -> None: ...


def stack_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="the stack, as in `pulumi up -s STACK`")


def deployed(stack: str) -> list[Deployed]:
    """The stack's workloads in the state's order. NotFound if nothing is deployed."""
    from anytier.cli.stack import not_deployed, stack_state

    found = _workloads(stack_state(stack))
    if not found:
        raise not_deployed(stack)
    return _with_key(stack, found)


def _workloads(state: Mapping[str, Any]) -> list[Deployed]:
    found = []
    for item in state.get("resources") or ():
        parts = str(item.get("type", "")).split(":")
        name = str(item.get("urn", "")).rpartition("::")[2]
        inputs, outputs = item.get("inputs") or {}, item.get("outputs") or {}
        if len(parts) == 3 and parts[0] == "anytier" and parts[2] == "Workload":
            found.append(Deployed(name, parts[1], inputs, outputs))
        elif parts == ["anytier", "kubernetes", "Rollout"] and "/" not in name:
            wanted = {"replicas": outputs.get("replicas", 1), **inputs}
            found.append(Deployed(name, parts[1], wanted, outputs, counted="replicas" not in inputs))
    return found


def at_this_moment(workloads: Sequence[Deployed], wanted: Mapping[str, int]) -> list[Deployed]:
    """The state is of the last run: what has been decided since then by others than the spec is `wanted`."""
    return [
        replace(item, inputs={**item.inputs, "replicas": wanted[item.name]})
        if item.counted and item.name in wanted
        else item
        for item in workloads
    ]


# Where a secret is the way to what runs; of the others none is opened.
_WAYS = ("machine", "machines", "endpoint", "kubeconfig")


def _with_key(stack: str, found: list[Deployed]) -> list[Deployed]:
    """A machine that we made is reached by a key that is sealed in the state, one of several no less, and a cluster by
    its kubeconfig: these secrets are opened."""
    from anytier.cli.stack import stack_state

    if not any(_sealed(_ways(values)) for item in found for values in (item.inputs, item.outputs)):
        return found
    known = {item.name: item for item in _workloads(stack_state(stack, secrets=True))}
    return [
        replace(
            item,
            inputs={**item.inputs, **plain(_ways(known[item.name].inputs))},
            outputs={**item.outputs, **plain(_ways(known[item.name].outputs))},
        )
        for item in found
    ]


def _ways(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in _WAYS if key in values}


def _sealed(value: Any) -> bool:
    """Whether a secret is anywhere in it."""
    from anytier.cli.stack import sealed

    if sealed(value):
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_sealed, items))


def plain(value: Any) -> Any:
    """A value of a state with all that is sealed in it opened."""
    from anytier.cli.stack import opened

    found = opened(value)
    if isinstance(found, dict):
        return {key: plain(item) for key, item in found.items()}
    return [plain(item) for item in found] if isinstance(found, list) else found


def pick(workloads: list[Deployed], name: str) -> Deployed:
    """The workload of that name. ConfigError with the nearest name otherwise."""
    from anytier.suggest import did_you_mean

    for item in workloads:
        if item.name == name:
            return item
    names = [item.name for item in workloads]
    raise ConfigError(name, f"there is no such workload{did_you_mean(name, names)}", f"one of {', '.join(names)}")


def backend(workloads: list[Deployed]) -> Backend:
    """The backend for the place where these workloads run; its transport is imported only now."""
    first = workloads[0]
    if first.kind == "docker":
        from anytier.provider.docker.day2 import DockerBackend

        return DockerBackend(first.inputs["endpoint"], first.inputs["ns"])
    if first.kind == "kubernetes":
        from anytier.provider.kubernetes.day2 import KubernetesBackend

        return KubernetesBackend(first.inputs["kubeconfig"], first.inputs["ns"])
    from anytier.provider.host.day2 import FleetBackend, HostBackend

    corner = (first.inputs["root"], first.inputs["ns"], first.inputs["supervisor"])
    machines = first.outputs.get("machines") or first.inputs.get("machines")
    return FleetBackend(machines, *corner) if machines else HostBackend(first.inputs["machine"], *corner)


def machine_of(instance: InstanceRow) -> str:
    """The name of the machine that it is on; empty where there is but one."""
    return str(getattr(instance, "machine", ""))
