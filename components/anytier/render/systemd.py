"""A `Unit` as the text of a systemd service. Pure; every metacharacter of systemd.syntax(7) is escaped, none refused.

What cannot be said in a unit file at all (a newline or NUL inside a path) raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from anytier.render.rooted import unit_lines
from anytier.render.unit import Scope, Unit

# What a service needs no right to do; these work without privileges, so user units have them too.
_HARDENED = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0022",
)
# These need the system manager: they build a mount namespace of their own.
_ISOLATED = (
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RestrictNamespaces=yes",
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b", "\v": "\\v"}


def render(unit: Unit, scope: Scope) -> str:
    """The service file of `unit` for the system manager or for a user's."""
    return "\n".join([*_unit(unit), "", "[Service]", *_service(unit, scope), "", *_install(unit, scope), ""])


def _unit(unit: Unit) -> Iterator[str]:
    yield "# made by anytier; changes are lost at the next rollout"
    yield "[Unit]"
    yield f"Description={text(unit.description)}"
    yield "After=network.target"
    yield "StartLimitIntervalSec=0"


def _service(unit: Unit, scope: Scope) -> Iterator[str]:
    if unit.capabilities is None:
        yield "Type=exec"
    else:
        yield "Type=notify"  # its launcher names the process to watch
        yield "NotifyAccess=main"
    if unit.prepare and scope == "system":
        yield f"ExecStartPre=+{command(unit.prepare)}"
    yield f"ExecStart={command(unit.argv)}"
    if unit.restart:
        yield "Restart=always"
        yield "RestartSec=1"
    else:
        yield "Restart=no"
        yield "RemainAfterExit=yes"  # or systemd forgets how it ended
    yield f"KillSignal={signal(unit.stop_signal)}"
    yield f"TimeoutStopSec={seconds(unit.stop_grace)}"
    yield f"SyslogIdentifier={text(unit.name)}"
    for name, source in unit.credentials.items():
        yield f"LoadCredential={specifiers(name)}:{specifiers(plain(source))}"
    yield from _limits(unit)
    if unit.capabilities is not None and scope == "system":
        yield from unit_lines(_HARDENED, _ISOLATED, unit.capabilities)
        yield from _paths(unit)
    elif not unit.privileged:
        yield from _HARDENED
        if scope == "system":
            yield from _sandbox(unit)


def _limits(unit: Unit) -> Iterator[str]:
    if unit.memory is not None:
        yield f"MemoryMax={unit.memory}"
        yield "MemorySwapMax=0"
    if unit.cpu is not None:
        yield f"CPUQuota={max(1, math.ceil(unit.cpu * 100))}%"
    if unit.pids is not None:
        yield f"TasksMax={unit.pids}"


def _sandbox(unit: Unit) -> Iterator[str]:
    if unit.user:
        yield f"User={specifiers(plain(unit.user))}"
    elif unit.own_user:
        yield f"User={unit.own_user}"
        yield "DynamicUser=yes"
        # Where this systemd cannot hand over credentials (some containers), `prepare` leaves them here, on tmpfs.
        yield f"RuntimeDirectory={specifiers(unit.name)}"
        yield "RuntimeDirectoryMode=0700"
    yield from _ISOLATED
    capability = "CAP_NET_BIND_SERVICE" if unit.low_ports else ""
    yield f"CapabilityBoundingSet={capability}"
    yield f"AmbientCapabilities={capability}"
    yield from _paths(unit)


def _paths(unit: Unit) -> Iterator[str]:
    for path in unit.reads:
        yield f"BindReadOnlyPaths={word(path)}"
    for path in unit.writes:
        yield f"BindPaths={word(path)}"
        yield f"ReadWritePaths={word(path)}"
    for bind in unit.binds:
        yield f"Bind{'ReadOnly' if bind.read_only else ''}Paths={word(bind.source)}:{word(bind.target)}"


def _install(unit: Unit, scope: Scope) -> list[str]:
    if not unit.restart:
        return []
    return ["[Install]", f"WantedBy={'multi-user' if scope == 'system' else 'default'}.target"]


def command(argv: list[str]) -> str:
    """An `Exec...=` value that systemd splits back into exactly `argv`, with no variable or specifier expanded.

    Variables are replaced in arguments only, so a program whose path holds a `$` switches that off for the whole line.
    """
    if not argv or not argv[0].startswith("/"):
        raise ValueError(f"{argv[:1]!r} is no absolute path of a program")
    verbatim = "$" in argv[0]
    words = [_quoted(item) if verbatim else _quoted(item).replace("$", "$$") for item in argv]
    return (":" if verbatim else "") + " ".join(words)


def _quoted(item: str) -> str:
    if "\0" in item:
        raise ValueError("an argument cannot hold NUL")
    escaped = (_ESCAPES.get(char) or (char if char >= " " else f"\\x{ord(char):02x}") for char in item)
    return '"' + specifiers("".join(escaped)) + '"'


def word(path: str) -> str:
    """One word of a path list: quoted, since a list is split at spaces and a bind at colons."""
    return '"' + specifiers(one_line(path)).replace("\\", "\\\\").replace('"', '\\"') + '"'


def text(value: str) -> str:
    """Free text on one line."""
    return specifiers(" ".join(value.split())).rstrip("\\")


def plain(value: str) -> str:
    """A value that the format takes as it stands up to the end of the line."""
    if value.endswith("\\") or value != value.strip():
        raise ValueError(f"{value!r} cannot be written in a unit file")
    return one_line(value)


def one_line(value: str) -> str:
    if any(char in value for char in "\n\r\0"):
        raise ValueError(f"{value!r} cannot be written in a unit file")
    return value


def specifiers(value: str) -> str:
    return value.replace("%", "%%")


def signal(name: str) -> str:
    """`TERM`, `SIGTERM` and `15` are all what a spec may say."""
    return name if name.isdigit() else "SIG" + name.upper().removeprefix("SIG")


def seconds(value: float) -> str:
    """To the millisecond, and never 0, which systemd takes for infinity."""
    return f"{max(value, 0.001):.3f}".rstrip("0").rstrip(".")
