"""A secret's value in a place that is refused: nothing that any verb prints has it, whatever else is said about it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.console import anytier
from tests.spec.test_bad_input import BAD, CANARIES, CANARY, SECRETIVE

CASES = [text for text, *_ in BAD.values() if CANARY in text] + list(SECRETIVE.values())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A stack for each case, on a branch whose first commit has none of them."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True)
    for number, text in enumerate(CASES):
        (tmp_path / f"{number}.yaml").write_text(text)
        config = f"config: {{anytier:app: {number}.yaml, anytier:tier: docker}}\n"
        (tmp_path / f"Pulumi.s{number}.yaml").write_text(config)
    return tmp_path


def leaked(text: str) -> list[str]:
    return [line for line in text.splitlines() if CANARIES.search(line)]


@pytest.mark.parametrize("form", [[], ["--json"], ["--tier", "docker"]], ids=["text", "json", "tier"])
def test_validate_prints_no_secret(project: Path, form: list[str]) -> None:
    files = [f"{number}.yaml" for number in range(len(CASES))]
    done = anytier("validate", *form, *files, cwd=project)
    assert done.code == 1 and not done.err
    assert all(file in done.out for file in files)
    assert not leaked(done.out)


def test_a_preview_and_its_comment_print_no_secret(project: Path) -> None:
    done = anytier("preview", "--all", "--markdown", "--save", "found.json", cwd=project)
    found = json.loads((project / "found.json").read_text())
    assert len(found) == len(CASES) and all(item["state"] == "failed" for item in found)
    assert not leaked(done.out + done.err + json.dumps(found))


def test_a_plan_prints_no_secret_of_an_image_that_is_put_together(project: Path) -> None:
    """Only where its placeholders are resolved is it known to hold one."""
    (project / "0.yaml").write_text(
        "apiVersion: anytier.dev/v1\nkind: App\n"
        f"metadata: {{name: shop, annotations: {{registry: 'me:{CANARY}@example.org'}}}}\n"
        "workloads: {web: {containers: {web: {image: '${metadata.annotations.registry}/nginx'}}}}\n"
    )
    for verb in (["plan", "-s", "s0"], ["plan", "-s", "s0", "--json"], ["preview", "s0", "--markdown"]):
        done = anytier(*verb, cwd=project)
        assert done.code == 1 and "containers.web.image: holds credentials" in done.out + done.err
        assert not leaked(done.out + done.err)


@pytest.mark.parametrize(
    "line", ["anytier:token: 'x{}", "anytier:db: {{secure: {}", "anytier:tokne: {}"], ids=["quote", "brace", "typo"]
)
def test_a_stacks_file_that_is_wrong_is_told_without_its_values(project: Path, line: str) -> None:
    (project / "0.yaml").write_text(
        "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: shop}\nsecrets: {token: {from: config}}\n"
        "workloads: {web: {host: {command: [a]}}}\n"
    )
    with (project / "Pulumi.s0.yaml").open("w") as file:
        file.write(f"config:\n  anytier:app: 0.yaml\n  anytier:tier: local\n  {line.format(CANARY)}\n")
    for verb in (["plan", "-s", "s0"], ["validate", "-s", "s0"], ["validate", "-s", "s0", "--json"], ["preview", "s0"]):
        done = anytier(*verb, cwd=project)
        assert done.code == 1
        assert not leaked(done.out + done.err)
