"""The steps of set-up in their order, and its command line."""

from __future__ import annotations

import argparse
import sys

from bootstrap import clone, engine, packages, plugin
from bootstrap.paths import Paths
from bootstrap.say import SetupError


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    paths = Paths.here()
    try:
        extras = [args.extra] if args.extra else packages.extras_of(paths, args.stack or "local")
        for extra in extras:
            packages.ensure(paths, extra)
        packages.expose(paths)
        packages.compile_all(paths)
        if not args.no_engine:
            found = engine.ensure(paths, args.engine)
            clone.launcher(paths, found.folder)
            plugin.ensure(paths, found, extras[0])
            if not clone.elsewhere():
                clone.passphrase(paths)
            clone.git_filter(paths)
    except SetupError as error:
        print(f"\nset-up stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="tools/setup.py", description="Make this clone ready.")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--stack", help="install what this stack's tier needs (default: local)")
    what.add_argument("--extra", help="install requirements/EXTRA.lock, such as dev")
    made.add_argument("--no-engine", action="store_true", help="the Python side only")
    made.add_argument("--engine", choices=tuple(engine.WAYS), help="get the engine in this way only")
    return made
