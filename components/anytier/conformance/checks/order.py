"""What comes before what: dependsOn, jobs, init containers and sidecars."""

from __future__ import annotations

import json
from typing import Any

from anytier.conformance.check import expect, same
from anytier.conformance.checks.release import LIGHT, starts
from anytier.conformance.patch import Patch, behaviour, version, workload
from anytier.conformance.trial import Trial

SIDE = {
    "containers": {
        "first": {
            "build": {"context": "."},
            "args": ["python3", "app.py", "mark", "init-done"],
            "user": "10001",
            "volumes": {"/data": {"source": "${resources.side}"}},
            "before": {"helper": {"ready": "complete"}, "side": {"ready": "complete"}},
        },
        "helper": {
            "build": {"context": "."},
            "args": ["python3", "app.py", "tick", "ticks"],
            "user": "10001",
            "volumes": {"/data": {"source": "${resources.side}"}},
            "before": {"side": {"ready": "started"}},
        },
        "side": {
            "build": {"context": "."},
            "args": ["python3", "app.py", "serve"],
            "user": "10001",
            "variables": {"CONF_VERSION": "v1"},
            "volumes": {"/data": {"source": "${resources.side}"}},
            "readinessProbe": {"httpGet": {"path": "/health/ready", "port": 8080}, "periodSeconds": 1},
        },
    },
    "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
}


def depends_on(trial: Trial) -> str:
    """On the first deploy: store was ready before app started, app before late. The clock is one machine's."""
    chain = trial.first
    expect(bool(chain), "the first deploy was not seen")
    for earlier, later in (("store", "app"), ("app", "late")):
        ready, started = chain[earlier]["readyAt"], chain[later]["started"]
        expect(ready is not None, f"{earlier} was never asked whether it is ready")
        expect(ready <= started, f"{later} started {ready - started:.2f} s before {earlier} was ready")
    gap = chain["app"]["started"] - chain["store"]["readyAt"]
    return f"app started {gap:.1f} s after store was ready; late after app"


def jobs(trial: Trial) -> str:
    """preDeploy ran before the workloads of its release, postDeploy after; both run again for the next release."""
    trial.ready()
    first = {name: marks(trial, name) for name in ("job-before", "job-after")}
    for name, found in first.items():
        expect(found, f"{name} has left no mark on the volume")
    run = trial.up(version("app", "v6"), job_version("before", "v6"), job_version("after", "v6"))
    before, after = (marks(trial, name)[-1] for name in ("job-before", "job-after"))
    same((before["version"], after["version"]), ("v6", "v6"), "versions of the jobs' last runs")
    oldest = min(starts(trial, 2))
    expect(before["at"] < oldest, f"preDeploy ended {before['at'] - oldest:.1f} s after app had started")
    expect(after["at"] > max(starts(trial, 2)), "postDeploy ran before app was up")
    return (
        f"preDeploy {oldest - before['at']:.1f} s before, postDeploy after the new version ({run.seconds:.1f} s in all)"
    )


def failing_job(trial: Trial) -> str:
    """A preDeploy job that fails stops the release before it touches anything."""
    trial.settle()
    before = starts(trial, 2)
    broken: Patch = {"jobs": {"before": {"containers": {"before": {"variables": {"CONF_BEHAVIOUR": "exit"}}}}}}
    with trial.load(LIGHT) as load:
        run = trial.up(behaviour("app", ""), broken, fails=True)
    expect(run.code != 0, "a failed preDeploy job did not fail the release", run.tail())
    expect("told to exit at once" in run.output, "the message does not have the job's last words", run.tail())
    same(starts(trial, 2), before, "start times of what serves")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    return f"exit {run.code}, with the job's last words; app untouched"


def init_and_sidecar(trial: Trial) -> str:
    """A workload of three containers: init, then sidecar, then the app; all see one volume."""
    side: dict[str, Any] = json.loads(json.dumps(SIDE))
    routes = [*trial.base["routes"], {"path": "/side", "workload": "side", "port": "http", "stripPrefix": True}]
    trial.up(workload("side", side), {"resources": {"side": {"type": "volume"}}, "routes": routes})
    report = trial.get("/side/report")
    init = json.loads(trial.get("/side/volume/init-done")["content"].splitlines()[-1])
    ticks = [json.loads(line) for line in trial.get("/side/volume/ticks")["content"].splitlines()]
    expect(init["at"] <= ticks[0]["at"], "the sidecar started before the init container had ended")
    expect(ticks[0]["at"] <= report["started"] + 1, "the app started long before its sidecar")
    expect(init["at"] <= report["started"], "the app started before the init container had ended")
    more = trial.get("/side/volume/ticks")["content"].splitlines()
    expect(len(more) >= len(ticks), "the sidecar does not run on")
    trial.up()
    return "init ended, then the sidecar ran, then the app started"


def job_version(name: str, text: str) -> Patch:
    return {"jobs": {name: {"containers": {name: {"variables": {"CONF_VERSION": text}}}}}}


def marks(trial: Trial, name: str) -> list[dict[str, Any]]:
    answer = trial.request(f"/store/volume/{name}")
    return [json.loads(line) for line in answer.content["content"].splitlines()] if answer.status == 200 else []
