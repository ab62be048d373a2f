"""The contract of `Machine`, for this machine and for one over a real sshd: the same test bodies."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provider.docker.sshd import Sshd

from anytier.errors import Denied, NotFound, Rejected, Unreachable
from anytier.provider.host import http
from anytier.provider.host.ssh import SshMachine
from anytier.provider.host.transport import File, LocalMachine, Machine

from .corner import is_root
from .sshbox import needs_sshd, ref_of

HOSTILE = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "$(touch x)",
    "`id`",
    "a\nb",
    "\\",
    "*",
    "~",
    "-n",
    "ü",
    "\udcff",
    "!x",
    ";",
    "#",
    "{}",
]


@pytest.fixture(params=["local", pytest.param("ssh", marks=needs_sshd)])
async def machine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machine]:
    if request.param == "local":
        yield LocalMachine()
        return
    with Sshd(tmp_path) as server:
        made = SshMachine(ref_of(server))
        yield made
        await made.close()


async def test_facts_say_who_we_are_there(machine: Machine) -> None:
    facts = await machine.facts()
    assert (facts.uid, facts.root) == (os.geteuid(), is_root())
    assert os.access(facts.python, os.X_OK) and facts.path


async def test_a_command_gets_exactly_its_arguments_and_its_input(machine: Machine) -> None:
    result = await machine.run(["printf", "%s|", *HOSTILE])
    assert result.out == "".join(f"{item}|" for item in HOSTILE).encode(errors="surrogateescape").decode(
        errors="replace"
    )
    data = os.urandom(300_000)
    counted = await machine.run(["sha256sum"], data)
    assert counted.out.split()[0] == hashlib.sha256(data).hexdigest()


async def test_a_command_says_how_it_ended(machine: Machine) -> None:
    result = await machine.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")
    assert (await machine.run(["sh", "-c", "kill -9 $$"])).code == -9


async def test_a_given_environment_is_the_whole_environment(machine: Machine) -> None:
    assert (await machine.run(["/usr/bin/env"], env={"A": "b c"})).out == "A=b c\n"


async def test_a_command_that_is_not_there_is_not_found(machine: Machine) -> None:
    with pytest.raises(NotFound):
        await machine.run(["/nonexistent/program"])


async def test_a_nul_byte_is_refused(machine: Machine) -> None:
    with pytest.raises(Rejected):
        await machine.run(["echo", "a\0b"])
    with pytest.raises(Rejected):
        await machine.put([File("/tmp/a\0b", b"")])


async def test_a_command_that_takes_too_long_is_killed_with_its_children(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
        await machine.run(["sh", "-c", f"sleep 61 & echo $! > {tmp_path}/pid; wait"], timeout=0.5)
    await gone(tmp_path / "pid")


async def test_cancelled_means_killed(machine: Machine, tmp_path: Path) -> None:
    task = asyncio.ensure_future(machine.run(["sh", "-c", f"sleep 62 & echo $! > {tmp_path}/pid; wait"]))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gone(tmp_path / "pid")


async def test_what_is_followed_comes_as_it_is_written_and_ends_with_the_reader(
    machine: Machine, tmp_path: Path
) -> None:
    seen = b""
    command = f"echo $$ > {tmp_path}/pid; echo one; sleep 0.3; echo two; sleep 63"
    stream = machine.follow(["sh", "-c", command])
    async for data in stream:
        seen += data
        if b"two" in seen:
            break
    await stream.aclose()
    assert seen == b"one\ntwo\n"
    await gone(tmp_path / "pid")
    assert [data async for data in machine.follow(["echo", "x"])] == [b"x\n"]


async def test_files_are_written_read_listed_and_removed(machine: Machine, tmp_path: Path) -> None:
    base = f"{tmp_path}/a folder"
    contents = {f"{base}/x/{index}": os.urandom(index * 1000) for index in range(20)}
    await machine.put([File(base, None, 0o710), *(File(path, data, 0o640) for path, data in contents.items())])
    assert os.stat(base).st_mode & 0o777 == 0o710
    assert os.stat(f"{base}/x/3").st_mode & 0o777 == 0o640
    assert await machine.read([*contents, f"{base}/none", f"{base}/x/3/below"]) == contents
    assert await machine.list(f"{base}/x") == sorted(str(index) for index in range(20))
    assert await machine.list(f"{base}/none") == []
    await machine.remove([f"{base}/x", base, f"{base}/none"], only_empty=True)
    assert len(await machine.list(f"{base}/x")) == 20
    await machine.remove([f"{base}/x/3", f"{base}/none", f"{base}/x"])
    await machine.remove([base], only_empty=True)
    assert not os.path.exists(base)


async def test_a_folder_keeps_its_mode_where_none_is_asked_for(machine: Machine, tmp_path: Path) -> None:
    os.makedirs(tmp_path / "kept", mode=0o700)
    await machine.put([File(f"{tmp_path}/kept", None, None), File(f"{tmp_path}/new", None, None)])
    assert [os.stat(tmp_path / name).st_mode & 0o777 for name in ("kept", "new")] == [0o700, 0o755]


async def test_a_file_that_cannot_be_written_leaves_the_old_one(machine: Machine, tmp_path: Path) -> None:
    await machine.put([File(f"{tmp_path}/f", b"old")])
    with pytest.raises(Rejected, match="no user or group"):
        await machine.put([File(f"{tmp_path}/f", b"new", 0o644, "nobody-called-this")])
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [name for name in os.listdir(tmp_path) if name.startswith(".new")] == []
    with pytest.raises(Rejected):  # ENOTDIR
        await machine.put([File(f"{tmp_path}/f/below", b"")])


async def test_what_the_machine_refuses_is_told_by_its_number(machine: Machine) -> None:
    with pytest.raises(NotFound):
        await machine.put([File("/proc/none/f", b"x")])
    with pytest.raises(Denied):  # EPERM, for root too
        await machine.remove(["/proc/1/status"])


async def test_calls_run_side_by_side(machine: Machine, tmp_path: Path) -> None:
    began = time.monotonic()
    await asyncio.gather(*(machine.run(["sleep", "0.5"]) for _ in range(12)), machine.list(str(tmp_path)))
    assert time.monotonic() - began < 4


async def test_a_port_and_a_socket_are_reached_as_from_there(machine: Machine, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[::-1])
        await writer.drain()
        writer.close()

    tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(serve, f"{tmp_path}/s")
    port = tcp.sockets[0].getsockname()[1]
    body = os.urandom(700_000)
    for connect in (lambda: machine.open_tcp("127.0.0.1", port), lambda: machine.open_unix(f"{tmp_path}/s")):
        answer = await http.request(connect, "POST", "/", host="x", body=body)
        assert (answer.status, answer.body) == (200, body[::-1])
    tcp.close()
    unix.close()
    with pytest.raises(ConnectionRefusedError):
        await machine.open_tcp("127.0.0.1", port)
    with pytest.raises(OSError) as caught:
        await machine.open_unix(f"{tmp_path}/none")
    assert caught.value.errno == errno.ENOENT


async def test_who_writes_waits_for_who_reads(machine: Machine, tmp_path: Path) -> None:
    """An image that is sent piles up neither here nor in the agent."""
    reads, received = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reads.wait()
        while data := await reader.read(1 << 16):
            received += len(data)
        writer.close()

    server = await asyncio.start_unix_server(serve, f"{tmp_path}/s", limit=1 << 16)
    reader, writer = await machine.open_unix(f"{tmp_path}/s")
    piece, sent = os.urandom(1 << 20), 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            while sent < 100 << 20:
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
    assert sent < 20 << 20
    reads.set()
    await writer.drain()
    writer.write_eof()
    assert await reader.read() == b""
    assert received == sent
    writer.close()
    server.close()


async def test_who_writes_to_one_that_is_gone_does_not_wait_forever(machine: Machine, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.transport.abort()

    server = await asyncio.start_unix_server(serve, f"{tmp_path}/s")
    _, writer = await machine.open_unix(f"{tmp_path}/s")
    async with asyncio.timeout(20):
        for _ in range(40):
            writer.write(bytes(1 << 20))
            try:
                await writer.drain()
            except OSError:
                break
    writer.close()
    server.close()


async def until(check: object, timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def gone(file: Path) -> None:
    """The process whose number the file holds has ended."""
    await until(lambda: not runs(int(file.read_text())))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
