"""`anytier preview`: what a change does to the stacks, each planned before and after it, without credentials."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from anytier.cli.plan import GRADES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anytier.recording.apart import Task
    from anytier.report.plan.preview import Outcome


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="which stacks")
    parser.add_argument("--all", action="store_true", help="every stack that has a file, here or before the change")
    before = "what it was before: a branch, tag or commit; its files are planned, too (default: HEAD)"
    parser.add_argument("--base", default="HEAD", metavar="REF", help=before)
    grave = "exit code 1 for a change as grave, or graver"
    parser.add_argument("--fail-on", choices=GRADES, metavar="GRADE", help=f"{grave}: {', '.join(GRADES)}")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for each plan (default 120)")
    parser.add_argument("--jobs", type=int, metavar="N", help="plans at the same time (default: the machine's cores)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable: every stack with its diff")
    form.add_argument("--markdown", action="store_true", help="one comment of at most 60,000 characters")


def run(args: argparse.Namespace) -> int:
    import json

    from anytier.cli.terminal import colors, room
    from anytier.report.plan import preview

    found = preview.ranked(previewed(args))
    if args.json:
        shown = [item.model_dump(mode="json", by_alias=True, exclude={"graph"}) for item in found]
        print(json.dumps(shown, indent=1, sort_keys=True))
    elif args.markdown:
        print(preview.as_markdown(found), end="")
    else:
        print(preview.as_text(found, room(), colors()))
    limit = GRADES.index(args.fail_on) if args.fail_on else len(GRADES)
    return 1 if any(item.grade >= limit for item in found) else 0


def previewed(args: argparse.Namespace) -> list[Outcome]:
    """Of each stack what came of it. UsageError for what names none."""
    import os

    from anytier.cli.stack import project_dir
    from anytier.recording.apart import Made, record_all
    from anytier.report.plan.preview import outcome

    project = project_dir()
    with checked_out(project, args.base) as before:
        wanted = chosen(args, project, before)
        tasks: dict[str, Task] = {}
        failed: dict[tuple[str, str], Made] = {}
        for side, folder in (("base", before), ("head", project)):
            for stack in wanted:
                try:
                    task = task_of(folder, stack)
                except Exception as error:
                    failed[side, stack] = Made(errors=(unreadable(error),))
                else:
                    tasks |= {f"{side} {stack}": task} if task else {}
        made = record_all(tasks, args.jobs or os.cpu_count() or 1, args.timeout)
    none = Made()
    result = []
    for stack in wanted:
        base, head = (failed.get((side, stack)) or made.get(f"{side} {stack}", none) for side in ("base", "head"))
        result.append(outcome(stack, base.graph, head.graph, head.errors, base.errors, head.warnings))
    return result


def unreadable(error: Exception) -> str:
    from anytier.errors import AnytierError

    if not isinstance(error, AnytierError):
        raise error
    return str(error)


def chosen(args: argparse.Namespace, project: Path, before: Path) -> list[str]:
    """The stacks' names, each once. `--all` takes also those that the change takes out."""
    from anytier.cli.stack import stack_names
    from anytier.errors import UsageError
    from anytier.suggest import did_you_mean

    known = sorted({*stack_names(project), *stack_names(before)})
    if args.all == bool(args.stacks):
        raise UsageError(
            "preview", "needs either stacks or --all", f"the stacks here: {', '.join(known) or 'none yet'}"
        )
    for name in args.stacks:
        if name not in known:
            what = f"there is no such stack{did_you_mean(name, known)}"
            raise UsageError(f"stack {name}", what, f"one of {', '.join(known) or 'none yet'}")
    if not known:
        raise UsageError("--all", "there is no stack here", "`anytier init` makes one")
    return list(dict.fromkeys(args.stacks or known))


def task_of(project: Path, stack: str) -> Task | None:
    """None where the stack has no file there. ConfigError where that cannot be read."""
    from anytier.cli.stack import config_in, stacks_dir
    from anytier.recording.apart import Task

    if not (stacks_dir(project) / f"Pulumi.{stack}.yaml").is_file():
        return None
    return Task(project, stack, config_in(project, stack))


def checked_out(project: Path, ref: str) -> AbstractContextManager[Path]:
    """The project as it was at `ref`, in a folder, for as long as it is needed. UsageError where git knows it not."""
    from contextlib import contextmanager

    @contextmanager
    def folder() -> Iterator[Path]:
        import tempfile
        from pathlib import Path

        top = Path(git(project, "rev-parse", "--show-toplevel"))
        commit = git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        with tempfile.TemporaryDirectory(prefix="anytier-base-") as made:
            tree = Path(made) / top.name
            git(top, "worktree", "add", "--detach", "--quiet", str(tree), commit)
            try:
                yield tree / project.resolve().relative_to(top.resolve())
            finally:
                git(top, "worktree", "remove", "--force", str(tree))

    return folder()


def git(folder: Path, *args: str) -> str:
    """What git prints. UsageError for `--base`, with the reason, where it fails. No hook of the repository runs."""
    import subprocess

    from anytier.errors import UsageError

    argv: Sequence[str] = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *args]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("--base", "there is no git here", "install it, or use `anytier plan --diff`") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"git knows no {args[-1].removesuffix('^{commit}')!r}"
        raise UsageError("--base", said, "name a branch, tag or commit of this repository")
    return done.stdout.strip()
