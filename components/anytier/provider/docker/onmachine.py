"""A daemon on a machine, reached as all else there is: by the one SSH connection and agent of that machine.

Its socket is opened there, as root, so that the login need not be in the group docker and sshd may forbid forwarding.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from anytier.errors import AnytierError
from anytier.provider.docker.errors import of_failure
from anytier.provider.docker.relay import NoDaemon, RelayConnector, between
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler


class MachineConnector(RelayConnector):
    """HTTP connections to a socket of a machine. The connection to the machine is shared, and not closed with these."""

    def __init__(self, ref: SshRef, path: str, name: str) -> None:
        super().__init__(path)
        self.ref, self.name = ref, name

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        try:
            reader, writer = await machine_of(self.ref).open_unix(self.path)
        except AnytierError as error:
            raise NoDaemon(error) from error
        except OSError as error:
            raise NoDaemon(of_failure(self.name, error)) from error
        return await self.relayed(lambda theirs: _relay(theirs, reader, writer))


async def _relay(theirs: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await between(theirs, reader, writer)
    finally:
        writer.close()
