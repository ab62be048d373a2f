"""docker:Job runs to its end, tells why it failed, and leaves nothing when it is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from anytier.errors import Rejected
from anytier.provider.docker.job import JobInputs, JobOutputs, JobResource
from anytier.render.template import Container, Mount, Template

from .ground import Ground
from .shop import CANARY, IMAGE, Shop, have_base_image

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def base_image() -> None:
    have_base_image()


@pytest.fixture
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    made = Shop(ground)
    await made.make_network()
    yield made


def job(shop: Shop, script: str, *before: Container, **more: Any) -> JobInputs:
    container = Container(
        name="migrate",
        image=IMAGE,
        command=["sh", "-c", script],
        secret_env={"PASSWORD": "db"},
        mounts=[Mount(target="/data", volume="data")],
        after={item.name: "complete" if item.role == "init" else "started" for item in before},
    )
    values = {
        **shop.base,
        "job": "migrate",
        "volumes": {"data": f"{shop.ns}-data"},
        "template": Template(containers=[*before, container]),
        "secrets": {"db": CANARY},
        **more,
    }
    return JobInputs.model_validate(values)


async def note(shop: Shop) -> str:
    """What the jobs have written on the volume."""
    mount = f"{shop.ns}-data:/data"
    return shop.ground.docker("run", "--rm", "-v", mount, IMAGE, "sh", "-c", "cat /data/note 2>/dev/null || true")


async def test_a_job_runs_once_again_on_change_and_leaves_nothing(shop: Shop) -> None:
    inputs = job(shop, 'test "$PASSWORD" && echo ran >> /data/note && echo "done"')
    id, state = await JobResource().create(shop.context(), inputs)
    assert state.attempts == 1 and state.finished_at > 0 and JobResource().drifted(inputs, state) == []
    assert await note(shop) == "ran"
    assert await JobResource().read(shop.context(), id, inputs, state) == (inputs, state)
    assert shop.ground.docker("logs", f"{shop.ns}-job-migrate") == "done", "its words stay to be read"
    assert CANARY not in shop.ground.docker("inspect", f"{shop.ns}-job-migrate")
    await JobResource().update(shop.context(), id, inputs, state, inputs)  # nobody could look whether it has run
    assert await note(shop) == "ran"
    await JobResource().update(shop.context(), id, inputs, state, inputs.model_copy(update={"trigger": 2}))
    assert await note(shop) == "ran\nran"
    await JobResource().delete(shop.context(), id, inputs, state)
    assert await shop.left() == [f"network {shop.ns}", f"volume {shop.ns}-data"]


async def test_a_failing_job_is_tried_again_and_tells_its_last_words(shop: Shop) -> None:
    inputs = job(shop, "echo ran >> /data/note; echo no schema; exit 4", backoff_limit=1)
    context = shop.context()
    with pytest.raises(Rejected, match=r"(?s)jobs\.migrate: .*exit 4.*no schema.*2 attempts") as failure:
        await JobResource().create(context, inputs)
    assert await note(shop) == "ran\nran" and CANARY not in str(failure.value)
    assert context.last_made is not None and JobResource().drifted(inputs, JobOutputs()) == ["trigger"]
    await JobResource().delete(shop.context(), context.last_made.id, inputs, JobOutputs())
    assert await shop.left() == [f"network {shop.ns}", f"volume {shop.ns}-data"]


async def test_a_job_that_takes_too_long_is_ended(shop: Shop) -> None:
    with pytest.raises(Rejected, match=r"(?s)did not end within 3 s.*still at it"):
        await JobResource().create(shop.context(), job(shop, "echo still at it; sleep 100", timeout=3))
    assert await shop.containers("job") == {}


async def test_init_containers_run_before_and_sidecars_end_with_it(shop: Shop) -> None:
    shell: dict[str, Any] = {"image": IMAGE, "mounts": [Mount(target="/data", volume="data")]}
    init = Container(name="init", role="init", command=["sh", "-c", "echo init >> /data/note"], **shell)
    side = Container(name="side", role="sidecar", command=["sleep", "1000"], after={"init": "complete"}, **shell)
    _, state = await JobResource().create(shop.context(), job(shop, "echo main >> /data/note", init, side))
    assert state.finished_at and await note(shop) == "init\nmain"
    assert await shop.containers("job") == {}
    broken = init.model_copy(update={"command": ["sh", "-c", "echo cannot; exit 2"]})
    with pytest.raises(Rejected, match=r"(?s)containers\.init.*exit 2.*cannot"):
        await JobResource().create(shop.context(), job(shop, "true", broken))
