"""Keeps healthd running beside the workloads of a place, as one more supervised program."""

from __future__ import annotations

import json

from anytier.provider.host.place import Place, healthd_unit
from anytier.provider.host.program import launcher
from anytier.provider.host.transport import File
from anytier.render.unit import Unit


async def ensure(place: Place) -> None:
    """Started once per app; it finds new and gone instances by itself."""
    layout, site = place.layout, place.site
    folder = f"{layout.root}/healthd"
    systemctl = ["systemctl"] if place.supervisor == "systemd-system" else ["systemctl", "--user"]
    config = {
        "instances": layout.instances,
        "systemctl": [] if place.supervisor == "supervisord" else systemctl,
        "socket": f"{layout.sockets(place.facts, place.supervisor)}/supervisor.sock",
        "exec": [*launcher(site), "exec"],
    }
    env = {"PATH": place.facts.path, "LANG": "C.UTF-8", "ANYTIER_ROOT": layout.root}
    if place.supervisor == "systemd-user" and place.facts.runtime_dir:
        env["XDG_RUNTIME_DIR"] = place.facts.runtime_dir
    launch = {
        "argv": [place.facts.python, "-I", "-S", f"{layout.lib}/healthd.py", "watch", f"{folder}/config.json"],
        "cwd": layout.root,
        "env": env,
        "secret": False,
        "pace": place.supervisor == "supervisord",
        "memory": None,
        "user": None,
        "service_user": None,
        "owned": [],
    }
    unit = Unit(
        name=healthd_unit(layout),
        description=f"{layout.ns}: restarts what is not alive (anytier)",
        argv=[*launcher(site), "run", folder],
        log=f"{folder}/log",
        privileged=True,
    )
    await place.machine.put(
        [
            File(folder, None, 0o700),
            File(f"{folder}/config.json", json.dumps(config).encode(), 0o600),
            File(f"{folder}/launch.json", json.dumps(launch).encode(), 0o600),
        ]
    )
    await place.manager.start(unit)
