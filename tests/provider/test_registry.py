"""Every registered resource keeps the contract."""

from __future__ import annotations

import inspect

import pytest

from anytier.frozen import Frozen
from anytier.provider.registry import RESOURCES, Registry
from anytier.provider.resource import Resource


@pytest.mark.parametrize("token", sorted(RESOURCES))
def test_a_resource_has_models_and_effects(token: str) -> None:
    kind = Registry().load(token)
    assert kind is not None
    assert issubclass(kind, Resource)
    assert issubclass(kind.inputs, Frozen)
    assert issubclass(kind.outputs, Frozen)
    for step in ("create", "read", "update", "delete"):
        assert getattr(kind, step) is not getattr(Resource, step), f"{token} has no {step}"
        assert inspect.iscoroutinefunction(getattr(kind, step))


def test_a_token_of_others_is_none_of_ours() -> None:
    assert Registry().load("aws:s3:Bucket") is None
