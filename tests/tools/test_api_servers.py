"""The API servers of newer minors: pins that agree, and no minor of a managed tier without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import api_servers as made
import kubernetes_bundle
from anytier.tiers import aksfacts, eksargs, gkeargs
from bootstrap.paths import Paths
from bootstrap.say import SetupError


def text(minor: str) -> str:
    return (made.module(minor) / "go.mod").read_text()


@pytest.mark.parametrize("minor", made.MINORS)
def test_the_module_pins_all_of_kubernetes_to_one_version(minor: str) -> None:
    said = made.version(minor)
    staged = re.findall(r"^replace (k8s\.io/\S+) => \1 v0\.(\S+)$", text(minor), re.MULTILINE)
    assert len(staged) > 20 and {pin for _, pin in staged} == {said.removeprefix("1.")}
    assert said.startswith(f"{minor}.") and f"tool {made.PACKAGE}\n" in text(minor)


def test_objects_are_held_against_each_minor_that_a_stack_may_ask_for() -> None:
    tiers = {*aksfacts.VERSIONS.minors, *eksargs.VERSIONS.minors, *gkeargs.EXTENDED.minors}
    assert tiers == {*made.MINORS, *kubernetes_bundle.MODULES}


def test_each_has_a_place_of_its_own_that_tells_its_version(tmp_path: Path) -> None:
    here = Paths(root=made.ROOT, cache=tmp_path)
    places = [made.place(here, minor) for minor in made.MINORS]
    assert len(set(places)) == len(places)
    assert [path.parent.name.split("-")[2] for path in places] == [made.version(minor) for minor in made.MINORS]


def test_one_that_is_there_is_not_built_and_one_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    here = Paths(root=made.ROOT, cache=tmp_path)
    there = made.place(here, made.MINORS[0])
    there.parent.mkdir()
    there.touch()
    assert made.ensure(here, made.MINORS[0]) == there
    with pytest.raises(SetupError, match="there is no module for"):
        made.ensure(here, "1.2")
