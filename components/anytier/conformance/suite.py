"""Runs the checks on one stack's place, in order, and cleans up whatever happens. Knows no single check."""

from __future__ import annotations

import importlib
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from anytier.capabilities import lookup
from anytier.conformance import report
from anytier.conformance.check import Check, Failed, Result
from anytier.conformance.registry import CHECKS, FIRST, LAST
from anytier.conformance.trial import Trial
from anytier.errors import AnytierError, ConfigError

Say = Callable[[str], None]


def chosen(only: Sequence[str]) -> list[Check]:
    """All checks, or the named ones with the first deploy before and destroy after them."""
    known = [check.id for check in CHECKS]
    for name in only:
        if name not in known:
            raise ConfigError("--only", f"there is no check {name!r}", f"one of {', '.join(known)}")
    return [check for check in CHECKS if not only or check.id in {*only, FIRST, LAST}]


def run(trial: Trial, checks: Sequence[Check], say: Say, keep: bool = False, colour: bool = False) -> list[Result]:
    """The results, in order. An interruption still destroys what was made."""
    results: list[Result] = []
    try:
        make(trial)
    except BaseException:
        trial.forget()
        raise
    try:
        for check in checks:
            if check.id == LAST:
                continue
            results.append(judge(trial, check))
            tell(results[-1], say, colour)
        trial.versions = versions(trial)
    finally:
        if keep:
            say(f"kept: stack {trial.name} at port {trial.port}, state and passphrase in {trial.folder}")
            trial.keep()
        else:
            results += [take_down(trial, check, say, colour) for check in checks if check.id == LAST]
    return results


def take_down(trial: Trial, check: Check, say: Say, colour: bool) -> Result:
    """Destroys, and looks at what is left. However that ends: only of what is gone is the state forgotten."""
    gone = False
    try:
        result = judge(trial, check)
        tell(result, say, colour)
        gone = result.status != "fail"
        return result
    finally:
        if gone:
            trial.forget()
        else:
            say(f"  {trial.folder} holds the state of what could not be destroyed")
            trial.keep()


def make(trial: Trial) -> None:
    """The throw-away stack; without it there is nothing to check."""
    try:
        trial.make()
    except Failed as failed:
        raise AnytierError(
            "conformance", failed.what, "run `anytier doctor`, mend what it names, then run again"
        ) from None


def judge(trial: Trial, check: Check) -> Result:
    """Run one check. Only the capability table can make it unsupported."""
    start = time.monotonic()
    for field in check.fields:
        path, _, value = field.partition("=")
        cell = lookup(path, trial.place.tier, trial.place.mode, value or None)
        if not cell.carried:
            return Result(check, "unsupported", f"{field}: {cell.note}", time.monotonic() - start)
    try:
        return Result(check, "pass", function(check)(trial), time.monotonic() - start)
    except Failed as failed:
        return Result(check, "fail", failed.what, time.monotonic() - start, failed.detail)
    except Exception as error:  # a defect of the check, or something it had not thought of: one failure, not the end
        what = f"{type(error).__name__}: {error}"
        return Result(check, "fail", what, time.monotonic() - start, traceback.format_exc())


def function(check: Check) -> Callable[[Trial], str]:
    module, _, name = check.run.partition(":")
    found: Callable[[Trial], str] = getattr(importlib.import_module(f"anytier.conformance.{module}"), name)
    return found


def tell(result: Result, say: Say, colour: bool) -> None:
    say(report.line(result, colour))
    if result.detail:
        say(report.detail(result))


def environment(trial: Trial, stack: str) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("anytier")
    except PackageNotFoundError:
        own = "from source"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "stack": stack,
        "tier": trial.place.tier,
        "mode": trial.place.mode,
        "anytier": own,
        "pulumi": trial.run(("pulumi", "version"), fails=True).output.strip().splitlines()[-1],
        "python": platform.python_version(),
        "platform": sys.platform,
        **(trial.versions or versions(trial)),
    }


def versions(trial: Trial) -> dict[str, str]:
    """What the place is made of, asked while it is there: a stack that makes its machines takes them away again."""
    try:
        return trial.place.versions()
    except (AnytierError, Failed):  # one that does not answer has failed its checks
        return {}
