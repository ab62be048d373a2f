"""A service on each of five machines over SSH, from nothing, and once more without a change: anytier, Ansible, pyinfra.

The work is the same: a user of its own, two files, a unit, and the service enabled and running on each machine. Ansible
and pyinfra are quick here as they can be: no facts are gathered, and Ansible pipelines. They return when the service is
started. anytier watches each instance for a second (`minHealthyTime`), so that it is measured once more without that,
which is the same work. Its time has the engine in it. Without a change it goes by its state and asks no machine, so it
is measured with `--refresh` too, by which it asks each, as the other two do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anytier.conformance.trial import free_ports
from benchmarks.boxes import Machine, boxes
from benchmarks.measure import CommandFailed, timed
from benchmarks.packages import ANSIBLE, PYINFRA, ensure
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import Stack, ours

MADE = {"Ansible": Limit("ratio", 0.25), "pyinfra": Limit("ratio", 1.0)}
UNCHANGED = {"Ansible": Limit("ratio", 0.2), "pyinfra": Limit("ratio", 1.0)}
ASKED = {"pyinfra": Limit("ratio", 1.0)}
NAME = "anytier-test-bench"
FILES = {"server.py": "import signal\n\nsignal.pause()\n", "settings.txt": "greeting = hello\n"}
UNIT = f"""[Unit]
Description=a service to measure
[Service]
User={NAME}
WorkingDirectory=/opt/{NAME}
ExecStart=/usr/bin/python3 server.py
Restart=always
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
[Install]
WantedBy=multi-user.target
"""
# What neither of the other two takes away by itself.
CLEAN = (
    f"systemctl disable --now {NAME}.service 2>/dev/null; rm -rf /opt/{NAME} /etc/systemd/system/{NAME}.service;"
    f" systemctl daemon-reload; userdel {NAME} 2>/dev/null; true"
)
Sample = tuple[float, ...]  # seconds: made, run again, and ours once more with every machine asked


@dataclass(frozen=True)
class Tool:
    """One that runs from a folder with its files in it. `running`: the units that must run afterwards begin so."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path

    def sample(self, machines: Sequence[Machine]) -> Sample:
        try:
            made = timed(self.command, self.folder, self.env)
            expect(machines, NAME)
            return made, timed(self.command, self.folder, self.env)
        finally:
            for machine in machines:
                machine.run(CLEAN)


def run(options: Options) -> list[Row]:
    count = 2 if options.quick else 5
    with boxes(count) as machines, folder(machines) as place:
        ansible, pyinfra = by_ansible(machines, place), by_pyinfra(machines, place)
        ways = {
            "anytier": lambda: by_anytier(machines, place),
            "same": lambda: by_anytier(machines, place, gate="0s"),
            "Ansible": lambda: ansible.sample(machines),
            "pyinfra": lambda: pyinfra.sample(machines),
        }
        samples: dict[str, list[Sample]] = {name: [] for name in ways}
        for index in range(min(options.repeat, 3)):
            for name in list(ways)[:: 1 if index % 2 == 0 else -1]:
                samples[name].append(ways[name]())
    return rows(count, samples)


def rows(count: int, samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    what = f"a service on {count} machines"
    said = (
        (f"{what} made", "anytier", 0, 0, MADE),
        (f"{what} made, not watched", "same", 0, 0, MADE),
        (f"{what}, nothing to change", "anytier", 1, 1, UNCHANGED),
        (f"{what}, nothing to change, each asked", "anytier", 2, 1, ASKED),
    )
    return [
        Row(text, "s", [s[mine] for s in samples[way]], other, [s[theirs] for s in samples[other]], limits.get(other))
        for text, way, mine, theirs, limits in said
        for other in ("Ansible", "pyinfra")
    ]


def expect(machines: Sequence[Machine], unit: str) -> None:
    """It runs on each, or there was nothing to measure."""
    for machine in machines:
        found = machine.run(f"systemctl list-units --plain --no-legend --state=running '{unit}*'")
        if len([line for line in found.splitlines() if "-healthd" not in line and "-proxy" not in line]) != 1:
            raise CommandFailed(f"{machine.name}: not one {unit}* runs: {found.strip() or 'none'}")


@contextmanager
def folder(machines: Sequence[Machine]) -> Iterator[Path]:
    """The files of the service, and a known_hosts that knows every machine."""
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as made:
        place = Path(made)
        (place / "app").mkdir()
        for name, text in FILES.items():
            (place / "app" / name).write_text(text)
        known = "".join(f"[127.0.0.1]:{machine.port} {machine.host_key}\n" for machine in machines)
        (place / "known_hosts").write_text(known)
        (place / "unit").write_text(UNIT)
        yield place


# anytier


def by_anytier(machines: Sequence[Machine], place: Path, gate: str = "") -> Sample:
    port, tls_port = free_ports(2)
    config = {"anytier:port": port, "anytier:tlsPort": tls_port, "anytier:baremetal": stack_config(machines)}
    with ours(spec(gate), "baremetal", config) as stack:
        return made_and_again(stack, machines, place)


def made_and_again(stack: Stack, machines: Sequence[Machine], place: Path) -> Sample:
    (stack.folder / "app").symlink_to(place / "app")
    made = stack.up()
    expect(machines, f"anytier-{stack.name}-")
    return made, stack.no_change(), stack.no_change(refresh=True)


def stack_config(machines: Sequence[Machine]) -> dict[str, Any]:
    listed = [
        {
            "name": machine.name,
            "address": "127.0.0.1",
            "port": machine.port,
            "privateAddress": machine.private,
            "user": "root",
            "keyFile": machine.key_file,
            "hostKey": machine.host_key,
        }
        for machine in machines
    ]
    return {"machines": listed}


def spec(gate: str = "") -> str:
    """One instance on each machine."""
    body: dict[str, Any] = {
        "containers": {"app": {"build": {"context": "app"}}},
        "host": {"command": ["python3", "app/server.py"]},
        "scale": {"mode": "global"},
        **({"update": {"minHealthyTime": gate}} if gate else {}),
    }
    app = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "bench"}, "workloads": {"app": body}}
    return yaml.safe_dump(app, sort_keys=False)


# Ansible


def by_ansible(machines: Sequence[Machine], place: Path) -> Tool:
    (place / "inventory.yaml").write_text(yaml.safe_dump(inventory(machines, place)))
    (place / "playbook.yaml").write_text(yaml.safe_dump(playbook(), sort_keys=False))
    command = [str(ensure(ANSIBLE) / "ansible-playbook"), "-i", "inventory.yaml", "playbook.yaml"]
    env = {
        **os.environ,
        "ANSIBLE_HOME": str(place / "ansible"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_FORKS": str(len(machines)),
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    return Tool("Ansible", command, env, place)


def inventory(machines: Sequence[Machine], place: Path) -> dict[str, Any]:
    hosts = {
        machine.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": machine.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": machine.key_file,
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={place / 'known_hosts'}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        for machine in machines
    }
    return {"all": {"hosts": hosts}}


def playbook() -> list[dict[str, Any]]:
    handler = {"name": "restart", "ansible.builtin.systemd_service": {"name": NAME, "state": "restarted"}}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.user": {"name": NAME, "system": True, "create_home": False}},
        {"ansible.builtin.copy": {"src": "app/", "dest": f"/opt/{NAME}/", "mode": "0644"}, "notify": "restart"},
        {
            "ansible.builtin.copy": {"src": "unit", "dest": f"/etc/systemd/system/{NAME}.service", "mode": "0644"},
            "notify": "restart",
        },
        {
            "ansible.builtin.systemd_service": {
                "name": NAME,
                "state": "started",
                "enabled": True,
                "daemon_reload": True,
            }
        },
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks, "handlers": [handler]}]


# pyinfra


def by_pyinfra(machines: Sequence[Machine], place: Path) -> Tool:
    (place / "hosts.py").write_text(f"machines = {hosts(machines, place)!r}\n")
    (place / "deploy.py").write_text(DEPLOY)
    command = [str(ensure(PYINFRA) / "pyinfra"), "-y", "hosts.py", "deploy.py"]
    return Tool("pyinfra", command, {**os.environ, "NO_COLOR": "1"}, place)


def hosts(machines: Sequence[Machine], place: Path) -> list[tuple[str, dict[str, Any]]]:
    return [
        (
            machine.name,
            {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": machine.port,
                "ssh_user": "root",
                "ssh_key": machine.key_file,
                "ssh_known_hosts_file": str(place / "known_hosts"),
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for machine in machines
    ]


DEPLOY = f"""from pyinfra.operations import files, server, systemd

server.user(user={NAME!r}, system=True, create_home=False)
copied = files.sync(src="app", dest={f"/opt/{NAME}"!r}, mode="644", dir_mode="755")
unit = files.put(src="unit", dest={f"/etc/systemd/system/{NAME}.service"!r}, mode="644")
systemd.daemon_reload(_if=unit.did_change)
systemd.service(service={f"{NAME}.service"!r}, running=True, enabled=True)
"""
