"""The recorder itself: what other tests left behind does not reach it, and a program that does not end is told."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from tests.runtimes.record import record

import pulumi


@pytest.fixture
def left_behind() -> Any:
    """An output that nobody ever resolves, of a loop that is closed."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def leave() -> None:
        pulumi.Output.from_input(loop.create_future())
        await asyncio.sleep(0)

    loop.run_until_complete(leave())
    yield
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.set_event_loop(None)
    loop.close()
    pulumi.runtime.settings.SETTINGS.outputs.clear()


def test_an_output_of_an_earlier_test_is_not_waited_for(left_behind: None) -> None:
    found = record(lambda: pulumi.export("x", 1), longest=20)
    assert found.exports == {"x": 1}


def test_a_program_that_does_not_end_says_what_it_waits_for() -> None:
    def endless() -> None:
        async def for_what_never_comes() -> None:
            await asyncio.get_running_loop().create_future()

        pulumi.Output.from_input(for_what_never_comes())

    with pytest.raises(AssertionError, match=r"(?s)did not end within 0\.3 s.*from_awaitable"):
        record(endless, longest=0.3)
    assert record(lambda: None).resources == []


def test_the_collector_is_as_it_was_before() -> None:
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            record(lambda: None)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
