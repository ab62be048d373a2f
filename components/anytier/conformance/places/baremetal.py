"""Machines over SSH as a place under test. The app must be reached at 127.0.0.1, where the suite asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from anytier.conformance.check import Failed
from anytier.conformance.places.base import Report, Weight
from anytier.errors import ConfigError

if TYPE_CHECKING:
    from anytier.tiers.baremetal import MachineArgs


class BaremetalPlace:
    """`Place` on machines over SSH. Each look is a connection of its own: the suite is no part of what it tests."""

    tier = "baremetal"
    mode: str | None = None
    address = "127.0.0.1"
    containers = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.tiers.baremetal import BaremetalArgs, machines_of, takes_requests

        self.args = BaremetalArgs.model_validate(config)
        self.machines = machines_of(self.args)
        front = next(item for item in self.machines if takes_requests(item, self.machines))
        if (self.args.address or front.address) not in ("127.0.0.1", "localhost", "::1"):
            do = "run it against a machine whose ports are published on 127.0.0.1"
            raise ConfigError("anytier:baremetal", "the suite asks the app at 127.0.0.1 only", do)

    def versions(self) -> dict[str, str]:
        found = asyncio.run(over_ssh(self.machines[0], lambda machine: machine.about()))
        told = {"machine": str(found["pretty"]), "kernel": str(found["kernel"]), "systemd": str(found["systemd"])}
        return told if len(self.machines) == 1 else {"machines": str(len(self.machines)), **told}

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        self._harm("process", ns, report)

    def kill_instance(self, ns: str, report: Report) -> None:
        self._harm("instance", ns, report)

    def kill_proxy(self, ns: str) -> None:
        """That of every machine."""
        for machine in self.machines:
            self._refused(self._ask(machine, "proxy", ns))

    def remove_instance(self, ns: str, report: Report) -> None:
        self._harm("remove", ns, report)

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        found = [(item, self._ask(item, "visible", ns)) for item in self.machines]
        return {self._on(item, where): text for item, texts in found for where, text in texts.items()}

    def leftovers(self, ns: str) -> list[str]:
        found = [(item, self._ask(item, "leftovers", ns)) for item in self.machines]
        return [self._on(item, left) for item, lines in found for left in lines]

    # weights

    def machine(self) -> dict[str, Any]:
        found: dict[str, Any] = self._run(self.machines[0], "weigh.py", "machine", {})
        return found

    def platform(self, ns: str) -> dict[str, Weight]:
        asked = {"root": self._root(ns), "ns": ns}
        found = [(item.called, self._run(item, "weigh.py", "host", asked)) for item in self.machines]
        return {f"{name} {key}": Weight(**item) for name, items in found for key, item in items.items()}

    def _on(self, machine: MachineArgs, text: str) -> str:
        return text if len(self.machines) == 1 else f"{machine.called}: {text}"

    def _harm(self, verb: str, ns: str, report: Report) -> None:
        """On the machine that the instance says it is on: process numbers are each machine's own."""
        names = self._hostnames
        there = [item for item in self.machines if names[item.called] == report["hostname"]]
        if not there:
            raise Failed(f"no machine is called {report['hostname']}: there are {', '.join(names.values())}")
        self._refused(self._ask(there[0], verb, ns, int(report["pid"])))

    @cached_property
    def _hostnames(self) -> dict[str, str]:
        async def ask() -> dict[str, str]:
            calls = [over_ssh(item, lambda machine: machine.about()) for item in self.machines]
            found = await asyncio.gather(*calls)
            return {item.called: str(about["hostname"]) for item, about in zip(self.machines, found, strict=True)}

        return asyncio.run(ask())

    @staticmethod
    def _refused(why_not: str) -> None:
        if why_not:
            raise Failed(why_not)

    def _ask(self, one: MachineArgs, verb: str, ns: str, pid: int = 0) -> Any:
        from anytier.provider.host.layout import Layout

        root = self._root(ns)
        sockets = f"/run/anytier/{Layout(root, ns).digest}"
        return self._run(one, "onmachine.py", verb, {"root": root, "ns": ns, "pid": pid, "sockets": sockets})

    def _root(self, ns: str) -> str:
        return f"{self.args.state_dir.rstrip('/')}/{ns}"

    @staticmethod
    def _run(one: MachineArgs, file: str, verb: str, asked: Mapping[str, Any]) -> Any:
        """What a program of this folder finds there. It comes over stdin and leaves nothing."""
        program = (resources.files("anytier.conformance.places") / file).read_bytes()
        argv = ["/usr/bin/python3", "-I", "-", verb, json.dumps(asked)]
        done = asyncio.run(over_ssh(one, lambda machine: machine.run(argv, program)))
        if done.code != 0:
            raise Failed(f"{verb} on {one.called}: {done.err.strip()[-300:]}")
        return json.loads(done.out)


async def over_ssh(one: MachineArgs, call: Any) -> Any:
    """What `call` makes of a machine, on a connection of its own."""
    from anytier.provider.host.dial import learn, with_keys
    from anytier.provider.host.ssh import SshMachine
    from anytier.provider.host.sshref import SshRef
    from anytier.tiers.baremetal import ref_props

    ref = SshRef.model_validate(ref_props(one))
    machine = SshMachine(with_keys(ref, await learn(ref)))
    try:
        return await call(machine)
    finally:
        await machine.close()
