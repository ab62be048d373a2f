"""The proxy's continuous check of a pool, derived from the readiness probe of what feeds it. Pure."""

from __future__ import annotations

from anytier.render.proxy import HealthCheck
from anytier.render.template import Port, Probe, Process, Template


def pool_health(template: Template) -> dict[str, HealthCheck]:
    """Port name -> check, for each balanced port whose readiness probe is HTTP on that very port.

    It belongs to a revision, not to the proxy: while two revisions serve whose checks differ, the proxy checks
    nothing, and the rollout's own probing decides.
    """
    found = {port.name: _check(template, port) for port in template.ports if port.http}
    return {name: check for name, check in found.items() if check}


def _check(template: Template, port: Port) -> HealthCheck | None:
    processes: list[Process] = [*template.containers, *([template.process] if template.process else [])]
    for process in processes:
        probe = process.readiness
        if probe and probe.http_get and probe.http_get.port == port.target and probe.http_get.scheme == "HTTP":
            return _of(probe, probe.http_get.path)
    return None


def _of(probe: Probe, path: str) -> HealthCheck:
    """Looked at no less often than every five seconds: an instance that died must not be asked for long."""
    return HealthCheck(path=path, interval=min(probe.period, 5), timeout=probe.timeout, fails=probe.failure_threshold)
