"""How each figure is taken, one function a step. Each leaves both instances serving, for the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from anytier.conformance.check import Failed, expect, same
from anytier.conformance.load import Shape, Target
from anytier.conformance.places.base import Report, Weighed, Weight
from anytier.measure import rate
from anytier.measure.figures import MAKES
from anytier.measure.session import REPLICAS, Session

APP = "anytier:index:App"
STEADY = Shape(kept=4, fresh=2, slow=3)
SETTLED, WINDOW = 5.0, 10.0  # seconds at pace 1: before a place is looked at, and between two looks
HEALED_WITHIN = 60.0  # seconds at pace 1
EVERY = 0.02  # seconds between two requests to an app that is awaited
MIB = 1024 * 1024


def deploy(session: Session) -> None:
    """Where the tier makes the place, that is once, and `deploy` is the rest of that run; else the app goes between two
    samples, and whatever was built or pulled for the first is there for the next."""
    trial = session.trial
    makes = trial.place.tier in MAKES
    for index in session.rounds():
        if index:
            trial.pulumi("destroy", "--yes", "--skip-preview")
        begun = time.time()
        run = trial.up(session.patch())
        trial.replicas(REPLICAS)
        place = made_after(begun, trial.urns()) if makes else None
        if place is not None:
            session.take("create", place)
        session.take("deploy", max(0.0, run.seconds - (place or 0.0)))
        if makes:
            return


def made_after(begun: float, resources: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Seconds until the last thing of the place was there; None where there is none, or nothing says when.

    `begun`: seconds since the epoch, on the machine on which the engine ran.
    """
    times = [
        datetime.fromisoformat(item["created"]).timestamp()
        for urn, item in resources.items()
        if item.get("custom") and item.get("created") and not item["type"].startswith("pulumi:")
        if not any(resources[one]["type"] == APP for one in above(urn, resources))
    ]
    return max(times) - begun if times else None


def above(urn: str, resources: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """The URNs of a resource's parents, the nearest first."""
    while (parent := resources[urn].get("parent")) and parent in resources:
        yield parent
        urn = parent


def no_op(session: Session) -> None:
    trial = session.trial
    for _ in session.rounds():
        run = trial.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
        session.take("noop", run.seconds)


def platform(session: Session) -> None:
    """Two looks at the processes that are the platform's, with nothing asked of the app in between but its probes."""
    trial = session.trial
    if not isinstance(trial.place, Weighed):
        raise Failed(f"nobody can look at what runs beside the app on tier {trial.place.tier}")
    time.sleep(SETTLED * trial.pace)
    for _ in session.rounds():
        before, start = trial.place.platform(trial.ns), time.monotonic()
        time.sleep(WINDOW * trial.pace)
        after, took = trial.place.platform(trial.ns), time.monotonic() - start
        expect(after, "no process of the platform was found")
        memory = by_name((weight.name, weight.memory / MIB) for weight in after.values())
        cpu = by_name((after[key].name, 100 * used / took) for key, used in spent(before, after).items())
        session.take("platform.memory", sum(memory.values()), kind_of_memory(after.values()), memory)
        session.take("platform.cpu", sum(cpu.values()), f"over {took:.0f} s, health probes included", cpu)


def spent(before: Mapping[str, Weight], after: Mapping[str, Weight]) -> dict[str, float]:
    """Seconds of each process that is there now. One that ended in between is in its parent's."""
    return {key: max(0.0, now.cpu - (before[key].cpu if key in before else 0.0)) for key, now in after.items()}


def by_name(items: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Added up, the greatest first."""
    found: dict[str, float] = {}
    for name, value in items:
        found[name] = found.get(name, 0.0) + value
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def kind_of_memory(weights: Iterable[Weight]) -> str:
    if all(weight.shares for weight in weights):
        return "of pages that several processes have, each one's share (PSS)"
    return "all that is resident (RSS), as this user may not see shares: pages that several have count for each"


def requests(session: Session) -> None:
    trial = session.trial
    try:
        target = Target(trial.place.address, trial.port, getattr(trial.place, "network", None))
    except ValueError as error:  # a cluster that is somewhere else
        raise Failed(str(error)) from None
    rate.take(target, 1.0, pace=trial.pace)  # so that connections and caches are what they are later
    for _ in session.rounds():
        found = rate.take(target, pace=trial.pace)
        session.take("requests", found.per_second, found.note())


def update(session: Session) -> None:
    trial = session.trial
    for _ in session.rounds():
        try:
            with trial.load(STEADY) as load:
                run = session.renew()
        except ValueError as error:
            raise Failed(str(error)) from None
        served = {report["version"] for report in trial.replicas(REPLICAS).values()}
        same(served, {f"v{session.number}"}, "versions that serve")
        expect(load.outcome.total, "nobody asked the app for anything while it was updated")
        session.take("update", run.seconds, "waits minHealthyTime, 1.5 s, for each instance, as the spec asks")
        session.take("update.lost", len(load.outcome.lost), f"the last time {load.outcome.text()}")


def killed_process(session: Session) -> None:
    recovery(session, "recovery.process", session.trial.place.kill_process)


def killed_instance(session: Session) -> None:
    recovery(session, "recovery.instance", session.trial.place.kill_instance)


def recovery(session: Session, name: str, kill: Callable[[str, Report], None]) -> None:
    """From before the kill, whose own way there counts too, until an instance answers that was not there before."""
    trial = session.trial
    for _ in session.rounds():
        report, known = session.untouched()
        start = time.monotonic()
        kill(trial.ns, report)
        took = replaced(session, known, start)
        trial.replicas(REPLICAS, seconds=HEALED_WITHIN)
        session.take(name, took)


def replaced(session: Session, known: set[float], start: float) -> float:
    """Seconds since `start` until somebody new answers. Failed where nobody does."""
    trial = session.trial
    while time.monotonic() - start < HEALED_WITHIN * trial.pace:
        with suppress(Failed):
            if float(trial.report()["started"]) not in known:
                return time.monotonic() - start
        time.sleep(EVERY)
    raise Failed(f"no new instance answered within {HEALED_WITHIN * trial.pace:.0f} s")
