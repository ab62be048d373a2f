"""`anytier policy`: the rules of the security baseline, and whether what a run left in a stack's state keeps them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anytier.policy.check import Report

ACTIONS = ("list", "check")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=ACTIONS, metavar="ACTION", help="list: every rule; check: what a state holds against them"
    )
    parser.add_argument("-s", "--stack", help="with check: the stack whose state is looked at, and its waivers")
    parser.add_argument("--section", metavar="NAME", help="with list: only these, such as eks or docker")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable")
    form.add_argument("--markdown", action="store_true", help="with list: the tables that docs/policy.md holds")


def run(args: argparse.Namespace) -> int:
    from anytier.errors import UsageError

    if args.action == "list":
        if args.stack:
            raise UsageError("--stack", "says nothing of the rules, which are the same for all", "use check")
        return listed(args)
    for given, name in ((args.section, "--section"), (args.markdown, "--markdown")):
        if given:
            raise UsageError(name, "is for list", "leave it out")
    if not args.stack:
        raise UsageError("--stack", "is not given", "name the stack whose state is looked at")
    return checked(args)


def listed(args: argparse.Namespace) -> int:
    import json

    from anytier.cli.terminal import room
    from anytier.errors import UsageError
    from anytier.policy.registry import SECTIONS
    from anytier.report import policy
    from anytier.suggest import did_you_mean

    if args.section is not None and args.section not in SECTIONS:
        what = f"there is no section {args.section!r}{did_you_mean(args.section, SECTIONS)}"
        raise UsageError("--section", what, f"one of {', '.join(SECTIONS)}")
    wanted = [args.section] if args.section else list(SECTIONS)
    if args.markdown:
        print(policy.as_markdown(), end="")
    elif args.json:
        print(json.dumps(policy.rules_json(wanted), indent=2))
    else:
        print(policy.rules_text(wanted, room()))
    return 0


def checked(args: argparse.Namespace) -> int:
    """1 where a rule that is more than advice is broken."""
    import json

    from anytier.cli.terminal import room
    from anytier.report import policy

    report = looked_at(args.stack)
    print(json.dumps(policy.as_json(report), indent=2) if args.json else policy.as_text(report, room()))
    return 1 if report.broken else 0


def looked_at(stack: str) -> Report:
    """A group of errors for what is wrong with the stack's waivers."""
    import datetime

    from anytier import config
    from anytier.cli.stack import stack_config, stack_state
    from anytier.policy.check import check
    from anytier.policy.state import resources
    from anytier.policy.waivers import read

    today = datetime.date.today()
    waivers, wrong = read(config.from_yaml(stack_config(stack)).get("policy"), today)
    if wrong:
        raise ExceptionGroup("config", wrong)
    return check(resources(stack_state(stack)), waivers, today)
