"""Which figures there are, in the order in which they are taken and shown. A literal table; a test walks it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anytier.errors import UsageError
from anytier.measure.record import Of
from anytier.suggest import did_you_mean


@dataclass(frozen=True)
class Kind:
    """A figure. `label`: its name for people, `title`: what exactly it is; `of`: which sample stands for all."""

    name: str
    unit: str
    label: str
    title: str
    of: Of = "median"


@dataclass(frozen=True)
class Step:
    """What takes figures, one or several at once: `run` is a function in `steps`, which gets the session."""

    run: str
    kinds: tuple[Kind, ...]


STEPS: tuple[Step, ...] = (
    Step(
        "deploy",
        (
            Kind("create", "s", "machines and cluster are made", "the place is made: machines, cluster"),
            Kind("deploy", "s", "the app comes", "the first `pulumi up` of the app there, until all of it serves"),
        ),
    ),
    Step("no_op", (Kind("noop", "s", "a run that changes nothing", "a `pulumi up` that changes nothing"),)),
    Step(
        "platform",
        (
            Kind(
                "platform.memory",
                "MiB",
                "memory that the platform takes",
                "memory of all that runs there for the app and is not the app",
            ),
            Kind(
                "platform.cpu",
                "% of a core",
                "CPU that the platform takes",
                "what that computes while nobody asks the app for anything",
            ),
        ),
    ),
    Step(
        "requests",
        (
            Kind(
                "requests",
                "requests/s",
                "requests answered through its own way in",
                "answers of the app, through the place's own way in",
            ),
        ),
    ),
    Step(
        "update",
        (
            Kind(
                "update",
                "s",
                "a new version, under load",
                "a `pulumi up` with a new version: two instances, one after the other, under load",
            ),
            Kind(
                "update.lost",
                "requests",
                "requests lost meanwhile",
                "requests without a whole answer meanwhile",
                "worst",
            ),
        ),
    ),
    Step(
        "killed_process",
        (
            Kind(
                "recovery.process",
                "s",
                "serving again after the app's process is killed",
                "from kill -9 of the app's process until a new one serves",
            ),
        ),
    ),
    Step(
        "killed_instance",
        (
            Kind(
                "recovery.instance",
                "s",
                "serving again after a whole instance is killed",
                "from kill -9 of a whole instance until a new one serves",
            ),
        ),
    ),
)
MAKES = ("libvirt", "kubeadm", "eks", "gke", "aks")  # tiers that make a place; on the others `create` is nothing
FIRST = STEPS[0]  # whatever is asked for, there must be something to ask it of
KINDS: dict[str, Kind] = {kind.name: kind for step in STEPS for kind in step.kinds}


def chosen(only: Sequence[str]) -> list[Step]:
    """All steps, or those that take the named figures, after the first. UsageError for a name that is none."""
    for name in only:
        if name not in KINDS:
            what = f"there is no figure {name!r}{did_you_mean(name, KINDS)}"
            raise UsageError("--only", what, f"one of {', '.join(KINDS)}")
    wanted = {kind.name for step in STEPS for kind in step.kinds if kind.name in only or not only}
    return [step for step in STEPS if step is FIRST or wanted & {kind.name for kind in step.kinds}]
