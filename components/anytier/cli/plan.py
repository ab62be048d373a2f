"""`anytier plan`: what a stack would register, without an engine, a plugin or a credential; and what changes by it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anytier.recording import Recording
    from anytier.report.plan.diff import Diff
    from anytier.report.plan.graph import Graph

# From harmless to grave, as anytier.report.plan.diff has them; a test holds the two together.
GRADES = ("safe", "unknown", "disruptive", "replaces", "data-loss")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="the stack, as in `pulumi up -s STACK`")
    base = "what changes since a plan that `--json` wrote, the gravest first"
    parser.add_argument("--diff", metavar="BASE", help=base)
    grave = "with --diff: exit code 1 for a change as grave, or graver"
    parser.add_argument("--fail-on", choices=GRADES, metavar="GRADE", help=f"{grave}: {', '.join(GRADES)}")
    parser.add_argument("--graph", metavar="FILE", help="also write a picture (SVG) of what waits for what")
    parser.add_argument("--inputs", action="store_true", help="every input of every resource, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable: the whole graph, or the diff")
    form.add_argument("--markdown", action="store_true", help="for a comment: at most 60,000 characters")


def run(args: argparse.Namespace) -> int:
    import sys

    from anytier.errors import UsageError
    from anytier.report.plan import diff

    if args.fail_on and not args.diff:
        raise UsageError("--fail-on", "grades changes, and there is nothing to compare with", "give --diff BASE")
    base = read(args.diff) if args.diff else None
    made = recorded(args.stack)
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if args.graph:
        draw(made.graph, args.graph)
    if base is None:
        print(plan_text(made.graph, args))
        return 0
    found = diff.compare(base, made.graph)
    print(diff_text(found, made.graph, args))
    return 1 if args.fail_on and graver(found, args.fail_on) else 0


def recorded(stack: str) -> Recording:
    """A group of errors for all that is wrong in the stack's config or in the app."""
    from anytier.cli.stack import project_dir, stack_config
    from anytier.recording.stack import plan

    return plan(project_dir(), stack, stack_config(stack))


def read(file: str) -> Graph:
    """The plan in a file. UsageError for what is none."""
    from pathlib import Path

    from anytier.errors import UsageError
    from anytier.report.plan.graph import parse

    try:
        return parse(Path(file).read_bytes(), "--diff")
    except OSError as error:
        raise UsageError("--diff", f"{file}: {error.strerror}", "give a file that can be read") from None


def draw(graph: Graph, file: str) -> None:
    from pathlib import Path

    from anytier.errors import UsageError
    from anytier.report.plan.svg import picture

    try:
        Path(file).write_text(picture(graph), encoding="utf-8")
    except OSError as error:
        raise UsageError("--graph", f"{file}: {error.strerror}", "name a file that can be written") from None


def plan_text(graph: Graph, args: argparse.Namespace) -> str:
    from anytier.cli.terminal import room
    from anytier.report.plan import markdown, terminal

    if args.json:
        return graph.text().rstrip("\n")
    return markdown.tree(graph) if args.markdown else terminal.tree(graph, room(), args.inputs)


def diff_text(found: Diff, graph: Graph, args: argparse.Namespace) -> str:
    import json

    from anytier.cli.terminal import colors, room
    from anytier.report.plan import markdown, terminal
    from anytier.report.plan.words import Names

    if args.json:
        return json.dumps(found.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True)
    if args.markdown:
        return markdown.changes(found, Names(graph))
    return terminal.changes(found, Names(graph), room(), colors())


def graver(found: Diff, grade: str) -> bool:
    worst = found.worst
    return worst is not None and GRADES.index(worst.replace(" ", "-")) >= GRADES.index(grade)
