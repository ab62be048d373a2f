from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import AnytierError, Conflict, Denied, NotFound, Rejected, Unreachable
from anytier.provider.diff import diff
from anytier.provider.docker import client, probes
from anytier.provider.docker.build import Build
from anytier.provider.docker.client import Daemon, Endpoint, close_all, daemon, located, open_daemon, same_host
from anytier.provider.docker.image import ImageInputs, ImageResource
from anytier.provider.docker.network import NetworkInputs
from anytier.provider.docker.ssh import SshConnector, of_session, split
from anytier.provider.docker.tar import pack, unpack
from anytier.provider.values import path_text
from anytier.render.context import context_hash
from anytier.render.template import Probe

from .ground import Ground
from .sshd import Sshd, free_port
from .tls import TlsRelay


async def error_at(endpoint: Endpoint) -> AnytierError:
    """Why there is no daemon, in one line with something to do."""
    with pytest.raises(AnytierError) as caught:
        await open_daemon(endpoint)
    assert "\n" not in str(caught.value)
    assert caught.value.do
    return caught.value


@contextlib.asynccontextmanager
async def at(endpoint: Endpoint) -> AsyncIterator[Daemon]:
    made = await open_daemon(endpoint)
    try:
        yield made
    finally:
        await made.docker.close()


# how a command in a container ended


class Told(Daemon):
    """A daemon that runs any command, and then says of it what is in `ended`, the last for ever."""

    def __init__(self, *ended: dict[str, Any]) -> None:
        super().__init__(Endpoint(), None)  # type: ignore[arg-type]
        self.ended = list(ended)

    async def call(self, method: str, path: str, *rest: Any, **more: Any) -> Any:
        if path == "exec/e1/json":
            return self.ended.pop(0) if len(self.ended) > 1 else self.ended[0]
        return {"Id": "e1"}


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command's stream ends at once."""

    class Stream:
        async def __aenter__(self) -> Stream:
            return self

        async def __aexit__(self, *error: object) -> None:
            pass

        async def read_out(self) -> None:
            return None

    class Exec:
        def __init__(self, *given: object, **more: object) -> None:
            pass

        def start(self, detach: bool) -> Stream:
            return Stream()

    monkeypatch.setattr("aiodocker.execs.Exec", Exec)
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(0))


async def test_a_command_ends_when_docker_says_so(cut_off: None) -> None:
    running, unknown = {"Running": True, "ExitCode": None}, {"Running": False, "ExitCode": None}
    there = Told(running, unknown, {"Running": False, "ExitCode": 3})
    assert (await there.run("c", ["false"])).code == 3


@pytest.mark.parametrize("last", [{"Running": True, "ExitCode": None}, {"Running": False}])
async def test_a_command_whose_end_nobody_saw_is_no_success(cut_off: None, last: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match=r"container c: the connection ended before the command did -> run again"):
        await Told(last).run("c", ["false"])
    answer = await probes.ask(Told(last), "c", "", Probe(exec=["false"]))
    assert not answer.ok and answer.said == "exec false: the connection ended before the command did"


# which daemon


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unix:///var/run/docker.sock", "unix:///run/docker.sock"),
        ("ssh://root@box", "ssh://box:22"),
        ("ssh://box/", "SSH://Box"),
        ("tcp://10.0.0.1:2376", "tcp://10.0.0.1"),
    ],
)
def test_a_spelling_is_not_another_daemon(one: str, other: str) -> None:
    assert same_host(one) == same_host(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/other.sock"),
        ("ssh://box", "ssh://fox"),
        ("ssh://box:22", "ssh://box:2222"),
        ("ssh://box", "tcp://box"),
    ],
)
def test_another_daemon_is_another_daemon(one: str, other: str) -> None:
    assert same_host(one) != same_host(other)


@given(st.text() | st.builds("{}://{}".format, st.sampled_from(["unix", "ssh", "tcp", "x"]), st.text()))
def test_the_form_of_a_host_is_its_own_form(text: str) -> None:
    assert same_host(same_host(text)) == same_host(text)


def test_an_import_names_its_daemon_or_means_the_usual_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert located("app") == (Endpoint(host="unix:///var/run/docker.sock"), "app")
    assert located("ssh://me@box|app") == (Endpoint(host="ssh://me@box"), "app")
    monkeypatch.setenv("DOCKER_HOST", "tcp://box:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    endpoint, name = located("registry:5000/team/app:1")
    assert name == "registry:5000/team/app:1"
    assert endpoint.host == "tcp://box:2376"
    assert (endpoint.ca_cert, endpoint.key) == (f"{tmp_path}/ca.pem", f"{tmp_path}/key.pem")


# no daemon


async def test_no_socket() -> None:
    error = await error_at(Endpoint(host="unix:///nonexistent/docker.sock"))
    assert isinstance(error, Unreachable)
    assert "nothing listens there" in error.what
    assert "systemctl start docker" in error.do


@pytest.fixture
def dead_socket(tmp_path: Path) -> Path:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


async def test_a_socket_that_a_daemon_left_behind(dead_socket: Path) -> None:
    error = await error_at(Endpoint(host=f"unix://{dead_socket}"))
    assert isinstance(error, Unreachable)
    assert "not running" in error.what


AS_NOBODY = """
import asyncio, os, sys
import aiodocker, aiohttp, anytier.provider.docker.errors
from anytier.provider.docker.client import Endpoint, open_daemon
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    try:
        await open_daemon(Endpoint(host=sys.argv[1]))
    except Exception as error:
        print(type(error).__name__, error)
asyncio.run(main())
"""


def test_a_socket_that_is_not_for_this_user(dead_socket: Path) -> None:
    dead_socket.chmod(0)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", AS_NOBODY, f"unix://{dead_socket}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    assert said.startswith(f"Denied docker unix://{dead_socket}: this user may not use the daemon -> ")
    assert "usermod -aG docker" in said


async def test_a_daemon_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_ANSWER", 0.2)
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        hung_up.set()

    server = await asyncio.start_unix_server(listen, tmp_path / "docker.sock")
    error = await error_at(Endpoint(host=f"unix://{tmp_path}/docker.sock"))
    await asyncio.wait_for(hung_up.wait(), 5)
    server.close()
    assert isinstance(error, Unreachable)
    assert "no answer in time" in error.what


async def test_something_that_is_no_daemon(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / "docker.sock")
    error = await error_at(Endpoint(host=f"unix://{tmp_path}/docker.sock"))
    server.close()
    assert isinstance(error, Unreachable)


async def test_an_old_daemon(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            body = json.dumps({"ApiVersion": "1.40"}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)

    server = await asyncio.start_unix_server(talk, tmp_path / "docker.sock")
    error = await error_at(Endpoint(host=f"unix://{tmp_path}/docker.sock"))
    server.close()
    assert isinstance(error, Rejected)
    assert "1.40" in error.what
    assert "update Docker" in error.do


@pytest.mark.parametrize("host", ["", "docker", "http://box:2375", "unix:", "npipe:////./pipe/docker_engine"])
async def test_an_address_of_no_known_kind(host: str) -> None:
    assert isinstance(await error_at(Endpoint(host=host)), Rejected)


# the local daemon


@pytest.mark.docker
async def test_json_text_and_errors(there: Daemon) -> None:
    assert await there.get("_ping") == "OK"
    assert isinstance(await there.get("containers/json", all=True), list)
    assert await there.find("containers/anytier-test-nobody/json") is None
    await there.delete("containers/anytier-test-nobody")
    with pytest.raises(NotFound, match="No such container"):
        await there.post("containers/anytier-test-nobody/start", about="container nobody")


@pytest.mark.docker
async def test_one_daemon_for_all_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    whole = client.open_daemon

    async def counted(endpoint: Endpoint) -> Daemon:
        opened.append(endpoint)
        return await whole(endpoint)

    monkeypatch.setattr(client, "open_daemon", counted)
    found = await asyncio.gather(*(daemon(Endpoint()) for _ in range(20)))
    assert len(set(map(id, found))) == len(opened) == 1
    await close_all()


@pytest.mark.docker
async def test_files_and_commands(ground: Ground) -> None:
    there = ground.there
    id = await ground.container(await ground.base(), "sleep", "1000")
    content = os.urandom(3_000_000)
    await there.put_files(id, "/", pack({"data/blob": (content, 0o640, 7, 8)}))
    assert unpack(await there.get_files(id, "/data/blob")) == {"blob": content}
    assert (await there.run(id, ["stat", "-c", "%a %u %g", "/data/blob"])).out == "640 7 8\n"
    ended = await there.run(id, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ended.code, sorted(ended.out.split()), ended.last in ("out", "err")) == (3, ["err", "out"], True)
    with pytest.raises(TimeoutError):
        await there.run(id, ["sleep", "100"], timeout=0.3)


@pytest.mark.docker
async def test_a_container_that_several_remove_at_once_is_gone_for_all_of_them(ground: Ground) -> None:
    id = await ground.container(await ground.base(), "sleep", "1000")
    await asyncio.gather(*(ground.there.delete(f"containers/{id}", force=True, v=True) for _ in range(8)))
    assert await ground.there.find(f"containers/{id}/json") is None


@pytest.mark.docker
async def test_an_answer_nobody_reads_to_its_end_closes_its_connection(ground: Ground) -> None:
    there = ground.there
    id = await ground.container(await ground.base(), "sh", "-c", "while :; do echo x; done")
    async with there._query("GET", f"containers/{id}/logs", {"follow": True, "stdout": True}, None, None) as answer:
        await answer.content.readany()
    assert not there.docker.connector._acquired


@pytest.mark.docker
async def test_a_port_that_is_taken(ground: Ground) -> None:
    image = await ground.base()
    port = free_port()
    bindings = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
    await ground.container(image, "sleep", "1000", name="one", **bindings)
    with pytest.raises(Conflict, match=f"port {port} is taken on the Docker host"):
        await ground.container(image, "sleep", "1000", name="two", **bindings)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        bindings = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
        with pytest.raises(Conflict, match=f"port {port} is taken on the Docker host"):
            await ground.container(image, "sleep", "1000", name="three", **bindings)


@pytest.mark.docker
async def test_a_full_disk(ground: Ground) -> None:
    there = ground.there
    body = {"Name": f"{ground.ns}-small", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}}
    await there.post("volumes/create", body)
    mounts = [{"Type": "volume", "Source": f"{ground.ns}-small", "Target": "/small"}]
    id = await ground.container(await ground.base(), "sleep", "1000", Mounts=mounts)
    with pytest.raises(AnytierError) as caught:
        await there.put_files(id, "/small", pack({"big": (bytes(1_000_000), 0o644, 0, 0)}))
    assert caught.value.code == "no-space"
    assert "full" in caught.value.what


# over SSH


@pytest.mark.docker
async def test_over_ssh_everything_works_as_it_does_here(sshd: Sshd, ground: Ground) -> None:
    id = await ground.container(await ground.base(), "sleep", "1000")
    content = os.urandom(2_000_000)
    async with at(Endpoint(host=sshd.host)) as there:
        assert there.facts["ID"] == ground.there.facts["ID"]
        assert not there.local
        await there.put_files(id, "/", pack({"blob": (content, 0o600, 0, 0)}))
        assert unpack(await there.get_files(id, "/blob")) == {"blob": content}
        assert await there.run(id, ["sh", "-c", "echo hi; exit 4"]) == client.Result(4, "hi\n")


@pytest.mark.docker
async def test_more_calls_at_once_than_sshd_allows_sessions(sshd: Sshd) -> None:
    sshd.restart("MaxSessions 3\nMaxStartups 2:100:4")
    async with at(Endpoint(host=sshd.host)) as there:

        async def watch() -> int:
            async with there.stream("GET", "events", until=int(time.time()) + 2) as messages:
                return len([message async for message in messages])

        assert len(await asyncio.gather(*(watch() for _ in range(11)))) == 11
    assert sshd.log().count("Accepted publickey") == 4


@pytest.mark.docker
async def test_nothing_of_our_environment_goes_along(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary-in-the-environment")
    sshd.restart("AcceptEnv *\nLogLevel DEBUG3")
    async with at(Endpoint(host=sshd.host)):
        pass
    assert "request exec" in sshd.log()
    assert "request env" not in sshd.log()


@pytest.mark.docker
async def test_a_broken_ssh_connection_is_made_anew(sshd: Sshd) -> None:
    async with at(Endpoint(host=sshd.host)) as there:
        sshd.stop()
        for pid in subprocess.run(
            ["pgrep", "-f", f"sshd: .*{sshd.folder}"], capture_output=True, text=True
        ).stdout.split():
            os.kill(int(pid), 9)
        for link in there.docker.connector._links:
            link.connection.abort()
        with pytest.raises(Unreachable, match="no SSH server answers there"):
            await there.get("_ping")
        sshd.start()
        assert await there.get("_ping") == "OK"


@pytest.mark.docker
async def test_another_host_key_is_refused(sshd: Sshd) -> None:
    sshd.new_host_key()
    error = await error_at(Endpoint(host=sshd.host))
    assert isinstance(error, Denied)
    assert "another machine may be answering" in error.what
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in error.do
    assert "Accepted" not in sshd.log()


@pytest.mark.docker
async def test_an_unknown_host_key_is_refused(sshd: Sshd) -> None:
    for text in ("", None):
        known = sshd.home / ".ssh" / "known_hosts"
        known.write_text(text) if text is not None else known.unlink()
        error = await error_at(Endpoint(host=sshd.host))
        assert isinstance(error, Denied)
        assert "its host key is not known" in error.what
    assert "Accepted" not in sshd.log()


@pytest.mark.docker
async def test_no_setting_turns_the_check_of_host_keys_off(sshd: Sshd) -> None:
    (sshd.home / ".ssh" / "config").write_text("Host *\n  StrictHostKeyChecking no\n")
    sshd.new_host_key()
    assert isinstance(await error_at(Endpoint(host=sshd.host)), Denied)


@pytest.mark.docker
async def test_names_of_the_ssh_config_work(sshd: Sshd) -> None:
    user = sshd.host.partition("://")[2].partition("@")[0]
    config = f"Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {user}\n"
    (sshd.home / ".ssh" / "config").write_text(config)
    async with at(Endpoint(host="ssh://box")) as there:
        assert await there.get("_ping") == "OK"


@pytest.mark.docker
async def test_a_login_that_is_refused(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    error = await error_at(Endpoint(host=sshd.host))
    assert isinstance(error, Denied)
    assert "no login" in error.what


async def test_no_ssh_server() -> None:
    error = await error_at(Endpoint(host=f"ssh://127.0.0.1:{free_port()}"))
    assert isinstance(error, Unreachable)
    assert "no SSH server" in error.what


@pytest.mark.docker
async def test_a_machine_without_docker(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    sshd.restart(path=str(tmp_path / "bin"))
    error = await error_at(Endpoint(host=sshd.host))
    assert isinstance(error, NotFound)
    assert "no docker command" in error.what


@pytest.mark.docker
async def test_a_machine_whose_daemon_is_down(sshd: Sshd) -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker command on this machine")
    error = await error_at(Endpoint(host=f"{sshd.host}/nonexistent/docker sock"))
    assert isinstance(error, Unreachable)
    assert "not running" in error.what


def test_what_a_session_says_at_its_end() -> None:
    socket = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
    assert isinstance(of_session("ssh://box", 1, socket), Denied)
    assert isinstance(of_session("ssh://box", 127, "sh: 1: docker: not found"), NotFound)
    assert isinstance(of_session("ssh://box", 255, ""), Unreachable)
    assert of_session("ssh://box", 0, "") is None


@pytest.mark.parametrize(
    "host", ["ssh://", "ssh://me:secret@box", "ssh://box:port", "ssh://-oProxyCommand=x", "ssh://box?x=1", "ssh://[::1"]
)
async def test_addresses_that_are_refused(host: str) -> None:
    error = await error_at(Endpoint(host=host))
    assert isinstance(error, Rejected)
    assert "secret" not in str(error)


def test_a_path_is_the_socket_there_and_never_a_command() -> None:
    path = "/run/it's $(touch x).sock"
    connector = object.__new__(SshConnector)
    connector.url = split(f"ssh://box{path}")
    said = subprocess.run(
        ["sh", "-c", f'docker() {{ printf "%s\\n" "$@"; }}; {connector._command()}'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.splitlines() == ["--host", f"unix://{path}", "system", "dial-stdio"]


# over TLS


def tls_endpoint(tls: TlsRelay, ca: str | None = None, client: tuple[str, str] | None = None) -> Endpoint:
    cert, key = client or tls.client
    return Endpoint(host=tls.host, ca_cert=ca or tls.authority.file, cert=cert, key=key)


@pytest.mark.docker
async def test_over_tls_everything_works_as_it_does_here(tls: TlsRelay, ground: Ground) -> None:
    id = await ground.container(await ground.base(), "sleep", "1000")
    content = os.urandom(2_000_000)
    async with at(tls_endpoint(tls)) as there:
        assert there.facts["ID"] == ground.there.facts["ID"]
        await there.put_files(id, "/", pack({"blob": (content, 0o600, 0, 0)}))
        assert unpack(await there.get_files(id, "/blob")) == {"blob": content}
        assert await there.run(id, ["sh", "-c", "echo hi; exit 4"]) == client.Result(4, "hi\n")


async def test_a_daemon_whose_ca_is_another_one(tls: TlsRelay) -> None:
    error = await error_at(tls_endpoint(tls, ca=tls.stranger.file))
    assert isinstance(error, Denied)
    assert "certificate cannot be trusted" in error.what
    assert "caCert" in error.do


async def test_a_daemon_by_a_name_that_its_certificate_lacks(tls: TlsRelay) -> None:
    endpoint = tls_endpoint(tls).model_copy(update={"host": f"tcp://localhost:{tls.port}"})
    error = await error_at(endpoint)
    assert isinstance(error, Denied)
    assert "localhost" in error.what


async def test_a_certificate_of_ours_that_the_daemon_does_not_take(tls: TlsRelay) -> None:
    error = await error_at(tls_endpoint(tls, client=tls.stranger.issue("client")))
    assert isinstance(error, Denied)
    assert "refuses our certificate" in error.what
    assert "--tlscacert" in error.do


async def test_a_certificate_that_is_over(tls: TlsRelay) -> None:
    error = await error_at(tls_endpoint(tls, client=tls.authority.issue("old", days=-1)))
    assert isinstance(error, Denied)
    assert "expired" in error.what


async def test_a_key_of_another_certificate(tls: TlsRelay) -> None:
    error = await error_at(tls_endpoint(tls, client=(tls.client[0], tls.authority.issue("other")[1])))
    assert isinstance(error, Rejected)
    assert "TLS files" in error.what


async def test_files_that_are_not_there(tls: TlsRelay, tmp_path: Path) -> None:
    error = await error_at(tls_endpoint(tls, ca=str(tmp_path / "none.pem")))
    assert isinstance(error, Rejected)
    assert "none.pem" in str(error)


async def test_plain_tcp_is_refused(tls: TlsRelay) -> None:
    error = await error_at(Endpoint(host=tls.host))
    assert isinstance(error, Rejected)
    assert "root" in error.what


async def test_a_daemon_that_speaks_no_tls(tls: TlsRelay) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    error = await error_at(tls_endpoint(tls).model_copy(update={"host": host}))
    server.close()
    assert isinstance(error, Unreachable)
    assert "TLS" in str(error)


async def test_nothing_at_the_port(tls: TlsRelay) -> None:
    error = await error_at(tls_endpoint(tls).model_copy(update={"host": f"tcp://127.0.0.1:{free_port()}"}))
    assert isinstance(error, Unreachable)
    assert "not running" in error.what


# what a change of the endpoint means


def changes(**new: str) -> list[tuple[str, str]]:
    old = {"host": "ssh://me@box", "caCert": "/a/ca.pem", "cert": "/a/cert.pem", "key": "/a/key.pem"}
    inputs = [{"name": "n", "endpoint": endpoint} for endpoint in (old, {**old, **new})]
    return [(path_text(change.path), change.name) for change in diff(NetworkInputs, *inputs)]


def test_another_daemon_replaces_and_another_way_to_it_does_not() -> None:
    assert changes(host="ssh://fox") == [("endpoint.host", "UPDATE_REPLACE")]
    assert changes(host="ssh://you@box:22") == []
    assert changes(caCert="/b/ca.pem", cert="/b/cert.pem", key="/b/key.pem") == []


# what is large, over each way


@pytest.mark.docker
@pytest.mark.parametrize("way", ["ssh", "tls"])
async def test_a_large_context_is_built_from_afar(
    way: str, ground: Ground, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    endpoint = (
        Endpoint(host=request.getfixturevalue("sshd").host)
        if way == "ssh"
        else tls_endpoint(request.getfixturevalue("tls"))
    )
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY blob /\n")
    (context / "blob").write_bytes(os.urandom(20_000_000))
    build = Build(context=str(context))
    digest = context_hash(context, "Dockerfile", {}, None)
    inputs = ImageInputs(endpoint=endpoint, name=f"{ground.ns}/large", build=build, context_hash=digest)
    id, made = await ImageResource().create(ground.context(), inputs)
    found = await ground.there.get(f"images/{made.ref}/json")
    assert found["Size"] == 20_000_000
    await ImageResource().delete(ground.context(), id, inputs, made)


@pytest.mark.docker
async def test_many_calls_at_once_over_ssh(sshd: Sshd) -> None:
    async with at(Endpoint(host=sshd.host)) as there:
        assert await asyncio.gather(*(there.get("_ping") for _ in range(40))) == ["OK"] * 40
    assert sshd.log().count("Accepted publickey") <= 4
