"""A trial that answers as a place would, without an engine: what is killed comes back, what is deployed serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from anytier.conformance.check import Failed
from anytier.conformance.load import Lost, Outcome
from anytier.conformance.places.base import Weight
from anytier.conformance.trial import Run


class Place:
    tier, mode, address = "local", "supervisord", "127.0.0.1"

    def __init__(self) -> None:
        self.looks = 0
        self.trial: Trial | None = None
        self.heals = True

    def versions(self) -> dict[str, str]:
        return {"machine": "one"}

    def kill_process(self, ns: str, report: Mapping[str, Any]) -> None:
        assert self.trial is not None
        self.trial.did.append(f"kill {report['instance']}")
        if self.heals:
            self.trial.start(str(report["instance"]))

    kill_instance = kill_process


class WeighedPlace(Place):
    def machine(self) -> dict[str, Any]:
        return {"cores": 2, "memory": 2048, "kernel": "6.1", "cpu": "one", "load": 0.1}

    def platform(self, ns: str) -> dict[str, Weight]:
        self.looks += 1
        return {
            "1.1": Weight("proxy", 10 << 20, 5.0 + self.looks),
            f"2.{self.looks}": Weight("shim", 1 << 20, 0.5),
            "3.1": Weight("shim", 2 << 20, 1.0),
        }


class Trial:
    """`did`: what was done to it. `fails`: a verb of the engine that does."""

    pace, port, ns, name, folder = 1.0, 1, "anytier-test", "anytier-test-0", "/nowhere"

    def __init__(self, place: Place | None = None, fails: str = "") -> None:
        self.place = place or Place()
        self.place.trial = self
        self.base: dict[str, Any] = {
            "workloads": {"app": {"containers": {"app": {"variables": {}}}, "dependsOn": {}}, "late": {}},
            "jobs": {},
        }
        self.did: list[str] = []
        self.fails = fails
        self.version = ""
        self.clock = 100.0
        self.reports: dict[str, dict[str, Any]] = {}
        self.resources: dict[str, dict[str, Any]] = {}
        self.lost = 0
        self.going = 0  # how often one more still answers after a version was replaced
        self.gone = 0
        self.versions: dict[str, str] = {}

    def make(self) -> None:
        self.note("make")

    def keep(self) -> None:
        self.did.append("keep")

    def forget(self) -> None:
        self.did.append("forget")

    def note(self, what: str) -> Run:
        self.did.append(what)
        if self.fails and what.startswith(self.fails):
            raise Failed(f"`pulumi {what}` ended with 255", "its output")
        return Run(what, 0, "v3\n", 2.0)

    def up(self, *patches: Mapping[str, Any]) -> Run:
        self.version = patches[-1]["workloads"]["app"]["containers"]["app"]["variables"]["CONF_VERSION"]
        run = self.note(f"up {self.version}")
        self.gone = self.going
        for name in ("a", "b"):
            self.start(name)
        return run

    def start(self, name: str) -> None:
        self.clock += 1
        self.reports[name] = {"instance": name, "started": self.clock, "version": self.version, "pid": 1}

    def pulumi(self, *args: str) -> Run:
        return self.note(args[0])

    def run(self, command: tuple[str, ...], fails: bool = False) -> Run:
        return Run(" ".join(command), 0, "v3.1", 0.1)

    def urns(self) -> dict[str, dict[str, Any]]:
        return self.resources

    def replicas(self, count: int = 2, seconds: float = 15) -> dict[str, dict[str, Any]]:
        if self.gone:
            self.gone -= 1
            raise Failed("3 instances answered, wanted 2")
        return dict(self.reports)

    def report(self) -> dict[str, Any]:
        return max(self.reports.values(), key=lambda report: report["started"])

    @contextmanager
    def load(self, shape: Any) -> Iterator[Any]:
        outcome = Outcome(sent={"keep-alive": 40})
        outcome.lost += [Lost("keep-alive", 0.1, "gone")] * self.lost
        yield SimpleNamespace(outcome=outcome)
