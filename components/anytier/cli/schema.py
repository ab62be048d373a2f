"""`anytier schema`: the JSON Schema of the app spec, or whether a file still is that."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", metavar="FILE", help="print nothing; exit 1 if FILE is not this schema")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from anytier.errors import AnytierError, NotFound
    from anytier.spec.schema import text

    if not args.check:
        print(text(), end="")
        return 0
    try:
        held = Path(args.check).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise NotFound(args.check, f"cannot be read: {reason}", f"`anytier schema > {args.check}`") from None
    if held != text():
        raise AnytierError(args.check, "is not the schema of this version", f"`anytier schema > {args.check}`")
    return 0
