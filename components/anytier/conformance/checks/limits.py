"""Resource limits in force, seen from what happens when they are passed."""

from __future__ import annotations

import http.client

from anytier.conformance.check import expect
from anytier.conformance.patch import container
from anytier.conformance.trial import Trial


def memory(trial: Trial) -> str:
    """Within the limit of 128 MiB an allocation works; 300 MiB are refused, or the instance is killed and restarted."""
    trial.settle()
    before = trial.replicas(2)
    small = trial.post("/alloc?mb=40")
    expect(small["allocated"], "40 MiB of 128 were refused")
    victim = {}
    try:
        victim = trial.request("/alloc?mb=300", method="POST", timeout=30).content
        status = "refused" if not victim.get("allocated") else "granted"
    except (OSError, http.client.HTTPException):
        status = "killed"
    except AttributeError:  # the proxy's own answer for an upstream that went away
        status = "killed"
    expect(status != "granted", "300 MiB were granted to an instance whose limit is 128 MiB")
    if status == "killed":
        gone = trial.until(lambda: set(before_starts(trial)) != {r["started"] for r in before.values()}, 15)
        expect(gone, "nobody was restarted after running out of memory")
    trial.replicas(2, 15 + trial.backoff)
    return f"limit 128 MiB: 40 granted, 300 {status}, two replicas serve"


def before_starts(trial: Trial) -> list[float]:
    return [report["started"] for report in trial.replicas(2, 15 + trial.backoff).values()]


def cpu(trial: Trial) -> str:
    trial.up(container("late", {"resources": {"limits": {"cpu": "0.3"}}, "variables": {"CONF_START_DELAY": "1"}}))
    got = trial.post("/late/burn?seconds=2", timeout=30)["cores"]
    expect(got < 0.45, f"an instance limited to 0.3 cores got {got:.2f}")
    return f"limit 0.3 cores: got {got:.2f}"
