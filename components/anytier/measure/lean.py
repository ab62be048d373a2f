"""The app that is measured: of the conformance app only `app`, so that what is timed is the place. Pure.

It keeps its two instances behind a route, variables, files, secrets, HTTP probes and `minHealthyTime`. What goes is
what makes the suite wait on purpose: the slow starter, the jobs, the probes by command, and what depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.conformance.patch import merged

NAME = "app"
PEERS = ("CONF_PEER_ECHO", "CONF_PEER_STORE")


def lean(spec: Mapping[str, Any]) -> dict[str, Any]:
    """`spec` is the conformance app's; nothing that is passed in is changed."""
    own = {"dependsOn": None, "containers": {NAME: {"variables": dict.fromkeys(PEERS)}}}
    kept = merged(spec["workloads"][NAME], own)
    rest = {key: value for key, value in spec.items() if key not in ("workloads", "jobs", "resources", "routes")}
    return {**rest, "workloads": {NAME: kept}, "routes": [{"path": "/", "workload": NAME, "port": "http"}]}
