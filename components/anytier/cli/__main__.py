"""The frame of `anytier`: finds the verb, runs it, and turns errors into one block on stderr and an exit code.

Exit codes: 0 done; 1 it failed, or is not as wanted; 2 the command line is wrong; 130 interrupted. `exec` ends with the
code of its command. Only argparse is imported here: `anytier --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from anytier import __version__
from anytier.cli.registry import VERBS

FAILED, USAGE, INTERRUPTED = 1, 2, 130
EXIT_CODES = "exit codes: 0 done; 1 it failed or is not as wanted; 2 wrong usage; 130 interrupted"


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in given if not word.startswith("-")), None)
    known = VERBS.get(verb or "")
    module = importlib.import_module(known[0]) if known else None
    if verb is not None and known is None:
        return unknown(verb)
    args = parser(verb, module).parse_args(given)
    assert module is not None  # the parser has refused anything else
    try:
        code: int = module.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; what is left in the buffer must not fail a second time at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return failed(error)
    return code


def parser(verb: str | None = None, module: Any = None) -> argparse.ArgumentParser:
    """All verbs with their help; only `verb` knows its options, so that no other module is loaded."""
    made = argparse.ArgumentParser(
        prog="anytier",
        description="One app spec. Any place to run it.",
        epilog=EXIT_CODES,
    )
    made.add_argument("--version", action="version", version=f"anytier {__version__}")
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (_, line) in VERBS.items():
        sub = verbs.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".", epilog=EXIT_CODES)
        if name == verb and module is not None:
            module.configure(sub)
    return made


def unknown(verb: str) -> int:
    from anytier.errors import UsageError
    from anytier.suggest import did_you_mean

    return failed(UsageError(verb, f"is not a verb{did_you_mean(verb, VERBS)}", "`anytier --help` lists them"))


def failed(error: Exception) -> int:
    """Tell what a user must mend. Anything else is a bug of ours and keeps its traceback."""
    from anytier.cli.terminal import colors
    from anytier.errors import AnytierError, UsageError, leaves

    found = leaves(error)
    if not found or not all(isinstance(item, AnytierError) for item in found):
        raise error
    for item in found:
        print(block(item, colors(sys.stderr)), file=sys.stderr)
    return USAGE if all(isinstance(item, UsageError) for item in found) else FAILED


def block(error: Any, color: bool) -> str:
    """An error as two lines: where and what; what to do."""
    head = "\033[1;31merror:\033[0m" if color else "error:"
    where = f"{error.path}: " if error.path else ""
    return f"{head} {where}{error.what}" + (f"\n  -> {error.do}" if error.do else "")


if __name__ == "__main__":
    sys.exit(main())
