"""The early start of the plugin, under the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.provider.stack import Stack

from anytier import early
from anytier.provider.registry import Registry
from anytier.tiers.registry import REGISTRY

PROGRAM = """
import gc, threading
from anytier import early

early.begin()
for thread in threading.enumerate():
    if thread is not threading.current_thread() and thread.daemon and "_wake" in thread.name:
        thread.join()
assert not gc.isenabled()
"""


@pytest.mark.engine
def test_the_plugin_is_started_before_any_resource_needs_it(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    stack = Stack(tmp_path, pulumi_env)
    (tmp_path / "__main__.py").write_text(PROGRAM)
    stack.up()
    state = stack.run("stack", "export").stdout
    assert "pulumi:providers:anytier::default" in state


def test_without_an_engine_nothing_happens() -> None:
    import gc

    early.begin()
    assert gc.isenabled()


def test_every_tier_that_is_built_is_known_and_its_module_has_resources() -> None:
    assert early.MODULES.keys() == REGISTRY.keys()
    for module in early.MODULES.values():
        assert any(token.split(":")[1] == module for token in Registry().tokens())


def test_a_module_is_loaded_whole_and_no_other() -> None:
    registry = Registry({"anytier:a:X": "json:JSONDecoder", "anytier:b:Y": "nowhere:Y"})
    registry.prepare("a")
    registry.prepare("c")
    assert registry._loaded.keys() == {"anytier:a:X"}
