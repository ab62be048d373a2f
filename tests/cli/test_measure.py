"""`anytier measure` as a command: what it refuses, and what it lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.console import anytier

from anytier.measure.figures import KINDS

PROJECT = Path(__file__).parents[2]


def test_it_lists_its_figures() -> None:
    done = anytier("measure", "--list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == list(KINDS)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 2, "--stack: is needed"),
        (("-s", "local", "--repeat", "0"), 2, "--repeat: 0 is not between 1 and 20"),
        (("-s", "local", "--timeout", "nan"), 2, "--timeout: is not more than 0"),
        (("-s", "local", "--only", "no-op"), 2, "did you mean 'noop'"),
        (("-s", "lcoal"), 1, "did you mean 'local'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(args: tuple[str, ...], code: int, said: str) -> None:
    done = anytier("measure", *args, cwd=PROJECT)
    assert done.code == code and said in done.err and "->" in done.err
    assert not list((PROJECT / "stacks").glob("Pulumi.anytier-test-*.yaml"))


def test_a_cloud_without_a_login_is_refused(tmp_path: Path) -> None:
    names = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
    done = anytier("measure", "-s", "eks", cwd=PROJECT, env={"HOME": str(tmp_path), **dict.fromkeys(names, "")})
    assert done.code == 1 and "nobody is logged in to AWS" in done.err
