"""`anytier matrix`: what each tier does with each field of the spec."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", action="append", metavar="TIER", help="only this tier (may be repeated)")
    parser.add_argument("--field", metavar="TEXT", help="only fields whose path contains TEXT, with how and why not")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable, with every note")
    form.add_argument("--markdown", action="store_true", help="the page that docs/capabilities.md holds")


def run(args: argparse.Namespace) -> int:
    import json

    from anytier.capabilities import TIERS
    from anytier.cli.terminal import room
    from anytier.errors import UsageError
    from anytier.report import matrix
    from anytier.suggest import did_you_mean

    for tier in args.tier or ():
        if tier not in TIERS:
            raise UsageError(
                "--tier", f"there is no tier {tier!r}{did_you_mean(tier, TIERS)}", f"one of {', '.join(TIERS)}"
            )
    tiers = args.tier or TIERS
    if args.markdown:
        print(matrix.as_markdown(), end="")
        return 0
    if args.json:
        found = [row for row in matrix.as_json(tiers) if (args.field or "") in row["field"]]
        print(json.dumps(found, indent=2))
        return 0
    print(matrix.as_fields(args.field, tiers) if args.field else matrix.as_text(tiers, room()))
    return 0
