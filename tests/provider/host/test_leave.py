"""A machine that is no longer the stack's: it serves as long as anything runs there, and is left empty afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from anytier.errors import Conflict
from anytier.provider.host.place import claim, claim_all, leave

from .corner import Corner


async def test_the_proxy_goes_with_the_last_workload(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1))
    await leave(await corner.place())
    assert (await corner.aget()).startswith("1 "), "what runs there is still served"
    await corner.delete(corner.inputs(replicas=1))
    corner.clean()


async def test_a_machine_that_is_taken_in_again_keeps_its_proxy(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1))
    place = await corner.place()
    await leave(place)
    await claim(place, "/home/me/shop")
    await corner.delete(corner.inputs(replicas=1))
    assert Path(corner.root, "proxy").is_dir()
    await corner.delete_proxy()
    corner.clean()


async def test_data_stays_and_an_empty_directory_does_not(corner: Corner) -> None:
    place = await corner.place()
    for name in ("full", "empty"):
        Path(corner.root, "volumes", name).mkdir(parents=True)
        Path(corner.root, f"volume-{name}.json").write_text("[]")
    Path(corner.root, "volumes", "full", "file").write_text("kept")
    await leave(place)
    assert sorted(path.name for path in Path(corner.root).iterdir()) == ["volume-full.json", "volumes"]
    assert [path.name for path in Path(corner.root, "volumes").iterdir()] == ["full"]


@pytest.fixture
def corners(tmp_path: Path) -> Iterator[tuple[Corner, Corner]]:
    made = (Corner(tmp_path / "free", "supervisord"), Corner(tmp_path / "taken", "supervisord"))
    yield made
    for corner in made:
        corner.wipe()


async def test_of_several_corners_none_is_claimed_if_one_is_somebody_elses(corners: tuple[Corner, Corner]) -> None:
    free, taken = corners
    await taken.create(taken.inputs(replicas=1, pools={}))
    places = [await free.place(), await taken.place()]
    with pytest.raises(Conflict, match="is deployed here from /home/me/shop"):
        await claim_all(places, "/home/me/other")
    assert not Path(free.root).exists()
    await taken.delete(taken.inputs(replicas=1, pools={}))
