"""The early start of the plugin, under the real engine."""

from __future__ import annotations

import json
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


@pytest.mark.engine
def test_a_state_does_not_say_which_lines_made_a_thing(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    stack = Stack(tmp_path, pulumi_env)
    program = tmp_path / "__main__.py"
    program.write_text(f"from anytier import early\nearly.begin()\n{program.read_text()}")
    stack.things({"one": {"name": "a"}})
    stack.up()
    (made,) = [
        item
        for item in json.loads(stack.run("stack", "export").stdout)["deployment"]["resources"]
        if item["urn"].endswith("::one")
    ]
    assert made["inputs"]["name"] == "a" and not {"stackTrace", "sourcePosition"} & made.keys()


def test_without_an_engine_nothing_happens() -> None:
    import gc

    early.begin()
    assert gc.isenabled()
