"""`anytier policy`: the rules of the security baseline, and whether a stack's state or plan keeps them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anytier.policy.check import Report

ACTIONS = ("list", "check")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=ACTIONS, metavar="ACTION", help="list: every rule; check: what a state or a plan breaks"
    )
    parser.add_argument("-s", "--stack", help="with check: the stack whose state is looked at, and its waivers")
    plan = "with check: a plan in a file (JSON), in place of the state; - reads standard input"
    parser.add_argument("--plan", metavar="FILE", help=plan)
    parser.add_argument("--section", metavar="NAME", help="with list: only these, such as eks or docker")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable")
    form.add_argument("--markdown", action="store_true", help="with list: the tables that docs/policy.md holds")


def run(args: argparse.Namespace) -> int:
    from anytier.errors import UsageError

    if args.action == "list":
        for given, name in ((args.stack, "--stack"), (args.plan, "--plan")):
            if given:
                raise UsageError(name, "says nothing of the rules, which are the same for all", "use check")
        return listed(args)
    for given, name in ((args.section, "--section"), (args.markdown, "--markdown")):
        if given:
            raise UsageError(name, "is for list", "leave it out")
    if not args.stack and not args.plan:
        raise UsageError("--stack", "is not given", "name the stack whose state is looked at, or give a --plan")
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

    report = looked_at(args.stack, args.plan)
    print(json.dumps(policy.as_json(report), indent=2) if args.json else policy.as_text(report, room()))
    return 1 if report.broken else 0


def looked_at(stack: str | None, plan: str | None) -> Report:
    """The stack's waivers count for its plan, too. A group of errors for what is wrong with them."""
    import datetime

    from anytier import config
    from anytier.cli.stack import stack_config, stack_state
    from anytier.policy.check import check
    from anytier.policy.plan import resources as planned
    from anytier.policy.state import resources as deployed
    from anytier.policy.waivers import read

    today = datetime.date.today()
    waivers, wrong = read(config.from_yaml(stack_config(stack)).get("policy") if stack else None, today)
    if wrong:
        raise ExceptionGroup("config", wrong)
    if plan is not None:
        return check(planned(written(plan)), waivers, today)
    assert stack is not None  # `run` has seen to it
    return check(deployed(stack_state(stack)), waivers, today)


def written(file: str) -> dict[str, Any]:
    """UsageError for a file that is not there, or holds no plan."""
    import sys
    from pathlib import Path

    from anytier.errors import UsageError
    from anytier.policy.plan import read

    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError("--plan", f"{file}: {error.strerror}", "give a file that can be read") from None
    return read(data, "--plan")
