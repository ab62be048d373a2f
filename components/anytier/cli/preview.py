"""`anytier preview`: what a change does to the stacks, each planned before and after it, without credentials; and for
who asks for it by the engine's own preview."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from anytier.cli.plan import GRADES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anytier.recording.apart import Task
    from anytier.report.plan.preview import Outcome, Way


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="which stacks")
    parser.add_argument("--all", action="store_true", help="every stack that has a file, here or before the change")
    before = "what it was before: a branch, tag or commit; its files are planned, too (default: HEAD)"
    parser.add_argument("--base", default="HEAD", metavar="REF", help=before)
    grave = "exit code 1 for a change as grave, or graver"
    parser.add_argument("--fail-on", choices=GRADES, metavar="GRADE", help=f"{grave}: {', '.join(GRADES)}")
    rule = "exit code 1 where the change breaks a rule of the policy pack that is more than advice"
    parser.add_argument("--fail-on-policy", action="store_true", help=rule)
    engine = "also run `pulumi preview` where a stack's state can be reached: it runs what the project's files say"
    parser.add_argument("--engine", action="store_true", help=engine)
    parser.add_argument("--refresh", action="store_true", help="with --engine: look at what really is there first")
    same = "with --engine: exit code 1 unless it is sure that nothing would change; what is not deployed does not count"
    parser.add_argument("--expect-no-changes", action="store_true", help=same)
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for each of them (default 120)")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at a time (default: the machine's cores)")
    parser.add_argument("--save", metavar="FILE", help="also write what --json prints into a file")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="machine-readable: every stack with its diff")
    form.add_argument("--markdown", action="store_true", help="one comment of at most 60,000 characters")


def run(args: argparse.Namespace) -> int:
    from anytier.cli.terminal import colors, room
    from anytier.errors import UsageError
    from anytier.report.plan import preview

    for given, name in ((args.refresh, "--refresh"), (args.expect_no_changes, "--expect-no-changes")):
        if given and not args.engine:
            raise UsageError(name, "is the engine's to know", "give --engine, too")
    found = preview.ranked(previewed(args))
    if args.save:
        save(args.save, as_json(found))
    if args.json:
        print(as_json(found), end="")
    elif args.markdown:
        print(preview.as_markdown(found), end="")
    else:
        print(preview.as_text(found, room(), colors()))
    return 1 if refused(args, found) else 0


def refused(args: argparse.Namespace, found: Sequence[Outcome]) -> bool:
    """Whether anything is as grave as the command line says it must not be. A stack that failed always is. Where no
    stack at all is deployed nothing is sure: that is the wrong backend, more likely than not."""
    limit = GRADES.index(args.fail_on) if args.fail_on else len(GRADES)
    if args.expect_no_changes and not any(item.way == "engine" for item in found):
        return True
    return any(
        item.grade >= limit or (args.fail_on_policy and item.refused) or (args.expect_no_changes and not item.as_it_is)
        for item in found
    )


def as_json(found: Sequence[Outcome]) -> str:
    """A list of stacks. `grade` and `refused` are what decides whether a change may go on."""
    import json

    shown = [
        {
            **item.model_dump(mode="json", by_alias=True, exclude={"graph"}),
            "grade": item.graded,
            "refused": item.refused,
            "asItIs": item.as_it_is,
        }
        for item in found
    ]
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


def save(file: str, text: str) -> None:
    from pathlib import Path

    from anytier.errors import UsageError

    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError("--save", f"{file}: {error.strerror}", "name a file that can be written") from None


def previewed(args: argparse.Namespace) -> list[Outcome]:
    """Of each stack what came of it. UsageError for what names none."""
    from anytier.cli.stack import project_dir

    project = project_dir()
    found = planned(args, project)
    return by_engine(args, project, found) if args.engine else found


def planned(args: argparse.Namespace, project: Path) -> list[Outcome]:
    """By a plan of before and one of now, both held against the policy pack."""
    from anytier.recording.apart import Made, record_all
    from anytier.report.plan.broken import compared
    from anytier.report.plan.preview import outcome

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
        made = record_all(tasks, jobs(args), args.timeout)
    none = Made()
    result = []
    for stack in wanted:
        base, head = (failed.get((side, stack)) or made.get(f"{side} {stack}", none) for side in ("base", "head"))
        found = outcome(stack, base.graph, head.graph, head.errors, base.errors, head.warnings)
        result.append(found.model_copy(update={"broken": compared(head.broken, base.broken)}))
    return result


def by_engine(args: argparse.Namespace, project: Path, found: Sequence[Outcome]) -> list[Outcome]:
    """The same, and of each stack that has a file and a state what the engine says. The others say why not."""
    from anytier.cli.engines import deployed, engine_of, preview_all
    from anytier.errors import AnytierError
    from anytier.report.plan.engine import read
    from anytier.report.plan.preview import seen

    try:
        engine = engine_of(project)
        known = deployed(engine, args.timeout)
    except AnytierError as error:
        return [item.model_copy(update={"way": "out of reach", "reason": str(error)}) for item in found]
    here = {item.stack for item in found if task_file(project, item.stack).is_file()}
    answers = preview_all(engine, sorted(known & here), jobs(args), args.timeout, args.refresh)
    result = []
    for item in found:
        answer = answers.get(item.stack)
        if answer is not None:
            result.append(seen(item, read(item.stack, answer.text, answer.code, answer.said)))
        else:
            way: Way = "not deployed" if item.stack not in known else "plan"
            result.append(item.model_copy(update={"way": way}))
    return result


def jobs(args: argparse.Namespace) -> int:
    import os

    return args.jobs or os.cpu_count() or 1


def unreadable(error: Exception) -> str:
    from anytier.errors import AnytierError

    if isinstance(error, RecursionError):
        return "the stack's file: nested too deeply -> mend the file"
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
    """None where the stack has no file there. ConfigError where that cannot be read, or is a link out of it."""
    from anytier.cli.stack import config_in
    from anytier.recording.apart import Task
    from anytier.recording.stack import refuse_outside, repository

    file = task_file(project, stack)
    if not file.is_file():
        return None
    refuse_outside(file.name, file, repository(project))
    return Task(project, stack, config_in(project, stack), judge=True)


def task_file(project: Path, stack: str) -> Path:
    from anytier.cli.stack import stacks_dir

    return stacks_dir(project) / f"Pulumi.{stack}.yaml"


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
    """What git prints. UsageError for `--base`, with the reason, where it fails. No hook of the repository runs, and
    nothing is got from a server that its files name."""
    import os
    import subprocess

    from anytier.errors import UsageError

    argv: Sequence[str] = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *args]
    try:
        env = {**os.environ, "GIT_LFS_SKIP_SMUDGE": "1"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("--base", "there is no git here", "install it, or use `anytier plan --diff`") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"git knows no {args[-1].removesuffix('^{commit}')!r}"
        raise UsageError("--base", said, "name a branch, tag or commit of this repository")
    return done.stdout.strip()
