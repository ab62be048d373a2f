"""A machine over SSH as a place under test. It must be reached at 127.0.0.1, where the suite asks the app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from anytier.conformance.check import Failed
from anytier.conformance.places.base import Report
from anytier.errors import ConfigError


class BaremetalPlace:
    """`Place` on a machine over SSH. Each look is a connection of its own: the suite is no part of what it tests."""

    tier = "baremetal"
    mode: str | None = None
    address = "127.0.0.1"
    containers = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.tiers.baremetal import BaremetalArgs, only

        self.args = BaremetalArgs.model_validate(config)
        self.machine = only(self.args)
        if (self.args.address or self.machine.address) not in ("127.0.0.1", "localhost", "::1"):
            do = "run it against a machine whose ports are published on 127.0.0.1"
            raise ConfigError("anytier:baremetal", "the suite asks the app at 127.0.0.1 only", do)

    def versions(self) -> dict[str, str]:
        found = asyncio.run(self._with(lambda machine: machine.about()))
        return {"machine": str(found["pretty"]), "kernel": str(found["kernel"]), "systemd": str(found["systemd"])}

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        self._harm("process", ns, int(report["pid"]))

    def kill_instance(self, ns: str, report: Report) -> None:
        self._harm("instance", ns, int(report["pid"]))

    def kill_proxy(self, ns: str) -> None:
        self._harm("proxy", ns, 0)

    def remove_instance(self, ns: str, report: Report) -> None:
        self._harm("remove", ns, int(report["pid"]))

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        found: dict[str, str] = self._ask("visible", ns)
        return found

    def leftovers(self, ns: str) -> list[str]:
        found: list[str] = self._ask("leftovers", ns)
        return found

    def _harm(self, verb: str, ns: str, pid: int) -> None:
        why_not: str = self._ask(verb, ns, pid)
        if why_not:
            raise Failed(why_not)

    def _ask(self, verb: str, ns: str, pid: int = 0) -> Any:
        from anytier.provider.host.layout import Layout

        root = f"{self.args.state_dir.rstrip('/')}/{ns}"
        sockets = f"/run/anytier/{Layout(root, ns).digest}"
        asked = json.dumps({"root": root, "ns": ns, "pid": pid, "sockets": sockets})
        program = (resources.files("anytier.conformance.places") / "onmachine.py").read_bytes()
        argv = ["/usr/bin/python3", "-I", "-", verb, asked]
        done = asyncio.run(self._with(lambda machine: machine.run(argv, program)))
        if done.code != 0:
            raise Failed(f"{verb} on {self.machine.address}: {done.err.strip()[-300:]}")
        return json.loads(done.out)

    async def _with(self, call: Any) -> Any:
        from anytier.provider.host.dial import learn
        from anytier.provider.host.machine import with_keys
        from anytier.provider.host.ssh import SshMachine
        from anytier.provider.host.sshref import SshRef
        from anytier.tiers.baremetal import ref_props

        ref = SshRef.model_validate(ref_props(self.machine))
        machine = SshMachine(with_keys(ref, await learn(ref)))
        try:
            return await call(machine)
        finally:
            await machine.close()
