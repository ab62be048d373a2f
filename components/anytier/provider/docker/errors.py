"""What a daemon answers, as the errors a user meets. Pure: a table from status and message to class and remedy."""

from __future__ import annotations

import re

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable

_PORT = re.compile(r"(?:Bind for |listen tcp[46]? |listen udp[46]? )?(?P<address>[\w.\[\]:*]+:\d+)")
_FREE = "free it, or choose another: `pulumi config set anytier:port NUMBER`, or the service's `expose`"


def of_answer(path: str, status: int, message: str) -> AnytierError:
    """The error for an HTTP answer of 400 or more."""
    said = " ".join(message.split()).removeprefix("Error response from daemon: ")
    low = said.lower()
    if "no space left on device" in low or "disk quota exceeded" in low:
        return NoSpace(path, "the Docker host's disk is full", "`docker system df` shows by what; then run again")
    if "port is already allocated" in low or "address already in use" in low or "ports are not available" in low:
        found = _PORT.search(said)
        what = f"port {found['address'].rpartition(':')[2]} is taken on the Docker host" if found else said
        return Conflict(path, what, _FREE)
    if "docker-init" in low and "not found" in low:
        return NotFound(path, "the Docker host has no docker-init", "install tini there (apt-get install tini)")
    if status in (401, 403):
        return Denied(path, said, "check the credentials and the daemon's authorization")
    if status == 404:
        return NotFound(path, said, "run `pulumi up --refresh`, which makes it anew")
    if status == 409:
        return Conflict(path, said, "remove or rename what is in the way, then run again")
    if status >= 500 and "context deadline exceeded" in low:
        return Unreachable(path, said, "the daemon is overloaded or cannot reach what it needs: run again")
    return Rejected(path, said, "mend it, then run again")


def of_failure(host: str, error: BaseException) -> AnytierError:
    """The error for a daemon that did not answer."""
    path = f"docker {host}"
    if isinstance(error, PermissionError) or "Permission denied" in str(error):
        return Denied(path, "this user may not use the daemon", "add the user to the group docker, or use rootless")
    if host.startswith("ssh://"):
        return Unreachable(path, _said(error), f"does `ssh {host.removeprefix('ssh://')} docker version` work?")
    if host.startswith("tcp://"):
        return Unreachable(path, _said(error), "is the daemon up, and do caCert, cert and key fit it?")
    return Unreachable(path, _said(error), "start it (`systemctl start docker`), or set anytier:docker.host")


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError) or "No such file" in text:
        return "nothing listens there"
    if "Connection refused" in text or "refused" in text.lower():
        return "the daemon is not running"
    return f"no answer ({text or type(error).__name__})"
