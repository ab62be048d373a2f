"""A daemon over SSH: each HTTP connection is a `docker system dial-stdio` there, as Docker's own client does it.

Logins, names and keys are those of the user's SSH: `~/.ssh/config`, the agent, `known_hosts`. A host key that is not in
`known_hosts`, or is another one than there, ends the connection; no setting turns that off. Nothing of our environment
is sent along. (aiodocker's own connector sends all of it, and stops at the ten sessions that sshd allows.)
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.provider import ssh
from anytier.provider.docker.relay import NoDaemon, RelayConnector, between

if TYPE_CHECKING:
    import asyncssh
    from aiohttp.client_proto import ResponseHandler

_SESSIONS = 10  # sshd's MaxSessions; one that allows fewer says so, and is believed
_NOT_FOUND = 127  # a shell's exit code for a command that it does not find


@dataclass
class Link:
    """One SSH connection with the sessions in it."""

    connection: asyncssh.SSHClientConnection
    sessions: int = 0
    limit: int = _SESSIONS


class SshConnector(RelayConnector):
    """HTTP connections by SSH sessions, on as many SSH connections as those need."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.url = split(host)
        self.failure: AnytierError | None = None  # why the last session ended before the daemon said anything
        self._links: list[Link] = []
        self._opening = asyncio.Lock()

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        process, link = await self._session()
        self.failure = None
        return await self.relayed(lambda theirs: self._relay(process, link, theirs))

    async def hang_up(self) -> None:
        for link in self._links:
            link.connection.close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(link.connection.wait_closed(), 2)
        self._links.clear()

    async def _session(self) -> tuple[asyncssh.SSHClientProcess[bytes], Link]:
        import asyncssh

        command = self._command()
        while True:
            link = await self._link()
            link.sessions += 1
            try:
                return await link.connection.create_process(command, encoding=None), link
            except asyncssh.ChannelOpenError:
                link.sessions -= 1
                if link.sessions == 0:
                    do = f"look at the log of sshd there; does `docker -H {self.path} version` work?"
                    raise NoDaemon(Denied(f"docker {self.path}", "sshd opens no session", do)) from None
                link.limit = link.sessions
            except (asyncssh.Error, OSError) as error:
                link.sessions -= 1
                self._links = [item for item in self._links if item is not link]
                raise NoDaemon(explain(self.path, error)) from error

    def _command(self) -> str:
        path = self.url.path.rstrip("/")
        host = f"--host {shlex.quote(f'unix://{path}')} " if path else ""
        return f"docker {host}system dial-stdio"

    async def _link(self) -> Link:
        """One with room for a session. Made one after the other: sshd drops logins that come all at once."""
        async with self._opening:
            self._links = [item for item in self._links if not item.connection.is_closed()]
            free = next((item for item in self._links if item.sessions < item.limit), None)
            if free is None:
                free = Link(await self._connect())
                self._links.append(free)
            return free

    async def _connect(self) -> asyncssh.SSHClientConnection:
        import asyncssh

        given: dict[str, Any] = {"port": self.url.port} if self.url.port else {}
        if self.url.username:
            given["username"] = self.url.username
        try:
            return await ssh.connect(str(self.url.hostname), **given)
        except (asyncssh.Error, OSError, ValueError) as error:
            raise NoDaemon(explain(self.path, error)) from error

    async def _relay(self, process: asyncssh.SSHClientProcess[bytes], link: Link, theirs: socket.socket) -> None:
        try:
            await between(theirs, process.stdout, process.stdin, lambda: self._note(process))
        finally:
            process.close()
            link.sessions -= 1

    async def _note(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        """Why there is no daemon behind this session."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                said = (await process.stderr.read()).decode(errors="replace")
                ended = await process.wait()
                self.failure = of_session(self.path, ended.returncode, said)


def split(host: str) -> SplitResult:
    """The address in its parts; Rejected for one that cannot be used, or should not be."""
    try:
        url = urlsplit(host)
        url.port  # noqa: B018 - asking is what checks it
    except ValueError as error:
        raise Rejected("endpoint.host", f"{host!r} is not an address: {error}", "ssh://user@host:port") from error
    if url.password is not None:
        raise Rejected("endpoint.host", "holds a password", "log in by a key: ssh://user@host")
    if url.scheme != "ssh" or not url.hostname or url.query or url.fragment:
        raise Rejected("endpoint.host", f"{host!r} is not an address", "ssh://user@host:port")
    if url.hostname.startswith("-"):
        raise Rejected("endpoint.host", f"{host!r} is not an address", "a host's name does not begin with `-`")
    return url


def explain(host: str, error: BaseException) -> AnytierError:
    """Why there is no SSH connection."""
    import asyncssh

    from anytier.provider.docker.errors import of_failure

    path = f"docker {host}"
    name = split(host).hostname
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        if _known(host):
            what = "its host key is not the one in known_hosts: another machine may be answering in its place"
            do = f"find out why; if it was set up anew: `ssh-keygen -R {_entry(host)}`, then `ssh {name}` once"
            return Denied(path, what, do)
        return Denied(path, "its host key is not known", f"`ssh {name}` once, and compare the key that it shows")
    return ssh.explain(path, str(name), error) or of_failure(host, error)


def of_session(host: str, code: int | None, said: str) -> AnytierError | None:
    """Why `docker system dial-stdio` ended; None where it ended well. Its exit code says less than its words."""
    path, text = f"docker {host}", " ".join(said.split())
    if code == _NOT_FOUND:
        return NotFound(path, "there is no docker command on that machine", "install Docker there")
    if "permission denied" in text.lower():
        return Denied(path, "that user may not use the daemon", "add the user to the group docker there")
    if "cannot connect to the docker daemon" in text.lower() or "no such file" in text.lower():
        return Unreachable(path, "the daemon is not running", "start it there: `systemctl start docker`")
    if code == 0 and not text:
        return None
    return Unreachable(path, text or f"the session ended with code {code}", f"does `docker -H {host} version` work?")


def _entry(host: str) -> str:
    """As known_hosts has it."""
    url = split(host)
    return f"'[{url.hostname}]:{url.port}'" if url.port not in (None, 22) else str(url.hostname)


def _known(host: str) -> bool:
    """Whether known_hosts has any key for it."""
    import asyncssh

    url = split(host)
    try:
        kept = asyncssh.read_known_hosts(str(Path.home() / ".ssh" / "known_hosts"))
        found = asyncssh.match_known_hosts(kept, str(url.hostname), "", url.port)
    except (OSError, ValueError):
        return False
    return any(found)
