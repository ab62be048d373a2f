"""Inputs that all host resources share, and the records they keep on the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces, secret
from anytier.provider.host.manager import Supervisor
from anytier.provider.host.sshref import SshRef
from anytier.render.template import HttpGet, Template


class LocalRef(Frozen):
    """The machine that the plugin runs on."""

    kind: Literal["local"] = "local"


MachineRef = LocalRef | SshRef


class Member(Frozen):
    """One of several machines. `address`: where the others reach it; `ingress`: it takes requests from outside.

    The machine that is the only one has no name.
    """

    name: str
    machine: Annotated[MachineRef, Field(discriminator="kind")]
    address: str = "127.0.0.1"
    labels: dict[str, str] = Field(default_factory=dict)
    ingress: bool = True

    def __str__(self) -> str:
        return self.name or str(self.machine)

    def keyless(self) -> Member:
        """As it may be written on a machine."""
        return self.model_copy(update={"machine": keyless(self.machine)})


class HostInputs(Frozen):
    """Where: machine, state folder, process manager and namespace. A change of any is another deployment.

    `machines` is given where there are several; `machine` is then the first of them, and either may change: what runs
    on a machine that leaves is moved by an update (see `moved`). `incarnation`: which installation of the machine this
    is; on another one nothing of ours runs yet.
    """

    machine: Annotated[MachineRef, Field(discriminator="kind")] = LocalRef()
    machines: list[Member] | None = None
    root: Annotated[str, replaces]
    supervisor: Annotated[Supervisor, replaces]
    ns: Annotated[str, replaces]
    owner: Annotated[str, ignored] = ""
    incarnation: str | None = None

    def recorded(self, *without: str) -> dict[str, Any]:
        """What may lie on a machine: all but these fields, and the keys that lead there."""
        bare = self.model_copy(
            update={
                "machine": keyless(self.machine),
                "machines": self.machines and [item.keyless() for item in self.machines],
            }
        )
        return {key: value for key, value in bare.wire().items() if key not in without}


def keyless(ref: MachineRef) -> MachineRef:
    return ref.keyless() if isinstance(ref, SshRef) else ref


def moved(old: HostInputs, new: HostInputs) -> list[str]:
    """Which inputs make another deployment of it: the machine, where it was and is the only one."""
    several = old.machines is not None or new.machines is not None
    return [] if several or same_machine(old.machine, new.machine) else ["machine"]


def same_machine(one: MachineRef, other: MachineRef) -> bool:
    """Address and port say which machine it is."""
    return identity(one) == identity(other)


def identity(ref: MachineRef) -> tuple[str, int]:
    return ("", 0) if isinstance(ref, LocalRef) else (ref.address, ref.port)


class Sources(Frozen):
    """Folder in the snapshot -> folder here. Its content is named by `template.process.release`."""

    entries: dict[str, str] = Field(default_factory=dict)


class ProcessInputs(HostInputs):
    """What workloads and jobs have in common."""

    release: Annotated[Sources | None, ignored] = None
    volumes: dict[str, str] = Field(default_factory=dict)
    template: Template
    secrets: Annotated[dict[str, str], secret] = Field(default_factory=dict)


class Check(Frozen):
    """A probe with the instance's own port in it."""

    http_get: HttpGet | None = None
    tcp_port: int | None = None
    exec: list[str] | None = None
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class InstanceRecord(Frozen):
    """instance.json: what healthd, day two and a later run need to know. Holds no secret."""

    unit: str
    workload: str
    revision: int
    index: int
    ports: dict[str, int] = Field(default_factory=dict)
    liveness: Check | None = None
    readiness: Check | None = None
    startup: Check | None = None
    pre_stop: list[str] | None = None
    stop_grace: float = 10
    created_at: float
    attached: bool = False  # where no proxy knows it
    draining: bool = False


class Revision(Frozen):
    """One kept revision. The template holds no secret value. `served`: a rollout of it has once ended well."""

    revision: int
    hash: str
    template: Template
    created_at: float
    served: bool = False


class WorkloadRecord(Frozen):
    """workload.json: what is deployed now, so that read and import are exact. `revision` 0: nothing yet."""

    inputs: dict[str, object]
    revision: int
    replicas: int

    @property
    def volumes(self) -> dict[str, str]:
        """Name -> path of what is mounted by what is deployed, and of the app's others."""
        found = self.inputs.get("volumes")
        return dict(found) if isinstance(found, dict) else {}
