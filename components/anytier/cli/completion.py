"""`anytier completion SHELL`: prints the completion script of that shell. Here, and only here, every verb is loaded."""

from __future__ import annotations

import argparse
from typing import Any

HOW = """add to your shell's start-up file:
  bash: source <(anytier completion bash)
  zsh:  anytier completion zsh > a file _anytier in a folder of $fpath
"""
# The stacks' names are read off the files' names: asking the engine would take longer than anybody waits for a TAB.
_STACKS = r"""_anytier_stacks() {
  local folder=$PWD
  while [ ! -f "$folder/Pulumi.yaml" ] && [ -n "$folder" ]; do folder=${folder%/*}; done
  local names=$(command ls "$folder" "$folder/stacks" 2>/dev/null | sed -n 's/^Pulumi\.\(.*\)\.yaml$/\1/p')
  SHELL_PART
}
"""
PREAMBLE = {
    "bash": _STACKS.replace("SHELL_PART", 'compgen -W "$names" -- "$1"'),
    "zsh": _STACKS.replace("SHELL_PART", "compadd -- ${(f)names}"),
}
STACK = {"bash": "_anytier_stacks", "zsh": "_anytier_stacks"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"))
    parser.epilog = HOW
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(completed(full_parser()), args.shell, preamble=PREAMBLE.get(args.shell, "")))
    return 0


def full_parser() -> argparse.ArgumentParser:
    """Like the command's own, but every verb knows its options."""
    import importlib

    from anytier.cli.__main__ import parser
    from anytier.cli.registry import VERBS

    made = parser()
    for name, (module, _) in VERBS.items():
        importlib.import_module(module).configure(verbs_of(made)[name])
    return made


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (verbs,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    choices: dict[str, argparse.ArgumentParser] = verbs.choices
    return choices


def completed(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Tells shtab what completes an argument that has no fixed choices."""
    import shtab

    from anytier.capabilities import TIERS

    files = dict.fromkeys(("files", "check", "diff", "graph"), shtab.FILE)
    how: dict[str, Any] = {"stack": STACK, **files, "dir": shtab.DIRECTORY}
    for verb in verbs_of(parser).values():
        for action in verb._actions:
            if action.dest in how:
                action.complete = how[action.dest]  # type: ignore[attr-defined]
            elif action.dest == "tier":
                action.choices = TIERS
    return parser
