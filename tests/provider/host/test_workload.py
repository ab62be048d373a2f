"""host:Workload on a real process manager: deploys, heals, rolls, rolls back, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import AnytierError, Conflict, NotFound, RolloutFailed
from anytier.provider.host.models import Sources
from anytier.provider.host.workload import WorkloadInputs, WorkloadResource
from anytier.render.template import File, HostProcess, HttpGet, Mount, Port, Probe, Template

from .corner import CANARY, READY, Corner, Load, free_port, limits, listening


async def test_a_second_update_changes_nothing_and_delete_leaves_nothing(corner: Corner) -> None:
    state = await corner.up()
    assert (state.revision, state.ready, state.replicas) == (1, 2, 2)
    await corner.until(lambda: corner.get().startswith("1 "))
    before = await corner.pids()
    again = await corner.update(state, corner.inputs())
    assert await corner.pids() == before and again == state
    assert await corner.read() == (corner.inputs(), state)
    await corner.down()
    corner.clean()


async def test_the_program_gets_what_the_spec_says_and_no_more(corner: Corner) -> None:
    odd = "a'b\"$HOME %h %% \\ ;#x\n${NOT_OURS}"
    files = [
        File(target="/etc/shop/app.conf", content="password=${secrets.db}\n", mode="0400"),
        File(target="conf/bin", binary="AAEC/w=="),
    ]
    env = {"ODD": odd, "URL": "pg://u:${secrets.db}@h", "PORT": "80", "MODE": "good"}
    os.environ["PULUMI_CONFIG_PASSPHRASE"] = "not-for-programs"
    await corner.up(corner.inputs(env=env, files=files, replicas=1))
    got = json.loads(await corner.aget("/env"))
    assert got["ODD"] == odd and got["URL"] == f"pg://u:{CANARY}@h" and got["PASSWORD"] == CANARY
    assert got["PORT"] == got["PORT_HTTP"] != "80"
    assert "PULUMI_CONFIG_PASSPHRASE" not in got and "SUPERVISOR_ENABLED" not in got
    folder = Path(got["ANYTIER_FILES"])
    assert (folder / "etc/shop/app.conf").read_text() == f"password={CANARY}\n"
    assert (folder / "etc/shop/app.conf").stat().st_mode & 0o777 == 0o400
    assert (folder / "conf/bin").read_bytes() == b"\x00\x01\x02\xff"
    assert await corner.aget(f"/read?{folder}/etc/shop/app.conf") == f"password={CANARY}\n"
    assert json.loads(await corner.aget("/me"))["cwd"] == str(Path(__file__).parent)
    await corner.down()
    corner.clean()


async def test_a_secret_is_in_its_0600_files_and_nowhere_else(corner: Corner) -> None:
    inputs = corner.inputs(mode="exits", replicas=1)
    await corner.make_proxy()
    with pytest.raises(RolloutFailed) as failure:
        await corner.create(inputs)
    assert CANARY not in str(failure.value) and "cannot go on" in str(failure.value)
    state = await corner.create(corner.inputs(replicas=1))
    assert CANARY not in state.model_dump_json() + "".join(corner.sink.lines)
    assert not any(CANARY in line for line in corner.processes())
    # what the program itself prints is its own affair
    leaks = [
        path
        for path in Path(corner.root).rglob("*")
        if path.is_file() and path.name != "log" and CANARY in path.read_text(errors="replace")
    ]
    assert leaks and all("secret" in path.name and path.stat().st_mode & 0o077 == 0 for path in leaks)
    assert not any(CANARY in Path(unit).read_text() for unit in corner.units())


async def test_a_killed_process_is_back(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1))
    ((name, pid),) = (await corner.pids()).items()
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        now = await corner.pids()
        return now.get(name, pid) != pid and (await corner.aget()).startswith("1 ")

    await corner.until(back)


async def test_liveness_restarts_an_instance_when_no_controller_is_there(corner: Corner) -> None:
    probe = Probe(http_get=HttpGet(path="/healthz", port=8080), initial_delay=5, period=0.3, failure_threshold=2)
    await corner.up(corner.inputs(replicas=1, liveness=probe))
    ((name, pid),) = (await corner.pids()).items()
    await corner.aget("/sick")

    async def restarted() -> bool:
        return (await corner.pids()).get(name, pid) != pid and (await corner.aget()).startswith("1 ")

    await corner.until(restarted)


@pytest.mark.parametrize("kind", ["tcp", "exec"])
async def test_every_kind_of_probe_gates(corner: Corner, kind: str) -> None:
    probe = Probe(tcp_port=8080) if kind == "tcp" else Probe(exec=["sh", "-c", 'test -n "$PORT_HTTP"'], timeout=3)
    state = await corner.create(corner.inputs(replicas=1, readiness=probe, pools={}, proxy=None))
    assert state.ready == 1
    never = Probe(tcp_port=free_port()) if kind == "tcp" else Probe(exec=["sh", "-c", "echo no way >&2; exit 4"])
    with pytest.raises(RolloutFailed, match=r"TCP port|exit 4, no way"):
        await corner.update(
            state,
            corner.inputs(
                version="2", replicas=1, readiness=never, pools={}, proxy=None, policy={"healthy_deadline": 1}
            ),
        )
    assert [item.revision for item in (await read_state(corner)).instances] == [1]


def renamed(corner: Corner, version: str, volume: str, **more: Any) -> WorkloadInputs:
    path = f"{corner.root}/volumes/{volume}"
    Path(path).mkdir(parents=True, exist_ok=True)
    more |= {"volumes": {volume: path}, "mounts": [Mount(target="/data", volume=volume)]}
    return corner.inputs(version, replicas=1, **more)


async def test_the_way_back_finds_a_volume_that_the_spec_has_renamed(corner: Corner) -> None:
    """One bad answer is enough here: what is started again has the time that it had the first time."""
    once = READY.model_copy(update={"failure_threshold": 1})
    state = await corner.up(renamed(corner, "1", "data", readiness=once))
    policy = {"healthy_deadline": 3, "order": "stop-first"}
    with pytest.raises(RolloutFailed, match="r1 keeps serving on 1 of 1"):
        await corner.update(state, renamed(corner, "2", "store", mode="unhealthy", policy=policy))
    await corner.until(lambda: corner.get().startswith("1 "))
    env = json.loads(await corner.aget("/env"))
    assert env["VOLUME_DATA"] == f"{corner.root}/volumes/data"
    await corner.down()


async def test_a_rollback_past_a_renamed_volume_stops_nothing(corner: Corner) -> None:
    state = await corner.up(renamed(corner, "1", "data"))
    now = renamed(corner, "2", "store", policy={"order": "stop-first"})
    state = await corner.update(state, now)
    before = await corner.pids()
    with pytest.raises(NotFound, match=r"volumes\.data: web r1 mounts it.*declare it in the spec again"):
        await corner.update(state, now.model_copy(update={"rollback_to": 1}))
    assert await corner.pids() == before and (await corner.aget()).startswith("2 ")
    assert "VOLUME_DATA" not in json.loads(await corner.aget("/env"))
    await corner.down()


async def test_a_rolling_update_loses_no_request(corner: Corner) -> None:
    state = await corner.up()
    with Load(corner.port) as load:
        state = await corner.update(state, corner.inputs(version="2"))
        state = await corner.update(state, corner.inputs(version="3", replicas=3))
    assert load.failed == [] and load.done > 50
    assert (await corner.aget()).startswith("3 ")
    assert (state.revision, state.ready) == (3, 3)
    assert len(await corner.pids()) == 3


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"mode": "exits"}, "cannot go on"),
        ({"mode": "unhealthy"}, "answered 503"),
        ({"mode": "dies", "policy": {"min_healthy_time": 2}}, "ended"),
        ({"mode": "wrong-port"}, "connection refused"),
        ({"command": ["/no/such/program"]}, "No such file"),
    ],
    ids=["exits", "unhealthy", "dies", "wrong-port", "missing"],
)
async def test_a_bad_release_keeps_the_old_one_serving(corner: Corner, bad: dict[str, Any], said: str) -> None:
    state = await corner.up()
    before = await corner.pids()
    policy = {"healthy_deadline": 1.5, **bad.get("policy", {})}
    with Load(corner.port, clients=2) as load:
        with pytest.raises(RolloutFailed) as failure:
            await corner.update(state, corner.inputs(version="2", **{**bad, "policy": policy}))
    assert said in str(failure.value) and "r1 keeps serving on 2 of 2" in str(failure.value)
    assert load.failed == [] and (await corner.aget()).startswith("1 ")
    assert await corner.pids() == before
    assert not any("-r2-" in path.name for path in Path(corner.root, "instances").iterdir())


async def test_rollback_runs_a_kept_revision_with_its_own_secrets(corner: Corner) -> None:
    state = await corner.up(corner.inputs(replicas=1))
    state = await corner.update(state, corner.inputs("2", replicas=1, secrets={"db": "the-second-one"}))
    assert [item.revision for item in state.history] == [1, 2]
    state = await corner.update(state, corner.inputs("2", replicas=1, secrets={"db": "x"}, rollback_to=1))
    assert state.revision == 1 and json.loads(await corner.aget("/env"))["PASSWORD"] == CANARY
    with pytest.raises(NotFound, match="choose one of: 1, 2"):
        await corner.update(state, corner.inputs("2", replicas=1, rollback_to=9))
    state = await corner.update(state, corner.inputs("2", replicas=1, secrets={"db": "the-second-one"}))
    assert state.revision == 2, "the same content is the same revision"


async def test_what_an_older_revision_had_gets_a_number_of_its_own(corner: Corner) -> None:
    """Else `rollback` could not tell what was there before it. Each knows that it served."""
    plain: dict[str, Any] = {"replicas": 1, "pools": {}, "proxy": None, "policy": {"min_healthy_time": 0}}
    state = await corner.create(corner.inputs("1", **plain))
    for version, number in (("2", 2), ("1", 3), ("1", 3)):
        state = await corner.update(state, corner.inputs(version, **plain))
        assert state.revision == number
    assert [(item.revision, item.served) for item in state.history] == [(1, True), (2, True), (3, True)]


async def test_only_the_newest_revisions_are_kept(corner: Corner) -> None:
    quick = {"retain": 2, "min_healthy_time": 0}
    state = await corner.create(corner.inputs("1", replicas=1, pools={}, proxy=None, policy=quick))
    for version in ("2", "3"):
        state = await corner.update(state, corner.inputs(version, replicas=1, pools={}, proxy=None, policy=quick))
    assert [item.revision for item in state.history] == [2, 3]


async def test_scaling_keeps_those_that_stay(corner: Corner) -> None:
    state = await corner.up(corner.inputs(replicas=1))
    first = await corner.pids()
    with Load(corner.port, clients=2) as load:
        state = await corner.update(state, corner.inputs(replicas=4))
        assert state.ready == 4 and first.items() <= (await corner.pids()).items()
        state = await corner.update(state, corner.inputs(replicas=1))
    assert load.failed == [] and await corner.pids() == first
    state = await corner.update(state, corner.inputs(replicas=0))
    assert state.ready == 0 and await corner.pids() == {}


async def test_drift_is_seen_and_repaired(corner: Corner) -> None:
    inputs = corner.inputs()
    state = await corner.up(inputs)
    place = await corner.place()
    await place.manager.stop(place.layout.unit("web", 1, 0))
    found = await corner.read(inputs)
    assert found is not None and found[1].ready == 1
    assert WorkloadResource().drifted(inputs, state) == []
    assert WorkloadResource().drifted(inputs, found[1]) == ["replicas"]
    assert (await corner.update(found[1], inputs)).ready == 2
    assert len(await corner.pids()) == 2


async def test_import_by_id_is_exact(corner: Corner) -> None:
    inputs = corner.inputs(replicas=1)
    state = await corner.up(inputs)
    id, _ = await WorkloadResource().create(corner.context(), inputs)
    found = await WorkloadResource().read(corner.context(), id, None, None)
    assert found == (inputs, state)
    assert await WorkloadResource().read(corner.context(), f"{corner.root}|{corner.ns}/api", None, None) is None


async def test_deleted_behind_our_back_is_gone_and_comes_again(corner: Corner) -> None:
    inputs = corner.inputs(replicas=1)
    await corner.up(inputs)
    await corner.delete(inputs)
    assert await corner.read(inputs) is None
    await corner.delete(inputs)
    assert (await corner.create(inputs)).ready == 1


async def test_all_may_be_deleted_at_once(corner: Corner) -> None:
    """As after an import, when the engine knows of no order: a proxy that goes needs no telling."""
    inputs = corner.inputs()
    await corner.up(inputs)
    await asyncio.gather(corner.delete(inputs), corner.delete_proxy())
    corner.clean()


async def test_data_on_a_volume_outlives_revisions(corner: Corner) -> None:
    inputs = corner.with_volume(replicas=1)
    Path(corner.volume_path).mkdir(parents=True)
    state = await corner.up(inputs)
    where = json.loads(await corner.aget("/env"))["VOLUME_DATA"]
    assert where == corner.volume_path
    await corner.aget(f"/write?{where}/note")
    await corner.update(state, corner.with_volume(version="2", replicas=1))
    assert await corner.aget(f"/read?{where}/note") == "kept"


async def test_a_memory_limit_is_in_force(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1, limits=limits(memory=128 * 2**20)))
    assert await corner.aget("/eat?16") == "eaten"
    with pytest.raises(OSError):
        await corner.aget("/eat?512")  # refused with 507 (RLIMIT_DATA), or ended by the kernel (MemoryMax)

    async def there() -> bool:
        return bool(await corner.aget())

    await corner.until(there)


async def test_another_owners_live_deployment_is_not_touched(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1))
    before = await corner.pids()
    other = corner.inputs(replicas=2).model_copy(update={"owner": "/home/you/shop"})
    with pytest.raises(Conflict, match="is deployed here from /home/me/shop"):
        await corner.create(other)
    assert await corner.pids() == before
    for pid in before.values():
        os.kill(pid, 0)


async def test_whoever_holds_the_state_deploys_from_everywhere(corner: Corner) -> None:
    """Ephemeral runners, a colleague's clone, a moved checkout. Stack `shop` with app `eu-web` and stack `shop-eu` with
    app `web` are one namespace, and still not one deployment."""
    given = corner.inputs(replicas=1, pools={}, proxy=None)
    first, elsewhere, other = (
        given.model_copy(update={"owner": owner})
        for owner in (f"me@here:/a#{'0' * 32}", f"runner@there:/b#{'0' * 32}", f"runner@there:/b#{'1' * 32}")
    )
    state = await corner.create(first)
    await WorkloadResource().update(corner.context(), "id", first, state, elsewhere)
    with pytest.raises(Conflict, match="from runner@there:/b, by another stack or another state"):
        await corner.create(other)


async def test_what_an_older_version_recorded_is_known_again_by_the_state(corner: Corner) -> None:
    before = corner.inputs(replicas=1, pools={}, proxy=None)
    state = await corner.create(before)
    now = before.model_copy(update={"owner": f"runner@there:/b#{'0' * 32}"})
    with pytest.raises(Conflict, match="from /home/me/shop"):
        await corner.create(now)
    await WorkloadResource().update(corner.context(), "id", before, state, now)
    assert Path(corner.root, "owner").read_text() == f"{now.owner}\n"


async def test_a_dead_deployment_belongs_to_nobody(corner: Corner) -> None:
    inputs = corner.inputs(replicas=1, pools={}, proxy=None)
    await corner.create(inputs)
    place = await corner.place()
    await place.manager.stop(place.layout.unit("web", 1, 0))
    other = inputs.model_copy(update={"owner": "/home/you/shop"})
    assert (await corner.create(other)).ready == 1
    assert Path(corner.root, "owner").read_text() == "/home/you/shop\n"


async def test_a_port_without_proxy_is_the_services_own_and_its_holder_is_named(corner: Corner) -> None:
    number = free_port()
    process = corner.template().process
    assert process is not None
    template = Template(
        process=process.model_copy(update={"readiness": Probe(tcp_port=5432)}),
        ports=[Port(name="tcp", port=number, target=5432, http=False)],
    )
    inputs = corner.inputs(replicas=1, pools={}, proxy=None, template=template)
    with listening(number), pytest.raises(RolloutFailed, match=rf"port {number} is taken on this machine by .*pid"):
        await corner.create(inputs)
    state = await corner.create(inputs)
    assert state.instances[0].dial == {"tcp": f"127.0.0.1:{number}"}
    newer = template.model_copy(update={"labels": {"new": "yes"}})
    state = await corner.update(state, inputs.model_copy(update={"template": newer}))
    assert state.revision == 2 and state.instances[0].dial == {"tcp": f"127.0.0.1:{number}"}


async def test_service_ports_of_one_target_lead_to_one_port_of_the_instance(corner: Corner) -> None:
    ports = [Port(name=name, port=number, target=8080) for name, number in (("http", 80), ("extra", 81))]
    template = corner.template().model_copy(update={"ports": ports})
    state = await corner.create(corner.inputs(template=template, replicas=1, pools={}, proxy=None))
    dial = state.instances[0].dial
    assert dial["http"] == dial["extra"]
    number = int(dial["http"].rpartition(":")[2])
    with urllib.request.urlopen(f"http://127.0.0.1:{number}/", timeout=5) as answer:
        assert answer.status == 200


def test_what_a_machine_would_refuse_is_said_before(corner: Corner) -> None:
    def said(**more: Any) -> str:
        return " ".join(str(error) for error in WorkloadResource().check(corner.inputs(**more)))

    assert said() == ""
    assert "holds a secret, which every user could see" in said(command=["app", "--password=${secrets.db}"])
    if corner.supervisor == "supervisord":
        assert "supervisord cannot hold it" in said(limits=limits(cpu=0.5))
    udp = Template(process=HostProcess(command=["x"]), ports=[Port(name="dns", port=53, target=53, protocol="UDP")])
    assert "UDP" in said(template=udp)
    assert "cannot be a state folder" in said(root="relative/path")
    assert "cannot be a state folder" in said(root="/a\nb")


async def test_hooks_run_at_start_and_stop(corner: Corner, tmp_path: Path) -> None:
    note = Path(corner.volume_path) / "note"
    note.parent.mkdir(parents=True)
    hooks = {
        "post_start": ["sh", "-c", 'echo up $PASSWORD >> "$VOLUME_DATA/note"'],
        "pre_stop": ["sh", "-c", 'echo down >> "$VOLUME_DATA/note"'],
    }
    inputs = corner.with_volume(replicas=1, **hooks)
    await corner.up(inputs)
    await corner.delete(inputs)
    assert note.read_text() == f"up {CANARY}\ndown\n"


async def test_status_logs_and_exec_show_what_runs(corner: Corner) -> None:
    await corner.up()
    backend = corner.backend()
    rows = await backend.instances()
    assert [(row.workload, row.index, row.revision, row.state, row.health) for row in rows] == [
        ("web", 0, 1, "running", "healthy"),
        ("web", 1, 1, "running", "healthy"),
    ]
    assert rows[0].restarts == 0 and rows[0].started.endswith("+00:00")

    async def said() -> bool:
        return any([line.startswith("starting 1 good") async for line in backend.logs(rows[0], False, 10)])

    await corner.until(said)
    argv = await backend.exec_argv(rows[0].id, ["sh", "-c", "echo $PASSWORD $PWD; exit 7"])
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, f"{CANARY} {Path(__file__).parent}\n")


async def test_logs_follow_until_told_to_stop(corner: Corner) -> None:
    await corner.up(corner.inputs(replicas=1))
    backend = corner.backend()
    (row,) = await backend.instances()
    lines = backend.logs(row, True, 10)
    assert (await asyncio.wait_for(anext(lines), 10)).startswith("starting 1 good")
    ((_, pid),) = (await corner.pids()).items()
    os.kill(pid, signal.SIGTERM)

    async def seen(text: str) -> None:
        async for line in lines:
            if line.startswith(text):
                return

    await asyncio.wait_for(seen("bye"), 10)
    await lines.aclose()  # type: ignore[attr-defined]


async def test_a_killed_run_is_continued_by_the_next(corner: Corner) -> None:
    """Cancelled in the middle of a rollout, as by Ctrl-C or a kill: the next run finds its own revision again."""
    state = await corner.up()
    inputs: WorkloadInputs = corner.inputs("2", policy={"min_healthy_time": 1})
    run = asyncio.create_task(corner.update(state, inputs))
    await corner.until(lambda: any("-r2-" in path.name for path in Path(corner.root, "instances").iterdir()))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await corner.aget()).split()[0] in ("1", "2")
    done = await corner.update(state, inputs)
    assert (done.revision, done.ready, len(done.instances)) == (2, 2, 2)


async def read_state(corner: Corner) -> Any:
    found = await corner.read()
    assert found is not None
    return found[1]


async def test_an_unknown_secret_is_an_error_that_names_it(corner: Corner) -> None:
    with pytest.raises(AnytierError, match=r"secrets\.db"):
        await corner.create(corner.inputs(secrets={}, pools={}, proxy=None))


async def test_a_revision_keeps_the_sources_it_was_made_of(corner: Corner, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "bin").mkdir(parents=True)
    program = sources / "bin" / "app.py"
    program.write_text((Path(__file__).with_name("hostapp.py")).read_text())

    def inputs(name: str, entries: dict[str, str]) -> WorkloadInputs:
        process = {"command": ["python3", "web/bin/app.py"], "working_dir": ".", "release": name}
        made = corner.inputs(name, replicas=1, template=corner.template(name, **process))
        return made.model_copy(update={"release": Sources(entries=entries)})

    state = await corner.up(inputs("one", {"web": str(sources)}))
    program.write_text("raise SystemExit('broken')")
    ((_, pid),) = (await corner.pids()).items()
    os.kill(pid, signal.SIGKILL)
    await corner.until(lambda: corner.get().startswith("one "))
    with pytest.raises(RolloutFailed, match="broken"):
        await corner.update(state, inputs("two", {"web": str(sources)}))
    assert (await corner.aget()).startswith("one ")
    with pytest.raises(AnytierError, match="leads out"):
        await corner.update(state, inputs("three", {"../web": str(sources)}))
    await corner.down()
    corner.clean()
