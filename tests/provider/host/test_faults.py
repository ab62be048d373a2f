"""When things go wrong under us: every remote call fails once, the manager is killed, the disk is full."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH

from anytier.errors import AnytierError, NoSpace, Unreachable
from anytier.provider.host import transport
from anytier.provider.host.place import Place
from anytier.provider.host.transport import File, LocalMachine, Result
from anytier.provider.host.workload import WorkloadInputs

from .corner import Corner

CALLS = ("run", "put", "read", "list", "remove", "open_tcp", "open_unix")


class Flaky:
    """A machine whose n-th call does not answer: before it is done, or after, when nobody knows any more."""

    def __init__(self, machine: transport.Machine, fail_at: int, after: bool) -> None:
        self.name, self._machine, self._left, self._after = machine.name, machine, fail_at, after
        self.failed: str | None = None

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._machine, name)
        if name not in CALLS:
            return call

        async def tried(*args: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left != 0:
                return await call(*args, **more)
            self.failed = name
            if self._after:
                with contextlib.suppress(AnytierError, OSError):
                    await call(*args, **more)
            raise ConnectionRefusedError("cut") if name.startswith("open") else Unreachable("machine", "cut")

        return tried


async def use(corner: Corner, machine: Any) -> Place:
    place = await corner.place()
    for part in (place, place.manager):
        part.machine = machine  # type: ignore[attr-defined]
    return place


async def settle(corner: Corner, act: Any, fail_at: int, after: bool) -> bool:
    """Runs `act` with one failing call, then again without. False once there is no call number `fail_at`."""
    flaky = Flaky(LocalMachine(), fail_at, after)
    await use(corner, flaky)
    with contextlib.suppress(AnytierError):
        await act()
    await use(corner, LocalMachine())
    if flaky.failed is None:
        return False
    await act()
    return True


def quick(corner: Corner, version: str = "1") -> WorkloadInputs:
    policy = {"min_healthy_time": 0, "healthy_deadline": 5, "drain_timeout": 1}
    return corner.inputs(version, replicas=1, policy=policy)


async def each_call(corner: Corner, numbers: Sequence[int], after: bool) -> None:
    await corner.make_proxy()
    for number in numbers:
        if not await settle(corner, lambda: corner.create(quick(corner)), number, after):
            await corner.delete(quick(corner))  # there is no such call: it was simply made
            break
        assert len(await corner.pids()) == 1, f"call {number} of create"
        found = await corner.read(quick(corner))
        assert found is not None and found[1].ready == 1 and len(found[1].instances) == 1
        await settle(corner, lambda: corner.delete(quick(corner)), number, after)
        assert await corner.pids() == {}, f"call {number} of delete"
        assert not Path(corner.root, "workloads/web").exists()
        left = os.listdir(Path(corner.root, "instances")) if corner_has_instances(corner) else []
        assert left == [], f"call {number} of delete"
    await corner.delete_proxy()
    corner.clean()


def corner_has_instances(corner: Corner) -> bool:
    return Path(corner.root, "instances").is_dir()


async def test_a_call_that_fails_once_is_made_good_by_the_next_run(corner: Corner) -> None:
    await each_call(corner, [2, 9, 17, 26], after=False)


@pytest.mark.e2e
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_every_single_call_may_fail_once(corner: Corner, after: bool) -> None:
    """Every other one, in turns before and after it was done; with ANYTIER_AT_LENGTH=1 all of them both ways."""
    await each_call(corner, range(1, 200) if AT_LENGTH else range(1 + 2 * after, 200, 4), after)


async def test_a_full_disk_is_said_and_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, path = LocalMachine(), str(tmp_path / "f")
    await machine.put([File(path, b"old")])

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transport.os, "replace", full)
    with pytest.raises(NoSpace, match="free some disk space"):
        await machine.put([File(path, b"new")])
    assert Path(path).read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


async def test_a_killed_supervisord_is_brought_back_without_orphans(corner: Corner) -> None:
    if corner.supervisor != "supervisord":
        pytest.skip("systemd is not ours to kill")
    inputs = corner.inputs()
    state = await corner.up(inputs)
    before = set((await corner.pids()).values())
    os.kill(int(Path(corner.root, "supervisor/supervisord.pid").read_text()), signal.SIGKILL)
    found = await corner.read(inputs)
    assert found is not None and found[1].ready == 0, "what nobody looks after does not count"
    state = await corner.update(found[1], inputs)
    assert state.ready == 2
    after = set((await corner.pids()).values())
    assert after.isdisjoint(before)
    assert sum("hostapp" in line for line in corner.processes()) == 2
    await corner.until(lambda: corner.get().startswith("1 "))
    await corner.down(inputs)
    corner.clean()


class Busy:
    """A machine on which supervisord does not answer the first time that it is asked."""

    def __init__(self) -> None:
        self._machine, self.asked = LocalMachine(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    async def open_unix(self, path: str) -> Any:
        self.asked += path.endswith("supervisor.sock")
        if self.asked == 1:
            raise ConnectionRefusedError("busy")
        return await self._machine.open_unix(path)


async def test_a_supervisord_that_was_too_busy_to_answer_starts_nothing_again(corner: Corner) -> None:
    if corner.supervisor != "supervisord":
        pytest.skip("systemd answers for itself")
    inputs = quick(corner)
    await corner.make_proxy()
    await corner.create(inputs)
    (unit,) = await corner.pids()
    busy = Busy()
    place = await use(corner, busy)
    await place.manager.stop(unit)
    assert busy.asked > 1
    await use(corner, LocalMachine())
    assert await corner.pids() == {} and not any("hostapp" in line for line in corner.processes())
    await corner.delete(inputs)
    await corner.delete_proxy()
    corner.clean()


async def test_children_go_with_the_process_that_started_them(corner: Corner) -> None:
    """Also those that ignore TERM, and those of a process that was killed: the next one finds no orphan beside it."""
    inputs = corner.inputs(mode="parent", replicas=1)
    await corner.up(inputs)

    def children() -> int:
        return sum("sleep 300" in line for line in corner.processes())

    assert children() == 1
    ((name, pid),) = (await corner.pids()).items()
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        return (await corner.pids()).get(name, pid) != pid and (await corner.aget()).startswith("1 ")

    await corner.until(back)
    assert children() == 1
    await corner.delete(inputs)
    assert children() == 0
    await corner.delete_proxy()
    corner.clean()


async def test_one_sick_answer_does_not_take_a_serving_instance_away(corner: Corner) -> None:
    """A rollout that looks at what serves already must not be nervous."""
    state = await corner.up(corner.inputs(replicas=1))
    before = await corner.pids()
    place = await corner.place()
    machine = LocalMachine()
    opened, cut = machine.open_tcp, []

    async def once(host: str, port: int) -> Any:
        if not cut:
            cut.append(port)
            raise ConnectionResetError("once")
        return await opened(host, port)

    machine.open_tcp = once  # type: ignore[method-assign]
    await use(corner, machine)
    started = place.manager.states

    async def old(revive: bool = False) -> Any:
        return {name: _aged(item) for name, item in (await started(revive)).items()}

    place.manager.states = old  # type: ignore[method-assign]
    await corner.update(state, corner.inputs(replicas=1))
    assert cut and await corner.pids() == before


def _aged(state: Any) -> Any:
    from dataclasses import replace

    return replace(state, uptime=60)


async def test_the_transport_answers_with_results_and_typed_errors(tmp_path: Path) -> None:
    machine = LocalMachine()
    assert await machine.run(["sh", "-c", "cat; echo e >&2; exit 3"], b"in") == Result(3, "in", "e\n")
    with pytest.raises(AnytierError, match="no answer within"):
        await machine.run(["sleep", "10"], timeout=0.1)
    with pytest.raises(AnytierError, match="install it"):
        await machine.run(["/no/such"])
    deep = str(tmp_path / "a/b/c")
    await machine.put([File(deep, b"x", 0o600), File(str(tmp_path / "d"), None, 0o711)])
    assert await machine.read([deep, str(tmp_path / "none"), f"{deep}/x"]) == {deep: b"x"}
    assert await machine.list(str(tmp_path)) == ["a", "d"] and await machine.list(str(tmp_path / "none")) == []
    assert os.stat(deep).st_mode & 0o777 == 0o600
    await machine.remove([str(tmp_path / "a"), str(tmp_path / "d")], only_empty=True)
    assert await machine.list(str(tmp_path)) == ["a"]
    await machine.remove([str(tmp_path / "a"), str(tmp_path / "a")])
    assert await machine.list(str(tmp_path)) == []
