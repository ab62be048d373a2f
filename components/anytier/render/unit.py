"""What a process manager is told about one program, before it is said in systemd's or supervisor's words. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anytier.frozen import Frozen


class Bind(Frozen):
    """`source` of the machine appears at `target` for the program."""

    source: str
    target: str
    read_only: bool = True


class Unit(Frozen):
    """One supervised program. Its environment is not here: a launcher reads it from files, so no unit holds a secret.

    `prepare` runs before each start with the machine's full rights (systemd as root only). `user=None` means: systemd
    as root makes a user of its own called `own_user`; everywhere else the program runs as whoever runs the manager.
    """

    name: str
    description: str
    argv: list[str]
    prepare: list[str] | None = None
    user: str | None = None
    own_user: str | None = None
    reads: list[str] = Field(default_factory=list)  # must be reachable, also where home folders are hidden
    writes: list[str] = Field(default_factory=list)
    binds: list[Bind] = Field(default_factory=list)
    credentials: dict[str, str] = Field(default_factory=dict)
    log: str
    restart: bool = True
    stop_signal: str = "TERM"
    stop_grace: float = 10
    memory: int | None = None
    cpu: float | None = None
    pids: int | None = None
    low_ports: bool = False  # may listen below 1024
    capabilities: list[int] | None = None  # runs from an image, with these; systemd as root only (render.rooted)
    privileged: bool = False  # ours, and it drives the manager: not sandboxed


Scope = Literal["system", "user"]
