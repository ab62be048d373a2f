"""Releases: scale, rolling update under load, rollback, and bad releases that must leave the old version serving."""

from __future__ import annotations

from anytier.conformance.check import expect, same
from anytier.conformance.load import Shape
from anytier.conformance.patch import (
    Patch,
    behaviour,
    container,
    merged,
    replicas,
    version,
    workload,
)
from anytier.conformance.trial import Run, Trial

STEADY = Shape(kept=4, fresh=2, slow=3)
LIGHT = Shape(kept=2, fresh=1, slow=1)
ONE_BY_ONE: Patch = workload("app", {"update": {"maxParallel": 1}})


def scale(trial: Trial) -> str:
    """Up and down by the verb and by the spec; those who stay are not touched."""
    trial.settle()
    before = starts(trial, 2)
    with trial.load(LIGHT) as load:
        trial.deployed = None  # whatever becomes of this: what comes next begins with the spec's own number again
        try:
            trial.anytier("scale", "app=4")
            more = starts(trial, 4)
        finally:
            trial.pulumi("config", "rm", "--path", "anytier:scale.app")
        expect(before <= more, "scaling out has restarted instances")
        trial.up(replicas("app", 3))
        expect(starts(trial, 3) <= more, "scaling in has started instances")
        trial.up()
        same(starts(trial, 2) <= more, True, "the instances that stay are old ones")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    return f"2 -> 4 by `anytier scale`, -> 3 -> 2 by the spec; {load.outcome.text()}"


def rolling(trial: Trial) -> str:
    trial.settle()
    before = starts(trial, 2)
    with trial.load(STEADY) as load:
        run = trial.up(version("app", "v2"), ONE_BY_ONE)
    after = trial.replicas(2)
    same({report["version"] for report in after.values()}, {"v2"}, "versions that serve")
    expect(not before & {report["started"] for report in after.values()}, "an old instance still serves")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    same(sorted(load.outcome.versions), ["v1", "v2"], "versions seen by the load")
    return f"v1 -> v2 in {run.seconds:.1f} s; {load.outcome.text()}; slowest {load.outcome.slowest * 1000:.0f} ms"


def drains(trial: Trial) -> str:
    """Requests that take five seconds, always some under way: each is answered whole by the version that took it."""
    trial.ready()
    old = trial.report()["version"]
    with trial.load(Shape(kept=0, fresh=0, slow=8, slow_ms=5000)) as load:
        trial.up(version("app", "v7"), ONE_BY_ONE)
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    same(sorted(load.outcome.versions), sorted({old, "v7"}), "versions seen by the load")
    same({report["version"] for report in trial.replicas(2).values()}, {"v7"}, "versions that serve")
    return f"{load.outcome.versions[old]} requests of 5 s answered by {old}, {load.outcome.versions['v7']} by v7"


def fixed_port(trial: Trial) -> str:
    """Two copies cannot hold one port: the old one goes first, and the address stays."""
    trial.settle()
    old = trial.report("echo")
    run = trial.up(version("echo", "v2"))
    new = trial.report("echo")
    same((old["version"], new["version"]), ("v1", "v2"), "versions before and after")
    same(trial.get("/peer/echo?send=ping")["answer"], "ping", "answer of the new version")
    return f"a TCP port that nobody shares: v1 -> v2 in {run.seconds:.1f} s"


def killed_run(trial: Trial) -> str:
    """kill -9 of engine and plugin in the midst of a rollout: all is served, and the next run goes on from there."""
    trial.ready()
    with trial.load(LIGHT) as load:
        trial.killed_up(merged(version("app", "v9"), ONE_BY_ONE), lambda: bool(load.outcome.versions.get("v9")))
        trial.pulumi("cancel", "--yes")
        run = trial.up(version("app", "v9"), ONE_BY_ONE)
    same({report["version"] for report in trial.replicas(2).values()}, {"v9"}, "versions that serve")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    trial.preview("--refresh", "--expect-no-changes")
    return f"killed at the first answer of the new version; the next up took {run.seconds:.1f} s; {load.outcome.text()}"


def volume(trial: Trial) -> str:
    """Data outlive the process that wrote them; the old one is stopped by its own signal before the new one starts."""
    trial.ready()
    trial.get("/store/volume/kept", method="PUT", body=b"written by v1")
    old = trial.report("store")
    trial.up(version("store", "v2"))
    new = trial.report("store")
    same(new["version"], "v2", "version of store")
    same(trial.get("/store/volume/kept")["content"], "written by v1", "what was on the volume")
    expect(new["started"] > old["started"], "store was not replaced")
    return "a file written by v1 is read by v2"


def stopping(trial: Trial) -> str:
    """stopSignal, postStart and preStop leave marks on the volume."""
    trial.ready()
    trial.up(version("store", "v3"))
    files = set(trial.get("/store/volume")["files"])
    missing = {"post-start", "pre-stop", "stopped-by-SIGUSR1"} - files
    expect(not missing, f"not on the volume: {', '.join(sorted(missing))}; there is {', '.join(sorted(files))}")
    return "stopped by SIGUSR1; preStop and postStart have run"


def recreate(trial: Trial) -> str:
    trial.ready()
    run = trial.up(version("app", "v4"), workload("app", {"update": {"strategy": "recreate"}}))
    same({report["version"] for report in trial.replicas(2).values()}, {"v4"}, "versions that serve")
    return f"all at once in {run.seconds:.1f} s"


def rollback(trial: Trial) -> str:
    """`anytier rollback` without a revision brings the last good one back, under load; the next up deploys the spec."""
    trial.ready()
    old = trial.report()["version"]
    trial.up(version("app", "v5"))
    with trial.load(LIGHT) as load:
        run = trial.anytier("rollback", "-w", "app")
    trial.deployed = None
    same({report["version"] for report in trial.replicas(2).values()}, {old}, "versions that serve after the rollback")
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    trial.up(version("app", "v5"))
    same({report["version"] for report in trial.replicas(2).values()}, {"v5"}, "versions after the next up")
    return f"v5 -> {old} in {run.seconds:.1f} s, {load.outcome.text()}; the next up is v5 again"


# --- bad releases ---------------------------------------------------------------------------------------------------


def missing_image(trial: Trial) -> str:
    image = {"build": None, "image": "127.0.0.1:9/anytier-test/missing:1"}
    absent = {"host": {"command": ["./no-such-program"]}}
    patch = container("app", image) if trial.place.containers else workload("app", absent)
    return bad(trial, patch, "127.0.0.1:9/anytier-test/missing" if trial.place.containers else "no-such-program")


def exits(trial: Trial) -> str:
    return bad(trial, behaviour("app", "exit"), "told to exit at once")


def never_healthy(trial: Trial) -> str:
    return bad(trial, behaviour("app", "never-healthy"), "503")


def dies(trial: Trial) -> str:
    """After it was found healthy, and before it was well for long enough."""
    gate = workload("app", {"update": {"minHealthyTime": f"{1500 * trial.pace:.0f}ms"}})
    return bad(trial, merged(behaviour("app", f"die-after={trial.pace:g}"), gate), "died after")


def wrong_port(trial: Trial) -> str:
    return bad(trial, behaviour("app", "wrong-port"), "refused", "connect", "8080")


def out_of_memory(trial: Trial) -> str:
    return bad(trial, behaviour("app", "oom"), "memory", "MemoryError", "OOM")


def bad_env(trial: Trial) -> str:
    return bad(trial, behaviour("app", "needs=CONF_NEEDED"), "CONF_NEEDED is not set")


def bad(trial: Trial, patch: Patch, *reasons: str) -> str:
    """Deploy a release that cannot work, under load: it fails and says why, and nobody has noticed it."""
    served = trial.served
    if served is None:
        trial.settle()
        served = starts(trial, 2)
    with trial.load(LIGHT) as load:
        run = trial.up(patch, fails=True)
    expect(run.code != 0, "the engine took a bad release for good", run.tail())
    expect(not load.outcome.lost, load.outcome.text(), load.outcome.losses())
    expect("bad" not in load.outcome.versions, f"the bad release got {load.outcome.versions.get('bad')} requests")
    same(starts(trial, 2), served, "start times of what serves")
    same({report["version"] for report in trial.replicas(2).values()}, {"v1"}, "versions that serve")
    expect(any(reason in run.output for reason in reasons), f"the message does not say why ({reasons[0]})", run.tail())
    expect("Traceback" not in run.output.replace("  Traceback", ""), "a traceback reached the user", run.tail())
    trial.served = served  # the next bad release need not deploy the good one first
    return f"exit {run.code} after {run.seconds:.1f} s; {line_with(run, reasons)}; {load.outcome.text()}"


def line_with(run: Run, reasons: tuple[str, ...]) -> str:
    line = next(line for line in run.output.splitlines() if any(reason in line for reason in reasons))
    return f"“{' '.join(line.split())[:110]}”"


def starts(trial: Trial, count: int) -> set[float]:
    """The start times of the serving processes: the same set means that nobody was restarted."""
    return {float(report["started"]) for report in trial.replicas(count).values()}
