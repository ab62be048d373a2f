"""Which test runs a command that a page shows. Pure.

A command is run by tests/docs itself, or in a clone at one of PLACES (tests/e2e/test_pages.py and
test_pages_at_length.py), or it is of those in LEFT, each with the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from collections.abc import Mapping

from tests.docs.commands import Shown, all_shown

from anytier.cli.completion import full_parser

PARSER = full_parser()

PLANS = ("plan", "render", "compare", "preview")
HERE = (
    *PLANS,
    "validate",
    "schema",
    "matrix",
    "init",
    "completion",
    "policy",
    "doctor",
    "bundle",
    "conformance",
    "measure",
)
# The stacks that pages name, and the page of which everything is one's own.
PLACES: Mapping[str, str] = {
    "local": "local.md",
    "docker": "docker.md",
    "baremetal": "baremetal.md",
    "kubeadm": "kubeadm.md",
    "eks": "eks.md",
    "gke": "gke.md",
    "aks": "aks.md",
    "shop": "shop.md",
}
# `make up` with its set-up is what tools/first_walk.sh runs in a clone of its own; here its main job is.
_AS = {"make up": "anytier up -s local"}
_MISTYPED = {"lcoal": "local"}
SUITE = "takes minutes, and has tests of its own: the suite's, and those of measuring"
OURS = "runs these very tests, or what they stand on; CI calls it, as everybody does"
ACCOUNT = "wants an account at a cloud, or that cloud's own command"
DOWNLOAD = "downloads from Kubernetes' own servers; tests/bundle has a server of its own for it"
# Of what nothing else runs: a pattern of the whole command, and why.
LEFT: Mapping[str, str] = {
    r"(az|gcloud) .*": ACCOUNT,
    r"make cloud STACK=.*": ACCOUNT,
    r"make( (test|test-clouds|e2e|e2e-\w+|bench|fmt|docs|help))?( ARGS=.*)?": OURS,
    r".*tools/pytest\.sh .*": OURS,
    r".*tools/preview\.sh .*": "tests/ci runs the very steps of the workflows",
    r"anytier (conformance|measure) -s .*": SUITE,
    r"anytier preview --all --engine .*": ACCOUNT,
    r"anytier bundle build .*": DOWNLOAD,
    r"anytier bundle verify ~.*": "kubeadm.md's own `bundle verify` stands for it",
    r"anytier up -s staging": "as `make up STACK=docker`, for a stack of the reader's own",
    r"anytier (doctor|up) -s libvirt": "an emulated machine takes minutes to boot: tests/e2e/test_libvirt.py",
    r"anytier up -s shop-metal|ssh web1\.example\.org .*": "tests/e2e/test_shop.py has a bare machine for it",
    r"pulumi preview -s shop-local": "what it prints hangs on the machine's packages: tests/e2e/test_shop_local.py",
    r"echo \$\?": "the exit code is looked at with the command before it",
}


def parsed(words: list[str]) -> argparse.Namespace:
    """As `anytier` itself reads them; what is wrong is what it says."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return PARSER.parse_args(words)
    except SystemExit:
        raise AssertionError(said.getvalue().strip().splitlines()[-1]) from None


def runs_here(item: Shown) -> bool:
    """Neither a daemon nor a cluster nor a network nor an engine: by its verb, and what is asked of it."""
    for program, *words in item.words:
        if program in ("cd", "mkdir"):
            continue
        if program.removeprefix(".venv/bin/") != "anytier" or words[0] not in HERE:
            return False
        args = parsed(words)
        if args.verb == "bundle" or (args.verb in ("conformance", "measure") and not args.list):
            return False
        if args.verb == "policy" and args.action == "check" and not args.plan:
            return False
        if args.verb == "doctor" and args.stack not in ("docker", "local"):
            return False  # it logs in to machines, and asks clouds
        if args.verb == "preview" and args.engine:
            return False
    return True


def plain(item: Shown) -> str:
    """The command without a comment, by the names on PATH; what `make` sets up first is left out."""
    line = item.line.split(" #")[0].strip()
    line = re.sub(r"^make up STACK=(\S+)$", r"anytier up -s \1", _AS.get(line, line))
    return line.replace(".venv/bin/", "")


def place_of(item: Shown) -> str | None:
    """The one of PLACES whose stack a command is for."""
    line = plain(item)
    if named := re.search(r" -s (\w[\w-]*)", line):
        stack = _MISTYPED.get(named[1], named[1])
        return stack if stack in PLACES else None
    return next((place for place, page in PLACES.items() if page == item.page), None)


def left(item: Shown) -> str | None:
    """Why nothing runs it."""
    return next((why for pattern, why in LEFT.items() if re.fullmatch(pattern, plain(item), re.DOTALL)), None)


def shown_for(place: str) -> list[Shown]:
    """What pages show for it and a test of a place has to run: its own page as it stands, then what only others have,
    each once; with its output, where one of them shows it."""
    own = PLACES[place]
    found: list[Shown] = []
    for item in sorted(all_shown(), key=lambda item: item.page != own):
        if place_of(item) != place or left(item) or runs_here(item):
            continue
        same = [one for one in found if one.line == plain(item)]
        if item.page == own or not same or (item.output and not any(one.output for one in same)):
            found = [one for one in found if one.page == own or one not in same]
            found.append(Shown(item.page, plain(item), item.output))
    return found
