"""Virtual machines that the suite's own stack makes, as a place under test: looked at over SSH, as any machines are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.conformance.places.baremetal import BaremetalPlace
from anytier.errors import ConfigError, leaves


class LibvirtPlace(BaremetalPlace):
    """`Place` on machines that do not exist yet: their addresses and the key to them must be known beforehand."""

    tier = "libvirt"

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.tiers.baremetal import BaremetalArgs, MachineArgs
        from anytier.tiers.libvirt import Here
        from anytier.tiers.vmplan import KEY, decide
        from anytier.tiers.vms import LibvirtArgs

        args = LibvirtArgs.model_validate(config)
        if args.key_file is None:
            do = "name a key file of yours; one that is made lies in the state only"
            raise ConfigError(f"{KEY}.keyFile", "is needed by the suite, which looks at the machine itself", do)
        if args.network.subnet is None and args.network.address is None:
            do = "name a subnet, such as 10.213.0.0/24"
            raise ConfigError(f"{KEY}.network", "is needed by the suite, which must know the address", do)
        try:
            here = Here(args)
            vms = decide(args, "conformance", here.public_key)
        except ExceptionGroup as group:
            raise leaves(group)[0] from None
        login = {"user": args.user, "keyFile": here.key_file, "sudo": True, "connectTimeout": args.connect_timeout}
        found = [{"name": vm.hostname, "address": vm.net.address, **login} for vm in vms]
        self.address = vms[0].net.address
        self.machines = [MachineArgs.model_validate(item) for item in found]
        self.args = BaremetalArgs(machines=self.machines, state_dir=args.state_dir)
