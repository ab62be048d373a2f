"""A daemon on a machine, reached as all else there is: by the one SSH connection and agent of that machine.

Its socket is opened there, as root, so that the login need not be in the group docker and sshd may forbid forwarding.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from aiohttp import UnixConnector

from anytier.errors import AnytierError
from anytier.provider.docker.errors import of_failure
from anytier.provider.docker.relay import NoDaemon, between
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler


class MachineConnector(UnixConnector):
    """HTTP connections to a socket of a machine. The connection to the machine is shared, and not closed with these."""

    def __init__(self, ref: SshRef, path: str, name: str) -> None:
        super().__init__(path=path)
        self.ref, self.name = ref, name
        self._relays: set[asyncio.Task[None]] = set()

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        try:
            reader, writer = await machine_of(self.ref).open_unix(self.path)
        except AnytierError as error:
            raise NoDaemon(error) from error
        except OSError as error:
            raise NoDaemon(of_failure(self.name, error)) from error
        ours, theirs = socket.socketpair()
        relay = asyncio.ensure_future(self._relay(theirs, reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        _, protocol = await self._loop.create_connection(self._factory, sock=ours)
        return protocol

    def close(self, *, abort_ssl: bool = False) -> Any:
        done = super().close(abort_ssl=abort_ssl)

        async def rest() -> None:
            await done
            for relay in self._relays:
                relay.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)

        return rest()

    @staticmethod
    async def _relay(theirs: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await between(theirs, reader, writer)
        finally:
            writer.close()
