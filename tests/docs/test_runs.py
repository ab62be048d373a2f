"""No command that a page shows is forgotten: something runs it, or it is said why nothing does."""

from __future__ import annotations

import re

import pytest
from tests.docs.commands import Shown, all_shown
from tests.docs.runs import LEFT, PLACES, left, place_of, plain, runs_here, shown_for


def test_every_command_is_run_or_it_is_said_why_not() -> None:
    nobody = [str(item) for item in all_shown() if not (runs_here(item) or left(item) or place_of(item))]
    assert not nobody, "\n".join(nobody)


def test_what_is_left_out_is_shown_somewhere() -> None:
    lines = [plain(item) for item in all_shown()]
    unused = [pattern for pattern in LEFT if not any(re.fullmatch(pattern, line, re.DOTALL) for line in lines)]
    assert not unused


@pytest.mark.parametrize("place", PLACES)
def test_a_place_has_something_to_run(place: str) -> None:
    assert any(" up " in f"{item.line} " for item in shown_for(place))


def test_a_command_is_for_the_stack_that_it_names_or_else_for_its_pages() -> None:
    assert place_of(Shown("README.md", "make up STACK=docker", "")) == "docker"
    assert place_of(Shown("eks.md", "pulumi stack output kubeconfig", "")) == "eks"
    assert place_of(Shown("shop.md", "curl -s -d x http://localhost:8082/", "")) == "shop"
    assert place_of(Shown("local.md", "anytier status -s docker", "")) == "docker"
    assert place_of(Shown("README.md", "anytier up -s elsewhere", "")) is None
