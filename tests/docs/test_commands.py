"""Every command that a document shows is one: the real parsers read it, what it names is there, and those that want
neither a daemon nor a cluster nor a network are run in a scratch clone and print what is shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.docs.commands import PAGES, ROOT, Shown, agrees, all_shown, copy_clone, shown, spans
from tests.docs.runs import PARSER, PLANS, parsed, runs_here

from anytier.cli.completion import verbs_of
from anytier.cli.registry import VERBS

ALL = all_shown()
# Programs that are not this project's. A new one is added here by somebody who has tried it.
OTHERS = {"az", "cd", "curl", "echo", "gcloud", "kubectl", "mkdir", "ssh"}
PULUMI = {
    "preview": {"-s", "--policy-pack"},
    "stack output": {"-s", "--show-secrets"},
}
STACKS = {file.name.split(".")[1] for file in (ROOT / "stacks").glob("Pulumi.*.yaml")}


def ids(item: Shown) -> str:
    return re.sub(r"[^\w-]+", " ", str(item)).strip()[:80]


@pytest.mark.parametrize("item", ALL, ids=ids)
def test_a_command_that_is_shown_is_one(item: Shown) -> None:
    assert item.words, "nothing but a comment"
    for program, *words in item.words:
        CHECKS.get(program.removeprefix(".venv/bin/"), other)(item, program, words)


def anytier(item: Shown, program: str, words: list[str]) -> None:
    args = parsed(words)
    if getattr(args, "stack", None) or (args.verb in ("compare", "preview") and args.stacks):
        for name in [args.stack] if getattr(args, "stack", None) else args.stacks:
            known(item, name)
    if args.verb == "exec":
        first = next(word for word in args.command if word != "--")
        assert not first.startswith("-"), "options of `exec` stand before the workload"
    for file in getattr(args, "files", None) or ():
        assert (ROOT / file).is_file() or item.output, f"{file} is not there"


def known(item: Shown, name: str) -> None:
    """A stack of the project, one whose file the page shows, or one that is shown not to be."""
    page = next(page for page in PAGES if page.name == item.page).read_text()
    assert name in STACKS or f"stacks/Pulumi.{name}.yaml" in page or "there is no such stack" in item.output, (
        f"there is no stack {name}, and {item.page} shows no file of it"
    )


def make(item: Shown, program: str, words: list[str]) -> None:
    rules = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, value = word.partition("=")
        if not is_variable:
            assert re.search(rf"^{re.escape(word)}:", rules, re.MULTILINE), f"make has no {word}"
        elif name == "STACK":
            known(item, value)
        else:
            assert f"$({name})" in rules, f"the Makefile reads no {name}"
        if name == "ARGS" and "bench" in words:
            from benchmarks.__main__ import parser

            parser().parse_args(value.split())


def pulumi(item: Shown, program: str, words: list[str]) -> None:
    verb = next(verb for verb in PULUMI if words[: len(verb.split())] == verb.split())
    assert {word for word in words if word.startswith("-")} <= PULUMI[verb]
    if "-s" in words:
        known(item, words[words.index("-s") + 1])


def other(item: Shown, program: str, words: list[str]) -> None:
    if "/" in program:
        assert os.access(ROOT / program, os.X_OK), f"{program} is not there, or cannot be run"
    else:
        assert program in OTHERS, f"{program} is a program that no document has shown before"


CHECKS: Mapping[str, Callable[[Shown, str, list[str]], None]] = {"anytier": anytier, "make": make, "pulumi": pulumi}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_option_that_a_sentence_names_is_one_of_that_verb(page: Path) -> None:
    verbs = verbs_of(PARSER)
    for words in spans(page):
        if words[1] not in VERBS or (words[1] == "exec" and "--" in words):
            continue
        options = {word.partition("=")[0].rstrip(",.;:") for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert options <= set(verbs[words[1]]._option_string_actions) | {"--help"}, " ".join(words)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_shown_with_a_command(verb: str) -> None:
    assert any(words[:2] in (["anytier", verb], [".venv/bin/anytier", verb]) for item in ALL for words in item.words)


# run for real

CLOUDS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
# What may end otherwise than with 0: what is looked for may not be on the machine, or is shown to be wrong.
CODES = {"doctor": (0, 1), "validate": (0, 1)}
# What tells of the machine that it was run on, so that nobody else's is the same.
OF_A_MACHINE = ("doctor",)
UNREAL = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: hello}
workloads:
  web:
    containers:
      web:
        image: NGINX
    service:
      ports: {http: {port: 80}}
    scale: {replica: 2}
"""


def verbs(item: Shown) -> list[list[str]]:
    """What `anytier` itself is asked for."""
    return [words for program, *words in item.words if program.endswith("anytier")]


def clouds_of(item: Shown) -> set[str]:
    """The tiers of clouds that a command plans."""
    found: set[str] = set()
    for args in map(parsed, verbs(item)):
        if args.verb in ("plan", "render") and args.stack in CLOUDS:
            found.add(args.stack)
        elif args.verb == "preview" or (args.verb == "compare" and not args.stacks):
            found |= set(CLOUDS)
        elif args.verb == "compare":
            found |= set(CLOUDS) & set(args.stacks)
    return found


def quick(item: Shown) -> bool:
    """What takes a moment; of plans, which take two seconds each, those whose output is shown, or read later on."""
    if clouds_of(item) or item.page == "plan.md":
        return False
    asked = {words[0] for words in verbs(item)}
    return not asked & {"compare", "preview", "doctor"} and (
        not asked & set(PLANS) or bool(item.output) or ">" in item.line
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git keeps of this clone, as a repository of its own with a branch to compare with."""
    folder = tmp_path_factory.mktemp("clone") / "anytier"
    copy_clone(folder)
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], cwd=folder, check=True)
    (folder / "app.yaml").write_text(UNREAL)
    return folder


def more_replicas(clone: Path) -> None:
    file = clone / "apps" / "guestbook" / "app.yaml"
    file.write_text(file.read_text().replace("scale: {replicas: 2}", "scale: {replicas: 3}"))


# What a reader is told to do, in words, before a command.
BEFORE: Mapping[str, Callable[[Path], None]] = {"cli.md: anytier plan -s docker --diff base.json": more_replicas}


RAN: set[str] = set()


def run(item: Shown, clone: Path) -> None:
    if not item.output and item.line in RAN and ">" not in item.line:
        return  # another page has it, too
    RAN.add(item.line)
    if step := BEFORE.get(str(item)):
        step(clone)
    folders = [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    paths = filter(None, (os.environ.get("PYTHONPATH"), os.environ.get("ANYTIER_CLOUDS")))
    env = {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join(paths),
        "NO_COLOR": "1",
        "HOME": str(clone.parent),
    }
    line = item.line.replace(".venv/bin/anytier", "anytier")
    done = subprocess.run(line, shell=True, cwd=clone, env=env, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    (verb, *_), *_ = verbs(item)
    assert done.returncode in CODES.get(verb, (0,)), f"$ {line}\n{done.stdout}{done.stderr}"
    if item.output and verb not in OF_A_MACHINE:
        assert agrees(item.output, done.stdout or done.stderr), f"$ {line}\n{done.stdout}{done.stderr}"


def of_pages(which: Callable[[Shown], bool]) -> list[Path]:
    return [page for page in PAGES if any(filter(which, filter(runs_here, shown(page))))]


@pytest.mark.parametrize("page", of_pages(quick), ids=lambda page: page.stem)
def test_what_a_page_shows_runs_and_prints_what_is_shown(page: Path, clone: Path) -> None:
    """In the page's own order: one command may write what the next one reads."""
    for item in filter(quick, filter(runs_here, shown(page))):
        run(item, clone)
    subprocess.run(["git", "checkout", "-q", "."], cwd=clone, check=True)


FIRST = {words[0]: item for item in reversed(ALL) if runs_here(item) and clouds_of(item) for words in verbs(item)}


@pytest.mark.e2e
@pytest.mark.parametrize("page", of_pages(lambda item: not quick(item)), ids=lambda page: page.stem)
def test_what_takes_longer_runs_and_prints_what_is_shown(page: Path, clone: Path) -> None:
    """Of comparisons and previews with clouds the first stands for the others, unless there is time."""
    left: set[str] = set()
    for item in filter(runs_here, shown(page)):
        lacking = {CLOUDS[tier] for tier in clouds_of(item) if find_spec(CLOUDS[tier]) is None}
        stands = not clouds_of(item) or item.output or item in FIRST.values() or os.environ.get("ANYTIER_AT_LENGTH")
        if quick(item) or not stands or lacking:
            left |= lacking
        else:
            run(item, clone)
    if left:
        pytest.skip(f"{', '.join(sorted(left))} not installed, so that some were not run: make test-clouds")


@pytest.mark.e2e
@pytest.mark.parametrize("verb", PULUMI)
def test_the_engine_has_the_options_that_are_shown(verb: str, pulumi_env: dict[str, str]) -> None:
    done = subprocess.run(
        ["pulumi", *verb.split(), "--help"], env=pulumi_env, capture_output=True, text=True, check=True
    )
    for option in PULUMI[verb] - {"-s"}:
        assert option in done.stdout, option
    assert "-s, --stack" in done.stdout


# how they are read


def test_a_command_may_have_several_lines_and_programs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "1. So:\n\n   ```console\n   $ A=1 one 'x\n   y' | two --b \\\n       -c > out # why\n   shown\n   ```\n"
    )
    (item,) = shown(page)
    assert item.words == [["one", "x\ny"], ["two", "--b", "-c"]]
    assert item.output == "shown"


@pytest.mark.parametrize(
    ("text", "printed", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a", "a\nb\n", False),
        ("a\n...", "a\nb\nc\n", True),
        ("a\n...", "a\n", True),
        ("...\nc", "a\nb\nc\n", True),
        ("a\n...\nc", "a\nc\n", True),
        ("a\n...\nd", "a\nb\nc\n", False),
        ("a", "b\na\n", False),
    ],
)
def test_three_dots_stand_for_any_lines(text: str, printed: str, same: bool) -> None:
    assert agrees(text, printed) is same


def test_an_option_that_there_is_not_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments: --watch"):
        anytier(Shown("cli.md", "anytier status -s local --watch", ""), "anytier", ["status", "-s", "local", "--watch"])
    with pytest.raises(AssertionError, match="there is no stack prod"):
        anytier(Shown("cli.md", "anytier up -s prod", ""), "anytier", ["up", "-s", "prod"])
