"""docs/adding-a-tier.md is whole and true: every file that names a tier is in it, and its example is a tier."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from tests.runtimes.record import record

import pulumi
from anytier.tiers.places import DockerEndpoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-tier.md").read_text()
SOURCES = [file for folder in ("components", "tools", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]


def names(source: str, tier: str) -> bool:
    """Whether a tier stands in a module as a text of its own, or as the name of an argument."""
    return any(
        (isinstance(node, ast.Constant) and node.value == tier) or (isinstance(node, ast.keyword) and node.arg == tier)
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("tier", ["aks", "gke", "baremetal"])
def test_every_file_that_names_a_tier_is_told_of(tier: str) -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for file in SOURCES
        if tier not in file.name and tier in (source := file.read_text()) and names(source, tier)
    }
    # what measures one tier against another tool has it by name, and is no list of tiers
    found -= {"benchmarks/cases/machines.py", "benchmarks/cases/shop.py"}
    listed = set(re.findall(r"`([\w./-]+)`", PAGE))
    folders = ("components/anytier/conformance/places", "benchmarks/cases", "tools")
    listed |= {f"{folder}/{name}" for folder in folders for name in listed if "/" not in name}
    missing = sorted(found - listed)
    assert len(found) > 4 and missing == []


def test_every_file_that_it_names_is_there() -> None:
    for name in re.findall(r"`((?:components|tools|tests|stacks|benchmarks|docs)/[\w./-]+)`", PAGE):
        assert "nearby" in name or (ROOT / name).exists(), name


def test_its_example_is_a_tier() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space: dict[str, Any] = {"__name__": "anytier.tiers.nearby"}
    exec(compile(block, "adding-a-tier.md", "exec", dont_inherit=True), space)
    kind, args = space["NearbyTier"], space["NearbyArgs"]
    assert issubclass(kind, pulumi.ComponentResource)
    assert kind.config_key == "nearby" and issubclass(kind.args_type, BaseModel)
    assert kind.mode(args()) is None
    with pytest.raises(ValidationError):
        args.model_validate({"rooms": "attic"})

    places = []
    record(lambda: places.append(kind("nearby", args(room="cellar"), port=80, tls_port=443).place))
    assert places == [DockerEndpoint(endpoint={"host": "unix:///run/cellar.sock"}, port=80, tls_port=443)]
