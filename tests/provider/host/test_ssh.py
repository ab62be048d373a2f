"""Machines over SSH: whose host key counts, who may log in, and what a drop does. A real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.provider.docker.sshd import Sshd, free_port
from tests.provider.screen import Screen

import anytier
from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.logins import public_key
from anytier.provider.host import ssh
from anytier.provider.host.dial import HostKeys, key_file_problem, learn
from anytier.provider.host.ssh import SshMachine
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import File

from .sshbox import cut, needs_sshd, ref_of
from .test_machine import gone, until

pytestmark = needs_sshd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with Sshd(tmp_path) as made:
        monkeypatch.setenv("HOME", str(made.home))
        yield made


@pytest.fixture
async def machine(server: Sshd) -> AsyncIterator[SshMachine]:
    made = SshMachine(ref_of(server))
    yield made
    await made.close()


def key_of(server: Sshd) -> str:
    return public_key((server.folder / "host_key.pub").read_text())


async def refused(ref: SshRef) -> AnytierError:
    made = SshMachine(ref)
    try:
        with pytest.raises(AnytierError) as caught:
            await made.facts()
    finally:
        await made.close()
    return caught.value


# whose host key counts


async def test_without_a_host_key_nothing_connects(server: Sshd) -> None:
    error = await refused(ref_of(server, host_key=None))
    assert isinstance(error, Denied) and "not known" in error.what
    assert "Accepted" not in server.log()


async def test_a_key_is_learned_without_a_login_and_then_holds(server: Sshd) -> None:
    (server.home / ".ssh" / "known_hosts").unlink()
    ref = ref_of(server, host_key=None)
    assert await learn(ref) == HostKeys(key_of(server))
    assert "Accepted" not in server.log()
    assert await learn(ref.model_copy(update={"host_key": "ssh-ed25519 given"})) == HostKeys("ssh-ed25519 given")


async def test_a_key_that_known_hosts_contradicts_is_not_learned(server: Sshd) -> None:
    ref = ref_of(server, host_key=None)
    assert (await learn(ref)).machine == key_of(server)
    server.new_host_key()
    with pytest.raises(Denied, match="known_hosts"):
        await learn(ref)


async def test_a_changed_host_key_stops_everything(server: Sshd, machine: SshMachine) -> None:
    await machine.facts()
    cut(server)
    server.new_host_key()
    for _ in range(2):
        with pytest.raises(Denied, match="host key is another one"):
            await machine.read(["/etc/hostname"])
    assert server.log().count("Accepted publickey") == 1


async def test_a_host_key_of_another_kind_stops_everything(server: Sshd) -> None:
    ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key("openssh").decode()
    error = await refused(ref_of(server, host_key=ecdsa))
    assert isinstance(error, Denied) and "host key is another one" in error.what


async def test_many_who_ask_for_a_machine_that_is_down_wait_for_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    async def begin(ref: SshRef) -> Any:
        tries.append(ref)
        await asyncio.sleep(0.05)
        raise Unreachable("machine", "no answer in time")

    monkeypatch.setattr(ssh, "begin", begin)
    machine = SshMachine(SshRef(address="127.0.0.1"))
    told = await asyncio.gather(*(machine.facts() for _ in range(5)), return_exceptions=True)
    assert {type(item) for item in told} == {Unreachable} and len(tries) == 1
    with pytest.raises(Unreachable):
        await machine.facts()
    assert len(tries) == 2, "it may be back by now"


# who may log in


async def test_a_key_that_the_machine_does_not_know_is_no_login(server: Sshd, tmp_path: Path) -> None:
    other = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(other))
    other.chmod(0o600)
    error = await refused(ref_of(server, key_file=str(other)))
    assert isinstance(error, Denied) and error.what == "no login"


async def test_a_key_file_is_judged_before_anything_is_asked(server: Sshd, tmp_path: Path) -> None:
    private = server.home / ".ssh" / "id_ed25519"
    assert key_file_problem(ref_of(server)) is None
    assert isinstance(key_file_problem(ref_of(server, key_file=str(tmp_path / "none"))), NotFound)
    assert isinstance(key_file_problem(ref_of(server, key_file=f"{private}.pub")), Rejected)
    private.chmod(0o644)
    assert isinstance(await refused(ref_of(server)), Denied)


async def test_a_key_with_a_passphrase_and_no_key_at_all_are_told(server: Sshd, tmp_path: Path) -> None:
    sealed, junk = tmp_path / "sealed", tmp_path / "junk"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(sealed)]
    subprocess.run(command, check=True)
    junk.write_text("no key")
    for file in (sealed, junk):
        file.chmod(0o600)
    assert "passphrase" in (await refused(ref_of(server, key_file=str(sealed)))).what
    assert isinstance(await refused(ref_of(server, key_file=str(junk))), Rejected)


async def test_an_agents_key_logs_in(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.home / ".ssh" / "id_ed25519").rename(server.home / "elsewhere")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert isinstance(await refused(ref_of(server, key_file=None)), Denied)
    started = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", f"{server.home}/agent")
    try:
        await until(lambda: (server.home / "agent").exists())
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{server.home}/agent")
        added = await asyncio.create_subprocess_exec("ssh-add", "-q", f"{server.home}/elsewhere")
        assert await added.wait() == 0
        made = SshMachine(ref_of(server, key_file=None))
        assert (await made.facts()).uid == os.geteuid()
        await made.close()
    finally:
        started.terminate()
        await started.wait()


# what is there, or is not


async def test_nobody_at_home_is_unreachable(server: Sshd) -> None:
    assert isinstance(await refused(ref_of(server, port=free_port())), Unreachable)


async def test_a_server_that_says_nothing_is_given_up_in_time(server: Sshd) -> None:
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    began = time.monotonic()
    error = await refused(ref_of(server, port=silent.sockets[0].getsockname()[1], connect_timeout=0.5))
    assert isinstance(error, Unreachable) and time.monotonic() - began < 5
    for writer in held:
        writer.close()
    silent.close()


async def test_sudo_that_is_not_there_or_wants_a_password_is_told(tmp_path: Path, server: Sshd) -> None:
    if os.geteuid() == 0:
        pytest.skip("root needs no sudo; the machine in tests/provider/host/test_on_ssh.py has it")
    error = await refused(ref_of(server, sudo=True))
    assert isinstance(error, Denied | NotFound) and "sudo" in error.what


async def test_a_machine_without_python_is_told(server: Sshd) -> None:
    server.restart("ForceCommand exit 93")
    error = await refused(ref_of(server))
    assert isinstance(error, NotFound) and "Python" in error.what


async def test_a_login_that_prints_something_is_no_trouble(server: Sshd) -> None:
    server.restart('ForceCommand echo "Welcome"; eval "$SSH_ORIGINAL_COMMAND"')
    made = SshMachine(ref_of(server))
    assert (await made.run(["echo", "x"])).out == "x\n"
    await made.close()


async def test_a_server_that_forbids_forwarding_does(server: Sshd) -> None:
    server.restart("AllowTcpForwarding no\nAllowStreamLocalForwarding no")
    made = SshMachine(ref_of(server))
    _, writer = await made.open_tcp("127.0.0.1", server.port)
    writer.close()
    await made.close()


async def test_a_jump_host_leads_there(tmp_path: Path, server: Sshd) -> None:
    (tmp_path / "second").mkdir()
    with Sshd(tmp_path / "second") as jump:
        (jump.folder / "authorized_keys").write_text((server.folder / "authorized_keys").read_text())
        hop = ref_of(server, port=jump.port, host_key=key_of(jump)).wire()
        hop = {key: hop[key] for key in ("address", "port", "user", "keyFile", "hostKey")}
        made = SshMachine(ref_of(server, jump=hop))
        assert (await made.run(["echo", "x"])).out == "x\n"
        await made.close()
        assert "Accepted publickey" in jump.log()
        unknown = {key: value for key, value in hop.items() if key != "hostKey"}
        assert isinstance(await refused(ref_of(server, jump=unknown)), Denied)
        learned = await learn(ref_of(server, host_key=None, jump=unknown))
        assert learned == HostKeys(key_of(server), key_of(jump))
        nowhere = await refused(ref_of(server, port=free_port(), jump=hop))
        assert isinstance(nowhere, Unreachable) and "jump host" in nowhere.what


# the connection


async def test_there_is_one_connection_however_much_is_asked(server: Sshd, machine: SshMachine, tmp_path: Path) -> None:
    paths = [f"{tmp_path}/{index}" for index in range(50)]
    await asyncio.gather(*(machine.put([File(path, path.encode())]) for path in paths))
    assert await machine.read(paths) == {path: path.encode() for path in paths}
    assert server.log().count("Accepted publickey") == 1


async def test_a_cut_in_mid_command_is_told_and_the_command_is_ended(
    server: Sshd, machine: SshMachine, tmp_path: Path
) -> None:
    task = asyncio.ensure_future(machine.run(["sh", "-c", f"sleep 64 & echo $! > {tmp_path}/pid; wait"]))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    cut(server)
    with pytest.raises(Unreachable, match="connection was lost"):
        await task
    await gone(tmp_path / "pid")
    assert (await machine.run(["echo", "again"])).out == "again\n"


async def test_a_file_call_outlives_a_cut(server: Sshd, machine: SshMachine, tmp_path: Path) -> None:
    await machine.facts()
    cut(server)
    await machine.put([File(f"{tmp_path}/f", b"x")])
    assert (tmp_path / "f").read_bytes() == b"x"


async def test_who_follows_or_has_a_stream_hears_of_a_cut(server: Sshd, machine: SshMachine) -> None:
    stream = machine.follow(["sh", "-c", "echo x; sleep 65"])
    assert await anext(stream) == b"x\n"
    reader, writer = await machine.open_tcp("127.0.0.1", server.port)
    assert (await reader.readline()).startswith(b"SSH-2.0")
    cut(server)
    with pytest.raises(Unreachable):
        await anext(stream)
    assert await reader.read() == b""
    writer.close()


async def test_a_closed_machine_leaves_nothing_running(machine: SshMachine, server: Sshd, tmp_path: Path) -> None:
    asked = machine.run(["sh", "-c", f"sleep 66 & echo $! > {tmp_path}/pid; wait"])
    task = asyncio.ensure_future(asked)
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    await machine.close()
    await asyncio.gather(task, return_exceptions=True)
    await gone(tmp_path / "pid")


async def test_no_secret_is_in_any_argv(machine: SshMachine, tmp_path: Path) -> None:
    canary = "canary-4d1f-secret"
    seen: list[bytes] = []

    def look() -> None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    seen.append((entry / "cmdline").read_bytes())
                except OSError:
                    continue

    await asyncio.gather(
        machine.put([File(f"{tmp_path}/s", canary.encode(), 0o600)]),
        machine.run(["sh", "-c", "cat > /dev/null; sleep 0.3"], canary.encode(), env={"S": canary, "PATH": "/bin"}),
        asyncio.to_thread(look),
    )
    assert seen and not [item for item in seen if canary.encode() in item]


# on the caller's terminal


ON_TERMINAL = """
import asyncio, sys, json
from anytier.provider.host.ssh import SshMachine
from anytier.provider.host.sshref import SshRef

async def main():
    made = SshMachine(SshRef.model_validate(json.loads(sys.argv[1])))
    code = await made.terminal(json.loads(sys.argv[2]))
    await made.close()
    print(" still ours", flush=True)
    sys.exit(code)

asyncio.run(main())
"""


async def test_a_command_on_the_terminal_gets_its_arguments_and_tells_its_code(server: Sshd, tmp_path: Path) -> None:
    command = json.dumps(["sh", "-c", 'cat; printf %s "$1"; exit 7', "sh", "it's $HOME"])
    code, out = await here(ON_TERMINAL, server, command, b"typed ")
    assert (code, out) == (7, b"typed it's $HOME still ours\n")


async def here(program: str, server: Sshd, command: str, typed: bytes) -> tuple[Any, bytes]:
    path = str(Path(anytier.__path__[0]).parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        told(server),
        command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    out, _ = await asyncio.wait_for(process.communicate(typed), 30)
    return process.returncode, out


def told(server: Sshd) -> str:
    return ref_of(server).model_dump_json(by_alias=True, exclude_none=True)


async def test_a_command_finds_a_terminal_as_large_as_ours_from_the_first(server: Sshd) -> None:
    command = json.dumps(["sh", "-c", "stty size; read word; echo got $word; stty size; exit 7"])
    with contextlib.closing(Screen(ON_TERMINAL, told(server), command)) as screen:
        await asyncio.to_thread(screen.until, "31 97")
        screen.resize(50, 132)
        await asyncio.sleep(0.5)  # nothing tells that the other side has heard of it
        screen.type("typed\r")
        await asyncio.to_thread(screen.until, "50 132")
        code = await asyncio.to_thread(screen.ended)
    assert code == 7 and "got typed" in screen.shown and "still ours" in screen.shown
