"""Probes and self-healing: what happens when an instance says that it is unwell, or is killed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from anytier.conformance.check import Failed, expect, same
from anytier.conformance.load import Shape
from anytier.conformance.trial import Trial

LIGHT = Shape(kept=2, fresh=1, slow=0)
HEALED_WITHIN = 20.0
GRPC_PORT = 9091


def startup(trial: Trial) -> str:
    """`late` fails its liveness for four seconds, with a threshold of one: asked too early, it would never come up."""
    trial.settle()
    report = trial.report("late")
    expect(time.time() - report["started"] > 4, "late serves before its startup probe can have succeeded")
    time.sleep(1.5)
    same(trial.report("late")["started"], report["started"], "start time of late, a moment later")
    return "liveness, failing for the first 4 s, was not asked before startup had succeeded"


def readiness(trial: Trial) -> str:
    """An instance that says it is not ready gets no requests, is not restarted, and comes back."""
    trial.settle()
    before = trial.replicas(2)
    chosen = trial.post(f"/fail-health?kind=ready&seconds={9 * trial.pace:g}")["instance"]
    other = next(name for name in before if name != chosen)
    alone = trial.until(lambda: {trial.get("/")["instance"] for _ in range(12)} == {other}, seconds=7)
    expect(alone, f"{chosen} is not ready and still gets requests after {7 * trial.pace:.0f} s")
    with trial.load(LIGHT) as load:
        back = trial.until(lambda: chosen in {trial.get("/")["instance"] for _ in range(6)}, seconds=15)
    expect(back, f"{chosen} is ready again and gets no requests after {15 * trial.pace:.0f} s")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    after = trial.replicas(2)
    same(after[chosen]["started"], before[chosen]["started"], "start time of the instance that was not ready")
    return f"taken out, put back, not restarted; {load.outcome.text()}"


def liveness(trial: Trial) -> str:
    """An instance that says it is not alive is restarted; the other is left alone."""
    trial.settle()
    before = trial.replicas(2)
    chosen = trial.post("/fail-health?kind=live&seconds=600")["instance"]
    took = restarted(trial, before, chosen)
    return f"httpGet: restarted and serving again after {took:.1f} s, the other replica untouched"


def liveness_exec(trial: Trial) -> str:
    trial.settle()
    before = trial.report("store")
    trial.post("/store/fail-health?kind=live&seconds=600")
    took = came_back(trial, "store", before)
    return f"exec: restarted and serving again after {took:.1f} s"


def tcp_probe(trial: Trial) -> str:
    """The readiness of `echo` is a tcpSocket probe: the wrong port must fail the release."""
    from anytier.conformance.patch import container

    trial.settle()
    before = trial.report("echo")
    closed = {"readinessProbe": {"tcpSocket": {"port": 9999}}, "variables": {"CONF_VERSION": "bad"}}
    run = trial.up(container("echo", closed), fails=True)
    expect(run.code != 0, "a release whose tcpSocket probe finds no listener was taken for good", run.tail())
    expect("9999" in run.output, "the message does not name the port that the probe asked", run.tail())
    after = trial.report("echo")
    same(after["version"], before["version"], "version of echo that serves")
    trial.settle()
    same(trial.get("/peer/echo?send=ping")["answer"], "ping", "answer of echo afterwards")
    return f"an open port passes; a closed one failed the release after {run.seconds:.1f} s, version v1 serves on"


def grpc_probe(trial: Trial) -> str:
    """Readiness and liveness asked by gRPC's own health protocol: they let the instance serve, and restart it."""
    from anytier.conformance.patch import container

    trial.ready()
    asked = {
        f"{name}Probe": {"httpGet": None, "grpc": {"port": GRPC_PORT, "service": service}}
        for name, service in (("readiness", "ready"), ("liveness", "live"))
    }
    trial.up(container("app", {**asked, "variables": {"CONF_GRPC_PORT": str(GRPC_PORT)}}))
    before = trial.replicas(2)
    chosen = trial.post("/fail-health?kind=live&seconds=600")["instance"]
    took = restarted(trial, before, chosen)
    return f"let it serve; restarted and serving again after {took:.1f} s, the other replica untouched"


def heal_process(trial: Trial) -> str:
    trial.settle()
    before = trial.replicas(2)
    chosen = next(iter(before))
    trial.place.kill_process(trial.ns, before[chosen])
    took = restarted(trial, before, chosen)
    return f"kill -9 of the process: serving again after {took:.1f} s"


def heal_instance(trial: Trial) -> str:
    trial.settle()
    before = trial.replicas(2)
    chosen = next(iter(before))
    trial.place.kill_instance(trial.ns, before[chosen])
    took = restarted(trial, before, chosen)
    what = "the container's first process" if trial.place.containers else "the whole process group"
    return f"kill -9 of {what}: serving again after {took:.1f} s"


def restarted(trial: Trial, before: dict[str, dict[str, Any]], chosen: str) -> float:
    """Seconds until both replicas serve again, the chosen one with a new process and the other with its old one."""
    start = time.monotonic()

    def healed() -> bool:
        with suppress(Failed):
            now = {report["started"] for report in trial.replicas(len(before), seconds=3).values()}
            return others <= now and before[chosen]["started"] not in now
        return False

    others = {report["started"] for name, report in before.items() if name != chosen}
    expect(trial.until(healed, HEALED_WITHIN), f"{chosen} is not restarted within {HEALED_WITHIN:.0f} s")
    return time.monotonic() - start


def came_back(trial: Trial, name: str, before: dict[str, Any]) -> float:
    start = time.monotonic()

    def healed() -> bool:
        with suppress(Failed):
            return bool(trial.report(name)["started"] > before["started"])
        return False

    expect(trial.until(healed, HEALED_WITHIN), f"{name} is not restarted within {HEALED_WITHIN:.0f} s")
    return time.monotonic() - start
