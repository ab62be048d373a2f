"""A template as what one instance needs on a machine: launch spec, secrets, files and a `Unit`. Pure.

A value that holds a secret goes to secret.json (0600) and nowhere else; PORT and the other names of ours win over the
template's, since a port that two instances share serves neither.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.provider.host.contained import ImageRecord, contained
from anytier.provider.host.contained import problems as image_problems
from anytier.provider.host.layout import Layout
from anytier.provider.host.manager import Supervisor
from anytier.provider.host.models import Check, InstanceRecord
from anytier.provider.host.transport import Facts, File
from anytier.render.template import HostProcess, Port, Probe, Template
from anytier.render.tokens import names, substitute
from anytier.render.unit import Bind, Unit

_HOMES = ("/home/", "/root/", "/run/user/")


@dataclass(frozen=True)
class Site:
    """Where a program will run: the facts that decide its form."""

    layout: Layout
    facts: Facts
    supervisor: Supervisor

    @property
    def sandboxed(self) -> bool:
        return self.supervisor == "systemd-system"

    @property
    def limits_memory(self) -> bool:
        """Whether the process manager does; else the launcher limits what each process may allocate."""
        if self.supervisor == "systemd-user":
            return "memory" in self.facts.controllers
        return self.supervisor == "systemd-system"

    @property
    def folder_mode(self) -> int:
        """A program that runs as another user must be able to pass through."""
        return 0o711 if self.facts.root else 0o700


@dataclass(frozen=True)
class Program:
    """Everything to write and to start for one instance or job."""

    folder: str
    unit: Unit
    files: list[File]
    targets: list[str]  # mount points that the unit needs
    needs: list[str]  # folders that must exist already


def instance(
    site: Site,
    record: InstanceRecord,
    template: Template,
    secrets: Mapping[str, str],
    volumes: Mapping[str, str],
    image: ImageRecord | None = None,
) -> Program:
    """The program of one instance of a workload; `image` is what it runs from, if it does."""
    folder = site.layout.instance(record.unit)
    own = ports_env(template.ports, record.ports)
    releases = f"{site.layout.workload(record.workload)}/releases"
    made = program(site, record.unit, folder, template, secrets, volumes, own, releases, restart=True, image=image)
    record_file = File(f"{folder}/instance.json", json.dumps(record.wire()).encode(), 0o644)
    return Program(made.folder, made.unit, [made.files[0], record_file, *made.files[1:]], made.targets, made.needs)


def program(
    site: Site,
    name: str,
    folder: str,
    template: Template,
    secrets: Mapping[str, str],
    volumes: Mapping[str, str],
    own_env: Mapping[str, str],
    releases: str,
    *,
    restart: bool,
    image: ImageRecord | None = None,
) -> Program:
    if image is not None:
        return contained(site, name, folder, template, image, secrets, volumes, own_env, restart=restart)
    process = placed(process_of(template), releases)
    snapshot = [f"{releases}/{process.release}"] if process.release else []
    mounts = {item.volume: volume_of(volumes, item.volume) for item in process.mounts}
    plain, hidden = environment(process, secrets)
    ours = {
        **own_env,
        **{f"VOLUME_{env_name(key)}": path for key, path in {**volumes, **mounts}.items()},
        "ANYTIER_FILES": f"{folder}/files",
        "ANYTIER_INSTANCE": name,
        "ANYTIER_ROOT": site.layout.root,
    }
    hidden = {key: value for key, value in hidden.items() if key not in ours}
    contents = files(folder, process, secrets)
    launch = {
        "argv": [substitute(item, {}) for item in process.command],
        "cwd": process.working_dir or folder,
        "env": {"PATH": site.facts.path, "LANG": "C.UTF-8", **plain, **ours},
        "secret": bool(hidden),
        "pace": restart and site.supervisor == "supervisord",
        "memory": None if site.limits_memory else process.limits.memory,
        "user": process.user if site.supervisor == "supervisord" and site.facts.root else None,
        "service_user": process.user or site.layout.own_user,
        "owned": [f"{folder}/files", *mounts.values(), *(item.path for item in contents if item.owner is None)],
    }
    binds = [Bind(source=mounts[m.volume], target=m.target, read_only=m.read_only) for m in process.mounts]
    binds += [
        Bind(source=written.path, target=item.target)
        for item, written in zip(process.files, contents, strict=True)
        if item.target.startswith("/")
    ]
    unit = Unit(
        name=name,
        description=f"{name} (anytier)",
        argv=[*launcher(site), "run", folder],
        prepare=[*launcher(site), "prepare", folder] if site.sandboxed else None,
        user=process.user,
        own_user=site.layout.own_user,
        reads=unique([site.layout.lib, folder, *(snapshot or workdir(process)), *toolchains(site, process)]),
        writes=unique(mounts.values()),
        binds=binds,
        credentials={"secret": f"{folder}/secret.json"} if hidden else {},
        log=f"{folder}/log",
        restart=restart,
        stop_signal=process.stop_signal or "TERM",
        stop_grace=process.stop_grace,
        memory=process.limits.memory,
        cpu=process.limits.cpu,
        pids=process.limits.pids,
    )
    written = [
        File(folder, None, site.folder_mode),
        File(f"{folder}/launch.json", json.dumps(launch).encode(), 0o644),
        *([File(f"{folder}/secret.json", json.dumps(hidden).encode(), 0o600)] if hidden else []),
        File(f"{folder}/files", None, 0o700),
        *contents,
    ]
    targets = [bind.target for bind in binds] if site.sandboxed else []
    return Program(folder, unit, written, targets, workdir(process))


def placed(process: HostProcess, releases: str) -> HostProcess:
    """With the working folder inside the snapshot of its sources, if it has one."""
    if process.release is None:
        return process
    folder = posixpath.normpath(f"{releases}/{process.release}/{process.working_dir or '.'}")
    return process.model_copy(update={"working_dir": folder})


def launcher(site: Site) -> list[str]:
    return [site.facts.python, "-I", "-S", site.layout.launcher]


def process_of(template: Template) -> HostProcess:
    if template.process is None:
        raise Rejected(
            "template.process", "is missing: a host runs native processes", "add a host: section to the spec"
        )
    return template.process


def workdir(process: HostProcess) -> list[str]:
    return [process.working_dir] if process.working_dir else []


def toolchains(site: Site, process: HostProcess) -> list[str]:
    """Interpreters inside home folders, which a sandboxed program does not see unless told."""
    found = []
    for path in (site.facts.python, process.command[0]):
        if path.startswith(_HOMES):
            folder = posixpath.dirname(path)
            found.append(posixpath.dirname(folder) if posixpath.basename(folder) == "bin" else folder)
    return found


def environment(process: HostProcess, secrets: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(without secrets, with secrets in them)."""
    filled = {key: substitute(value, secrets) for key, value in process.env.items()}
    plain = {key: value for key, value in filled.items() if not names(process.env[key])}
    hidden = {key: value for key, value in filled.items() if names(process.env[key])}
    hidden |= {key: secret(name, secrets) for key, name in process.secret_env.items()}
    return {key: value for key, value in plain.items() if key not in hidden}, hidden


def files(folder: str, process: HostProcess, secrets: Mapping[str, str]) -> list[File]:
    """A target of any kind lands below the instance's own `files`: nothing here writes elsewhere on the machine."""
    made = []
    for item in process.files:
        path = f"{folder}/files{posixpath.normpath('/' + item.target.lstrip('/'))}"
        text = substitute(item.content or "", secrets).encode()
        data = base64.b64decode(item.binary) if item.binary is not None else text
        made.append(File(path, data, int(item.mode, 8), item.owner))
    return made


def secret(name: str, secrets: Mapping[str, str]) -> str:
    if name not in secrets:
        raise NotFound(f"secrets.{name}", "has no value", "give it in the spec's secrets section")
    return secrets[name]


def volume_of(volumes: Mapping[str, str], name: str) -> str:
    if name not in volumes:
        raise NotFound(f"volumes.{name}", "is not among the volumes given", "declare it in the spec's resources")
    return volumes[name]


def env_name(name: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", name.upper())


def ports_env(ports: Iterable[Port], given: Mapping[str, int]) -> dict[str, str]:
    """PORT is the first port's; PORT_<NAME> each one's."""
    env = {f"PORT_{env_name(port.name)}": str(given[port.name]) for port in ports}
    first = next(iter(env.values()), None)
    return env | ({"PORT": first} if first else {})


def unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def check(probe: Probe | None, ports: Iterable[Port], given: Mapping[str, int]) -> Check | None:
    """A probe of the app's own port becomes one of the port that this instance was given."""
    if probe is None:
        return None
    own = {port.target: given[port.name] for port in ports}
    http = probe.http_get
    return Check(
        http_get=http.model_copy(update={"port": own.get(http.port, http.port)}) if http else None,
        tcp_port=own.get(probe.tcp_port, probe.tcp_port) if probe.tcp_port else None,
        exec=probe.exec,
        initial_delay=probe.initial_delay,
        period=probe.period,
        timeout=probe.timeout,
        failure_threshold=probe.failure_threshold,
        success_threshold=probe.success_threshold,
    )


def problems(template: Template, facts_root: bool, user: str, supervisor: str) -> list[AnytierError]:
    """What a machine would refuse, known without asking it."""
    process = template.process
    if process is None:
        return [Rejected("template.process", "is missing: a host runs native processes", "add a host: section")]
    found: list[AnytierError] = []
    if process.image is not None:
        found += image_problems(process, facts_root, supervisor)
    elif not process.command:
        found.append(Rejected("template.process.command", "is empty", "say what to run"))
    for index, item in enumerate(process.command):
        if names(item):
            where = f"template.process.command[{index}]"
            found.append(
                Rejected(where, "holds a secret, which every user could see", "give it in a variable or a file")
            )
    if process.user and not facts_root and process.user != user and process.image is None:
        found.append(
            Rejected(
                "template.process.user", f"{process.user!r} needs root; this is {user!r}", "drop user, or run as root"
            )
        )
    if process.limits.cpu is not None and supervisor == "supervisord":
        found.append(
            Rejected("template.process.limits.cpu", "supervisord cannot hold it", "run systemd, or drop the limit")
        )
    found += misplaced(process) if process.image is None else []
    for name, value in {**process.env, **{item.target: item.target for item in process.files}}.items():
        if "\0" in value or "\0" in name:
            found.append(Rejected(f"template.process {name!r}", "holds a NUL byte", "take it out"))
    return found


def misplaced(process: HostProcess) -> list[AnytierError]:
    """A working folder without a snapshot must be absolute, with one it must stay inside."""
    folder, where = process.working_dir, "template.process.workingDir"
    if folder is None:
        return []
    if process.release is None and not posixpath.isabs(folder):
        return [Rejected(where, f"{folder!r} is not absolute", "give the whole path")]
    if process.release is not None and (posixpath.isabs(folder) or posixpath.normpath(folder).split("/")[0] == ".."):
        return [Rejected(where, f"{folder!r} is outside of the app's own folders", "use a folder below the spec's")]
    return []


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def program_log(layout: Layout, unit: str) -> str:
    return f"{layout.instance(unit)}/log"
