"""The few command lines that reach a shell on another machine. Pure; whatever comes from a user is quoted.

A login shell may be anything (csh, fish), so that it only ever starts /bin/sh with one argument.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from anytier.errors import AnytierError, Denied, NotFound, Rejected

# Exit codes of ours, since those of sudo and of shells say too little.
_NO_SUDO, _SUDO_REFUSED, _NO_PYTHON = 91, 92, 93
# The agent's length in a line, then the agent.
_BOOT = "import sys;b=sys.stdin.buffer;exec(b.read(int(b.readline())))"


def agent_command(sudo: bool) -> str:
    """Starts a Python that reads the agent from its stdin; nothing is written there, and nothing is in argv."""
    steps = []
    if sudo:
        steps.append('if [ "$(id -u)" = 0 ]; then s=; else s="sudo -n --"')
        steps.append(f"command -v sudo >/dev/null 2>&1 || exit {_NO_SUDO}")
        steps.append(f"sudo -n true >/dev/null 2>&1 || exit {_SUDO_REFUSED}")
        steps.append("fi")
    steps.append("p=/usr/bin/python3")
    steps.append(f'test -x "$p" || p=$(command -v python3) || exit {_NO_PYTHON}')
    steps.append(f'exec {"$s " if sudo else ""}"$p" -I -S -X utf8 -c "{_BOOT}"')
    return sh("; ".join(steps))


def why_no_agent(code: int | None, name: str, user: str) -> AnytierError | None:
    """What the exit code of `agent_command` says; None for another code than its own."""
    path = f"machine {name}"
    if code == _NO_SUDO:
        return NotFound(path, "there is no sudo on it", "install sudo there, or log in as root without `sudo`")
    if code == _SUDO_REFUSED:
        what = f"sudo asks {user} for a password, or refuses"
        return Denied(path, what, f"let it be password-less there: `{user} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d")
    if code in (_NO_PYTHON, 127):
        return NotFound(path, "there is no Python 3 on it", "install it there: `apt-get install python3`")
    return None


def terminal_command(argv: Sequence[str], sudo: bool) -> str:
    """Runs exactly `argv`, as root where `sudo` says so."""
    if any("\0" in item for item in argv):
        raise Rejected(argv[0].replace("\0", ""), "an argument holds a NUL byte", "take it out")
    words = shlex.join(argv)
    return sh(
        f'if [ "$(id -u)" = 0 ]; then exec {words}; else exec sudo -n -- {words}; fi' if sudo else f"exec {words}"
    )


def sh(script: str) -> str:
    """One line for whatever shell the login has."""
    return f"exec /bin/sh -c {shlex.quote(script)}"
