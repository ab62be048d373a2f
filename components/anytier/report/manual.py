"""The parts of docs/cli.md that are made: each verb's options, as its own parser has them. Pure but for `main`.

`python -m anytier.report.manual docs/cli.md` writes them anew; a test holds them fresh.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_BLOCK = re.compile(r"<!-- options:(?P<verb>[a-z]+) -->\n.*?<!-- end -->", re.DOTALL)


def refreshed(page: str, verbs: Mapping[str, argparse.ArgumentParser]) -> str:
    """The page with every block between `<!-- options:VERB -->` and `<!-- end -->` made anew."""
    return _BLOCK.sub(lambda found: block(found["verb"], verbs[found["verb"]]), page)


def block(verb: str, parser: argparse.ArgumentParser) -> str:
    lines = [f"<!-- options:{verb} -->", "| argument | what it does |", "|---|---|", *_rows(parser), "<!-- end -->"]
    return "\n".join(lines)


def _rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.dest != "help":
            yield f"| {' '.join(f'`{name}`' for name in _names(action))} | {_said(action)} |"


def _names(action: argparse.Action) -> list[str]:
    if not action.option_strings:
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        return [f"[{name}]" if action.nargs in ("?", "*") else name]
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return [f"{option}{value}" for option in action.option_strings]


def _said(action: argparse.Action) -> str:
    needed = "needed; " if action.required and action.option_strings else ""
    choices = f"one of {', '.join(map(str, action.choices))}" if action.choices else ""
    return (needed + (action.help or choices)).replace("|", "\\|")


def main(argv: list[str]) -> int:
    from anytier.cli.completion import full_parser, verbs_of

    (file,) = map(Path, argv)
    file.write_text(refreshed(file.read_text(encoding="utf-8"), verbs_of(full_parser())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
