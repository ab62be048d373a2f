"""What an app asks of a stack's machines: where its workloads fit, what cannot be carried, and whether memory suffices.

Pure: it knows the machines' names and labels, and decides nothing that the provider decides by what runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anytier.errors import AnytierError, ConfigError, SpecError
from anytier.render.placement import Placement, assign, counts, fitting, turned, unknown_hosts
from anytier.render.template import Template
from anytier.render.traffic import is_http, service_ports
from anytier.render.workload import volume_name
from anytier.spec import App
from anytier.tiers.places import HostMachine

GIB = 2**30


def placement_of(app: App, name: str, machines: Sequence[HostMachine]) -> Placement:
    """Instances that share a volume are together, where the volume is; one on each machine has each its own.

    What no proxy stands before is on the first machine that fits, so that its callers can be told which.
    """
    body = app.workloads[name]
    asked = body.placement
    mode = "each" if body.scale.mode == "global" else "together" if volumes_of(body) else "spread"
    hosts, labels = (list(asked.hosts), dict(asked.labels)) if asked else ([], {})
    made = Placement.model_validate({"hosts": hosts, "labels": labels, "mode": mode})
    found = fitting(machines, made)
    return made.model_copy(update={"hosts": found[:1]}) if direct(app, name) and found else made


def direct(app: App, name: str) -> list[str]:
    """The ports of a workload that are not HTTP: they have no proxy before them."""
    return [port for port in service_ports(app.workloads[name]) if not is_http(app, name, port)]


def volumes_of(body: Any) -> set[str]:
    """Of a workload or a job."""
    return {volume_name(mount.source) for item in body.containers.values() for mount in item.volumes.values()}


def fits(app: App, name: str, machines: Sequence[HostMachine]) -> list[str]:
    return fitting(machines, placement_of(app, name, machines))


def problems(app: App, machines: Sequence[HostMachine]) -> Iterator[AnytierError]:
    """Placements that no machine fits, and ports that cannot be shared out."""
    names = [item.name for item in machines]
    for name, body in app.workloads.items():
        where = f"workloads.{name}"
        asked = body.placement
        hosts, labels = (list(asked.hosts), dict(asked.labels)) if asked else ([], {})
        placement = Placement(hosts=hosts, labels=labels)
        unknown, found = unknown_hosts(machines, placement), fitting(machines, placement)
        if unknown:
            what = f"this stack has no machine {', '.join(unknown)}"
            yield SpecError(f"{where}.placement.hosts", what, f"one of {', '.join(names)}")
        elif not found:
            said = ", ".join(f"{key}={value}" for key, value in labels.items())
            what = f"no machine of this stack fits it: {said}" + (f" on {', '.join(hosts)}" if hosts else "")
            yield SpecError(f"{where}.placement", what, "label a machine in the stack's list, or mend placement")
        elif len(machines) > 1:
            yield from _unshared(app, name, found)


def _unshared(app: App, name: str, found: Sequence[str]) -> Iterator[AnytierError]:
    body = app.workloads[name]
    for port in direct(app, name):
        where = f"workloads.{name}.service.ports.{port}"
        if body.scale.mode == "global":
            what = "is not HTTP, and there would be one on each machine: nothing shares it out"
            yield SpecError(where, what, "take scale.mode out, and pin it by placement.hosts")
        elif volumes_of(body) and len(found) > 1:
            what = f"is not HTTP, and may be on {', '.join(found)}: its callers must know where its volume is"
            yield SpecError(where, what, f"pin the workload: `placement: {{hosts: [{found[0]}]}}`")


def scaled(app: App, scale: Mapping[str, int]) -> list[AnytierError]:
    """Numbers in the stack's config for what is one on each machine."""
    return [
        ConfigError(f"anytier:scale.{name}", "scale.mode is global: one on each machine", "take the number out")
        for name in scale
        if name in app.workloads and app.workloads[name].scale.mode == "global"
    ]


def hosts(app: App, machines: Sequence[HostMachine]) -> dict[str, str]:
    """Workload -> the address at which others reach it, for those that no proxy stands before."""
    by_name = {item.name: item for item in machines}
    return {name: by_name[fits(app, name, machines)[0]].address for name in app.workloads if direct(app, name)}


def on_which(app: App, volume: str, machines: Sequence[HostMachine]) -> list[HostMachine]:
    """The machines that may need a volume: those of its workloads, and those of its jobs."""
    wanted = {
        host for name, body in app.workloads.items() if volume in volumes_of(body) for host in fits(app, name, machines)
    }
    wanted |= {job_machine(app, name, machines).name for name, job in app.jobs.items() if volume in volumes_of(job)}
    return [item for item in machines if item.name in wanted] or list(machines)


def job_machine(app: App, name: str, machines: Sequence[HostMachine]) -> HostMachine:
    """The first; of a job with volumes the first on which a workload with one of them may run."""
    volumes = volumes_of(app.jobs[name])
    for other, body in app.workloads.items():
        if volumes & volumes_of(body):
            first = fits(app, other, machines)[0]
            return next(item for item in machines if item.name == first)
    return machines[0]


def may_run_on(app: App, machine: str, machines: Sequence[HostMachine]) -> set[tuple[str, str]]:
    """(`workloads` or `jobs`, name) of what may be put on a machine."""
    running = {("workloads", name) for name in app.workloads if machine in fits(app, name, machines)}
    return running | {("jobs", name) for name in app.jobs if job_machine(app, name, machines).name == machine}


def with_image(app: App, reference: str, machines: Sequence[HostMachine]) -> list[HostMachine]:
    """The machines that may run something from an image."""

    def runs(body: Any) -> bool:
        return body.host is None and any(item.image == reference for item in body.containers.values())

    wanted = {host for name, body in app.workloads.items() if runs(body) for host in fits(app, name, machines)}
    wanted |= {job_machine(app, name, machines).name for name, job in app.jobs.items() if runs(job)}
    return [item for item in machines if item.name in wanted]


def demands(
    app: App, templates: Mapping[str, Template], replicas: Mapping[str, int], machines: Sequence[HostMachine]
) -> dict[str, dict[str, int]]:
    """Machine -> workload -> bytes of memory that it asks for there: what is requested, else its limit."""
    found: dict[str, dict[str, int]] = {item.name: {} for item in machines}
    for name, template in templates.items():
        limits = template.process.limits if template.process else None
        wanted = (limits.memory_request or limits.memory or 0) if limits else 0
        if not wanted:
            continue
        placement = placement_of(app, name, machines)
        found_there = fitting(machines, placement)
        order = turned(found_there, name) if placement.mode == "spread" else found_there
        placed = assign(order, replicas[name], {}, placement.mode)
        for machine, count in counts(placed).items():
            found[machine][name] = count * wanted
    return found


def overload(machine: str, memory: float, demand: Mapping[str, int], hint: str = "") -> SpecError | None:
    """The error if the workloads of a machine ask for more than it has; it names the one that asks for most. `hint`:
    what else there is to do."""
    total = sum(demand.values())
    if total <= memory:
        return None
    largest = max(demand, key=lambda name: demand[name])
    each = ", ".join(f"{name} {size / GIB:.2f} GiB" for name, size in sorted(demand.items(), key=lambda it: -it[1]))
    what = f"machine {machine} has {memory / GIB:.2f} GiB of memory, and {total / GIB:.2f} GiB is asked for: {each}"
    path = f"workloads.{largest}.containers"
    return SpecError(path, what, f"ask for less, scale down, or give the stack a larger machine or one more{hint}")
