"""Runs the steps on one stack's place, in order, and cleans up whatever happens. Knows no single step."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from anytier.conformance import suite as conformance
from anytier.conformance.check import Failed
from anytier.conformance.places.base import Weighed
from anytier.conformance.registry import CHECKS, LAST
from anytier.conformance.trial import Trial
from anytier.errors import AnytierError
from anytier.measure import steps as functions
from anytier.measure.figures import Step
from anytier.measure.lean import lean
from anytier.measure.record import Figure, Machine, Measurement
from anytier.measure.session import Session
from anytier.measure.table import Remarks

Say = Callable[[str], None]
ELSEWHERE = ("date", "stack", "tier", "mode")  # what the suite says of a run, and a measurement has fields for


@dataclass
class Taken:
    """What came of a run. `left`: why what was made is still there."""

    figures: dict[str, Figure] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)
    machine: Machine | None = None
    versions: dict[str, str] = field(default_factory=dict)
    left: str = ""

    @property
    def good(self) -> bool:
        return not (self.remarks.failed or self.left)


def run(trial: Trial, steps: Sequence[Step], repeat: int, seconds: float, stack: str, say: Say) -> Taken:
    """No sample is begun after `seconds`; what was made is taken down in any case, also after an interruption."""
    taken = Taken()
    failed: dict[str, str] = {}
    made = False
    try:
        conformance.make(trial)
        made = True
        trial.base = lean(trial.base)
        taken.machine, load = machine_of(trial)  # how busy it is before we make it so
        if busy(taken.machine, load):
            say(f"  the machine is busy, with a load of {load:g}: times will be longer than on a quiet one")
        session = Session(trial, repeat, time.monotonic() + seconds * trial.pace, say)
        for step in steps:
            why_not = attempt(step, session, say)
            if why_not:
                failed[", ".join(kind.name for kind in step.kinds)] = why_not
            if why_not and step is steps[0]:
                break  # there is nothing to ask anything of
        taken.machine = taken.machine or machine_of(trial)[0]
        taken.versions = versions_of(trial, stack)
        taken.figures = session.figures()
        taken.remarks = Remarks(session.notes, session.parts, failed, load)
    finally:
        taken.left = clean_up(trial, made, say)
    return taken


def attempt(step: Step, session: Session, say: Say) -> str:
    """Why the step failed; empty if it did not. What failed half way has given no figure."""
    try:
        getattr(functions, step.run)(session)
    except Failed as failed:
        why, detail = failed.what, failed.detail
    except AnytierError as error:
        why, detail = str(error), ""
    except Exception as error:  # a defect of the step: one failure, not the end
        why, detail = f"{type(error).__name__}: {error}", traceback.format_exc()
    else:
        return ""
    for kind in step.kinds:
        session.drop(kind.name)
    say(f"  FAILED {', '.join(kind.name for kind in step.kinds)}: {why}")
    for line in detail.splitlines():
        say(f"         | {line}")
    return why


def clean_up(trial: Trial, made: bool, say: Say) -> str:
    """Destroy as the conformance suite does, which also looks for what is left; empty, or why it is still there."""
    if not made:
        trial.forget()
        return ""
    last = next(check for check in CHECKS if check.id == LAST)
    result = conformance.judge(trial, last)
    if result.status == "fail":
        trial.keep()
        say(f"  {trial.folder} holds the state of what could not be destroyed: {result.evidence}")
        return result.evidence
    trial.forget()
    return ""


def machine_of(trial: Trial) -> tuple[Machine | None, float | None]:
    """The machine and its load; nothing where the place cannot tell, or is not there yet."""
    if not isinstance(trial.place, Weighed):
        return None, None
    try:
        found = trial.place.machine()
        load = found.pop("load", None)
        return Machine.model_validate(found), load
    except (AnytierError, Failed, OSError, ValueError):
        return None, None


def busy(machine: Machine | None, load: float | None) -> bool:
    """Whether others take more than half of it."""
    return machine is not None and load is not None and load > machine.cores / 2


def versions_of(trial: Trial, stack: str) -> dict[str, str]:
    """Asked while the place is there: a stack that makes its machines takes them away again."""
    found = {key: value for key, value in conformance.environment(trial, stack).items() if key not in ELSEWHERE}
    return {key: str(value) for key, value in found.items()}


def measurement(trial: Trial, stack: str, taken: Taken) -> Measurement:
    return Measurement(
        stack=stack,
        tier=trial.place.tier,
        mode=trial.place.mode,
        date=datetime.now(UTC).replace(microsecond=0),
        machine=taken.machine,
        versions=taken.versions,
        figures=taken.figures,
    )


def refuse_without_login(tier: str, config: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
    """ConfigError on a cloud's tier where nobody is logged in to it: nothing could be made there."""
    from anytier.doctor.managed import NEEDS

    if tier in NEEDS:
        needs = NEEDS[tier]
        credentials = import_module(needs.credentials).CREDENTIALS
        here = (environ, Path.home(), config, needs.config)
        nobody = credentials.missing(*here) or credentials.halfway(*here)
        if nobody:
            raise nobody
