"""One instance of a workload, or one run of a job, as the containers it is made of: made, looked at, ended.

A template of one container is one container. Several that run together share the network of one more, which does
nothing else. Init containers run before, one after the other as they ask, each to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.provider.docker import files, labels, probes, tools
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.tar import pack
from anytier.render.docker import Image, Setting, argv_of, body, gates, links, needs_tools, pause
from anytier.render.template import Container, Template

NETWORK = ""  # in place of a name in the spec: the container that holds the network of a group
LINES = 12
_LOOK_AGAIN = 0.1
_KILLED = 137  # by SIGKILL
_EVENTS = 3.0  # seconds for a question about the past; a daemon's clock may be behind ours


@dataclass(frozen=True)
class Plan:
    """All that the instances of one revision have in common."""

    ns: str
    workload: str
    revision: int
    hash: str
    template: Template
    images: Mapping[str, Image]
    users: Mapping[str, tuple[int, int]]
    files: Mapping[str, files.Filled]
    volumes: Mapping[str, str]
    network: str
    role: str = "workload"
    restart: bool = True

    @property
    def lasting(self) -> list[Container]:
        """Those that run on and on."""
        return [item for item in self.template.containers if item.role != "init"]

    @property
    def shared(self) -> bool:
        return len(self.lasting) > 1


@dataclass(frozen=True)
class Group:
    """An instance as a list call shows it: container's name in the spec -> its entry."""

    name: str
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def any(self) -> Mapping[str, Any]:
        return next(iter(self.entries.values()))

    @property
    def revision(self) -> int:
        return labels.number(self.any, labels.REVISION)

    @property
    def index(self) -> int:
        return labels.number(self.any, labels.INDEX)

    @property
    def hash(self) -> str:
        return labels.label(self.any, labels.HASH)

    @property
    def lasting(self) -> dict[str, Mapping[str, Any]]:
        return {
            name: entry for name, entry in self.entries.items() if labels.label(entry, labels.KIND) not in ("init",)
        }

    @property
    def running(self) -> bool:
        """All that should run do. An init container that was cleaned away is not missed."""
        return bool(self.lasting) and all(entry.get("State") == "running" for entry in self.lasting.values())

    @property
    def address(self) -> str:
        """Where its ports are; empty while it has none."""
        for entry in self.lasting.values():
            for network in ((entry.get("NetworkSettings") or {}).get("Networks") or {}).values():
                if network.get("IPAddress"):
                    return str(network["IPAddress"])
        return ""

    def complete(self, template: Template) -> bool:
        wanted = {item.name for item in template.containers if item.role != "init"}
        return wanted <= set(self.entries) and (len(wanted) < 2 or NETWORK in self.entries)


async def listed(daemon: Daemon, **wanted: str) -> list[Group]:
    """All groups with these labels, by one call."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in await daemon.get("containers/json", all=True, filters=labels.filters(**wanted)):
        found.setdefault(labels.label(entry, labels.INSTANCE), {})[labels.label(entry, labels.CONTAINER)] = entry
    groups = [Group(name, entries) for name, entries in found.items()]
    return sorted(groups, key=lambda item: (item.revision, item.index, item.name))


async def images_of(daemon: Daemon, template: Template) -> dict[str, Image]:
    """What each image says of itself. NotFound where one is gone, or Rejected where it would run as root unasked."""
    found: dict[str, Image] = {}
    for item in template.containers:
        if item.image not in found:
            found[item.image] = await _image(daemon, item)
        _refuse_root(item, found[item.image])
        if not argv_of(item, found[item.image]):
            what = "neither the image nor the spec says what to run"
            raise Rejected(f"containers.{item.name}.command", what, "give it a command")
    return found


async def _image(daemon: Daemon, item: Container) -> Image:
    found = await daemon.find(f"images/{item.image}/json")
    if found is None:
        what = f"image {item.image} is no longer on the Docker host"
        raise NotFound(f"containers.{item.name}.image", what, "`pulumi up --refresh` brings it back")
    config = found.get("Config") or {}
    return Image(config.get("Entrypoint") or (), config.get("Cmd") or (), str(config.get("User") or ""))


def _refuse_root(item: Container, image: Image) -> None:
    user = (item.user or image.user).partition(":")[0]
    if item.run_as_non_root and user in ("", "0", "root"):
        what = "asks not to run as root, and its image runs as root"
        raise Rejected(f"containers.{item.name}.securityContext.runAsNonRoot", what, "set user, in the spec or image")


# making


async def start(daemon: Daemon, plan: Plan, name: str, index: int) -> None:
    """Creates and starts everything in order. What a killed run has left under these names goes first, and what was
    made goes when the rest cannot be."""
    try:
        try:
            await _start(daemon, plan, name, index)
        except Conflict as error:
            if error.what.startswith("port ") or not await _cleared(daemon, plan, name):
                raise
            await _start(daemon, plan, name, index)
    except AnytierError:
        with contextlib.suppress(AnytierError):
            await _cleared(daemon, plan, name)
        raise


async def _cleared(daemon: Daemon, plan: Plan, name: str) -> bool:
    """Whether there was anything of this instance."""
    left = await listed(daemon, namespace=plan.ns, instance=name)
    await asyncio.gather(*(remove(daemon, group) for group in left))
    return bool(left)


async def _start(daemon: Daemon, plan: Plan, name: str, index: int) -> None:
    if plan.shared:
        await tools.ensure(daemon)
        setting = _setting(plan, name, index, NETWORK, "network", None)
        await _run(daemon, f"{name}", pause(setting, tools.image()), about=f"{plan.role}s.{plan.workload}")
    for item in ordered(plan.template):
        for other, state in item.after.items():
            await _reached(daemon, plan, name, other, state)
        share = name if plan.shared and item.role != "init" else None
        setting = _setting(plan, name, index, item.name, item.role, share)
        if needs_tools(item):
            await tools.ensure(daemon)
        full = container_name(plan, name, item)
        about = f"{plan.role}s.{plan.workload}.containers.{item.name}"
        made = body(item, plan.images[item.image], setting)
        await _run(daemon, full, made, links(item) if item.name in plan.files else {}, about)
        if item.role == "init" and not any(item.name in other.after for other in plan.template.containers):
            await _reached(daemon, plan, name, item.name, "complete")
        if item.post_start:
            await _post_start(daemon, full, item, about)


async def _run(
    daemon: Daemon, name: str, made: Mapping[str, Any], symlinks: Mapping[str, str] | None = None, about: str = ""
) -> None:
    await daemon.post("containers/create", made, about, name=name)
    if symlinks:
        await daemon.put_files(name, "/", pack({}, symlinks))
    await daemon.post(f"containers/{name}/start", about=about)


async def _post_start(daemon: Daemon, name: str, item: Container, about: str) -> None:
    try:
        result = await daemon.run(name, item.post_start or [], timeout=60)
    except Conflict:
        return  # it has ended already, which the next look tells
    except TimeoutError:
        raise Rejected(f"{about}.lifecycle.postStart", "took longer than 60 s", "mend it") from None
    if result.code != 0:
        what = f"ended with exit {result.code}: {result.last}"
        raise Rejected(f"{about}.lifecycle.postStart", what, "mend it, then run again")


async def _reached(daemon: Daemon, plan: Plan, name: str, other: str, state: str) -> None:
    """Returns when the other container has got there. How long that may take is the caller's affair."""
    item = next(item for item in plan.template.containers if item.name == other)
    full = container_name(plan, name, item)
    about = f"{plan.role}s.{plan.workload}.containers.{other}"
    said = ""
    while True:
        found = await daemon.get(f"containers/{full}/json", about)
        now, ended = found["State"], found["State"]["Status"] in ("exited", "dead")
        if ended and (now["ExitCode"] != 0 or state == "healthy"):
            raise Rejected(about, await ending(daemon, found, [said] if said else []), "mend it, then run again")
        if ended or (state == "started" and now["Running"]):
            return
        if state == "healthy" and now["Running"]:
            answers = [await probes.ask(daemon, full, await _address(daemon, name), probe) for probe in gates(item)]
            said = next((answer.said for answer in answers if not answer.ok), "")
            if not said:
                return
        await asyncio.sleep(_LOOK_AGAIN)


async def _address(daemon: Daemon, name: str) -> str:
    found = await daemon.get(f"containers/{name}/json")
    networks = (found["NetworkSettings"].get("Networks") or {}).values()
    return next((str(item["IPAddress"]) for item in networks if item.get("IPAddress")), "")


def ordered(template: Template) -> list[Container]:
    """Each after those that it waits for; else as the template has them."""
    left, done = list(template.containers), list[Container]()
    while left:
        names = {item.name for item in left}
        free = next((item for item in left if not names & set(item.after)), left[0])
        left.remove(free)
        done.append(free)
    return done


def container_name(plan: Plan, name: str, item: Container) -> str:
    """The instance's own name is that of its only container, or of the one that holds the network."""
    alone = not plan.shared and item.role != "init"
    return name if alone else f"{name}-{item.name}"


def alias(workload: str, revision: int, index: int) -> str:
    """The name of one instance on the app's network, where its address may change with a restart."""
    return f"r{revision}-{index}.{workload}"


def _setting(plan: Plan, name: str, index: int, container: str, kind: str, share: str | None) -> Setting:
    fronts = kind != "init"
    direct = any(not port.http for port in plan.template.ports)
    aliases = [alias(plan.workload, plan.revision, index), *([plan.workload] if direct else [])]
    filled = plan.files.get(container)
    suffix = f"-r{plan.revision}-{index}"
    return Setting(
        labels={
            labels.NAMESPACE: plan.ns,
            labels.ROLE: plan.role,
            labels.WORKLOAD: plan.workload,
            labels.REVISION: str(plan.revision),
            labels.INDEX: str(index),
            labels.HASH: plan.hash,
            labels.INSTANCE: name,
            labels.CONTAINER: container,
            labels.KIND: kind,
            labels.PORTS: ",".join(f"{port.name}={port.target}" for port in plan.template.ports),
            **{key: value for key, value in plan.template.labels.items() if not key.startswith("dev.anytier.")},
        },
        env={},
        hostname=plan.workload[: 63 - len(suffix)] + suffix,
        network=plan.network,
        tools=tools.name(),
        volumes=plan.volumes,
        files_volume=filled.volume if filled else None,
        files_path=filled.path if filled else None,
        user=plan.users.get(container, (0, 0)),
        aliases=aliases if fronts and plan.role == "workload" else [],
        publish=[port for port in plan.template.ports if not port.http and port.expose != "internal"] if fronts else [],
        share=share,
        restart=plan.restart and kind != "init",
    )


# ending


async def stop(daemon: Daemon, group: Group, template: Template | None) -> None:
    """Told to end, in the order in which they came, the last one first; then removed."""
    known = {item.name: item for item in template.containers} if template else {}
    running = {name: entry for name, entry in group.lasting.items() if entry.get("State") in ("running", "paused")}
    for wave in (lambda kind: kind not in ("sidecar", "network"), lambda kind: kind == "sidecar"):
        names = [name for name, entry in running.items() if wave(labels.label(entry, labels.KIND))]
        await asyncio.gather(*(_end(daemon, running[name], known.get(name)) for name in names))
    await remove(daemon, group)


async def _end(daemon: Daemon, entry: Mapping[str, Any], item: Container | None) -> None:
    grace = item.stop_grace if item else 10.0
    if item is not None and item.pre_stop:
        with contextlib.suppress(AnytierError, TimeoutError):  # it is told to end all the same
            await daemon.run(entry["Id"], item.pre_stop, timeout=max(1.0, grace))
    with contextlib.suppress(NotFound):
        await daemon.call("POST", f"containers/{entry['Id']}/stop", timeout=grace + 60, about=labels.name_of(entry))


async def remove(daemon: Daemon, group: Group) -> None:
    """At once. Anonymous volumes, which images declare, go along."""
    for kind in (False, True):  # the network's holder goes last
        ids = [
            entry["Id"] for entry in group.entries.values() if (labels.label(entry, labels.KIND) == "network") is kind
        ]
        await asyncio.gather(*(daemon.delete(f"containers/{id}", force=True, v=True) for id in ids))


# explaining


async def ending(daemon: Daemon, found: Mapping[str, Any], said: Sequence[str] = ()) -> str:
    """How one container is or ended, from its inspection: exit code, memory, its last lines."""
    state, told = found["State"], list(said)
    restarts = int(found.get("RestartCount") or 0)
    codes, starved = await _deaths(daemon, found) if restarts or not state["Running"] else ([], False)
    code = codes[-1] if codes and state["Running"] else None if state["Running"] else state["ExitCode"]
    if code is not None:
        told.append(f"the process ended (exit {code})")
    limit = int(found["HostConfig"].get("Memory") or 0) // 2**20
    if state.get("OOMKilled") or starved:
        told.append(f"out of memory{f' (limit {limit} MiB)' if limit else ''}")
    elif code == _KILLED and limit:
        told.append(f"killed: out of memory, it seems (limit {limit} MiB)")
    if state.get("Error"):
        told.append(str(state["Error"]))
    if restarts:
        told.append(f"it was restarted {restarts} times" if restarts > 1 else "it was restarted")
    lines = (await daemon.log(found["Id"], LINES)).strip().splitlines()
    if lines:
        told.append("its last log lines:\n" + "\n".join(f"  {line}" for line in lines))
    return "; ".join(told)


async def _deaths(daemon: Daemon, found: Mapping[str, Any]) -> tuple[list[int], bool]:
    """(exit codes, whether memory ran out). A restart forgets them; the daemon's recent events do not."""
    since = datetime.fromisoformat(found["Created"]).timestamp()
    wanted = {"container": [found["Id"]], "event": ["die", "oom"]}
    codes, starved = list[int](), False
    try:
        async with asyncio.timeout(_EVENTS):
            query = daemon.stream("GET", "events", since=f"{since:.3f}", until=f"{time.time():.3f}", filters=wanted)
            async with query as messages:
                async for message in messages:
                    starved = starved or message.get("Action") == "oom"
                    code = ((message.get("Actor") or {}).get("Attributes") or {}).get("exitCode", "")
                    codes += [int(code)] if code.isdigit() else []
    except (AnytierError, TimeoutError):
        pass  # what is known without them is told
    return codes, starved
