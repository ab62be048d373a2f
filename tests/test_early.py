"""The early start of the plugin, under the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.provider.stack import Stack

from anytier import early

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
