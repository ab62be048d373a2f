"""host:Job runs to its end, host:Volume outlives what uses it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import Conflict, Rejected
from anytier.provider.host.job import JobInputs, JobOutputs, JobResource
from anytier.provider.host.manager import State
from anytier.provider.host.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.render.template import HostProcess, Mount, Template

from .corner import CANARY, Corner


def job(corner: Corner, script: str, **more: Any) -> JobInputs:
    mounts = [Mount(target="/data", volume="data")]
    process = HostProcess(command=["sh", "-c", script], secret_env={"PASSWORD": "db"}, mounts=mounts)
    values = {
        **corner.base,
        "job": "migrate",
        "volumes": {"data": corner.volume_path},
        "template": Template(process=process),
        "secrets": {"db": CANARY},
        **more,
    }
    return JobInputs.model_validate(values)


async def make_volume(corner: Corner, **more: Any) -> VolumeInputs:
    inputs = VolumeInputs(path=corner.volume_path, **more)
    await VolumeResource().create(corner.context(), inputs)
    return inputs


async def test_a_job_runs_once_with_what_it_was_given_and_leaves_nothing(corner: Corner) -> None:
    volume = await make_volume(corner)
    inputs = job(corner, 'test "$PASSWORD" && echo ran >> "$VOLUME_DATA/note"')
    id, state = await JobResource().create(corner.context(), inputs)
    assert state.attempts == 1 and state.finished_at > 0
    assert Path(corner.volume_path, "note").read_text() == "ran\n"
    assert corner.processes() == [] or corner.supervisor == "supervisord"
    assert not any(CANARY in path.read_text() for path in Path(corner.root, "jobs").rglob("*") if path.is_file())
    found = await JobResource().read(corner.context(), id, inputs, state)
    assert found == (inputs, state) and JobResource().drifted(inputs, state) == []
    await JobResource().update(corner.context(), id, inputs, state, inputs)  # nobody could look whether it has run
    assert Path(corner.volume_path, "note").read_text() == "ran\n"
    await JobResource().update(corner.context(), id, inputs, state, inputs.model_copy(update={"trigger": 2}))
    assert Path(corner.volume_path, "note").read_text() == "ran\nran\n"
    shutil.rmtree(Path(corner.root, "jobs"))
    await JobResource().update(corner.context(), id, inputs, state, inputs)
    assert Path(corner.volume_path, "note").read_text() == "ran\nran\nran\n", "the machine is another one"
    await JobResource().delete(corner.context(), id, inputs, state)
    await VolumeResource().delete(corner.context(), volume.path, volume, VolumeOutputs(path=volume.path))
    corner.clean()


async def test_a_failed_job_says_its_last_lines_without_secrets(corner: Corner) -> None:
    await make_volume(corner)
    context = corner.context()
    with pytest.raises(Rejected) as failure:
        await JobResource().create(context, job(corner, "echo no table for $PASSWORD >&2; exit 9"))
    said = str(failure.value)
    assert "ended (exit 9)" in said and "no table for [secret]" in said and CANARY not in said
    assert context.last_made is not None and context.last_made.id == f"{corner.root}|{corner.ns}/jobs/migrate"
    assert JobResource().drifted(job(corner, ""), JobOutputs()) == ["trigger"]


async def test_a_job_is_tried_again_as_often_as_it_may(corner: Corner) -> None:
    await make_volume(corner)
    script = 'echo x >> "$VOLUME_DATA/n"; test $(wc -l < "$VOLUME_DATA/n") -ge 2'
    _, state = await JobResource().create(corner.context(), job(corner, script, backoff_limit=2))
    assert state.attempts == 2


async def test_a_job_that_cannot_begin_fails_at_once(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd prepares a sandbox first; where that fails the program itself never runs, and has no exit code."""
    await make_volume(corner)
    manager = (await corner.place()).manager
    failed = State(False, detail="failed/failed, exit-code", failed=True)

    async def states(revive: bool = False) -> dict[str, State]:
        return {f"{corner.ns}-job-migrate": failed}

    async def log(*asked: object) -> str:
        return "prepare: no such user"

    monkeypatch.setattr(manager, "states", states)
    monkeypatch.setattr(manager, "log", log)
    said = r"could not be started \(failed/failed, exit-code\) after .* s; its last log lines:\n  prepare: no such user"
    with pytest.raises(Rejected, match=said):
        await asyncio.wait_for(JobResource().create(corner.context(), job(corner, "true", timeout=60)), 30)


async def test_a_job_that_takes_too_long_is_ended(corner: Corner) -> None:
    await make_volume(corner)
    with pytest.raises(Rejected, match=r"did not end within 0\.5 s"):
        await JobResource().create(corner.context(), job(corner, "sleep 60", timeout=0.5))
    assert not any("sleep" in line for line in corner.processes())


async def test_a_retained_volume_stays_and_another_goes_with_its_empty_folders(corner: Corner) -> None:
    resource, state = VolumeResource(), VolumeOutputs(path=corner.volume_path)
    kept = await make_volume(corner, retain=True)
    Path(kept.path, "data").write_text("precious")
    assert Path(kept.path).stat().st_mode & 0o777 == 0o700
    await resource.delete(corner.context(), kept.path, kept, state)
    assert Path(kept.path, "data").read_text() == "precious"
    found = await resource.read(corner.context(), kept.path, kept, state)
    assert found == (kept, state)
    await make_volume(corner)
    assert Path(kept.path, "data").read_text() == "precious", "an existing volume is taken as it is"
    gone = kept.model_copy(update={"retain": False})
    await resource.delete(corner.context(), kept.path, gone, state)
    assert await resource.read(corner.context(), kept.path, gone, state) is None
    await resource.delete(corner.context(), kept.path, gone, state)
    corner.clean()


@pytest.mark.parametrize("path", ["relative", "/", "/etc", "/a/../b", "/a/b/"])
def test_a_dangerous_volume_path_is_refused(path: str) -> None:
    assert VolumeResource().check(VolumeInputs(path=path))


def volume_of(corner: Corner, owner: str) -> VolumeInputs:
    given = {"supervisor": corner.supervisor, "ns": corner.ns, "owner": owner}
    return VolumeInputs.model_validate({"path": corner.volume_path, "corner": given})


async def test_another_deployments_data_is_neither_taken_nor_deleted(corner: Corner) -> None:
    """Two clones on one machine, each with a state of its own: what is refused must not be recorded, since `down` would
    delete it; and what is recorded all the same is left alone."""
    ours, theirs = f"me@here:/a#{'0' * 32}", f"me@here:/b#{'1' * 32}"
    id, made = await VolumeResource().create(corner.context(), volume_of(corner, ours))
    await corner.create(corner.inputs(replicas=1, pools={}, proxy=None, owner=ours))
    note = Path(corner.volume_path, "note")
    note.write_text("live")
    ctx = corner.context()
    with pytest.raises(Conflict, match="is deployed here from me@here:/a"):
        await VolumeResource().create(ctx, volume_of(corner, theirs))
    assert ctx.last_made is None
    await VolumeResource().delete(ctx, id, volume_of(corner, theirs), made)
    assert note.read_text() == "live" and "it stays" in corner.sink.lines[-1]
    await VolumeResource().update(ctx, id, volume_of(corner, ours), made, volume_of(corner, ours))
    await corner.delete(corner.inputs(replicas=1, pools={}, proxy=None, owner=ours))
    await VolumeResource().delete(ctx, id, volume_of(corner, ours), made)
    assert not Path(corner.root).exists()


async def test_a_volume_of_an_older_state_goes_when_it_is_told_to(corner: Corner) -> None:
    """Such a state does not say whose it is; it was never asked."""
    id, made = await VolumeResource().create(corner.context(), volume_of(corner, f"me@here:/a#{'0' * 32}"))
    await VolumeResource().delete(corner.context(), id, VolumeInputs(path=corner.volume_path), made)
    assert not Path(corner.volume_path).exists()


async def test_a_volume_that_an_older_version_recorded_goes_when_it_is_told_to(corner: Corner) -> None:
    """Its state moved, and the file has no token yet: that is another owner only while something of it runs."""
    older = {"replicas": 1, "pools": {}, "proxy": None, "owner": "me@here:/a"}
    id, made = await VolumeResource().create(corner.context(), volume_of(corner, "me@here:/a"))
    await corner.create(corner.inputs(**older))
    elsewhere = volume_of(corner, f"runner@there:/b#{'0' * 32}")
    await VolumeResource().delete(corner.context(), id, elsewhere, made)
    assert Path(corner.volume_path).exists() and "it stays" in corner.sink.lines[-1]
    await corner.delete(corner.inputs(**older))
    Path(corner.root, "owner").write_text("me@here:/a\n")  # a job, or an image, may have kept it
    await VolumeResource().delete(corner.context(), id, elsewhere, made)
    assert not Path(corner.root).exists()


async def test_a_volume_that_was_the_first_and_only_one_leaves_nothing(corner: Corner) -> None:
    given = volume_of(corner, f"me@here:/a#{'0' * 32}")
    id, made = await VolumeResource().create(corner.context(), given)
    assert Path(corner.root, "owner").read_text() == f"me@here:/a#{'0' * 32}\n"
    await VolumeResource().delete(corner.context(), id, given, made)
    assert not Path(corner.root).exists()
