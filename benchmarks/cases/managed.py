"""`pulumi preview` of a managed tier's stack that is up and unchanged, beside a Pulumi program that only imports the
same modules of the cloud's SDK, which is most of what there is to wait for.

The engine, the SDKs, our plugin and the one for Kubernetes are real, and so is the API server; it has no node. The
clouds' own plugins are stood in by tests' (tests/standins/README.md): no cloud is asked.
"""

from __future__ import annotations

import ast
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from anytier.cli.stack import engine_env
from benchmarks.cases.compare import environment
from benchmarks.measure import CommandFailed, in_turns
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT, Stack, kubernetes_plugin, program

LIMIT = 1.6
SDKS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
PREVIEW = ("preview", "--expect-no-changes")


def run(options: Options) -> list[Row]:
    kubernetes_plugin()
    os.environ.update(PYTHONPATH=environment()["PYTHONPATH"])  # of all that is started here: the engine, its program
    with clusters() as told:
        return [measured(options, tier, told) for tier in (list(SDKS)[:1] if options.quick else SDKS)]


def measured(options: Options, tier: str, told: dict[str, Any]) -> Row:
    with deployed(tier, told) as ours, program(imports(tier)) as theirs:
        theirs.up()
        ways = {"ours": lambda: seconds(ours), "theirs": lambda: unchanged(theirs)}
        samples = in_turns(options.repeat, ways)
    what = f"`pulumi preview` of tier {tier}, nothing to change, plugin of its cloud stood in"
    beside = f"a program that only imports what it uses of {SDKS[tier]}"
    return Row(what, "s", samples["ours"], beside, samples["theirs"], Limit("ratio", LIMIT))


def imports(tier: str) -> str:
    """A program of the very statements by which the tier's files import their cloud's SDK."""
    found: dict[str, None] = {}
    for file in sorted((ROOT / "components" / "anytier" / "tiers").glob(f"{tier}*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == SDKS[tier]:
                found[ast.unparse(node)] = None
    if not found:
        raise CommandFailed(f"no file of tier {tier} imports {SDKS[tier]}")
    return "\n".join(["import pulumi", *found, ""])


def seconds(project: Any) -> float:
    """Of a preview. CommandFailed where it would change anything."""
    done = project.run(*PREVIEW, check=False)
    if done.code:
        raise CommandFailed(f"`pulumi preview` ended with {done.code}:\n{done.out[-2000:]}")
    return float(done.seconds)


def unchanged(stack: Stack) -> float:
    return stack.pulumi(*PREVIEW)


@contextmanager
def clusters() -> Iterator[dict[str, Any]]:
    """A control plane, as the stood-in clouds hand it out."""
    parts: Any = import_module("tests.provider.kubernetes.controlplane")
    if parts.programs() is None:
        raise CommandFailed("there is no kube-apiserver here; tools/kubernetes_bundle.py builds it")
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as folder:
        with import_module("tests.standins.managed").cluster(Path(folder) / "control-plane") as told:
            yield told


@contextmanager
def deployed(tier: str, told: dict[str, Any]) -> Iterator[Any]:
    """The tier's shortest stack, up. Its cloud is a folder, but the cluster is the others' too: it is taken down."""
    (ROOT / ".anytier").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="anytier-test-", dir=ROOT / ".anytier") as folder:
        env = engine_env({"PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(24), "NO_COLOR": "1"})
        env.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        project = import_module("tests.standins.managed").ManagedProject(Path(folder), env, tier, told)
        try:
            done = project.up(check=False)
            if done.code:
                raise CommandFailed(f"`pulumi up` of tier {tier} ended with {done.code}:\n{done.out[-2000:]}")
            yield project
        finally:
            project.destroy(check=False)
