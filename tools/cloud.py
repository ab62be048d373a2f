#!/usr/bin/env python3
"""Tries a stack at its real cloud: says what that makes and costs, asks, runs the conformance suite, takes all down.

The suite makes a throw-away stack of the same tier and place with an app of its own, so it is a cluster of its own that
is made, and the stack itself is not touched. An interruption takes down what there is by then. `make cloud` calls this.

    usage: tools/cloud.py STACK [--yes]

Exit codes: 0 it conforms, and nothing is left; 1 not so, or refused; 2 wrong usage; 130 interrupted, nothing is left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "components")]

from anytier.cli.__main__ import FAILED, INTERRUPTED, failed  # noqa: E402
from anytier.conformance.check import Failed  # noqa: E402
from anytier.errors import AnytierError, ConfigError, UsageError  # noqa: E402
from anytier.report.compare.cost import Item, bill, money, total  # noqa: E402
from anytier.report.compare.facts import prices  # noqa: E402
from anytier.report.plan.graph import Graph, Node  # noqa: E402

APP = "apps/conformance/app.yaml"
LONGEST = 180.0  # seconds for the plan
_CLAIMED = "Name=tag-key,Values=kubernetes.io/created-for/pvc/namespace"
# What a cloud keeps of a stack that is destroyed, by its own rules, and where to look for what it may have missed.
KEPT: Mapping[str, tuple[str, ...]] = {
    "eks": (
        "the key of KMS, until the day that it is scheduled to be deleted on",
        f"disks, which go a little later: aws ec2 describe-volumes --filters {_CLAIMED}",
    ),
    "gke": (
        "the ring of keys for ever, the versions of its key for 30 days, and APIs that were turned on",
        "disks, which go a little later: gcloud compute disks list",
    ),
    "aks": ("the key vault, as deleted, for 90 days: az keyvault list-deleted",),
}
Say = Callable[[str], None]
Ask = Callable[[str], bool]


class Cloud(Protocol):
    """What is done at a cloud and on the way there. A test has one that only writes down what it is asked to do."""

    stack: str
    tier: str

    def refused(self) -> list[AnytierError]:
        """Why nothing can be made there, or could not be taken down again."""

    def planned(self) -> Graph:
        """All that would be made."""

    def tried(self) -> bool:
        """Makes it, runs every check, destroys it; whether all of that is as it should be."""

    def left(self) -> list[str]:
        """What the state still holds."""

    def destroyed(self) -> None:
        """Once more."""

    def way_back(self) -> str:
        """What a person does about what is left."""


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        with interruptible():
            return run(Real(args.stack), args.yes, asked, say)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return failed(error)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="tools/cloud.py", description="Run the conformance suite at a stack's real cloud."
    )
    made.add_argument("stack", help="a file stacks/Pulumi.STACK.yaml of tier eks, gke or aks")
    made.add_argument("--yes", action="store_true", help="do not ask before anything is made")
    return made


@contextmanager
def interruptible() -> Iterator[None]:
    """A closed terminal or a `kill` is what Ctrl-C is: it must not leave a cluster behind."""
    ends = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    print(text, flush=True)


def asked(question: str) -> bool:
    """UsageError where nobody is there to say it."""
    if not sys.stdin.isatty():
        raise UsageError("make cloud", "nobody is here to be asked, and it costs money", "YES=1 says yes beforehand")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


# in this order


def run(cloud: Cloud, yes: bool, ask: Ask, say: Say) -> int:
    """The exit code. AnytierErrors, in a group too, for what stands in the way; nothing is made then."""
    if wrong := cloud.refused():
        raise ExceptionGroup("refused", wrong)
    graph = cloud.planned()
    for line in announced(cloud, graph):
        say(line)
    if not (yes or ask("make it, pay for it, and take it down again?")):
        say("nothing was made")
        return FAILED
    good, stopped, broken = False, False, list[Exception]()
    try:
        good = cloud.tried()
    except KeyboardInterrupt:
        stopped = True
    except Exception as error:  # first comes what is left
        broken.append(error)
    left = again(cloud, say)
    for line in left:
        say(f"LEFT    {line}")
    if left:
        say(f"it goes on costing -> {cloud.way_back()}")
    else:
        say("nothing is left in the state; by its own rules the cloud keeps")
        for line in KEPT[cloud.tier]:
            say(f"  {line}")
    if broken:
        raise broken[0]
    return INTERRUPTED if stopped and not left else 0 if good and not left else FAILED


def again(cloud: Cloud, say: Say) -> list[str]:
    """What is left, once a second destroy has been tried where the first has not taken all."""
    left = cloud.left()
    if left:
        say(f"{len(left)} resources are still there; destroying once more (Ctrl-C leaves them)")
        with suppress(KeyboardInterrupt, AnytierError, Failed):
            cloud.destroyed()
        left = cloud.left()
    return left


# what is said first


def announced(cloud: Cloud, graph: Graph, today: date | None = None) -> Iterator[str]:
    """What it makes, what an hour of it costs by list prices, and what of it has no price here."""
    region = (graph.exports.get("costs") or {}).get("region") or "its region"
    yield f"stack {cloud.stack}, tier {cloud.tier}: the conformance suite in a cluster of its own, in {region}"
    yield f"makes   {made(graph)}"
    items = bill(cloud.tier, graph, today or date.today())
    yield f"costs   {hourly(items)}"
    for item in items:
        if item.monthly is not None and item.source is not None:
            yield f"        {money(item.monthly / prices().hours)}  {item.what} ({item.source.name})"
    if unknown := [item.what for item in items if item.monthly is None]:
        yield f"        no price here for: {', '.join(unknown)}"
    yield "ends    with a destroy, also after Ctrl-C; clouds may bill the hours that are begun"


def made(graph: Graph) -> str:
    """`61 resources: aws 40, kubernetes 21`, without what only groups them and the providers."""
    packages = Counter(node.package for node in graph.resources if not node.component and not _of_engine(node))
    return f"{packages.total()} resources: {', '.join(f'{name} {count}' for name, count in packages.most_common())}"


def _of_engine(node: Node) -> bool:
    return node.type.startswith("pulumi:")


def hourly(items: Sequence[Item]) -> str:
    found = total(items)
    if not isinstance(found.value, int | float):
        return "an amount that is not known: nothing of it has a price here"
    at_least = "at least " if any(item.monthly is None for item in items) else ""
    return f"{at_least}{money(found.value / prices().hours)} an hour by list prices, without taxes"


# the real thing


class Real:
    """`Cloud` by the suite itself, in this process. ConfigError for a stack that is none."""

    def __init__(self, stack: str) -> None:
        from anytier.cli.stack import config_in
        from anytier.config import from_yaml
        from anytier.conformance.trial import stack_config

        self.stack = stack
        config_in(ROOT, stack)  # a mistyped name is told with the nearest one
        self.config = stack_config(ROOT, stack)
        self.tier = from_yaml(self.config).get("tier", "")
        self._trial: Any = None

    def refused(self) -> list[AnytierError]:
        from anytier.measure.suite import refuse_without_login

        if self.tier not in KEPT:
            what = f"is of tier {self.tier or '(none)'}, and this is for eks, gke and aks"
            return [UsageError(f"stack {self.stack}", what, f"`anytier conformance -s {self.stack}` tries it")]
        try:
            refuse_without_login(self.tier, self.config)
        except AnytierError as nobody:
            return [nobody]  # without anybody to be nothing else matters
        return [
            *unfit(self.stack, self.tier, options_of(self.config, self.tier)),
            *lacking(self.tier),
            *self._builder(),
        ]

    def planned(self) -> Graph:
        """Of the suite's app at this place, in a process of its own. AnytierError for what is wrong."""
        from anytier.recording.apart import Task, record_all

        config = {**self.config, "anytier:app": APP, "anytier:secret.canary": {"secure": ""}}
        found = record_all({self.stack: Task(ROOT, self.stack, config)}, 1, LONGEST)[self.stack]
        for text in found.warnings:
            say(f"warning: {text}")
        if found.graph is None:
            raise ExceptionGroup("plan", [AnytierError("", text) for text in found.errors])
        return found.graph

    def tried(self) -> bool:
        from anytier.cli.stack import engine_env
        from anytier.conformance import report, suite
        from anytier.conformance.places.registry import open_place
        from anytier.conformance.registry import CHECKS
        from anytier.conformance.trial import Trial

        self._trial = Trial(ROOT, open_place(self.config), self.config, engine_env())
        say(f"stack {self._trial.name}, {len(CHECKS)} checks")
        results = suite.run(self._trial, CHECKS, say, colour=sys.stdout.isatty())
        say(report.summary(results, sum(item.seconds for item in results), self.tier))
        return all(item.status != "fail" for item in results)

    def left(self) -> list[str]:
        """Nothing where the suite has forgotten the stack, which it does once all of it is gone."""
        if self._trial is None or not self._trial.folder.is_dir():
            return []
        try:
            found = self._trial.urns()
        except (Failed, AnytierError, ValueError, OSError) as error:
            return [f"the state cannot be read: {error}"]
        return [
            f"{item['type']} {urn.rpartition('::')[2]} {item.get('id') or ''}".rstrip()
            for urn, item in found.items()
            if not item["type"].startswith("pulumi:")
        ]

    def destroyed(self) -> None:
        """With a look at what is there first: what a stopped run has left half made may have come to its end."""
        self._trial.pulumi("destroy", "--yes", "--skip-preview", "--refresh")
        if not self.left():
            self._trial.forget()

    def way_back(self) -> str:
        folder = self._trial.folder
        return f"`. {folder / 'env'} && pulumi destroy --refresh -s {self._trial.name}`, and the cloud's own console"

    def _builder(self) -> list[AnytierError]:
        """The daemon that builds the suite's app: without it a run would fail once the cluster is paid for."""
        import asyncio

        from anytier.doctor.docker import facts
        from anytier.tiers.managed import builder

        host = builder(options_of(self.config, self.tier).get("builder"), os.environ)["host"]
        do = f"start it, or name another one as `anytier:{self.tier}.builder`: the suite's app is built"
        try:
            asyncio.run(facts({"host": host}))
        except (AnytierError, TimeoutError) as error:
            return [ConfigError(f"anytier:{self.tier}.builder", f"no Docker daemon answers at {host} ({error})", do)]
        except ImportError:
            return []  # of the tier's own packages, which the plan tells of
        return []


def options_of(config: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """A stack may have them as a mapping or as its text. What is neither the plan tells."""
    found = config.get(f"anytier:{tier}") or {}
    if isinstance(found, str):
        with suppress(ValueError):
            found = json.loads(found)
    return found if isinstance(found, dict) else {}


def unfit(stack: str, tier: str, options: Mapping[str, Any]) -> Iterator[AnytierError]:
    """What a person's own stack may well say, and a throw-away one may not."""
    key = f"anytier:{tier}"
    if options.get("protect"):
        what = "is true, so what is made here could not be taken down"
        yield ConfigError(f"{key}.protect", what, "try a copy of the stack's file without it")
    closed = options.get("endpoint") == "private" if tier == "gke" else not options.get("access")
    if closed:
        path = f"{key}.endpoint" if tier == "gke" else f"{key}.access"
        what = "lets nobody in from outside, and nobody is inside of a network that is made just now"
        mine = f"`pulumi config set -s {stack} --path '{key}.access[0]' ADDRESS/32` with your own address"
        yield ConfigError(path, what, "`endpoint: dns`" if tier == "gke" else mine)


def lacking(tier: str) -> Iterator[AnytierError]:
    """Commands that the run needs once there is a cluster: too late to find out."""
    from anytier.doctor.managed import NEEDS

    needs = NEEDS[tier]
    for command, mend in (
        (needs.command, needs.mend),
        *needs.also,
        ("kubectl", "https://kubernetes.io/docs/tasks/tools"),
    ):
        if shutil.which(command) is None:
            yield ConfigError(command, "is not on PATH, and the suite gets into the cluster by it", mend)


if __name__ == "__main__":
    sys.exit(main())
