"""When a daemon fails under a workload: each call once, all of them, in the middle of a rollout."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import aiohttp
import pytest
from tests.e2e.suite import AT_LENGTH

from anytier.errors import AnytierError, Unreachable
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.proxy import ProxyResource
from anytier.provider.docker.workload import WorkloadInputs, WorkloadResource
from anytier.render.template import File

from .ground import Ground
from .shop import Shop, have_base_image

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def base_image() -> None:
    have_base_image()


@pytest.fixture
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    made = Shop(ground)
    await made.make_network()
    yield made


class Cut:
    """The n-th call from now on gets no answer: before it is done, or after, when nobody knows any more."""

    def __init__(self, fail_at: int, after: bool, always: bool = False) -> None:
        self.left, self.after, self.always = fail_at, after, always
        self.failed: str | None = None

    @contextlib.contextmanager
    def between(self) -> Iterator[None]:
        real, cut = Daemon._query, self

        @contextlib.asynccontextmanager
        async def query(self: Daemon, method: str, path: str, *rest: Any) -> AsyncIterator[Any]:
            cut.left -= 1
            fails = cut.left == 0 or (cut.always and cut.left < 0)
            if fails:
                cut.failed = f"{method} {path}"
                if not cut.after:
                    raise aiohttp.ServerDisconnectedError
            async with real(self, method, path, *rest) as answer:
                if fails:
                    await answer.read()
                    raise aiohttp.ServerDisconnectedError
                yield answer

        Daemon._query = query  # type: ignore[method-assign]
        try:
            yield
        finally:
            Daemon._query = real  # type: ignore[method-assign]


def quick(shop: Shop, version: str = "1") -> WorkloadInputs:
    files = [File(target="/etc/s", content="${secrets.db}")]
    return shop.alone(version, files=files, policy={"min_healthy_time": 0, "drain_timeout": 1})


async def settle(act: Callable[[], Awaitable[object]], fail_at: int, after: bool) -> str | None:
    """Runs `act` with one failing call, then again without. None once there is no call number `fail_at`."""
    cut = Cut(fail_at, after)
    with cut.between(), contextlib.suppress(AnytierError):
        await act()
    if cut.failed is not None:
        await act()
    return cut.failed


async def each_call(shop: Shop, numbers: Sequence[int], after: bool) -> int:
    count = 0
    for number in numbers:
        created = await settle(lambda: shop.create(quick(shop)), number, after)
        assert list(await shop.containers()) == [f"{shop.ns}-web-r1-0"], f"call {number} of create: {created}"
        found = await shop.read(quick(shop))
        assert found is not None and found[1].ready == 1, f"call {number} of create: {created}"
        deleted = await settle(lambda: shop.delete(quick(shop)), number, after)
        assert await shop.left() == [f"network {shop.ns}"], f"call {number} of delete: {deleted}"
        count = number
        if created is None and deleted is None:
            break
    return count


async def test_a_call_that_fails_once_is_made_good_by_the_next_run(shop: Shop) -> None:
    await each_call(shop, [3, 8, 14, 20], after=False)


@pytest.mark.e2e
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_every_single_call_may_fail_once(shop: Shop, after: bool) -> None:
    """Each before or after it was done; with ANYTIER_AT_LENGTH=1 both ways."""
    assert await each_call(shop, range(1, 200) if AT_LENGTH else range(1 + after, 200, 2), after) > 20


async def test_what_a_failed_create_has_made_is_in_the_state(shop: Shop) -> None:
    context = shop.context()
    with Cut(9, after=True, always=True).between(), pytest.raises(AnytierError):
        await WorkloadResource().create(context, quick(shop))
    assert context.last_made is not None and context.last_made.id == shop.id
    await WorkloadResource().delete(shop.context(), shop.id, quick(shop), context.last_made.outputs)  # type: ignore[arg-type]
    assert await shop.left() == [f"network {shop.ns}"]


async def test_a_daemon_that_does_not_answer_is_an_error_and_never_gone(shop: Shop) -> None:
    state = await shop.create(quick(shop))
    with Cut(1, after=False, always=True).between():
        for call in (shop.read(quick(shop)), shop.delete(quick(shop)), shop.update(state, quick(shop, "2"))):
            with pytest.raises(Unreachable):
                await call
    assert await shop.read(quick(shop)) == (quick(shop), state)


async def test_a_cancel_in_the_middle_of_a_rollout_is_quick_and_recorded(shop: Shop) -> None:
    await shop.create(quick(shop))
    context = shop.context()
    bad = shop.alone("2", mode="unhealthy")
    state = await shop.read(quick(shop))
    assert state is not None
    task = asyncio.create_task(WorkloadResource().update(context, shop.id, quick(shop), state[1], bad))

    async def begun() -> bool:
        return f"{shop.ns}-web-r2-0" in await shop.containers()

    await shop.until(begun)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 4
    assert context.last_made is not None and context.last_made.outputs.pending is True  # type: ignore[attr-defined]
    found = await shop.update(state[1], quick(shop))
    assert found.revision == 1, "it is what was deployed before"
    assert len(await shop.containers()) == 1
    await shop.delete(quick(shop))
    assert await shop.left() == [f"network {shop.ns}"]


@pytest.mark.parametrize("at", ["/stop", "/rename", "/create", "/start"])
async def test_a_proxy_whose_replacement_is_cancelled_comes_back(
    shop: Shop, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon goes on with the call that was cut off."""
    state = await shop.make_proxy()
    other = shop.proxy_inputs(caddy_image=(await shop.there.get(f"containers/{state.container}/json"))["Image"])
    other = other.model_copy(update={"aliases": [*other.aliases, "another"]})
    under_way = list[asyncio.Task[Any]]()
    real = Daemon.post

    async def post(self: Daemon, path: str, *rest: Any, **more: Any) -> Any:
        if path.endswith(at) and not under_way:
            under_way.append(asyncio.ensure_future(real(self, path, *rest, **more)))
            await asyncio.sleep(0.05)
            raise asyncio.CancelledError
        return await real(self, path, *rest, **more)

    monkeypatch.setattr(Daemon, "post", post)
    with pytest.raises(asyncio.CancelledError):
        await ProxyResource().update(shop.context(), f"{shop.ns}-proxy", shop.proxy_inputs(), state, other)
    await asyncio.gather(*under_way, return_exceptions=True)
    found = await shop.containers("proxy")
    assert found == {f"{shop.ns}-proxy": state.container}
    assert (await shop.there.get(f"containers/{state.container}/json"))["State"]["Running"]
    done = await ProxyResource().update(shop.context(), f"{shop.ns}-proxy", shop.proxy_inputs(), state, other)
    assert done.container != state.container and list(await shop.containers("proxy")) == [f"{shop.ns}-proxy"]
    await shop.down()
