"""`anytier completion SHELL`: prints the completion script of that shell. Here, and only here, every verb is loaded."""

from __future__ import annotations

import argparse

HOW = """add to your shell's start-up file:
  bash: source <(anytier completion bash)
  zsh:  anytier completion zsh > a file _anytier in a folder of $fpath
  tcsh: eval "`anytier completion tcsh`"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.epilog = HOW
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(full_parser(), args.shell))
    return 0


def full_parser() -> argparse.ArgumentParser:
    """Like the command's own, but every verb knows its options."""
    import importlib

    from anytier.cli.__main__ import parser
    from anytier.cli.registry import VERBS

    made = parser()
    (verbs,) = [action for action in made._actions if isinstance(action, argparse._SubParsersAction)]
    for name, (module, _) in VERBS.items():
        importlib.import_module(module).configure(verbs.choices[name])
    return made
