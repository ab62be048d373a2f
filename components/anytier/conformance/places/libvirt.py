"""Virtual machines that the suite's own stack makes, as a place under test: looked at over SSH, as any machines are.

They are on a network inside this machine, so that the suite's load reaches nothing else. With the stack they go as a
whole: what is left of it is then looked for at the hypervisor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anytier.conformance.places.baremetal import BaremetalPlace
from anytier.errors import ConfigError, leaves

EMULATED = 10.0  # the pace of a processor that is emulated, beside other work of this machine


class LibvirtPlace(BaremetalPlace):
    """`Place`, and `Made`, on machines that do not exist yet: their addresses and the key to them must be known."""

    tier = "libvirt"

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.hypervisors import uri
        from anytier.tiers.baremetal import BaremetalArgs, MachineArgs
        from anytier.tiers.libvirt import Here
        from anytier.tiers.vmplan import KEY, decide
        from anytier.tiers.vms import LibvirtArgs

        args = LibvirtArgs.model_validate(config)
        if args.key_file is None:
            do = "name a key file of yours; one that is made lies in the state only"
            raise ConfigError(f"{KEY}.keyFile", "is needed by the suite, which looks at the machine itself", do)
        if args.network.subnet is None:
            do = "name a subnet, such as 10.213.0.0/24"
            raise ConfigError(f"{KEY}.network.subnet", "is needed by the suite, which must know the address", do)
        if not uri.parse(args.uri).local:
            do = "run it on the hypervisor's host"
            raise ConfigError(f"{KEY}.uri", "the suite loads machines inside this one only", do)
        try:
            here = Here(args)
            vms = decide(args, "conformance", here.public_key)
        except ExceptionGroup as group:
            raise leaves(group)[0] from None
        self.pace = EMULATED if args.accelerator == "tcg" else 1.0
        self.network, self.key_file = args.network.subnet, str(here.key_file)
        self.config, self.uri = args, args.uri
        login = {"user": args.user, "keyFile": here.key_file, "sudo": True, "connectTimeout": args.connect_timeout}
        found = [{"name": vm.hostname, "address": vm.net.address, **login} for vm in vms]
        self.address = vms[0].net.address
        self.machines = [MachineArgs.model_validate(item) for item in found]
        self.args = BaremetalArgs(machines=self.machines, state_dir=args.state_dir)

    def versions(self) -> dict[str, str]:
        found = asyncio.run(self._hypervisor(_version))
        how = {"processor": "emulated"} if self.config.accelerator == "tcg" else {}
        return {**super().versions(), "hypervisor": found, **how}

    def visible(self, ns: str) -> dict[str, str]:
        return {**super().visible(ns), **asyncio.run(self._hypervisor(lambda raw: _definitions(raw, self._ground(ns))))}

    def leftovers(self, ns: str) -> list[str]:
        ground = self._ground(ns)
        folder = Path(self.config.folder or f"/var/lib/libvirt/images/{ground}")
        found: list[str] = asyncio.run(self._hypervisor(lambda raw: _named(raw, ground)))
        return found + ([f"folder {folder}"] if folder.exists() else [])

    def _ground(self, ns: str) -> str:
        """What the tier's things are called; a namespace has the app's name, one word, behind it."""
        return self.config.name or ns.rpartition("-")[0]

    async def _hypervisor(self, look: Any) -> Any:
        from anytier.provider.libvirt.connection import Hypervisor, There

        there = There(Hypervisor(uri=self.uri, user=self.config.account.user if self.config.account else None))
        try:
            return await there.call(f"libvirt {self.uri}", look)
        finally:
            there.close()


def _version(raw: Any) -> str:
    number = int(raw.getVersion())
    return f"{raw.getType()} {number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _definitions(raw: Any, ground: str) -> dict[str, str]:
    """What everybody who may ask the hypervisor reads there."""
    domains = [domain for domain in raw.listAllDomains() if domain.name().startswith(ground)]
    return {f"definition of {domain.name()}": domain.XMLDesc() for domain in domains}


def _named(raw: Any, ground: str) -> list[str]:
    """The machines, networks and pools whose names begin so."""
    kinds = {"machine": raw.listAllDomains, "network": raw.listAllNetworks, "pool": raw.listAllStoragePools}
    names = [(kind, item.name()) for kind, listed in kinds.items() for item in listed()]
    return [f"{kind} {name}" for kind, name in names if name.startswith(ground)]
