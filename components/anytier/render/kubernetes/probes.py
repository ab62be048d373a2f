"""Probes, hooks and amounts of a container in Kubernetes' form: whole seconds, quantities."""

from __future__ import annotations

import math
import re
from typing import Any

from anytier.errors import CapabilityError
from anytier.render.kubernetes.names import filled
from anytier.render.kubernetes.target import Json
from anytier.spec.model import Amounts, Compute, Hook, HttpGet, Probe

_HEADER = re.compile(r"[-A-Za-z0-9]+")
_GPU = "nvidia.com/gpu"
# What is set aside where the spec says nothing: little, but a scheduler that counts nothing overloads machines.
_CPU, _MEMORY = 0.01, 32 * 1024 * 1024


def probe(item: Probe | None, path: str) -> Json | None:
    """CapabilityError for a header that no cluster takes."""
    if item is None:
        return None
    return filled(
        httpGet=_http(item.http_get, path) if item.http_get else None,
        exec={"command": list(item.exec.command)} if item.exec else None,
        tcpSocket={"port": item.tcp_socket.port} if item.tcp_socket else None,
        grpc=filled(port=item.grpc.port, service=item.grpc.service) if item.grpc else None,
        initialDelaySeconds=math.ceil(item.initial_delay_seconds) or None,
        periodSeconds=math.ceil(item.period_seconds),
        timeoutSeconds=math.ceil(item.timeout_seconds),
        failureThreshold=item.failure_threshold,
        successThreshold=item.success_threshold,
    )


def held_back(given: Json | None, least: float) -> Json | None:
    """A readiness probe that lets nobody in before it has passed for `least` seconds, where it asks that often.

    `minReadySeconds` alone sends requests to an instance that is only being watched.
    """
    if not holds_back(given, least):
        return given
    assert given is not None
    passes = 1 + math.ceil(least / given["periodSeconds"])
    return {**given, "successThreshold": max(given["successThreshold"], passes)}


def holds_back(given: Json | None, least: float) -> bool:
    """Whether this readiness probe can tell of `least` seconds: one that asks less often would take too long."""
    return given is not None and 0 < given["periodSeconds"] <= least


def startup_of(item: Any, patience: float, path: str) -> Json | None:
    """The startup probe of a sidecar that others want to see healthy: its own, else what its readiness asks."""
    if item.startup_probe is not None:
        return probe(item.startup_probe, f"{path}.startupProbe")
    found = probe(item.readiness_probe or item.liveness_probe, f"{path}.readinessProbe")
    if found is None:
        return None
    tries = max(found["failureThreshold"], math.ceil(patience / found["periodSeconds"]))
    return {**found, "failureThreshold": tries, "successThreshold": 1}


def _http(item: HttpGet, path: str) -> Json:
    headers = [{"name": name, "value": value} for name, value in item.headers.items()]
    for header in headers:
        if not _HEADER.fullmatch(header["name"]):
            what = f"{header['name'][:40]!r} is no header that Kubernetes sends"
            raise CapabilityError(f"{path}.httpGet.httpHeaders", what, "letters, digits and - only")
    scheme = item.scheme if item.scheme != "HTTP" else None
    return filled(path=item.path, port=item.port, scheme=scheme, httpHeaders=headers)


def hook(item: Hook | None, path: str) -> Json | None:
    if item is None or (item.sleep is not None and item.sleep.seconds == 0):
        return None
    return filled(
        exec={"command": list(item.exec.command)} if item.exec else None,
        httpGet=_http(item.http_get, path) if item.http_get else None,
        sleep={"seconds": math.ceil(item.sleep.seconds)} if item.sleep else None,
    )


def compute(given: Compute) -> Json:
    """What is set aside: as said, else all of the memory that it may use and little CPU; what is not limited is not."""
    limits, requests = given.limits or Amounts(), given.requests or Amounts()
    cpu = _first(requests.cpu, min(_CPU, limits.cpu) if limits.cpu is not None else _CPU)
    memory = _first(requests.memory, limits.memory, _MEMORY)
    # Of extended resources a cluster wants limit and request to be the same.
    gpu = _first(limits.gpu, requests.gpu)
    return filled(
        requests=filled(
            cpu=_cpu(cpu), memory=_bytes(memory), **{"ephemeral-storage": _bytes(requests.ephemeral_storage)}
        ),
        limits=filled(
            cpu=_cpu(limits.cpu),
            memory=_bytes(limits.memory),
            **{"ephemeral-storage": _bytes(limits.ephemeral_storage), _GPU: str(gpu) if gpu else None},
        ),
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _cpu(cores: float | None) -> str | None:
    """Thousandths of a core are the least that Kubernetes counts."""
    if cores is None:
        return None
    thousandths = max(1, round(cores * 1000))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def _bytes(amount: int | None) -> str | None:
    if amount is None:
        return None
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount % size == 0:
            return f"{amount // size}{unit}"
    return str(amount)


quantity = _bytes
