"""`anytier matrix`: what each tier does with each field of the spec, and what each hypervisor can do."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", action="append", metavar="TIER", help="only this tier (may be repeated)")
    parser.add_argument("--field", metavar="TEXT", help="only fields whose path contains TEXT, with how and why not")
    other = "what each hypervisor of tier libvirt can do instead"
    parser.add_argument("--hypervisors", action="store_true", help=other)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable, with every note")
    form.add_argument("--markdown", action="store_true", help="the page that docs holds of it")


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
    if args.hypervisors:
        return hypervisors(args)
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


def hypervisors(args: argparse.Namespace) -> int:
    import json

    from anytier.errors import UsageError
    from anytier.report import hypervisors

    for given, name in ((args.tier, "--tier"), (args.field, "--field")):
        if given:
            raise UsageError(name, "says nothing of hypervisors", "leave it out, or --hypervisors")
    if args.json:
        print(json.dumps(hypervisors.as_json(), indent=2))
    elif args.markdown:
        print(hypervisors.as_markdown(), end="")
    else:
        print(hypervisors.as_text())
    return 0
