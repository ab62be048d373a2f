"""The rules name properties that the clouds' SDKs have: read from the SDKs' source, since importing them takes long."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.policy.good import ALL

# module's token -> where in the SDK its types are
PLACES = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure-native": "pulumi_azure_native"}
FREE = {"tags", "addonProfiles"}  # mappings whose keys are anybody's


@cache
def source(package: str, module: str) -> str:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package} is not installed: it comes with the extra of its tier")
    folder = Path(next(iter(found.submodule_search_locations))) / module
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.py")))


def keys(tree: Any, above: str = "") -> set[str]:
    if isinstance(tree, dict):
        own = set() if above in FREE else set(tree)
        return own.union(*(keys(value, key) for key, value in tree.items()))
    return set().union(*(keys(value, above) for value in tree)) if isinstance(tree, list) else set()


CLOUDS = [item for item in ALL if item.type.split(":")[0] in PLACES]


@pytest.mark.parametrize("item", CLOUDS, ids=lambda item: item.name)
def test_every_property_of_the_good_stack_is_one_of_the_sdks(item: Any) -> None:
    cloud, module, _ = item.type.split(":")
    text = source(PLACES[cloud], module.split("/")[0])
    assert f"'{item.type}'" in text
    names = set(re.findall(r'getter\(name="(\w+)"\)', text)) | set(
        re.findall(r"@pulumi\.getter\n(?:\s+@.*\n)*\s+def (\w+)\(", text)
    )
    assert len(names) > 50 and keys(dict(item.props)) <= names
