"""Operations end when they are told to, and say why."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from anytier.errors import Rejected
from anytier.provider.operation import Operations


async def forever() -> None:
    await asyncio.Event().wait()


async def stubborn(release: asyncio.Event) -> None:
    while not release.is_set():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


async def started(operations: Operations) -> None:
    while not operations.busy:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_result_and_an_error_come_through() -> None:
    async def fine() -> int:
        return 3

    async def wrong() -> int:
        raise Rejected("a", "no")

    operations = Operations()
    assert (await operations.run(fine())).value == 3
    assert str((await operations.run(wrong())).error) == "a: no"
    assert not operations.busy


async def test_cancel_ends_what_is_under_way_and_refuses_what_comes() -> None:
    operations = Operations()
    running = asyncio.ensure_future(operations.run(forever()))
    await started(operations)
    operations.cancel()
    assert "cancelled" in str((await running).error)
    assert "before it began" in str((await operations.run(forever())).error)
    await operations.drained()


async def test_a_time_limit_names_itself() -> None:
    outcome = await Operations().run(forever(), timeout=0.01, what="create")
    assert str(outcome.error) == "create took longer than 0.01 s -> raise customTimeouts.create"


async def test_work_that_will_not_stop_does_not_hold_up_the_answer() -> None:
    operations, release = Operations(grace=0.01), asyncio.Event()
    outcome = await operations.run(stubborn(release), timeout=0.01, what="update")
    assert outcome.error is not None
    assert operations.busy
    release.set()
    await operations.drained()


async def test_an_error_while_stopping_is_the_better_reason() -> None:
    async def tidy() -> None:
        try:
            await forever()
        finally:
            raise Rejected("web", "rolled back")

    outcome = await Operations().run(tidy(), timeout=0.01)
    assert str(outcome.error) == "web: rolled back"


async def test_a_caller_that_hangs_up_ends_the_work() -> None:
    operations = Operations()
    running = asyncio.ensure_future(operations.run(forever()))
    await started(operations)
    running.cancel()
    await asyncio.wait({running})
    await asyncio.wait_for(operations.drained(), 1)
