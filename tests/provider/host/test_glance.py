"""A preview's look at a machine: what stops it, what it bears with, and that nothing of it stays. A real sshd."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from tests.provider.docker.sshd import Sshd

from anytier.errors import Denied
from anytier.provider.host import glance as glancing
from anytier.provider.host import machines
from anytier.provider.host.glance import glance
from anytier.provider.host.sshref import SshRef

from .sshbox import needs_sshd, ref_of
from .test_machine import until
from .test_ssh import key_of

pytestmark = needs_sshd
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Told:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    async def glance(self, ref: SshRef) -> object:
        found = await glance(ref, self.said.append, self.warned.append)
        return found and (found["memory"], found["architecture"], found["cores"])


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with Sshd(tmp_path) as made:
        monkeypatch.setenv("HOME", str(made.home))
        yield made


def known_hosts(server: Sshd) -> Path:
    return server.home / ".ssh" / "known_hosts"


FACTS = (MEMORY, os.uname().machine, len(os.sched_getaffinity(0)))


async def test_a_machine_says_what_it_is_on_one_connection_that_ends(server: Sshd, told: Told) -> None:
    before = server.log().count("Connection from")  # the test's own looks at the server
    assert await told.glance(ref_of(server)) == FACTS
    assert (told.said, told.warned) == ([], [])
    assert server.log().count("Connection from") - before == 1
    assert server.log().count("Accepted publickey") == 1
    await until(lambda: "Disconnected from" in server.log() or "Connection closed by" in server.log())
    assert not machines._machines.get(asyncio.get_running_loop()), "nobody else acts on a preview's connection"


async def test_a_key_that_known_hosts_has_is_verified_and_no_news(server: Sshd, told: Told) -> None:
    assert await told.glance(ref_of(server, host_key=None)) == FACTS
    assert (told.said, told.warned) == ([], [])


async def test_a_key_that_is_known_nowhere_is_told_and_kept_nowhere(server: Sshd, told: Told) -> None:
    known_hosts(server).unlink()
    assert await told.glance(ref_of(server, host_key=None)) == FACTS
    (said,) = told.said
    assert key_of(server) in said and f"127.0.0.1:{server.port}" in said and "known nowhere yet" in said
    assert not known_hosts(server).exists() and told.warned == []


async def test_another_key_than_the_pinned_one_stops_the_preview_before_any_login(server: Sshd, told: Told) -> None:
    pinned = ref_of(server)
    server.new_host_key()
    with pytest.raises(Denied, match="host key is another one"):
        await told.glance(pinned)
    assert "Accepted" not in server.log()


async def test_another_key_than_known_hosts_has_stops_the_preview_before_any_login(server: Sshd, told: Told) -> None:
    server.new_host_key()
    with pytest.raises(Denied, match="known_hosts"):
        await told.glance(ref_of(server, host_key=None))
    assert "Accepted" not in server.log() and told.said == []


async def test_a_login_that_others_may_have_is_borne_with(server: Sshd, told: Told, tmp_path: Path) -> None:
    other = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(other))
    other.chmod(0o600)
    assert await told.glance(ref_of(server, key_file=str(other))) is None
    (warned,) = told.warned
    assert warned.startswith(f"not looked at: machine 127.0.0.1:{server.port}: no login. ") and "`up`" in warned


async def test_silence_is_borne_with(server: Sshd, told: Told) -> None:
    ref = ref_of(server)
    server.stop()
    assert await told.glance(ref) is None
    assert await told.glance(ref.model_copy(update={"host_key": None})) is None
    assert ["no SSH server answers there" in item for item in told.warned] == [True, True]


async def test_one_that_takes_connections_and_says_nothing_is_not_waited_for(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However patient the stack is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(glancing, "STEP", 0.4)
    monkeypatch.setattr(glancing, "WHOLE", 1.0)
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    began = time.monotonic()
    ref = SshRef(address="127.0.0.1", port=port, connect_timeout=600)
    assert await told.glance(ref) is None
    assert time.monotonic() - began < 4
    assert len(told.warned) == 1 and "no answer" in told.warned[0]
    for writer in held:
        writer.close()
    silent.close()


async def test_a_jump_host_is_verified_as_the_machine_is(server: Sshd, told: Told, tmp_path: Path) -> None:
    there = ref_of(server)
    login = there.model_dump(exclude={"kind", "sudo", "private_key", "jump", "connect_timeout"})
    through = there.model_copy(update={"jump": SshRef.model_validate({**login})})
    assert await told.glance(through) == FACTS
    known_hosts(server).unlink()
    stranger = through.model_copy(update={"jump": SshRef.model_validate({**login, "host_key": None})})
    assert await told.glance(stranger) == FACTS
    assert len(told.said) == 1 and key_of(server) in told.said[0]
    server.new_host_key()
    server.trust()
    with pytest.raises(Denied, match="host key is another one"):
        await told.glance(through)
