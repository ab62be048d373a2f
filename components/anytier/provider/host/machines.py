"""The machines that resources name, each reached once for as long as the plugin lives, and who we are on them."""

from __future__ import annotations

import asyncio
import os
import pwd
from weakref import WeakKeyDictionary

from anytier.provider.host.models import LocalRef, MachineRef
from anytier.provider.host.transport import LocalMachine, Machine

_machines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[MachineRef, Machine]] = WeakKeyDictionary()


def machine_of(ref: MachineRef) -> Machine:
    """One object for each way to a machine, and so one connection."""
    known = _machines.setdefault(asyncio.get_running_loop(), {})
    if ref not in known:
        known[ref] = _new(ref)
    return known[ref]


async def close_all() -> None:
    """Every connection of this event loop."""
    known = _machines.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(machine.close() for machine in known.values()))


def acts_as(ref: MachineRef) -> tuple[bool, str]:
    """(whether as root, the user's name), as far as is known without asking: a login without a name may be root's."""
    if isinstance(ref, LocalRef):
        return os.geteuid() == 0, _current_user()
    return ref.root or ref.user is None, ref.user or ""


def _new(ref: MachineRef) -> Machine:
    if isinstance(ref, LocalRef):
        return LocalMachine()
    from anytier.provider.host.ssh import SshMachine

    return SshMachine(ref)


def _current_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
