"""The ids of host resources: enough to find everything else again, so that what is in the state can be imported.

    <state folder>|<namespace>/<name>                        on this machine
    <user>@<address>:<port>|<state folder>|<namespace>/<name>    over SSH

An import over SSH logs in by the user's own SSH, and knows a machine by `known_hosts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from anytier.errors import Denied, Rejected
from anytier.provider.host.models import HostInputs, LocalRef, MachineRef
from anytier.provider.host.sshref import SshRef

if TYPE_CHECKING:
    from anytier.provider.host.manager import Supervisor


@dataclass(frozen=True)
class Where:
    """An id in its parts. `path` is the state folder, or a volume's own."""

    machine: MachineRef
    path: str
    ns: str = ""
    name: str = ""

    def inputs(self, supervisor: Supervisor | None = None) -> HostInputs:
        known: Supervisor = "supervisord" if isinstance(self.machine, LocalRef) else "systemd-system"
        return HostInputs(machine=self.machine, root=self.path, ns=self.ns, supervisor=supervisor or known)


def id_of(inputs: HostInputs, name: str) -> str:
    return on(inputs.machine, f"{inputs.root}|{inputs.ns}/{name}")


def on(machine: MachineRef, text: str) -> str:
    """With the machine before it, unless it is this one."""
    return text if isinstance(machine, LocalRef) else f"{machine_id(machine)}|{text}"


def machine_id(machine: SshRef) -> str:
    """`<user>@<address>:<port>`."""
    address = f"[{machine.address}]" if ":" in machine.address else machine.address
    return f"{f'{machine.user}@' if machine.user else ''}{address}:{machine.port}"


def parse(id: str) -> Where:
    """An id of a workload, a job or a proxy. Rejected for anything else."""
    machine, rest = _machine(id)
    root, bar, name = rest.rpartition("|")
    ns, slash, thing = name.partition("/")
    if not (bar and slash and root.startswith("/") and ns and thing):
        raise Rejected(id, "is not an id to import", "use [<user>@<address>:<port>|]<state folder>|<namespace>/<name>")
    return Where(machine, root, ns, thing)


def parse_volume(id: str) -> Where:
    """An id of a volume: its path, after its machine."""
    machine, path = _machine(id)
    if not path.startswith("/"):
        raise Rejected(id, "is not an id to import", "use [<user>@<address>:<port>|]<absolute path>")
    return Where(machine, path)


def _machine(id: str) -> tuple[MachineRef, str]:
    if id.startswith("/"):
        return LocalRef(), id
    login, _, rest = id.partition("|")
    return parse_machine(login), rest


def parse_machine(id: str) -> SshRef:
    """With the host key that `known_hosts` has. Denied without one."""
    user, at, address = id.rpartition("@")
    host, colon, port = address.rpartition(":")
    try:
        ref = SshRef.model_validate({"address": host, "port": int(port) if colon else -1, "user": user if at else None})
    except (ValidationError, ValueError):
        raise Rejected(id, "is not an id to import", "name its machine as <user>@<address>:<port>") from None
    return ref.model_copy(update={"sudo": user != "root", "host_key": _known_key(ref)})


def _known_key(ref: SshRef) -> str:
    from anytier.provider.host.dial import known_keys, text_of

    found = known_keys(ref)
    if not found:
        raise Denied(f"machine {ref}", "its host key is not in known_hosts", f"`ssh {ref.address}` once, and compare")
    return text_of(found[0])
