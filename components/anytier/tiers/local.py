"""Tier `local`: this machine, without SSH, without a daemon of ours and without root.

systemd runs the app where it runs at all (system units for root, user units otherwise); elsewhere supervisord does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pulumi
from anytier.cgroups import delegated
from anytier.frozen import Frozen
from anytier.tiers.places import Hosts, Supervisor


class LocalArgs(Frozen):
    """Stack config `anytier:local`. `supervisor: auto` takes systemd where it runs.

    `stateDir` holds volumes, logs and sockets; default `$XDG_STATE_HOME/anytier`.
    """

    supervisor: Literal["auto", "systemd-system", "systemd-user", "supervisord"] = "auto"
    state_dir: str | None = None
    address: str = "localhost"


class LocalTier(pulumi.ComponentResource):
    """This machine as a place. Makes nothing by itself."""

    config_key = "local"
    args_type = LocalArgs

    def __init__(
        self, name: str, args: LocalArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("anytier:tier:Local", name, {}, opts)
        self.place = Hosts(
            machine={"kind": "local"},
            state_dir=str(Path(args.state_dir).expanduser().absolute()) if args.state_dir else str(default_state_dir()),
            supervisor=detect_supervisor() if args.supervisor == "auto" else args.supervisor,
            port=port,
            tls_port=tls_port,
            address=args.address,
        )
        self.register_outputs({"supervisor": self.place.supervisor, "stateDir": self.place.state_dir})

    @staticmethod
    def mode(args: LocalArgs) -> str:
        """The capability table's mode on this machine, known before anything is registered."""
        return mode_of(detect_supervisor() if args.supervisor == "auto" else args.supervisor)


def mode_of(supervisor: Supervisor) -> str:
    """`user`: a user's own systemd; `undelegated`: one that was handed over no memory and CPU to share out."""
    if supervisor == "systemd-user":
        return "user" if {"cpu", "memory"} <= delegated(os.geteuid()) else "undelegated"
    return "supervisord" if supervisor == "supervisord" else "systemd"


def detect_supervisor() -> Supervisor:
    """systemd if it is what runs this machine (sd_booted(3)); its user instance needs a runtime directory."""
    if not Path("/run/systemd/system").is_dir():
        return "supervisord"
    if os.geteuid() == 0:
        return "systemd-system"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return "systemd-user" if runtime and Path(runtime, "systemd").is_dir() else "supervisord"


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/anytier`, by the XDG base directory specification."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base).absolute() / "anytier"
