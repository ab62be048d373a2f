"""The example apps are one spec each for every tier that is built: valid, carried, and found in the worked stacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from anytier import capabilities
from anytier.conformance.checks.order import SIDE
from anytier.conformance.patch import merged, workload
from anytier.spec import diagnose
from anytier.spec.walk import used_fields

PROJECT = Path(__file__).parents[2]
# Throw-away stacks of a suite that runs at this moment are none of ours.
STACKS = [file for file in sorted((PROJECT / "stacks").glob("Pulumi.*.yaml")) if ".anytier-test-" not in file.name]
SPECS = sorted((PROJECT / "apps").glob("*/app.yaml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("tier", capabilities.BUILT)
def test_the_same_file_is_valid_and_carried_on_every_tier(spec: Path, tier: str) -> None:
    app, found = diagnose(spec, tier=tier)
    assert app is not None and not found
    for mode in (None, *capabilities.MODES.get(tier, ())):
        assert not capabilities.check(used_fields(app), tier, mode)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.parent.name)
def test_every_example_has_the_modeline_that_gives_completion(spec: Path) -> None:
    first = spec.read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert schema != first
    assert (spec.parent / schema).resolve().is_file()


def test_the_variant_with_init_and_sidecar_is_valid(tmp_path: Path) -> None:
    base = yaml.safe_load((PROJECT / "apps/conformance/app.yaml").read_text())
    shutil.copytree(PROJECT / "apps/conformance", tmp_path, dirs_exist_ok=True)
    variant = tmp_path / "app.yaml"
    variant.write_text(
        yaml.safe_dump(merged(base, workload("side", SIDE), {"resources": {"side": {"type": "volume"}}}))
    )
    app, found = diagnose(variant)
    assert app is not None and not [item for item in found if item.severity == "error"]


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_a_worked_stack_says_where_and_nothing_about_the_app(stack: Path) -> None:
    config = yaml.safe_load(stack.read_text())["config"]
    assert (PROJECT / config["anytier:app"]).is_file()
    assert config["anytier:tier"] in capabilities.TIERS
