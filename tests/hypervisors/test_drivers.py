"""What each driver can do: all of it said, the table's three forms, and what a person is told of those never tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.console import anytier

from anytier.hypervisors.drivers import ABILITIES, DRIVERS, lacking
from anytier.hypervisors.uri import EXAMPLES, PATHS, wrong
from anytier.render.libvirt.dialect import DIALECTS
from anytier.report import hypervisors

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("key", DRIVERS)
def test_every_driver_has_an_example_a_dialect_and_a_word_for_what_it_cannot(key: str) -> None:
    driver = DRIVERS[key]
    assert wrong(EXAMPLES[key]) is None and key in PATHS
    assert set(driver.types) <= set(DIALECTS)
    assert driver.abilities <= set(ABILITIES)
    for ability in ABILITIES:
        found = lacking(driver, ability)
        assert (found is None) == (ability in driver.abilities)
        assert found is None or (driver.name in found[0] and found[1])


def test_a_seed_needs_an_upload() -> None:
    for driver in DRIVERS.values():
        assert "seed" not in driver.abilities or {"volumes", "upload"} <= driver.abilities


def test_only_what_our_tests_run_is_called_tried() -> None:
    assert {key for key, driver in DRIVERS.items() if driver.tried} == {"qemu", "test"}
    page = hypervisors.as_markdown()
    assert page.count("never run against the real thing") == len(DRIVERS) - 2


def test_the_page_is_fresh() -> None:
    do = "run: anytier matrix --hypervisors --markdown > docs/hypervisors.md"
    assert (DOCS / "hypervisors.md").read_text() == hypervisors.as_markdown(), do


def test_the_table_fits_a_terminal_and_a_program_gets_the_same() -> None:
    done = anytier("matrix", "--hypervisors")
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 100
    found = json.loads(anytier("matrix", "--hypervisors", "--json").out)
    assert [item["driver"] for item in found] == list(DRIVERS)
    assert anytier("matrix", "--hypervisors", "--markdown").out == hypervisors.as_markdown()


def test_a_tier_or_field_does_not_go_with_it() -> None:
    done = anytier("matrix", "--hypervisors", "--tier", "docker")
    assert done.code == 2 and "--tier" in done.err
