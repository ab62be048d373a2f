"""`anytier validate`: every mistake in app specs at once, each with its place in the file and what to do about it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anytier.report.diagnostics import Item
    from anytier.spec import App
    from anytier.spec.diagnostic import Finding

PIPED_WIDTH = 120


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="an app spec or a Score file; - reads standard input")
    parser.add_argument("--tier", metavar="TIER", help="also whether this tier carries every field")
    parser.add_argument(
        "-s", "--stack", help="as the tier of this stack, and the stack's config too; FILE is its app's"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable: a list of findings")
    parser.epilog = "exit codes: 0 no errors (there may be warnings); 1 errors; 2 wrong usage"


def run(args: argparse.Namespace) -> int:
    import json

    from anytier.report.diagnostics import as_json

    target = _target(args)
    raws = {file: _read(file) for file in dict.fromkeys(target.files)}
    items = [*target.items, *(item for file, raw in raws.items() for item in check(file, raw, target))]
    raws = {**target.raws, **raws}
    if args.json:
        print(json.dumps(as_json(items), indent=2))
    else:
        _show(items, raws, target)
    return 1 if any(item.found.severity == "error" for item in items) else 0


class Target:
    """What to check the files for: `modes` are those of the tier, to be told by name where only some refuse a field.

    `items` is what is wrong already in the stack's own file, which is then among `raws`.
    """

    def __init__(
        self,
        files: Sequence[str],
        tier: str | None = None,
        modes: Sequence[str | None] = (None,),
        items: Sequence[Item] = (),
        raws: Mapping[str, bytes | None] | None = None,
    ) -> None:
        self.files, self.tier, self.modes, self.items, self.raws = files, tier, modes, items, raws or {}


def _target(args: argparse.Namespace) -> Target:
    from anytier.capabilities import MODES, TIERS
    from anytier.errors import UsageError
    from anytier.suggest import did_you_mean

    if args.stack:
        return _of_stack(args)
    if not args.files:
        raise UsageError("FILE", "is needed", "anytier validate FILE..., or -s STACK for the app of a stack")
    if args.tier and args.tier not in TIERS:
        near = did_you_mean(args.tier, TIERS)
        raise UsageError("--tier", f"there is no tier {args.tier!r}{near}", f"one of {', '.join(TIERS)}")
    return Target(args.files, args.tier, MODES.get(args.tier or "", (None,)))


def _of_stack(args: argparse.Namespace) -> Target:
    """The stack's own file comes first: what is wrong there is told as `pulumi preview` would."""
    from anytier.capabilities import MODES
    from anytier.cli import stackfile
    from anytier.errors import UsageError
    from anytier.report.diagnostics import Item

    if args.tier:
        raise UsageError("--tier", "stands beside --stack, which names one already", "leave one of them out")
    stack = stackfile.read(args.stack)
    files = args.files or ([stack.app] if stack.app else [])
    modes = (stack.settings.mode,) if stack.settings else MODES.get(stack.tier or "", (None,))
    return Target(files, stack.tier, modes, [Item(one, "config") for one in stack.found], {stack.name: stack.raw})


def _read(file: str) -> bytes | None:
    """None where it cannot be read; why is told by `check`."""
    import sys

    from anytier.spec.document import MAX_BYTES

    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(file, "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        return None


def check(file: str, raw: bytes | None, target: Target) -> list[Item]:
    """Everything that is wrong in one file, in its order: mistakes, then fields that the tier cannot carry."""
    from pathlib import Path

    from anytier.report.diagnostics import Item
    from anytier.spec import diagnose, diagnose_bytes

    if raw is None:
        app, found = diagnose(Path(file), target.tier)
    else:
        folder = Path() if file == "-" else Path(file).parent
        app, found = diagnose_bytes(raw, file, target.tier, folder.absolute())
    items = [Item(one) for one in found]
    if app is not None and raw is not None:
        items += capability_items(app, raw, file, target) if target.tier else uncarried_items(app, raw, file)
    return items


def uncarried_items(app: App, raw: bytes, file: str) -> list[Item]:
    """Without a tier only what none of them carries is told, as a warning: the file itself is right."""
    from dataclasses import replace

    from anytier.capabilities import carried_by_none
    from anytier.report.diagnostics import Item
    from anytier.spec import locate
    from anytier.spec.document import no_collection
    from anytier.spec.walk import used_fields

    with no_collection():
        found = carried_by_none(used_fields(app))
    placed = locate(raw, file, found) if found else ()
    return [Item(replace(one, severity="warning"), "capability") for one in placed]


def capability_items(app: App, raw: bytes, file: str, target: Target) -> list[Item]:
    """A field that the tier refuses in some of its modes only is a warning that names them."""
    from dataclasses import replace

    from anytier.capabilities import check
    from anytier.report.diagnostics import Item
    from anytier.spec import locate
    from anytier.spec.walk import used_fields

    fields = list(used_fields(app))
    refused: dict[object, list[tuple[str | None, Finding]]] = {}
    for mode in target.modes:
        for one in check(fields, target.tier or "", mode):
            refused.setdefault(one.path, []).append((mode, (one.path, one.what, one.cell.instead)))
    always = [found[0][1] for found in refused.values() if len(found) == len(target.modes)]
    partly = [_in_mode(*found[0]) for found in refused.values() if len(found) < len(target.modes)]
    errors = locate(raw, file, always, target.tier)
    warnings = [replace(one, severity="warning") for one in locate(raw, file, partly, target.tier)]
    return [Item(one, "capability") for one in sorted([*errors, *warnings])]


def _in_mode(mode: str | None, found: Finding) -> Finding:
    path, what, do = found
    return path, f"{what} (only where {mode} runs it)", do


def _show(items: Sequence[Item], raws: Mapping[str, bytes | None], target: Target) -> None:
    from anytier.cli.stackfile import may_be_secret
    from anytier.cli.terminal import colors, room
    from anytier.report.diagnostics import as_text, summary
    from anytier.report.excerpt import source

    bad = {item.found.file for item in items}
    known = {file: raw for file, raw in raws.items() if raw is not None and file in bad}
    sources = {file: source(raw, may_be_secret) if file in target.raws else source(raw) for file, raw in known.items()}
    if items:
        print(as_text(items, sources, room() or PIPED_WIDTH, colors()), end="\n\n")
    print(summary(list(raws), items))
