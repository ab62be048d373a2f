"""The hands on a daemon, without one: how long an instance has run, and what may be said of how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import Rejected
from anytier.provider.docker import driver, group, probes
from anytier.provider.docker.client import Daemon, Endpoint
from anytier.provider.docker.driver import DockerDriver
from anytier.provider.docker.models import ContainerInputs, Kept, Revision
from anytier.provider.judge import Answer
from anytier.render.template import Container, Probe, Template

WAITS = Probe(exec=["true"], initial_delay=5)
TEMPLATE = Template(containers=[Container(name="web", image="x", readiness=WAITS)])
FAR = ["1990-01-01T00:00:00.123456789Z", "2199-01-01T00:00:00.123456789Z"]


class Told(Daemon):
    """A daemon with one container of ours; its clock says `started`."""

    def __init__(self, started: str) -> None:
        super().__init__(Endpoint(), None)  # type: ignore[arg-type]
        self.started, self.restarts = started, 0

    async def call(self, method: str, path: str, *rest: Any, **more: Any) -> Any:
        marks = {"instance": "app-web-r1-0", "container": "web", "revision": "1", "index": "0", "hash": "h"}
        entry = {"Id": "c1", "State": "running", "Labels": {f"dev.anytier.{key}": text for key, text in marks.items()}}
        inspected = {"State": {"StartedAt": self.started, "Running": True}, "RestartCount": self.restarts}
        return [entry] if path == "containers/json" else inspected


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(driver, "monotonic", lambda: now[0])

    async def well(*asked: Any) -> Answer:
        return Answer(True, "")

    monkeypatch.setattr(probes, "ask", well)
    return now


def driver_of(there: Daemon, secrets: dict[str, str] | None = None) -> DockerDriver:
    revision = Revision(revision=1, hash="h", template=TEMPLATE, created_at=0)
    inputs = ContainerInputs(ns="app", network="app", template=TEMPLATE, secrets={"db": "the-new-one"})
    return DockerDriver(there, "web", inputs, {1: Kept(revision=revision, secrets=secrets or {})}, {})


@pytest.mark.parametrize("started", FAR, ids=["behind", "ahead"])
async def test_the_daemons_clock_need_not_be_ours(clock: list[float], started: str) -> None:
    made = driver_of(Told(started))
    healths = []
    for _ in range(4):
        healths.append((await made.observe())[0].state)
        clock[0] += 2
    assert healths == ["starting", "starting", "starting", "healthy"], "after 5 s, looked at every 2 s"


async def test_the_delay_begins_anew_with_another_start(clock: list[float]) -> None:
    there = Told(FAR[0])
    made = driver_of(there)
    await made.observe()
    clock[0] += 4
    there.started = FAR[1]
    await made.observe()
    clock[0] += 4
    assert (await made.observe())[0].state == "starting"
    clock[0] += 1
    assert (await made.observe())[0].state == "healthy"


async def test_the_secrets_of_a_kept_revision_are_hidden_too(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app may log what it was given; one from before a rotation was given something else than the inputs say."""

    async def ending(*asked: Any) -> str:
        return "its last log lines:\n  no login with the-old-one"

    async def refused(*asked: Any) -> None:
        raise Rejected("workloads.web", "ended with exit 1: no login with the-old-one", "mend it")

    made = driver_of(Told(FAR[0]), secrets={"db": "the-old-one"})
    monkeypatch.setattr(group, "ending", ending)
    monkeypatch.setattr(group, "start", refused)
    monkeypatch.setattr(made, "plan", ending)
    assert await made.why("app-web-r1-0") == "its last log lines:\n  no login with [secret]"
    with pytest.raises(Rejected, match=r"ended with exit 1: no login with \[secret\]"):
        await made.start(1, 0)
