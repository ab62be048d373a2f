"""The app's spec for a place that is slower than a machine is: probes and deadlines take longer. Pure.

Periods, too, since a probe may not last longer than its period. How many answers count, and how long a release must be
well, stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from anytier.conformance.patch import merged
from anytier.spec.values import Duration

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
DEADLINES = ("healthyDeadline", "progressDeadline", "drainTimeout")
_DURATION: TypeAdapter[float] = TypeAdapter(Duration)


def paced(spec: Mapping[str, Any], pace: float) -> dict[str, Any]:
    """`spec` as it is at pace 1; nothing that is passed in is changed."""
    if pace == 1:
        return dict(spec)
    patch = {
        "workloads": {name: _workload(body, pace) for name, body in spec["workloads"].items()},
        "jobs": {name: _job(body, pace) for name, body in spec.get("jobs", {}).items()},
    }
    return merged(spec, patch)


def _workload(body: Mapping[str, Any], pace: float) -> dict[str, Any]:
    update = {name: longer(text, pace) for name, text in body.get("update", {}).items() if name in DEADLINES}
    return {"containers": _containers(body, pace), "update": update}


def _job(body: Mapping[str, Any], pace: float) -> dict[str, Any]:
    return {"timeout": longer(body["timeout"], pace)} if "timeout" in body else {}


def _containers(body: Mapping[str, Any], pace: float) -> dict[str, Any]:
    return {name: _container(item, pace) for name, item in body["containers"].items()}


def _container(body: Mapping[str, Any], pace: float) -> dict[str, Any]:
    found: dict[str, Any] = {name: _probe(body[name], pace) for name in PROBES if name in body}
    return found | ({"stopGracePeriod": longer(body["stopGracePeriod"], pace)} if "stopGracePeriod" in body else {})


def _probe(probe: Mapping[str, Any], pace: float) -> dict[str, Any]:
    seconds = {"periodSeconds": 10, "timeoutSeconds": 1, "initialDelaySeconds": 0}
    return {field: math.ceil(probe.get(field, usual) * pace) for field, usual in seconds.items()}


def longer(duration: Any, pace: float) -> str:
    """A duration of the spec (`10s`, `1500ms`, a number of seconds), so many times."""
    return f"{_DURATION.validate_python(duration) * pace * 1000:.0f}ms"
