"""What a daemon answers, as the errors a user meets. Pure: tables from codes to class and remedy.

Codes decide. Docker sends most failures of its own parts (disk, ports, registries) as a bare 500, though: for those,
and only those, the message is looked at.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable

Explain = Callable[[str, int, str], AnytierError]

_PORT = re.compile(r"(?:Bind for |listen tcp[46]? |listen udp[46]? )?(?P<address>[\w.\[\]:*]+:\d+)")
_FREE = "free it, or choose another: `pulumi config set anytier:port NUMBER`, or the service's `expose`"
# Go's net/url says which request failed, and why after the last colons.
_REQUEST = re.compile(r'(?:Get|Head|Post) "?(?P<url>https?://[^"\s]+)"?: (?P<why>.+)')
_UNKNOWN_IMAGE = ("manifest unknown", "not found", "does not exist", "repository name not known", "name unknown")
_REFUSED = ("unauthorized", "authentication required", "no basic auth", "denied:", "forbidden")


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
    if "could not select device driver" in low or "nvidia-container-cli" in low:
        do = "install NVIDIA's driver and container toolkit there, ask for as many as it has, or leave `gpu` out"
        return Rejected(path, f"the Docker host has no such GPUs ({said})", do)
    if status in (401, 403):
        return Denied(path, said, "check the credentials and the daemon's authorization")
    if status == 404 or "unrecognized image id" in low:  # the latter: it went while we asked
        return NotFound(path, said, "run `pulumi up --refresh`, which makes it anew")
    if status == 409:
        return Conflict(path, said, "remove or rename what is in the way, then run again")
    if status >= 500 and "context deadline exceeded" in low:
        return Unreachable(path, said, "the daemon is overloaded or cannot reach what it needs: run again")
    return Rejected(path, said, "mend it, then run again")


def of_registry(path: str, status: int, message: str) -> AnytierError:
    """The error for a pull that failed: the registry did not answer, refused, or does not know the image."""
    said = " ".join(message.split()).removeprefix("Error response from daemon: ")
    low = said.lower()
    if "toomanyrequests" in low or "too many requests" in low:
        return Unreachable(
            path, "the registry allows no more pulls for now", "`docker login` raises the limit, or wait"
        )
    if status == 404 or (status >= 500 and any(text in low for text in _UNKNOWN_IMAGE) and not _REQUEST.search(said)):
        do = "mend the image's name or tag; if it is private, `docker login` on this machine"
        return NotFound(path, f"its registry has no such image ({said})", do)
    if status in (401, 403) or any(text in low for text in _REFUSED):
        return Denied(path, f"its registry refuses ({said})", "`docker login` on this machine with an account that may")
    if found := _REQUEST.search(said):
        host = urlsplit(found["url"]).netloc
        do = f"is the Docker host online? If it is not meant to be, `docker load` {path.removeprefix('image ')} there"
        return Unreachable(path, f"its registry {host} cannot be reached ({found['why']})", do)
    return of_answer(path, status, message)


def of_message(path: str, message: Mapping[str, Any], explain: Explain = of_answer) -> AnytierError | None:
    """The error that a progress message tells; None where it tells none. It has no code: a 500 of the daemon's own."""
    if "error" not in message and "errorDetail" not in message:
        return None
    detail = message.get("errorDetail") or {}
    return explain(path, 500, str(detail.get("message") or message.get("error") or "it failed without a word"))


def of_failure(host: str, error: BaseException) -> AnytierError:
    """The error for a daemon that did not answer."""
    path = f"docker {host}"
    cause = _cause(error)
    number = cause.errno if isinstance(cause, OSError) else None
    if isinstance(cause, ssl.SSLError):
        return _tls(path, cause)
    if number in (errno.EACCES, errno.EPERM):
        do = "`sudo usermod -aG docker $USER` and log in again, or use a rootless daemon"
        return Denied(path, "this user may not use the daemon", do)
    return Unreachable(path, _why(cause, number), _remedy(host))


def _cause(error: BaseException) -> BaseException:
    """The system's own error below the ones that libraries wrap around it; the innermost where there is none."""
    seen: list[BaseException] = []
    while error not in seen:
        if isinstance(error, OSError) and type(error).__module__ in ("builtins", "socket", "ssl"):
            return error
        seen.append(error)
        wrapped = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
        error = wrapped or error.__cause__ or error.__context__ or error
    return error


def _why(error: BaseException, number: int | None) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return "no answer in time"
    known = {errno.ENOENT: "nothing listens there", errno.ECONNREFUSED: "the daemon is not running"}
    text = " ".join(str(error).split())
    return known.get(number or 0) or f"no answer ({text or type(error).__name__})"


def _remedy(host: str) -> str:
    if host.startswith("on "):
        return "`anytier up` brings it back"
    if host.startswith("ssh://"):
        return f"does `docker -H {host} version` work?"
    if host.startswith("tcp://"):
        return "is the daemon up on that port, and do caCert, cert and key fit it?"
    return "start it (`systemctl start docker`), or set anytier:docker.host"


def _tls(path: str, error: ssl.SSLError) -> AnytierError:
    if isinstance(error, ssl.SSLCertVerificationError):
        do = "caCert must be the CA that signed the daemon's certificate, and the host the name in it"
        return Denied(path, f"its certificate cannot be trusted: {error.verify_message}", do)
    reason = str(getattr(error, "reason", None) or error)
    if "ALERT" in reason:
        do = "cert and key must be signed by the CA that the daemon was started with (--tlscacert)"
        return Denied(path, f"the daemon refuses our certificate ({reason.lower().replace('_', ' ')})", do)
    return Unreachable(path, f"TLS failed ({reason.lower().replace('_', ' ')})", "does the daemon speak TLS there?")
