"""`anytier compare`: stacks side by side for the same app, each figure with its source, without credentials."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anytier.measure.record import Measurement
    from anytier.recording.apart import Made
    from anytier.report.compare.model import Comparison
    from anytier.report.compare.recommend import Needs, Recommendation
    from anytier.report.compare.subject import Subject
    from anytier.spec import App

DEFAULT = ("kubeadm", "eks", "gke", "aks")
# As anytier.report.compare.recommend has them; a test holds the two together.
COMPLIANCE = ("own-hardware", "audit", "encryption", "sla", "network-policy")
_NEEDS = ("team", "budget", "compliance", "burst")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stacks", nargs="*", metavar="STACK", help=f"which stacks (default: {' '.join(DEFAULT)})")
    page = "also write one page to show to others: no script, nothing that is loaded from elsewhere"
    parser.add_argument("--html", metavar="FILE", help=page)
    own = "what one machine of yours costs a month, in dollars; without, its price is unknown"
    parser.add_argument("--machine-price", type=float, metavar="USD", help=own)
    parser.add_argument("--recommend", action="store_true", help="say which stack the needs below point to, and why")
    parser.add_argument("--team", type=int, metavar="N", help="need: how many people look after the platform")
    parser.add_argument("--budget", type=float, metavar="USD", help="need: the most that it may cost a month")
    kinds = ", ".join(COMPLIANCE)
    parser.add_argument(
        "--compliance",
        action="append",
        choices=COMPLIANCE,
        metavar="NEED",
        help=f"need, may be repeated: {kinds}",
    )
    times = "need: how many times the usual load may come within minutes"
    parser.add_argument("--burst", type=float, metavar="TIMES", help=times)
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for each plan (default 120)")
    parser.add_argument("--jobs", type=int, metavar="N", help="plans at the same time (default: the machine's cores)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable: every cell with its sources")
    form.add_argument("--markdown", action="store_true", help="tables for a page or a comment")


def run(args: argparse.Namespace) -> int:
    """1 where a stack has no plan, or none meets what is needed."""
    import datetime
    import sys

    from anytier.report.compare.recommend import recommend
    from anytier.report.compare.rows import compared

    needs = wanted(args)
    subjects = subjects_of(args)
    for item in subjects:
        for warning in item.warnings:
            print(f"warning: {item.stack}: {warning}", file=sys.stderr)
    found = compared(subjects, datetime.date.today(), args.machine_price)
    advice = recommend(found, needs) if needs is not None else None
    if args.html:
        write(found, advice, args.html)
    print(shown(found, advice, args))
    failed = any(item.errors for item in subjects) or (advice is not None and advice.best is None)
    return 1 if failed else 0


def wanted(args: argparse.Namespace) -> Needs | None:
    """What is needed; None where no recommendation is asked for. UsageError for what cannot be."""
    import math

    from anytier.errors import UsageError
    from anytier.report.compare.recommend import Needs

    least = {"team": 1, "budget": 0, "burst": 1, "machine_price": 0}
    for key, low in least.items():
        value = getattr(args, key)
        if value is not None and not (math.isfinite(value) and value >= low):
            raise UsageError(f"--{key.replace('_', '-')}", f"{value:g} cannot be", f"a number from {low} on")
    given = [key for key in _NEEDS if getattr(args, key) is not None]
    if not args.recommend:
        if given:
            raise UsageError(f"--{given[0]}", "is a need, and no recommendation is asked for", "add --recommend")
        return None
    compliance = tuple(dict.fromkeys(args.compliance or ()))
    return Needs(team=args.team, budget=args.budget, compliance=compliance, burst=args.burst)


def subjects_of(args: argparse.Namespace) -> list[Subject]:
    """All that is known of each stack: planned side by side, read, measured."""
    import os

    from anytier.cli.stack import config_in, project_dir
    from anytier.recording.apart import Task, record_all

    project = project_dir()
    names = chosen(args.stacks, project)
    configs = {name: config_in(project, name) for name in names}
    tiers = {name: tier_of(name, config) for name, config in configs.items()}
    tasks = {name: Task(project, name, config) for name, config in configs.items()}
    made = record_all(tasks, args.jobs or os.cpu_count() or 1, args.timeout)
    return [subject(project, name, tiers[name], configs[name], made[name]) for name in names]


def chosen(given: list[str], project: Path) -> list[str]:
    """The stacks' names, each once. Of the usual ones those that are there."""
    from anytier.cli.stack import stack_names
    from anytier.errors import UsageError
    from anytier.suggest import did_you_mean

    known = stack_names(project)
    all_ = ", ".join(known) or "none yet"
    for name in given:
        if name not in known:
            raise UsageError(f"stack {name}", f"there is no such stack{did_you_mean(name, known)}", f"one of {all_}")
    names = list(dict.fromkeys(given or [name for name in DEFAULT if name in known]))
    if not names:
        raise UsageError("compare", f"none of {', '.join(DEFAULT)} is here", f"name stacks; there are: {all_}")
    return names


def tier_of(stack: str, config: Mapping[str, Any]) -> str:
    """ConfigError for a stack that says no tier: nothing can be said of it."""
    from anytier.capabilities import TIERS
    from anytier.config import from_yaml
    from anytier.errors import ConfigError
    from anytier.suggest import did_you_mean

    tier = from_yaml(config).get("tier")
    if tier in TIERS:
        return str(tier)
    what = f"there is no tier {str(tier)[:40]!r}{did_you_mean(str(tier), TIERS)}" if tier else "is not set"
    raise ConfigError(f"stack {stack}: anytier:tier", what, f"one of {', '.join(TIERS)}")


def subject(project: Path, stack: str, tier: str, config: Mapping[str, Any], made: Made) -> Subject:
    from anytier.config import from_yaml
    from anytier.report.compare.subject import Subject

    values = from_yaml(config)
    measurement, warnings = measured(project, stack, tier)
    return Subject(
        stack=stack,
        tier=tier,
        mode=mode_of(values),
        app=app_of(project, values, tier),
        graph=made.graph,
        errors=made.errors,
        warnings=(*made.warnings, *warnings),
        measurement=measurement,
    )


def mode_of(values: Mapping[str, str]) -> str | None:
    """None where the config is wrong, which the plan says."""
    from anytier import config

    try:
        return config.read(values).mode
    except ExceptionGroup:
        return None


def app_of(project: Path, values: Mapping[str, str], tier: str) -> App | None:
    """None for an app that is wrong, or not in the repository: the plan says so."""
    from anytier.recording.stack import repository
    from anytier.spec import diagnose

    file = values.get("app")
    if not file or "\0" in file:
        return None
    path = project / file
    if not path.resolve().is_relative_to(repository(project)):
        return None
    return diagnose(path, tier)[0]


def measured(project: Path, stack: str, tier: str) -> tuple[Measurement | None, list[str]]:
    """What `anytier measure` stored of a stack; and why that does not count, where it does not."""
    from anytier.errors import UsageError
    from anytier.measure.record import file_of, read

    name = file_of(project, stack).relative_to(project).as_posix()
    try:
        found = read(project, stack)
    except UsageError as error:
        return None, [str(error)]
    except OSError as error:
        return None, [f"{name}: {error.strerror}"]
    if found is not None and found.tier != tier:
        return None, [f"{name}: was measured on tier {found.tier[:40]!r} -> measure again"]
    return found, []


def write(found: Comparison, advice: Recommendation | None, file: str) -> None:
    from pathlib import Path

    from anytier.errors import UsageError
    from anytier.report.compare.html import as_html

    try:
        Path(file).write_text(as_html(found, advice), encoding="utf-8")
    except OSError as error:
        raise UsageError("--html", f"{file}: {error.strerror}", "name a file that can be written") from None


def shown(found: Comparison, advice: Recommendation | None, args: argparse.Namespace) -> str:
    import json

    from anytier.cli.terminal import room
    from anytier.report.compare import markdown, terminal

    if args.json:
        said = found.wire() | ({"recommendation": advice.wire()} if advice is not None else {})
        return json.dumps(said, indent=1, sort_keys=True)
    if args.markdown:
        return markdown.as_markdown(found, advice).rstrip("\n")
    return terminal.as_text(found, room(), advice)
