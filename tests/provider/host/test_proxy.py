"""host:Proxy: what it holds outlives its own death, and a port that is taken is said before anything is made."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.certificate import Pair, self_signed
from anytier.errors import Conflict, Rejected, Unreachable
from anytier.provider.host import launch
from anytier.provider.host.caddy import Caddy
from anytier.provider.host.proxy import Certificate, ProxyInputs, ProxyOutputs, ProxyResource, split_address
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route, Tls, Upstream
from anytier.render.upstreams import bare, draining, merged, only, with_upstreams

from .corner import Corner, Load, free_port, listening

POOL = ProxyConfig(pools={"web/http": Pool(upstreams=[Upstream(dial="a:1"), Upstream(dial="b:1")])})


async def test_a_taken_port_is_a_conflict_that_names_its_holder_and_nothing_is_made(corner: Corner) -> None:
    with listening(corner.port), pytest.raises(Conflict) as conflict:
        await corner.make_proxy()
    said = str(conflict.value)
    assert f"port {corner.port} is taken on this machine by" in said and f"(pid {os.getpid()})" in said
    assert "anytier:port" in said
    assert corner.processes() == [] and not Path(corner.root, "proxy").exists()
    assert (await corner.make_proxy()).running


async def test_a_proxy_without_a_config_is_on_its_way_out(corner: Corner) -> None:
    """For an instant Caddy still answers while it ends; that must look like one that is away, not like a mistake."""
    await corner.make_proxy()
    caddy = Caddy(await corner.place())
    assert await caddy.alive()
    await caddy._request("DELETE", "/config/")
    assert not await caddy.alive()
    with pytest.raises(Unreachable):
        await caddy.config(wait=False)


async def test_a_killed_proxy_is_back_with_all_that_it_held(corner: Corner) -> None:
    await corner.up()
    place = await corner.place()
    state = (await place.manager.states())[f"{corner.ns}-proxy"]
    os.kill(state.pid, signal.SIGKILL)
    await corner.until(lambda: corner.get().startswith("1 "))
    config = await Caddy(place).config()
    assert len(config.pools["web/http"].upstreams) == 2
    assert config.pools["web/http"].health is not None


def test_the_launcher_makes_the_runtime_directories_that_a_reboot_has_emptied(tmp_path: Path) -> None:
    run = tmp_path / "run" / "anytier"
    spec = {"argv": ["true"], "cwd": "/", "env": {}, "secret": False, "pace": False, "memory": None, "user": None}
    (tmp_path / "launch.json").write_text(json.dumps({**spec, "owned": [], "folders": [str(run)]}))
    launcher = Path(launch.__file__)
    for _ in range(2):
        subprocess.run([sys.executable, str(launcher), "run", str(tmp_path)], check=True)
        assert run.is_dir() and run.stat().st_mode & 0o777 == 0o700


async def test_an_update_moves_traffic_without_another_config(corner: Corner) -> None:
    """A config that is exchanged may cost a request; a slot does not."""
    state = await corner.up()
    caddy = Caddy(await corner.place())
    before = await caddy._running()
    await corner.update(state, corner.inputs(version="2"))
    await corner.until(lambda: corner.get().startswith("2 "))
    assert await caddy._running() == before
    upstreams = (await caddy.config()).pools["web/http"].upstreams
    assert len(upstreams) == 2 and not any(item.draining for item in upstreams)


async def test_a_changed_config_keeps_upstreams_and_loses_no_request(corner: Corner) -> None:
    await corner.up()
    inputs = corner.proxy_inputs()
    other = free_port()
    config = inputs.config.model_copy(
        update={
            "listeners": {**inputs.config.listeners, "extra": Listener(address=f"127.0.0.1:{other}")},
            "routes": [*inputs.config.routes, Route(listener="extra", pool="web/http")],
        }
    )
    changed = inputs.model_copy(update={"config": config})
    with Load(corner.port, clients=2) as load:
        state = await ProxyResource().update(corner.context(), "id", inputs, ProxyOutputs(running=True), changed)
    assert state.running and load.failed == []
    first = corner.port
    corner.port = other
    assert (await corner.aget()).startswith("1 ")
    corner.port = first
    # given up again: the port is free for others
    await ProxyResource().update(corner.context(), "id", changed, state, inputs)
    with listening(other):
        await corner.until(lambda: corner.get().startswith("1 "))


async def test_read_shows_what_was_changed_behind_our_back(corner: Corner) -> None:
    await corner.up()
    inputs = corner.proxy_inputs()
    resource = ProxyResource()
    assert (await read(corner, inputs))[0] == inputs
    place = await corner.place()
    await Caddy(place).change(lambda config: config.model_copy(update={"routes": []}))
    found, state = await read(corner, inputs)
    assert found.config.routes == [] and resource.drifted(inputs, state) == []
    await place.manager.stop(f"{corner.ns}-proxy")
    found, state = await read(corner, inputs)
    assert resource.drifted(inputs, state) == ["config"]
    assert (await resource.update(corner.context(), "id", inputs, state, inputs)).running
    assert (await read(corner, inputs))[0] == inputs
    await corner.until(lambda: corner.get().startswith("1 "))
    found, _ = await read(corner, None)
    assert found == inputs


async def read(corner: Corner, inputs: Any) -> Any:
    id = f"{corner.ns}/proxy" if inputs else f"{corner.root}|{corner.ns}/proxy"
    found = await ProxyResource().read(corner.context(), id, inputs, None)
    assert found is not None
    return found


async def test_certificates_are_files_that_only_the_proxy_reads(corner: Corner) -> None:
    pair = {"certificate": "CERT", "key": "KEY-canary"}
    inputs = corner.proxy_inputs(certificates={"site": pair})
    await ProxyResource().create(corner.context(), inputs)
    folder = Path(corner.root, "proxy/certificates")
    assert (folder / "site.key").read_text() == "KEY-canary" and (folder / "site.key").stat().st_mode & 0o077 == 0
    assert "KEY-canary" not in Path(corner.root, "proxy/proxy.json").read_text()


async def test_an_answer_that_leaves_while_the_config_is_replaced_ends_its_connection(corner: Corner) -> None:
    """Its request came before: the client would send its next one on a connection that is being closed."""
    await corner.up()
    assert await asyncio.to_thread(connection_after, corner.port, "/") == "keep-alive"
    slow = asyncio.create_task(asyncio.to_thread(connection_after, corner.port, "/slow?0.8"))
    await asyncio.sleep(0.3)
    await Caddy(await corner.place()).change(lambda config: config, anew=True)
    assert await slow == "close"
    assert await asyncio.to_thread(connection_after, corner.port, "/") == "keep-alive"


def connection_after(port: int, path: str) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("Connection")
    finally:
        connection.close()


async def test_each_host_has_its_certificate_and_a_renewed_one_is_taken_up_by_what_runs(corner: Corner) -> None:
    await corner.up()
    port = free_port()
    first, second, renewed = (self_signed(host) for host in ("one.test", "two.test", "one.test"))
    inputs = encrypted(corner, port, {"one.test": first, "two.test": second})
    state = await ProxyResource().update(corner.context(), "id", inputs, ProxyOutputs(running=True), inputs)
    assert await asyncio.to_thread(shown, port, "one.test") == (first.der, "200")
    assert await asyncio.to_thread(shown, port, "two.test") == (second.der, "200")
    assert await asyncio.to_thread(redirected, corner.port) == f"https://one.test:{port}/x?y=1"
    inputs = encrypted(corner, port, {"one.test": renewed, "two.test": second})
    after = await ProxyResource().update(corner.context(), "id", inputs, ProxyOutputs(running=True), inputs)
    assert await asyncio.to_thread(shown, port, "one.test") == (renewed.der, "200")
    assert after.pid == state.pid
    again = await ProxyResource().update(corner.context(), "id", inputs, ProxyOutputs(running=True), inputs)
    assert again == after


def encrypted(corner: Corner, port: int, pairs: dict[str, Pair]) -> ProxyInputs:
    plain = corner.proxy_inputs()
    folder = f"{corner.root}/proxy/certificates"
    tls = [
        Tls(mode="files", host=host, certificate=f"{folder}/{host}.crt", key=f"{folder}/{host}.key") for host in pairs
    ]
    routes = [Route(listener="tls", pool="web/http", host=host) for host in pairs]
    routes += [Route(listener="public", pool="web/http", host=host, redirect=port) for host in pairs]
    config = plain.config.model_copy(
        update={
            "listeners": {**plain.config.listeners, "tls": Listener(address=f"127.0.0.1:{port}", tls=tls)},
            "routes": [*plain.config.routes, *routes],
        }
    )
    given = {host: Certificate(certificate=pair.certificate, key=pair.key) for host, pair in pairs.items()}
    return plain.model_copy(update={"config": config, "certificates": given})


def shown(port: int, host: str) -> tuple[bytes, str]:
    """The certificate that a client sees, and the status of its request."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        with context.wrap_socket(plain, server_hostname=host) as stream:
            stream.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status = stream.recv(100).split(b" ")[1].decode()
            return stream.getpeercert(binary_form=True) or b"", status


def redirected(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/x?y=1", headers={"Host": "one.test"})
        answer = connection.getresponse()
        assert answer.status == 308
        return str(answer.getheader("Location"))
    finally:
        connection.close()


def test_upstreams_belong_to_workloads_not_to_the_program() -> None:
    resource = ProxyResource()
    inputs = {"root": "/srv/x", "supervisor": "supervisord", "ns": "x", "config": POOL}
    (error,) = resource.check(resource.inputs.model_validate(inputs))
    assert isinstance(error, Rejected) and error.path == "config.pools"


def test_edits_touch_what_they_name() -> None:
    def state(config: ProxyConfig) -> dict[str, bool]:
        return {item.dial: item.draining for item in config.pools["web/http"].upstreams}

    assert state(with_upstreams(POOL, {"web/http": ["c:1", "a:1"]})) == {"b:1": False, "c:1": False, "a:1": False}
    assert state(draining(POOL, {"web/http": ["a:1", "gone:1"]})) == {"a:1": True, "b:1": False}
    assert state(only(POOL, {"web/http": ["b:1"]})) == {"b:1": False}
    assert with_upstreams(ProxyConfig(), {"new/http": ["a:1"]}).pools["new/http"].upstreams == [Upstream(dial="a:1")]
    assert merged(bare(POOL), POOL) == POOL
    assert merged(bare(POOL), ProxyConfig()) == bare(POOL)
    gone = only(with_upstreams(ProxyConfig(), {"gone/http": ["a:1"]}), {"gone/http": []})
    assert bare(gone) == ProxyConfig(), "the pool of a workload that has gone is no drift"


@pytest.mark.parametrize(
    ("address", "pair"), [(":80", ("", 80)), ("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:1", ("::1", 1))]
)
def test_addresses_are_split(address: str, pair: tuple[str, int]) -> None:
    assert split_address(address) == pair
