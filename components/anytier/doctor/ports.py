"""Whether the ports that a stack's app will be served on are free, or already its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from anytier.doctor.check import Finding, Subject, missing, ok
from anytier.errors import AnytierError


def free_or_ours(subject: Subject) -> Iterator[Finding]:
    """Only where the app is served on this machine."""
    if subject.settings is None or not here(subject):
        return
    for key, port in (("port", subject.settings.port), ("tlsPort", subject.settings.tls_port)):
        taken = why_not(port)
        if taken is None:
            yield ok(key, f"{port} is free")
        elif port in own_ports(subject):
            yield ok(key, f"{port} is this stack's")
        elif key == "port" or uses_tls(subject):
            yield missing(key, f"{port} {taken}", f"pulumi config set -s {subject.stack} anytier:{key} NUMBER")


def here(subject: Subject) -> bool:
    from anytier.doctor.docker import _host

    return subject.tier == "local" or _host(subject).startswith("unix://")


def why_not(port: int) -> str | None:
    """Why nobody could listen there now; None if it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            probe.listen(1)
        except PermissionError:
            return "needs root (or a lower net.ipv4.ip_unprivileged_port_start)"
        except OSError:
            return "is in use by something else"
    return None


def own_ports(subject: Subject) -> set[int]:
    """The ports of the proxy that this stack has deployed, by its state."""
    from anytier.cli.stack import stack_state

    try:
        resources = stack_state(subject.stack or "").get("resources") or ()
    except AnytierError:
        return set()
    proxies = [item.get("inputs") or {} for item in resources if str(item.get("type", "")).endswith(":Proxy")]
    return {port for inputs in proxies for port in proxy_ports(inputs)}


def proxy_ports(inputs: Mapping[str, Any]) -> Iterator[int]:
    """On Docker those that its container publishes, on a machine those that it listens on."""
    if "publish" in inputs:
        yield from (int(item["port"]) for item in inputs["publish"])
        return
    for listener in (inputs.get("config") or {}).get("listeners", {}).values():
        yield int(str(listener["address"]).rpartition(":")[2])


def uses_tls(subject: Subject) -> bool:
    """The TLS port is opened for routes with TLS only."""
    from anytier.spec import diagnose

    file = subject.project / subject.settings.app_file if subject.settings else None
    app = diagnose(file, subject.tier)[0] if file else None
    return app is not None and any(route.tls for route in app.routes)
