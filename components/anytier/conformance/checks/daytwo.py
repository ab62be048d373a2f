"""Day two: the verbs that look at what runs, the same on every tier."""

from __future__ import annotations

import json

from anytier.conformance.check import expect, same
from anytier.conformance.trial import Trial


def day_two(trial: Trial) -> str:
    """`status` agrees with what answers, `logs` shows what the app printed, `exec` runs beside it, exit code too."""
    trial.settle()
    rows = {row["workload"]: row for row in json.loads(trial.anytier("status", "--json").output)}
    same(set(rows), {"app", "store", "echo", "late"}, "workloads in status")
    same(rows["app"]["replicas"], {"wanted": 2, "ready": 2}, "replicas of app")
    states = {(item["state"], item["health"]) for item in rows["app"]["instances"]}
    same(states, {("running", "healthy")}, "state and health of app's instances")
    said = trial.anytier("logs", "app").output
    expect("version v1 listens on port" in said, "logs do not show what the app printed at its start", said[-1500:])
    inside = trial.anytier("exec", "store", "--", "python3", "app.py", "probe", "ready")
    expect(not inside.output.strip(), f"a probe run beside store says {inside.output!r}")
    told = trial.anytier("exec", "app", "--", "sh", "-c", "echo $CONF_NAME; exit 7", fails=True)
    same((told.code, told.output.strip()), (7, "conformance"), "exit code and output of a command run beside app")
    return "status agrees with what answers; logs; exec has the app's environment and the command's exit code"
