"""A `Unit` as a program of supervisord, and supervisord's own configuration. Pure.

The format has no escape for a comment sign after a space, so paths that hold one raise ValueError.
"""

from __future__ import annotations

import math
import re

from anytier.render.unit import Unit

_LOG_BYTES = 10 * 1024 * 1024
_SAFE = re.compile(r"[A-Za-z0-9@%+=:,./_-]")
# supervisord gives up after `startretries`; a service here never gives up, its launcher slows it down instead.
_NEVER = 2**31 - 1


def daemon(folder: str, socket: str, identifier: str) -> str:
    """supervisord's own configuration: one daemon for one app, reached by its socket only."""
    if any(char in folder for char in "*?["):
        raise ValueError(f"{folder!r}: supervisord would read this as a pattern")
    return "\n".join(
        [
            "; made by anytier; changes are lost",
            "[unix_http_server]",
            f"file = {value(socket)}",
            "chmod = 0600",
            "",
            "[supervisord]",
            f"identifier = {value(identifier)}",
            f"logfile = {value(folder + '/supervisord.log')}",
            f"pidfile = {value(folder + '/supervisord.pid')}",
            f"childlogdir = {value(folder)}",
            "logfile_maxbytes = 1MB",
            "logfile_backups = 1",
            "loglevel = info",
            "umask = 022",
            "minfds = 1024",
            "minprocs = 64",
            "nocleanup = true",
            "",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "",
            "[include]",
            "files = programs/*.conf",  # beside this file
            "",
        ]
    )


def program(unit: Unit) -> str:
    """One `[program:x]` section. Limits, user and environment are the launcher's work."""
    lines = {
        "command": command(unit.argv),
        "autostart": flag(unit.restart),
        "autorestart": flag(unit.restart),
        "startsecs": "0",
        "startretries": str(_NEVER),
        "exitcodes": "0",
        "stopsignal": signal(unit.stop_signal),
        "stopwaitsecs": str(max(1, math.ceil(unit.stop_grace))),
        "stopasgroup": flag(True),
        "killasgroup": flag(True),
        "redirect_stderr": flag(True),
        "stdout_logfile": value(unit.log).replace("%", "%%"),  # supervisord expands this one twice
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "stdout_logfile_backups": "2",
    }
    return "\n".join(["; made by anytier; changes are lost", f"[program:{name(unit.name)}]", *_lines(lines), ""])


def _lines(items: dict[str, str]) -> list[str]:
    return [f"{key} = {item}" for key, item in items.items()]


def command(argv: list[str]) -> str:
    """A command that supervisord's shlex splits back into exactly `argv`.

    Each unsafe character is quoted by itself: ` ;` would begin a comment, even between quotes.
    """
    return " ".join(_argument(item) for item in argv)


def _argument(item: str) -> str:
    if any(char in item for char in "\n\r\0"):
        raise ValueError(f"{item!r} cannot be written in supervisord's configuration")
    quoted = "".join(char if _SAFE.match(char) else '"\'"' if char == "'" else f"'{char}'" for char in item)
    return (quoted or "''").replace("%", "%%")


def value(text: str) -> str:
    """A value taken as it stands."""
    if any(char in text for char in "\n\r\0") or text != text.strip() or re.search(r"\s[;#]", text):
        raise ValueError(f"{text!r} cannot be written in supervisord's configuration")
    return text.replace("%", "%%")


def name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise ValueError(f"{text!r} cannot name a program")
    return text


def flag(on: bool) -> str:
    return "true" if on else "false"


def signal(text: str) -> str:
    """supervisord wants `TERM` or a number."""
    return text.upper().removeprefix("SIG")
