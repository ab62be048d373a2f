"""SSH as every kind of place uses it: how a connection is made, and why there is none, in the words of a user.

Only asyncssh is behind it, imported when the first connection is made. Whose host key counts is the caller's to say.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from anytier.errors import AnytierError, Denied, Unreachable

if TYPE_CHECKING:
    import asyncssh

PATIENCE = 15.0  # seconds: for TCP, for the login, and between signs of life


class NoLogin(Denied):
    """It is who it should be, and takes no key of ours."""


async def connect(hostname: str, patience: float = PATIENCE, **given: Any) -> asyncssh.SSHClientConnection:
    """One connection, by the user's own SSH settings where `given` says nothing. Nothing of our environment goes along.

    Raises what asyncssh does, OSError (TimeoutError among them) and ValueError; `explain` turns them into ours.
    """
    import asyncssh

    async with asyncio.timeout(2 * patience):
        return await asyncssh.connect(
            hostname,
            connect_timeout=patience,
            login_timeout=patience,
            keepalive_interval=PATIENCE,
            agent_forwarding=False,
            send_env=[],
            **given,
        )


def explain(path: str, name: str, error: BaseException) -> AnytierError | None:
    """Why there is no connection, whatever was to be done with it; None for what only the caller can tell."""
    import asyncssh

    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return None
    if isinstance(error, asyncssh.PermissionDenied):
        do = f"`ssh {name}` must work without a question: add your key there, or to the SSH agent here"
        return NoLogin(path, "no login", do)
    if isinstance(error, TimeoutError):
        return Unreachable(path, "no answer in time", f"does `ssh {name}` work?")
    if isinstance(error, asyncssh.Error | ValueError):
        return Unreachable(path, f"SSH failed ({' '.join(str(error).split())})", f"does `ssh {name}` work?")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(path, "no SSH server answers there", "is sshd running, and on that port?")
    return None
