"""The schema says what the models say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.provider.inmemory import REGISTRY

from anytier.provider.registry import Registry
from anytier.provider.schema import schema, schema_text


def found_in(node: Any, key: str) -> list[Any]:
    if isinstance(node, dict):
        own = [node[key]] if key in node else []
        return own + [hit for item in node.values() for hit in found_in(item, key)]
    return [hit for item in node for hit in found_in(item, key)] if isinstance(node, list) else []


def test_fields_keep_their_behaviour() -> None:
    thing = schema(REGISTRY, "1.2.3")["resources"]["anytier:test:Thing"]
    assert thing["inputProperties"]["name"] == {"type": "string", "willReplaceOnChanges": True}
    assert thing["inputProperties"]["password"] == {"type": "string", "secret": True}
    assert thing["inputProperties"]["tags"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert thing["inputProperties"]["parts"]["items"] == {"$ref": "#/types/anytier:test:Part"}
    assert thing["requiredInputs"] == ["name"]
    assert thing["required"] == ["generation", "name", "size", "url"]


@pytest.mark.parametrize("registry", [REGISTRY, Registry()], ids=["test", "shipped"])
def test_every_reference_has_its_type(registry: Registry) -> None:
    package = json.loads(schema_text(registry, "1.2.3"))
    assert set(package["resources"]) == set(registry.tokens())
    references = {item.removeprefix("#/types/") for item in found_in(package, "$ref") if item.startswith("#/types/")}
    assert references <= set(package["types"])
