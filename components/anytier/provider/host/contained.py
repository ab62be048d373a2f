"""A template that runs from an image, as what one instance of it needs on a machine. Pure.

What an image leaves open the template says, and the other way round, as Kubernetes has it: `command` replaces the
image's entrypoint (and its command with it), `args` its command.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.host.transport import File
from anytier.provider.oci.manifest import ImageConfig
from anytier.render.rooted import ROOTED, capabilities
from anytier.render.template import HostProcess, ImageRun, Template
from anytier.render.tokens import names, substitute
from anytier.render.unit import Unit

if TYPE_CHECKING:
    from anytier.provider.host.program import Program, Site

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where an image names none
# Of the machine, for all: the app shares its network, so that it must resolve names as the machine does.
_SHARED = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname")


class ImageRecord(Frozen):
    """image.json: an unpacked image. `users`: name -> (uid, gid, home); `groups`: name -> (gid, members)."""

    digest: str
    config: ImageConfig = ImageConfig()
    users: dict[str, tuple[int, int, str]] = Field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = Field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True)
class Identity:
    """Who a program runs as, by the image's own users."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def identity(user: str, image: ImageRecord) -> Identity:
    """`name`, `uid`, each with or without `:group`; root for none. NotFound for a name that the image has not."""
    name, _, group = user.partition(":")
    if not name:
        known = (0, 0, image.users.get("root", (0, 0, "/root"))[2])
    elif name in image.users:
        known = image.users[name]
    elif name.isdigit():
        entry = next((item for item in image.users.values() if item[0] == int(name)), None)
        known = entry or (int(name), 0, "/")
        name = next((key for key, item in image.users.items() if item[0] == int(name)), name)
    else:
        raise NotFound("user", f"{name!r} is no user of the image", "name one that is in its /etc/passwd, or a number")
    others = tuple(sorted(gid for gid, members in image.groups.values() if name in members))
    gid = known[1] if not group else _gid(group, image)
    return Identity(known[0], gid, () if group else others, known[2] or "/")


def _gid(group: str, image: ImageRecord) -> int:
    if group in image.groups:
        return image.groups[group][0]
    if group.isdigit():
        return int(group)
    raise NotFound("user", f"{group!r} is no group of the image", "name one that is in its /etc/group, or a number")


def command(run: ImageRun, image: ImageRecord) -> list[str]:
    said = image.config
    entry = said.entrypoint if run.command is None else run.command
    rest = run.args if run.args is not None else (said.cmd if run.command is None else [])
    if not [*entry, *rest]:
        raise Rejected("command", "neither the image nor the spec says what to run", "set containers.*.command")
    return [*entry, *rest]


def _signal(said: str) -> str:
    """An image may hold any text; a unit file takes a name or a number."""
    if not re.fullmatch(r"(SIG)?[A-Z0-9+-]{1,12}", said.upper()) or not said.isascii():
        raise Rejected("stopSignal", f"the image's own, {said[:40]!r}, is no signal", "set containers.*.stopSignal")
    return said


def contained(
    site: Site,
    name: str,
    folder: str,
    template: Template,
    image: ImageRecord,
    secrets: Mapping[str, str],
    volumes: Mapping[str, str],
    own_env: Mapping[str, str],
    *,
    restart: bool,
) -> Program:
    """Everything to write and to start for one instance or job."""
    from anytier.provider.host.program import Program, env_name, environment, unique, volume_of

    process = template.process
    assert process is not None and process.image is not None
    run = process.image
    who = identity(process.user or image.config.user, image)
    if run.run_as_non_root and who.uid == 0:
        do = "set containers.*.user, or build the image with a USER"
        raise Rejected("securityContext.runAsNonRoot", "is set, and the image runs as root", do)
    mounts = {item.volume: volume_of(volumes, item.volume) for item in process.mounts}
    plain, hidden = environment(process, secrets)
    ours = {
        **own_env,
        **{f"VOLUME_{env_name(item.volume)}": item.target for item in process.mounts},
        "ANYTIER_INSTANCE": name,
        "ANYTIER_ROOT": site.layout.root,
    }
    hidden = {key: value for key, value in hidden.items() if key not in ours}
    given = files(folder, process, secrets, who, image)
    rootfs = f"{site.layout.image(image.digest)}/rootfs"
    layers = {key: f"{folder}/layer/{key}" for key in ("upper", "work", "root")}
    low = any(port.target < 1024 for port in template.ports)
    keep, ambient = capabilities(run.cap_add, run.cap_drop, low_ports=low)
    launch = {
        "argv": command(run, image),
        "cwd": posixpath.join("/", process.working_dir or image.config.working_dir or "/"),
        "env": {"PATH": PATH, "HOME": who.home, **image.config.env, **plain, **ours},
        "secret": bool(hidden),
        "owned": unique(mounts.values()),
        "uid": who.uid,
        "gid": who.gid,
        "groups": sorted({who.gid, *who.groups}),
        "capabilities": keep,
        "ambient": ambient,
        "read_only": run.read_only_root,
        "layers": {"lower": rootfs, **layers},
        "binds": [
            *({"source": path, "target": path, "readOnly": True} for path in _SHARED),
            *({"source": mounts[m.volume], "target": m.target, "readOnly": m.read_only} for m in process.mounts),
            *({"source": item.path, "target": target, "readOnly": True} for target, item in given.items()),
        ],
    }
    unit = Unit(
        name=name,
        description=f"{name} (anytier)",
        argv=[site.facts.python, "-I", "-S", f"{site.layout.lib}/contain.py", "run", folder],
        capabilities=keep,
        reads=[site.layout.lib, folder, rootfs],
        writes=unique([f"{folder}/layer", *mounts.values()]),
        log=f"{folder}/log",
        restart=restart,
        stop_signal=process.stop_signal or _signal(image.config.stop_signal or "TERM"),
        stop_grace=process.stop_grace,
        memory=process.limits.memory,
        cpu=process.limits.cpu,
        pids=process.limits.pids,
    )
    written = [
        File(folder, None, 0o711),
        File(f"{folder}/launch.json", json.dumps(launch).encode(), 0o600),
        *([File(f"{folder}/secret.json", json.dumps(hidden).encode(), 0o600)] if hidden else []),
        File(f"{folder}/layer", None, 0o700),
        *(File(path, None, 0o755 if key == "upper" else 0o700) for key, path in layers.items()),
        File(f"{folder}/files", None, 0o700),
        *given.values(),
    ]
    return Program(folder, unit, written, [], [])


def files(
    folder: str, process: HostProcess, secrets: Mapping[str, str], who: Identity, image: ImageRecord
) -> dict[str, File]:
    """Path in the image -> the file to bind there. Owners are the image's users."""
    made = {}
    for number, item in enumerate(process.files):
        owner = who if item.owner is None else identity(item.owner, image)
        text = substitute(item.content or "", secrets).encode()
        data = base64.b64decode(item.binary) if item.binary is not None else text
        path = f"{folder}/files/{number}"
        target = posixpath.normpath("/" + item.target.lstrip("/"))
        made[target] = File(path, data, int(item.mode, 8), f"{owner.uid}:{owner.gid}")
    return made


def problems(process: HostProcess, root: bool, supervisor: str) -> list[AnytierError]:
    """What would be refused on any machine, known without its image."""
    run = process.image
    assert run is not None
    found: list[AnytierError] = []
    if supervisor != "systemd-system" or not root:
        what = f"{supervisor} runs images only under root's own systemd"
        found.append(Rejected("template.process.image", what, "run as root, or give the workload a host: section"))
    for key, items in (("command", run.command or []), ("args", run.args or [])):
        for index, item in enumerate(items):
            if names(item):
                where = f"template.process.image.{key}[{index}]"
                what = "holds a secret, which every user could see"
                found.append(Rejected(where, what, "give it in a variable or a file"))
    if run.run_as_non_root and (process.user or "").partition(":")[0] in ("0", "root"):
        found.append(Rejected("template.process.user", "is root, and runAsNonRoot is set", "name another user"))
    unknown = [item for item in (*run.cap_add, *run.cap_drop) if item != "ALL" and item not in ROOTED]
    found += [
        Rejected("template.process.image.capAdd", f"{item!r} is no capability of Linux", "mend its name")
        for item in dict.fromkeys(unknown)
    ]
    return found
