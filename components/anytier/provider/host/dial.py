"""SSH connections to machines: the way there, by a jump host or not, and whose host key counts.

A key that is not known is learned only where that is asked for (`learn`); everything else refuses to connect without.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.provider import ssh
from anytier.provider.host.sshref import SshLogin, SshRef

if TYPE_CHECKING:
    import asyncssh


_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512")


@dataclass(frozen=True)
class HostKeys:
    """The keys that a machine and its jump host have shown, as `ssh-ed25519 AAAA...`."""

    machine: str | None
    jump: str | None = None


def with_keys(ref: SshRef, keys: HostKeys) -> SshRef:
    """The way to a machine, with the keys that it and its jump host must show."""
    jump = ref.jump.model_copy(update={"host_key": keys.jump}) if ref.jump else None
    return ref.model_copy(update={"host_key": keys.machine, "jump": jump})


async def dial(ref: SshRef) -> list[asyncssh.SSHClientConnection]:
    """The connection to the machine, and before it the one to its jump host. Denied for another host key."""
    made: list[asyncssh.SSHClientConnection] = []
    try:
        for hop in [*([ref.jump] if ref.jump else []), ref]:
            made.append(await _connect(hop, ref.connect_timeout, made[-1] if made else None))
    except BaseException:
        await hang_up(made)
        raise
    return made


async def hang_up(connections: list[asyncssh.SSHClientConnection]) -> None:
    """The last one first."""
    for connection in reversed(connections):
        connection.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(connection.wait_closed(), 2)


async def learn(ref: SshRef) -> HostKeys:
    """The host keys that are known already, and for the others what the machines show now, before any login.

    What `known_hosts` of this user says of a machine is known, too: another key is refused.
    """
    if ref.host_key and (ref.jump is None or ref.jump.host_key):
        return HostKeys(ref.host_key, ref.jump.host_key if ref.jump else None)
    async with _jump(ref) as (jump, tunnel):
        return HostKeys(ref.host_key or await _shown(ref, ref.connect_timeout, tunnel), jump)


@contextlib.asynccontextmanager
async def _jump(ref: SshRef) -> AsyncIterator[tuple[str | None, Any]]:
    if ref.jump is None:
        yield None, ()
        return
    key = ref.jump.host_key or await _shown(ref.jump, ref.connect_timeout, ())
    connection = await _connect(ref.jump.model_copy(update={"host_key": key}), ref.connect_timeout, None)
    try:
        yield key, connection
    finally:
        await hang_up([connection])


async def _shown(hop: SshLogin, patience: float, tunnel: Any) -> str:
    import asyncssh

    try:
        key = await _ask_key(hop, patience, tunnel)
    except (asyncssh.Error, OSError, ValueError) as error:
        raise no_connection(hop, error) from error
    if key is None:
        raise Unreachable(path_of(hop), "shows no host key", "look at the log of sshd there")
    known = known_keys(hop)
    if known and key not in known:
        what = "its host key is not the one in known_hosts: another machine may be answering in its place"
        raise Denied(path_of(hop), what, "find out why; if it was set up anew, take the old line out of known_hosts")
    return text_of(key)


async def _ask_key(hop: SshLogin, patience: float, tunnel: Any) -> asyncssh.SSHKey | None:
    import asyncssh

    # Of the kind that known_hosts has, so that the two can be compared; else the smallest that is good.
    known = [kind.decode() for key in known_keys(hop) for kind in key.sig_algorithms]
    kinds = [*known, *(kind for kind in _KINDS if kind not in known)]
    async with asyncio.timeout(2 * patience):
        return await asyncssh.get_server_host_key(
            hop.address, hop.port, tunnel=tunnel or (), server_host_key_algs=kinds
        )


async def _any_key(hop: SshLogin, patience: float, tunnel: Any) -> asyncssh.SSHKey | None:
    import asyncssh

    try:
        return await _ask_key(hop, patience, tunnel)
    except (asyncssh.Error, OSError):
        return None


async def _connect(hop: SshLogin, patience: float, tunnel: Any) -> asyncssh.SSHClientConnection:
    import asyncssh

    if hop.host_key is None:
        do = "give it as hostKey, or let `pulumi up` learn it"
        raise Denied(path_of(hop), "its host key is not known", do)
    given: dict[str, Any] = {"port": hop.port, "known_hosts": ([_imported(hop)], [], [])}
    if hop.user:
        given["username"] = hop.user
    if isinstance(hop, SshRef) and hop.private_key is not None:
        given |= {"client_keys": [_private_key(hop)], "agent_path": None}
    elif hop.key_file:
        given |= {"client_keys": [_key_file(hop)], "agent_path": None}
    try:
        return await ssh.connect(hop.address, patience, tunnel=tunnel or (), **given)
    except asyncssh.KeyImportError as error:
        what = f"{hop.key_file} is no private key"
        raise Rejected(f"{path_of(hop)} keyFile", what, "give the path of a private key") from error
    except (asyncssh.ConnectionLost, ConnectionResetError) as error:
        # A server without a key of this kind only hangs up: it must be asked for one of any kind.
        if (shown := await _any_key(hop, patience, tunnel)) is not None and text_of(shown) != hop.host_key:
            raise _another_key(hop) from error
        raise no_connection(hop, error) from error
    except (asyncssh.Error, OSError, ValueError) as error:
        raise no_connection(hop, error) from error


def no_connection(hop: SshLogin, error: BaseException) -> AnytierError:
    """Why there is no SSH connection to a machine."""
    import asyncssh

    path, name = path_of(hop), f"{hop.user}@{hop.address}" if hop.user else hop.address
    if isinstance(error, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed):
        return _another_key(hop)
    if isinstance(error, asyncssh.ChannelOpenError):
        return Unreachable(path, f"the jump host does not reach it ({error.reason})", "can it be reached from there?")
    found = ssh.explain(path, name, error)
    if found is None and isinstance(error, OSError):
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        found = Unreachable(path, said, f"is the address right? does `ssh {name}` work?")
    return found or Unreachable(path, str(error), f"does `ssh {name}` work?")


def _another_key(hop: SshLogin) -> Denied:
    what = "its host key is another one than before: another machine may be answering in its place"
    return Denied(path_of(hop), what, "find out why; if it was set up anew, give its new key as hostKey")


def key_file_problem(login: SshLogin) -> AnytierError | None:
    """What is wrong with the key file, known without asking any machine."""
    if login.key_file is None:
        return None
    path = f"{path_of(login)} keyFile"
    file = Path(login.key_file).expanduser()
    try:
        mode, head = file.stat().st_mode, file.read_bytes()[:4096]
    except FileNotFoundError:
        return NotFound(path, f"there is no file {login.key_file}", "give the path of a private key")
    except OSError as error:
        return Denied(path, f"{login.key_file}: {error.strerror}", "give the path of a private key that you can read")
    if head.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return Rejected(path, f"{login.key_file} is a public key", "give the private one, without .pub")
    if mode & 0o077:
        return Denied(path, f"others can read {login.key_file}", f"chmod 600 {login.key_file}")
    if sealed(head):
        return Denied(path, f"{login.key_file} has a passphrase", "`ssh-add` it to your agent, and leave keyFile out")
    return None


def sealed(key: bytes) -> bool:
    """Whether a private key can be read with a passphrase only. OpenSSH's form names its cipher after a magic word."""
    if b"ENCRYPTED" in key:
        return True
    body = b"".join(line for line in key.splitlines() if line and not line.startswith(b"-"))[:64]
    try:
        magic, _, rest = base64.b64decode(body).partition(b"\0")
    except ValueError:
        return False
    return magic == b"openssh-key-v1" and rest[4:8] != b"none"


def path_of(hop: SshLogin) -> str:
    return f"machine {hop}"


def text_of(key: asyncssh.SSHKey) -> str:
    """In the form of `hostKey`."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _imported(hop: SshLogin) -> asyncssh.SSHKey:
    import asyncssh

    try:
        return asyncssh.import_public_key(str(hop.host_key))
    except asyncssh.KeyImportError:
        raise Rejected(f"{path_of(hop)} hostKey", "is no public key", "see `ssh-keyscan`") from None


def _private_key(hop: SshRef) -> asyncssh.SSHKey:
    import asyncssh

    try:
        return asyncssh.import_private_key(str(hop.private_key))
    except (asyncssh.KeyImportError, ValueError):
        raise Rejected(f"{path_of(hop)} privateKey", "is no private key", "one in OpenSSH's format") from None


def _key_file(hop: SshLogin) -> str:
    problem = key_file_problem(hop)
    if problem is not None:
        raise problem
    return str(Path(str(hop.key_file)).expanduser())


def known_keys(hop: SshLogin) -> list[asyncssh.SSHKey]:
    """What known_hosts has for it."""
    import asyncssh

    try:
        kept = asyncssh.read_known_hosts(str(Path.home() / ".ssh" / "known_hosts"))
        found: list[asyncssh.SSHKey] = list(asyncssh.match_known_hosts(kept, hop.address, "", hop.port)[0])
    except (OSError, ValueError):
        return []
    return found
