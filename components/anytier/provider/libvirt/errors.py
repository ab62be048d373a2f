"""libvirt's error codes as ours. Imports no libvirt: the numbers are part of its stable interface."""

from __future__ import annotations

import errno
from typing import Any

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable

FROM_RPC, FROM_REMOTE = 7, 13  # where an error arose: on the way
NO_SUPPORT = 3  # VIR_ERR_NO_SUPPORT: the driver has no such function
INVALID_ARG, OPERATION_FAILED, OPERATION_INVALID = 8, 9, 55
SYSTEM_ERROR, INTERNAL_ERROR = 38, 1
AGENT_UNRESPONSIVE = 86
_MISSING = {42: "domain", 43: "network", 49: "pool", 50: "volume", 53: "device", 72: "snapshot", 99: "device"}
_SILENT = {4, 5, 6, 12, 39, 40, 85, 95, 96, 98}  # no host, no connection, HTTP, RPC, TLS, SSH, no server
_REFUSED = {29, 45, 79, 88, 94}  # operation denied, auth failed, cancelled, access denied, auth unavailable
_TAKEN = {28, 37, 76, 87, 90}  # domain, network exist, pool built, busy, volume exists
_UNSUPPORTED = {3, 67, 74, 84}


def of(path: str, error: Any, opening: bool = False) -> AnytierError:
    """The error for a `libvirtError`. While a connection opens, whatever is not a refusal is silence."""
    code, origin = error.get_error_code(), error.get_error_domain()
    what = " ".join(str(error.get_error_message() or error).split())
    number = error.get_int1() if code == SYSTEM_ERROR else None
    if code in _MISSING:
        return NotFound(path, what)
    if code in _REFUSED or number in (errno.EACCES, errno.EPERM):
        return Denied(path, what, "may this user manage machines there? (group libvirt, or its password)")
    if code in _SILENT or opening or (code in (SYSTEM_ERROR, INTERNAL_ERROR) and origin in (FROM_RPC, FROM_REMOTE)):
        return Unreachable(path, what, "does `virsh -c URI version` work?")
    if number == errno.ENOSPC:
        return NoSpace(path, what, "free some, or use another pool")
    if code in _TAKEN:
        return Conflict(path, what)
    if code in _UNSUPPORTED:
        return Rejected(path, f"this hypervisor does not do that by libvirt: {what}")
    return Rejected(path, what)


def code(error: AnytierError) -> int | None:
    """The libvirt code behind one of our errors."""
    cause = error.__cause__
    return cause.get_error_code() if cause is not None and hasattr(cause, "get_error_code") else None
