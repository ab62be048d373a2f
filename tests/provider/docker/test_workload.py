"""docker:Workload on a real daemon: deploys, heals, rolls, rolls back, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.provider.screen import Screen

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, RolloutFailed
from anytier.provider.docker import tools
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.job import JobInputs, JobOutputs, JobResource
from anytier.provider.docker.network import NetworkInputs, NetworkOutputs, NetworkResource
from anytier.provider.docker.proxy import ProxyOutputs, ProxyResource
from anytier.provider.docker.volume import VolumeInputs, VolumeResource
from anytier.provider.docker.workload import WorkloadInputs, WorkloadResource
from anytier.render.template import Container, File, HttpGet, Limits, Mount, Port, Probe, Template

from .ground import Ground
from .shop import CANARY, IMAGE, READY, Load, Shop, free_port, have_base_image
from .sshd import Sshd

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def base_image() -> None:
    have_base_image()


@pytest.fixture
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    yield Shop(ground)


async def test_a_second_update_changes_nothing_and_delete_leaves_nothing(shop: Shop) -> None:
    state = await shop.up()
    assert (state.revision, state.ready, state.replicas) == (1, 2, 2)
    await shop.until(lambda: shop.get().startswith("1 "))
    before = await shop.containers()
    again = await shop.update(state, shop.inputs())
    assert await shop.containers() == before and again == state
    assert await shop.read() == (shop.inputs(), state)
    await shop.down()
    assert await shop.left() == []


async def test_the_program_gets_what_the_spec_says_byte_for_byte(shop: Shop) -> None:
    odd = "a'b\"$HOME %h %% \\ ;#x\n${NOT_OURS}\n"
    files = [
        File(target="/etc/shop/app.conf", content="password=${secrets.db}\n", mode="0400"),
        File(target="/conf/plain", content=odd.replace("${", "$${"), mode="0640"),
        File(target="/conf/owned", content="x", mode="0604", owner="7:8"),
    ]
    env = {
        "ODD": odd,
        "URL": "pg://u:${secrets.db}@h",
        "B": "b",
        "file": "f",
        "EMPTY": "",
        "LINES": "${secrets.db}\n\n",
    }
    args = ["--a b", "$HOME", "'\"", ""]
    await shop.up(shop.inputs(env=env, files=files, args=args, replicas=1, working_dir="/conf"))
    got = json.loads(await shop.aget("/env"))
    assert {key: got[key] for key in env} == {**env, "URL": f"pg://u:{CANARY}@h", "LINES": f"{CANARY}\n\n"}
    assert got["PASSWORD"] == CANARY and not [key for key in got if key.startswith("_anytier")]
    assert await shop.aget("/read?/etc/shop/app.conf") == f"password={CANARY}\n"
    assert await shop.aget("/read?/conf/plain") == odd
    assert json.loads(await shop.aget("/stat?/etc/shop/app.conf"))["mode"] == "0o400"
    assert json.loads(await shop.aget("/stat?/conf/plain")) == {"mode": "0o640", "uid": 10001, "gid": 0}
    assert json.loads(await shop.aget("/stat?/conf/owned")) == {"mode": "0o604", "uid": 7, "gid": 8}
    assert json.loads(await shop.aget("/me")) == {"uid": 10001, "cwd": "/conf", "argv": args}


async def test_a_read_only_root_gets_its_secret_files_too(shop: Shop) -> None:
    files = [File(target="/etc/shop/app.conf", content="password=${secrets.db}\n", mode="0400")]
    await shop.up(shop.inputs(files=files, replicas=1, read_only_root=True))
    assert await shop.aget("/read?/etc/shop/app.conf") == f"password={CANARY}\n"
    assert json.loads(await shop.aget("/stat?/etc/shop/app.conf"))["mode"] == "0o400"
    assert json.loads(await shop.aget("/env"))["PASSWORD"] == CANARY


async def test_files_belong_to_the_user_that_the_image_names(shop: Shop) -> None:
    await shop.up(shop.inputs(files=[File(target="/c", content="x", mode="0400")], user="daemon", replicas=1))
    found = json.loads(await shop.aget("/stat?/c"))
    assert found["mode"] == "0o400" and found["uid"] == json.loads(await shop.aget("/me"))["uid"] != 0
    with pytest.raises(RolloutFailed, match="'nobody-knows' is not in the image's"):
        await shop.create(shop.inputs(user="nobody-knows", replicas=1))


async def test_a_secret_is_nowhere_that_anybody_can_look(shop: Shop) -> None:
    await shop.make_proxy()
    with pytest.raises(RolloutFailed, match="cannot go on"):
        await shop.create(shop.inputs(mode="exits", replicas=1))
    state = await shop.create(shop.inputs(replicas=1))
    assert CANARY not in state.model_dump_json() + "".join(shop.ground.sink.lines)
    names = shop.ground.docker("ps", "-aq").split()
    assert CANARY not in shop.ground.docker("inspect", *names)
    assert CANARY not in shop.ground.docker("top", f"{shop.ns}-web-r2-0")
    mounted = (await shop.there.get(f"volumes/{shop.ns}-web.store"))["Mountpoint"]
    if os.geteuid() == 0:
        folder = os.stat(os.path.dirname(os.path.dirname(mounted)))
        assert folder.st_uid == 0 and folder.st_mode & 0o007 in (0, 1), "only root gets to the volumes"


@pytest.mark.parametrize("whom", ["process", "container"])
async def test_what_was_killed_is_back(shop: Shop, whom: str) -> None:
    state = await shop.up(shop.inputs(replicas=1, command=["sh", "-c", "python3 /app/app.py & wait"]))
    before = await shop.aget()
    first = await shop.pid(state.instances[0].id)
    victim = first if whom == "container" else min(map(int, children(first)))
    os.kill(victim, signal.SIGKILL)
    await shop.until(lambda: (now := shop.get()).startswith("1 ") and now != before)
    assert json.loads(await shop.aget("/env"))["PASSWORD"] == CANARY


async def test_liveness_restarts_an_instance_again_and_again(shop: Shop) -> None:
    probe = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, failure_threshold=2)
    await shop.up(shop.inputs(replicas=1, liveness=probe))
    for _ in range(2):
        before = await shop.aget()
        await shop.aget("/sick")
        await shop.until(lambda was=before: (now := shop.get()).startswith("1 ") and now != was, 30)
    log = await shop.there.log(f"{shop.ns}-web-r1-0", 50)
    assert log.count("anytier: liveness probe failed 2 times: restarting") == 2


@pytest.mark.parametrize("kind", ["tcp", "exec"])
async def test_every_kind_of_probe_gates(shop: Shop, kind: str) -> None:
    await shop.make_network()
    probe = Probe(tcp_port=8080) if kind == "tcp" else Probe(exec=["sh", "-c", 'test -n "$VERSION"'], timeout=3)
    state = await shop.create(shop.alone(readiness=probe))
    assert state.ready == 1
    never = Probe(tcp_port=9999) if kind == "tcp" else Probe(exec=["sh", "-c", "echo no way >&2; exit 4"])
    with pytest.raises(RolloutFailed, match=r"TCP port 9999|exit 4, no way"):
        await shop.update(state, shop.alone("2", readiness=never, policy={"healthy_deadline": 2}))
    assert list(await shop.containers()) == [f"{shop.ns}-web-r1-0"]


async def test_probes_are_asked_inside_where_the_daemon_is_elsewhere(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shop.there), "local", False)
    state = await shop.up(shop.inputs(replicas=1))
    with pytest.raises(RolloutFailed, match="/healthz on port 8080: answered 503"):
        await shop.update(state, shop.inputs("2", mode="unhealthy", replicas=1, policy={"healthy_deadline": 3}))
    with pytest.raises(RolloutFailed, match=r"/healthz on port 8080: .*refused"):
        await shop.update(state, shop.inputs("3", mode="wrong-port", replicas=1, policy={"healthy_deadline": 3}))
    assert (await shop.aget()).startswith("1 ")


async def test_over_ssh_it_is_the_same(ground: Ground, sshd: Sshd) -> None:
    shop = Shop(ground, sshd.host)
    state = await shop.up(shop.inputs(replicas=1, liveness=READY))
    with Load(shop.port, clients=2) as load:
        state = await shop.update(state, shop.inputs("2", replicas=1, liveness=READY))
    assert load.failed == [] and state.revision == 2 and (await shop.aget()).startswith("2 ")
    backend = shop.backend()
    (row,) = await backend.instances()
    assert row.health == "healthy" and await backend.exec(row, ["sh", "-c", "exit 7"]) == 7
    await backend.close()
    await shop.down()
    assert await shop.left() == []


async def test_a_rolling_update_loses_no_request(shop: Shop) -> None:
    state = await shop.up()
    with Load(shop.port) as load:
        state = await shop.update(state, shop.inputs("2"))
        state = await shop.update(state, shop.inputs("3", replicas=3))
    assert load.failed == [] and load.done > 50
    assert (await shop.aget()).startswith("3 ")
    assert (state.revision, state.ready) == (3, 3) and len(await shop.containers()) == 3


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"mode": "exits"}, "cannot go on"),
        ({"mode": "unhealthy"}, "answered 503"),
        ({"mode": "dies", "policy": {"min_healthy_time": 2}}, "exit 3"),
        ({"mode": "wrong-port"}, "port 8080"),
        ({"command": ["/no/such/program"]}, "/no/such/program: not found"),
        ({"command": ["/no/such/program"], "env": {}, "secret_env": {}}, "No such file"),
        ({"mode": "hungry", "limits": Limits(memory=64 * 2**20)}, "(limit 64 MiB)"),
        ({"image": "anytier-test-none:1"}, "image anytier-test-none:1 is no longer"),
        ({"user": "0", "run_as_non_root": True}, "asks not to run as root"),
    ],
    ids=["exits", "unhealthy", "dies", "wrong-port", "missing", "missing-plain", "memory", "image", "root"],
)
async def test_a_bad_release_keeps_the_old_one_serving(shop: Shop, bad: dict[str, Any], said: str) -> None:
    state = await shop.up()
    before = await shop.containers()
    policy = {"healthy_deadline": 3, **bad.get("policy", {})}
    with Load(shop.port, clients=2) as load:
        with pytest.raises(RolloutFailed) as failure:
            await shop.update(state, shop.inputs("2", **{**bad, "policy": policy}))
    assert said in str(failure.value) and "r1 keeps serving on 2 of 2" in str(failure.value)
    assert load.failed == [] and (await shop.aget()).startswith("1 ")
    assert await shop.containers() == before
    assert not [
        name
        for name in shop.ground.docker("ps", "-a", "--format", "{{.Names}}").split()
        if f"{shop.ground.ns}-web-r2-" in name
    ]


async def test_rollback_runs_a_kept_revision_with_its_own_secrets(shop: Shop) -> None:
    state = await shop.up(shop.inputs(replicas=1))
    state = await shop.update(state, shop.inputs("2", replicas=1, secrets={"db": "the-second-one"}))
    assert [item.revision for item in state.history] == [1, 2]
    state = await shop.update(state, shop.inputs("2", replicas=1, secrets={"db": "x"}, rollback_to=1))
    assert state.revision == 1 and json.loads(await shop.aget("/env"))["PASSWORD"] == CANARY
    with pytest.raises(NotFound, match="choose one of: 1, 2"):
        await shop.update(state, shop.inputs("2", replicas=1, rollback_to=9))
    state = await shop.update(state, shop.inputs("2", replicas=1, secrets={"db": "the-second-one"}))
    assert state.revision == 2, "the same content is the same revision"


async def test_only_the_newest_revisions_and_their_files_are_kept(shop: Shop) -> None:
    await shop.make_network()
    quick = {"retain": 2, "min_healthy_time": 0}
    state = await shop.create(shop.alone("1", policy=quick))
    for version in ("2", "3"):
        state = await shop.update(state, shop.alone(version, policy=quick))
    assert [item.revision for item in state.history] == [2, 3]
    volumes = {text.split()[1] for text in await shop.left() if text.startswith("volume")}
    assert volumes == {f"{shop.ns}-web.store", f"{shop.ns}-web-r2.web", f"{shop.ns}-web-r3.web"}


async def test_scaling_keeps_those_that_stay(shop: Shop) -> None:
    state = await shop.up(shop.inputs(replicas=1))
    first = await shop.containers()
    with Load(shop.port, clients=2) as load:
        state = await shop.update(state, shop.inputs(replicas=4))
        assert state.ready == 4 and first.items() <= (await shop.containers()).items()
        state = await shop.update(state, shop.inputs(replicas=1))
    assert load.failed == [] and await shop.containers() == first
    state = await shop.update(state, shop.inputs(replicas=0))
    assert state.ready == 0 and await shop.containers() == {}
    assert await shop.read(shop.inputs(replicas=0)) == (shop.inputs(replicas=0), state)


@pytest.mark.parametrize("how", ["stop", "rm"])
async def test_drift_is_seen_and_repaired(shop: Shop, how: str) -> None:
    inputs = shop.inputs()
    state = await shop.up(inputs)
    stays = (await shop.containers())[f"{shop.ns}-web-r1-1"]
    shop.ground.docker(*(["stop", "-t", "1"] if how == "stop" else ["rm", "-f"]), f"{shop.ns}-web-r1-0")
    found = await shop.read(inputs)
    assert found is not None and found[1].ready == 1
    assert WorkloadResource().drifted(inputs, state) == []
    assert WorkloadResource().drifted(inputs, found[1]) == ["replicas"]
    assert (await shop.update(found[1], inputs)).ready == 2
    assert (await shop.containers())[f"{shop.ns}-web-r1-1"] == stays


async def test_import_by_id_is_exact(shop: Shop) -> None:
    inputs = shop.inputs(replicas=1)
    state = await shop.up(inputs)
    assert await WorkloadResource().read(shop.context(), shop.id, None, None) == (inputs, state)
    assert await WorkloadResource().read(shop.context(), f"{shop.ns}/api", None, None) is None
    with pytest.raises(Rejected, match="is not an id to import"):
        await WorkloadResource().read(shop.context(), "web", None, None)


async def test_what_we_wrote_down_may_be_swept_away(shop: Shop) -> None:
    """`docker system prune` takes stopped containers, and older ones volumes that nothing runs with."""
    state = await shop.up(shop.inputs())
    shop.ground.docker("rm", f"{shop.ns}-web.store")
    assert await shop.read() == (shop.inputs(), state), "the volume tells all"
    shop.ground.docker("rm", f"{shop.ns}-web.store")
    shop.ground.docker("volume", "rm", f"{shop.ns}-web.store")
    found = await shop.read()
    assert found is not None and found[1].pending
    with Load(shop.port, clients=2) as load:
        state = await shop.update(found[1], shop.inputs())
    assert load.failed == [] and (state.revision, state.ready) == (2, 2)
    await shop.down()
    assert await shop.left() == []


async def test_deleted_behind_our_back_is_gone_and_comes_again(shop: Shop) -> None:
    await shop.make_network()
    inputs = shop.alone()
    await shop.create(inputs)
    await shop.delete(inputs)
    assert await shop.read(inputs) is None
    await shop.delete(inputs)
    assert (await shop.create(inputs)).ready == 1


async def test_data_on_a_volume_outlives_revisions(shop: Shop) -> None:
    more = {"volumes": {"data": f"{shop.ns}-data"}, "mounts": [Mount(target="/data", volume="data")], "user": "0"}
    state = await shop.up(shop.inputs(replicas=1, **more))
    await shop.aget("/write?/data/note")
    await shop.update(state, shop.inputs("2", replicas=1, **more))
    assert await shop.aget("/read?/data/note") == "kept"


def renamed(shop: Shop, version: str, volume: str, **more: Any) -> WorkloadInputs:
    more |= {"volumes": {volume: f"{shop.ns}-{volume}"}, "mounts": [Mount(target="/data", volume=volume)]}
    return shop.inputs(version, replicas=1, **more)


async def test_the_way_back_finds_a_volume_that_the_spec_has_renamed(shop: Shop) -> None:
    state = await shop.up(renamed(shop, "1", "data"))
    policy = {"healthy_deadline": 3, "order": "stop-first"}
    with pytest.raises(RolloutFailed, match="r1 keeps serving on 1 of 1"):
        await shop.update(state, renamed(shop, "2", "store", mode="unhealthy", policy=policy))
    await shop.until(lambda: shop.get().startswith("1 "))


async def test_a_rollback_past_a_renamed_volume_stops_nothing(shop: Shop) -> None:
    state = await shop.up(renamed(shop, "1", "data"))
    now = renamed(shop, "2", "store", policy={"order": "stop-first"})
    state = await shop.update(state, now)
    before = await shop.containers()
    with pytest.raises(NotFound, match=r"volumes\.data: web r1 mounts it.*declare it in the spec again"):
        await shop.update(state, now.model_copy(update={"rollback_to": 1}))
    assert await shop.containers() == before and (await shop.aget()).startswith("2 ")


async def test_limits_are_in_force(shop: Shop) -> None:
    await shop.up(shop.inputs(replicas=1, limits=Limits(memory=96 * 2**20, cpu=0.5, pids=64)))
    assert await shop.aget("/eat?16") == "eaten"
    with pytest.raises(OSError):
        await shop.aget("/eat?512")
    await shop.until(lambda: shop.get().startswith("1 "))
    host = (await shop.there.get(f"containers/{shop.ns}-web-r1-0/json"))["HostConfig"]
    assert (host["NanoCpus"], host["PidsLimit"], host["MemorySwap"]) == (500_000_000, 64, 96 * 2**20)


async def test_gpus_that_the_daemon_does_not_have_are_told_and_what_serves_serves_on(shop: Shop) -> None:
    """Here they are not, as on most machines; with them nobody has run it yet."""
    if "nvidia" in json.dumps((await shop.there.get("info")).get("Runtimes", {})):
        pytest.skip("this daemon may have GPUs")
    state = await shop.up(shop.inputs(replicas=1))
    with pytest.raises(RolloutFailed, match="the Docker host has no such GPUs"):
        await shop.update(state, shop.inputs("2", replicas=1, limits=Limits(gpus=1)))
    assert (await shop.aget()).startswith("1 ")


async def test_another_owners_live_deployment_is_not_touched(shop: Shop) -> None:
    await shop.make_network()
    await shop.create(shop.alone())
    before = await shop.containers()
    other = shop.alone("2").model_copy(update={"owner": "/home/you/shop"})
    with pytest.raises(Conflict, match=rf"from /home/me/shop.*docker rm {shop.ns}-web\.store"):
        await shop.create(other)
    assert await shop.containers() == before
    shop.ground.docker("rm", f"{shop.ns}-web.store")
    assert (await shop.create(other)).revision == 2, "a person has released it"


async def test_whoever_holds_the_state_deploys_from_everywhere(shop: Shop) -> None:
    await shop.make_network()
    first = shop.alone().model_copy(update={"owner": f"me@here:/shop#{'0' * 32}"})
    state = await shop.create(first)
    elsewhere = shop.alone("2").model_copy(update={"owner": f"runner@there:/build/7#{'0' * 32}"})
    assert (await shop.update(state, elsewhere)).revision == 2
    other_stack = shop.alone("3").model_copy(update={"owner": f"me@here:/shop#{'1' * 32}"})
    with pytest.raises(Conflict, match=r"from runner@there:/build/7 "):
        await shop.create(other_stack)


async def test_nothing_of_another_owners_live_deployment_is_changed_or_deleted(shop: Shop) -> None:
    """Two clones, each with a state of its own, on one daemon: refused at the network, which is the first, and by
    each of the others for itself; and what is recorded all the same is left alone."""
    ours, theirs = f"me@here:/a#{'0' * 32}", f"me@here:/b#{'1' * 32}"
    await shop.make_network()
    proxy, data = shop.proxy_inputs(owner=ours), VolumeInputs(name=f"{shop.ns}-data", ns=shop.ns, owner=ours)
    await ProxyResource().create(shop.context(), proxy)
    _, volume = await VolumeResource().create(shop.context(), data)
    await shop.create(shop.inputs(replicas=1, owner=ours))
    before = await shop.containers()

    network = NetworkInputs(name=shop.ns, owner=theirs)
    their_proxy, their_data = (item.model_copy(update={"owner": theirs}) for item in (proxy, data))
    common = {**shop.base, "owner": theirs, "template": Template(containers=[shop.container()])}
    job = JobInputs.model_validate({**common, "job": "migrate"})
    for resource, inputs in (
        (NetworkResource(), network),
        (VolumeResource(), their_data),
        (ProxyResource(), their_proxy),
        (JobResource(), job),
        (WorkloadResource(), shop.inputs("2", owner=theirs)),
    ):
        ctx = shop.context()
        with pytest.raises(Conflict, match="is deployed here from me@here:/a "):
            await resource.create(ctx, inputs)  # type: ignore[attr-defined]
        assert ctx.last_made is None
    shown = await shop.there.get(f"networks/{shop.ns}")
    await ProxyResource().delete(shop.context(), "id", their_proxy, ProxyOutputs(running=True))
    await VolumeResource().delete(shop.context(), "id", their_data, volume)
    await JobResource().delete(shop.context(), "id", job, JobOutputs())
    await NetworkResource().delete(shop.context(), shop.ns, network, NetworkOutputs(network_id=shown["Id"]))
    await shop.delete(shop.inputs(replicas=1, owner=theirs))
    assert await shop.containers() == before and await shop.there.find(f"volumes/{shop.ns}-data") is not None

    await shop.delete(shop.inputs(replicas=1, owner=ours))
    await ProxyResource().delete(shop.context(), "id", proxy, ProxyOutputs(running=True))
    await VolumeResource().delete(shop.context(), data.name, data, volume)
    assert await shop.there.find(f"volumes/{shop.ns}-data") is None


async def test_an_older_state_that_moved_goes_on_where_its_update_ended(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no tokens, its proxy no owner at all. Until the store has the token, the state has it neither."""
    proxy = shop.proxy_inputs()
    await shop.make_proxy()
    older = {name: shop.alone(owner="me@here:/a", workload=name) for name in ("web", "api")}
    states = {name: await shop.create(inputs) for name, inputs in older.items()}
    token = {"owner": f"runner@there:/b#{'0' * 32}"}
    newer = {name: inputs.model_copy(update=token) for name, inputs in older.items()}
    with monkeypatch.context() as patch:
        patch.setattr(tools, "ensure", failing)
        ctx = shop.context()
        with pytest.raises(NotFound, match="no tools"):
            await WorkloadResource().update(ctx, "id", older["web"], states["web"], newer["web"])
    assert ctx.last_made is None
    for name, before in (("web", older), ("web", newer), ("api", older)):
        id, running = f"{shop.ns}-proxy", ProxyOutputs(running=True)
        await ProxyResource().update(shop.context(), id, proxy, running, proxy.model_copy(update=token))
        await WorkloadResource().update(shop.context(), f"{shop.ns}/{name}", before[name], states[name], newer[name])


async def failing(there: Daemon) -> None:
    raise NotFound("docker", "no tools", "run again")


async def test_what_another_stack_took_over_in_part_leaves_the_rest_to_its_owner(shop: Shop) -> None:
    """A person removed the stores; the other stack's app has only `web`."""
    ours, theirs = f"me@here:/a#{'0' * 32}", f"me@here:/b#{'1' * 32}"
    await shop.make_network()
    for name in ("web", "api"):
        await shop.create(shop.alone(owner=ours, workload=name))
    shop.ground.docker("rm", f"{shop.ns}-web.store", f"{shop.ns}-api.store")
    await shop.create(shop.alone("2", owner=theirs))
    for name in ("web", "api"):
        await shop.delete(shop.alone(owner=ours, workload=name))
    assert set(await shop.containers()) == {f"{shop.ns}-web-r2-0"}
    assert not [text for text in await shop.left() if "-api" in text]


async def test_a_dead_deployment_belongs_to_nobody(shop: Shop) -> None:
    await shop.make_network()
    await shop.create(shop.alone())
    shop.ground.docker("stop", "-t", "1", f"{shop.ns}-web-r1-0")
    other = shop.alone().model_copy(update={"owner": "/home/you/shop"})
    assert (await shop.create(other)).ready == 1


async def test_a_port_of_the_machine_is_the_containers_own_and_a_taken_one_is_said(shop: Shop) -> None:
    await shop.make_network()
    number = free_port()
    port = Port(name="tcp", port=number, target=8080, http=False, expose="host")
    inputs = shop.alone(template=Template(containers=[shop.container()], ports=[port]))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", number))
        taken.listen()
        with pytest.raises(RolloutFailed, match=rf"port {number} is taken on the Docker host"):
            await shop.create(inputs)
    assert not [text for text in await shop.left() if "-r1-0" in text], "nothing half-made stays"
    state = await shop.create(inputs)
    shop.port = number
    await shop.until(lambda: shop.get().startswith("1 "))
    newer = inputs.template.model_copy(update={"containers": [shop.container("2")]})
    state = await shop.update(state, inputs.model_copy(update={"template": newer}))
    assert state.revision == 2
    await shop.until(lambda: shop.get().startswith("2 "))


def sidecars(shop: Shop, version: str = "1") -> Template:
    """An init container that writes, a sidecar that is healthy later, an app that needs both."""
    mounts = [Mount(target="/data", volume="data")]
    shell: dict[str, Any] = {"image": IMAGE, "user": "0", "mounts": mounts}
    late = "sleep 1; echo up > /data/late; exec sleep 1000"
    return Template(
        containers=[
            Container(name="init", role="init", command=["sh", "-c", "echo 1 > /data/init"], **shell),
            Container(
                name="side",
                role="sidecar",
                command=["sh", "-c", f"cat /data/init && {late}"],
                readiness=Probe(exec=["test", "-e", "/data/late"]),
                after={"init": "complete"},
                **shell,
            ),
            shop.container(version, user="0", mounts=mounts, after={"side": "healthy"}),
        ],
        ports=[Port(name="http", port=80, target=8080)],
    )


async def test_init_containers_and_sidecars_run_in_order_and_share_a_network(shop: Shop) -> None:
    volumes = {"data": f"{shop.ns}-data"}
    state = await shop.up(shop.inputs(template=sidecars(shop), volumes=volumes))
    assert state.ready == 2 and (await shop.aget("/read?/data/late")) == "up\n"
    name = f"{shop.ns}-web-r1-0"
    assert set(await shop.containers()) == {
        f"{shop.ns}-web-r1-{i}{part}" for i in (0, 1) for part in ("", "-side", "-web")
    }
    shop.ground.docker(
        "exec", f"{name}-side", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8080))"
    )
    shop.ground.docker("rm", f"{name}-init")
    assert (await shop.update(state, shop.inputs(template=sidecars(shop), volumes=volumes))) == state
    shop.ground.docker("rm", "-f", f"{name}-side")
    found = await shop.read(shop.inputs(template=sidecars(shop), volumes=volumes))
    assert found is not None and found[1].ready == 1
    with Load(shop.port, clients=2) as load:
        state = await shop.update(state, shop.inputs(template=sidecars(shop, "2"), volumes=volumes))
    assert load.failed == [] and state.revision == 2 and len(await shop.containers()) == 6


async def test_an_init_container_that_fails_fails_the_release(shop: Shop) -> None:
    state = await shop.up(shop.inputs(replicas=1))
    bad = Container(name="init", role="init", image=IMAGE, command=["sh", "-c", "echo no schema; exit 3"])
    template = Template(containers=[bad, shop.container("2")], ports=[Port(name="http", port=80, target=8080)])
    with pytest.raises(RolloutFailed, match=r"(?s)containers\.init.*exit 3.*no schema"):
        await shop.update(state, shop.inputs(template=template, replicas=1))
    assert list(await shop.containers()) == [f"{shop.ns}-web-r1-0"]


async def test_hooks_run_at_start_and_stop(shop: Shop) -> None:
    more = {
        "volumes": {"data": f"{shop.ns}-data"},
        "mounts": [Mount(target="/data", volume="data")],
        "user": "0",
        "post_start": ["sh", "-c", "echo up >> /data/note"],
        "pre_stop": ["sh", "-c", "echo down >> /data/note"],
    }
    state = await shop.up(shop.inputs(replicas=1, **more))
    await shop.update(state, shop.inputs("2", replicas=1, **more))
    assert await shop.aget("/read?/data/note") == "up\nup\ndown\n"
    bad = {**more, "post_start": ["sh", "-c", "echo not today; exit 9"]}
    with pytest.raises(RolloutFailed, match=r"postStart: ended with exit 9: not today"):
        await shop.update(state, shop.inputs("3", replicas=1, **bad))


async def test_status_logs_and_exec_show_what_runs(shop: Shop) -> None:
    await shop.up()
    backend = shop.backend()
    try:
        rows = await backend.instances()
        assert [(row.workload, row.index, row.revision, row.state, row.health) for row in rows] == [
            ("web", 0, 1, "running", "healthy"),
            ("web", 1, 1, "running", "healthy"),
        ]
        assert rows[0].restarts == 0 and rows[0].started.endswith("+00:00")
        lines = [line async for line in backend.logs(rows[0], False, 10)]
        assert lines == [f"starting 1 good {CANARY}"]
        assert await backend.exec(rows[0], ["sh", "-c", f'test "$PASSWORD" = {CANARY} && exit 7']) == 7
        with pytest.raises(NotFound, match="is gone"):
            gone = type(rows[0])(**{**vars(rows[0]), "id": f"{shop.ns}-web-r9-0"})
            await backend.exec(gone, ["true"])
    finally:
        await backend.close()


ON_TERMINAL = """
import asyncio, sys
from anytier.provider.docker import client, terminal

async def main():
    there = await client.daemon(client.Endpoint())
    script = "echo ready; read word; echo got $word; stty size; exit 7"
    code = await terminal.run(there, sys.argv[1], ["sh", "-c", script])
    await client.close_all()
    print("still ours", flush=True)
    sys.exit(code)

asyncio.run(main())
"""


async def test_a_command_finds_a_terminal_as_large_as_ours(shop: Shop) -> None:
    await shop.up()
    (id, *_) = await shop.containers()
    with contextlib.closing(Screen(ON_TERMINAL, id)) as screen:
        await asyncio.to_thread(screen.until, "ready")
        screen.resize(50, 132)
        await asyncio.sleep(1)  # nothing tells that the daemon has heard of it
        screen.type("typed\r")
        await asyncio.to_thread(screen.until, "50 132")
        code = await asyncio.to_thread(screen.ended)
    assert code == 7 and "got typed" in screen.shown and "still ours" in screen.shown


async def test_logs_follow_until_the_instance_ends(shop: Shop) -> None:
    await shop.make_network()
    await shop.create(shop.alone())
    backend = shop.backend()
    (row,) = await backend.instances()
    seen: list[str] = []

    async def follow() -> None:
        async for line in backend.logs(row, True, 10):
            seen.append(line)

    task = asyncio.create_task(follow())
    await shop.until(lambda: seen)
    shop.ground.docker("stop", row.id)
    await asyncio.wait_for(task, 10)
    await backend.close()
    assert seen == [f"starting 1 good {CANARY}", "bye"]


async def test_a_killed_run_is_continued_by_the_next(shop: Shop) -> None:
    state = await shop.up()
    inputs: WorkloadInputs = shop.inputs("2", policy={"min_healthy_time": 1})
    run = asyncio.create_task(shop.update(state, inputs))

    async def begun() -> bool:
        return any("-r2-" in name for name in await shop.containers())

    await shop.until(begun)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await shop.aget()).split()[0] in ("1", "2")
    done = await shop.update(state, inputs)
    assert (done.revision, done.ready, len(done.instances)) == (2, 2, 2)
    assert len(await shop.containers()) == 2


async def test_an_unknown_secret_is_an_error_that_names_it(shop: Shop) -> None:
    await shop.make_network()
    with pytest.raises(AnytierError, match=r"secrets\.db"):
        await shop.create(shop.alone(secrets={}))


def children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return stream.read().split()
