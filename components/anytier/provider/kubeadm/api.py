"""The cluster's API, asked from the control plane's own machine by its admin.conf: no port of it need be open to us.

Credentials go over stdin and stay in memory there. An API server that does not answer is Unreachable, never NotFound.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from anytier.errors import AnytierError, Conflict, Denied, NotFound, Rejected, Unreachable
from anytier.provider.kubeadm.node import Node
from anytier.render.kubeadm.names import split_endpoint

ADMIN = "/etc/kubernetes/admin.conf"
_KEY, _DATA = "/etc/kubernetes/pki/ca.key", "/var/lib/etcd/member"  # what a reset takes away
MERGE = "application/merge-patch+json"
_TIMEOUT = 20.0
_SERVER = "API server"
_DO = "`journalctl -u kubelet` on its control plane says more; then run again"
# As clients ask for it, since it is worked out for each form by itself.
_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


class AdminGone(Rejected):
    """A control plane stands on the machine, and its admin.conf has been taken away."""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Any = None
    type: str | None = None
    accept: str | None = None

    def wire(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class Credentials:
    """admin.conf. `ca`, `cert` and `key` are base64 there and PEM here."""

    def __init__(self, text: bytes) -> None:
        self.conf: dict[str, Any] = yaml.safe_load(text)
        cluster, user = self.conf["clusters"][0]["cluster"], self.conf["users"][0]["user"]
        self.server: str = cluster["server"]
        self.ca64: str = cluster["certificate-authority-data"]
        self.ca = base64.b64decode(self.ca64).decode()
        self.cert = base64.b64decode(user["client-certificate-data"]).decode()
        self.key = base64.b64decode(user["client-key-data"]).decode()

    @property
    def endpoint(self) -> tuple[str, int]:
        return split_endpoint(urllib.parse.urlsplit(self.server).netloc)


class Api:
    """One cluster. `patience`: for how many seconds it may be away in the middle of a change, while its pods restart;
    what was asked for is asked again, and has to bear that."""

    def __init__(self, node: Node, credentials: Credentials, patience: float = 0) -> None:
        self.node, self.credentials, self.patience = node, credentials, patience

    async def ask(self, *calls: Call, timeout: float = _TIMEOUT) -> list[tuple[int, Any]]:
        """Status and body of each, over one connection."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.patience
        while True:
            try:
                return await self._ask(*calls, timeout=timeout)
            except Unreachable as error:
                if loop.time() >= end or not error.path.startswith(_SERVER):
                    raise  # it is given up, or the machine is away
            await asyncio.sleep(0.5)

    async def _ask(self, *calls: Call, timeout: float) -> list[tuple[int, Any]]:
        given = self.credentials
        host, port = given.endpoint
        asked = {"host": host, "port": port, "ca": given.ca, "cert": given.cert, "key": given.key, "patience": timeout}
        wired = [call.wire() for call in calls]
        said = await self.node.verb("ask", timeout=timeout * (len(calls) + 1) + 30, calls=wired, **asked)
        if "error" in said:
            raise Unreachable(f"{_SERVER} {given.server}", str(said["error"]), _DO)
        return [(status, _json(body)) for status, body in said["answers"]]

    async def get(self, path: str) -> Any:
        """None where there is nothing."""
        ((status, body),) = await self.ask(Call("GET", path))
        return None if status == 404 else _checked(path, status, body)

    async def send(self, method: str, path: str, body: Any = None, type: str | None = None) -> Any:
        ((status, said),) = await self.ask(Call(method, path, body, type))
        return _checked(path, status, said)

    async def patch(self, path: str, body: Any) -> Any:
        return await self.send("PATCH", path, body, MERGE)

    async def delete(self, path: str) -> None:
        """Gone already is fine."""
        ((status, said),) = await self.ask(Call("DELETE", path))
        if status != 404:
            _checked(path, status, said)

    async def version(self) -> str:
        return str((await self.get("/version"))["gitVersion"])

    async def find(self, name: str) -> dict[str, Any] | None:
        """A Node."""
        found: dict[str, Any] | None = await self.get(node_path(name))
        return found

    async def nodes(self) -> list[dict[str, Any]]:
        return list((await self.get("/api/v1/nodes"))["items"])

    async def ready(self, seconds: float) -> None:
        """Until it answers that it is; the last reason if that takes longer."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            problem = await self._not_ready()
            if problem is None:
                return
            if asyncio.get_running_loop().time() >= end:
                raise problem
            await asyncio.sleep(0.5)

    async def steady(self, quiet: float, seconds: float) -> None:
        """Until it has been ready for `quiet` seconds without a break; the last reason if that takes longer."""
        loop = asyncio.get_running_loop()
        end, since = loop.time() + seconds, loop.time()
        while loop.time() - since < quiet:
            problem = await self._not_ready()
            if problem is not None:
                since = loop.time()
                if since >= end:
                    raise problem
            await asyncio.sleep(0.5)

    async def described(self, seconds: float) -> None:
        """Until it tells what objects it has; the last reason if that takes longer. It works that out when it is first
        asked, in a second; an emulated processor needs longer than the minute after which it gives an answer up."""
        call = Call("HEAD", "/openapi/v2", accept=_PROTOBUF)
        end = asyncio.get_running_loop().time() + seconds
        while (problem := await self._problem(call, 90)) is not None:
            if asyncio.get_running_loop().time() >= end:
                raise problem
            await asyncio.sleep(1)

    async def _not_ready(self) -> AnytierError | None:
        return await self._problem(Call("GET", "/readyz"), 5)

    async def _problem(self, call: Call, timeout: float) -> AnytierError | None:
        try:
            ((status, body),) = await self._ask(call, timeout=timeout)
        except Unreachable as error:
            return error
        if status == 200:
            return None
        said = f"{call.path} {status}: {str(body)[:200]}"
        return Unreachable(f"{_SERVER} {self.credentials.server}", f"is not ready ({said})", _DO)


async def api_of(node: Node, patience: float = 0) -> Api:
    """NotFound on a machine that is no control plane, AdminGone where one lacks its admin.conf. `patience`: as Api has
    it."""
    data = (await node.machine.read([ADMIN])).get(ADMIN)
    if data is None and await stands(node):
        what = f"has a control plane without {ADMIN}"
        raise AdminGone(f"machine {node.machine.name}", what, "`pulumi up --refresh` makes the file again")
    if data is None:
        raise NotFound(f"machine {node.machine.name}", "has no control plane", "`pulumi up --refresh` makes it again")
    return Api(node, Credentials(data), patience)


async def stands(node: Node) -> bool:
    """Whether a cluster's authority and its etcd are on the machine, so that all else can be made from them."""
    return (await node.run("test", "-f", _KEY, "-a", "-d", _DATA)).code == 0


def node_path(name: str) -> str:
    return f"/api/v1/nodes/{urllib.parse.quote(name, safe='')}"


def is_ready(node: Mapping[str, Any] | None) -> bool:
    conditions: Sequence[Mapping[str, Any]] = ((node or {}).get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def kubelet_version(node: Mapping[str, Any] | None) -> str:
    return str((((node or {}).get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")


def _json(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _checked(path: str, status: int, body: Any) -> Any:
    if status < 400:
        return body
    said = str(body.get("message") if isinstance(body, dict) else body)[:300] or f"status {status}"
    kinds: dict[int, type[AnytierError]] = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict}
    kind = kinds.get(status, Unreachable if status >= 500 or status == 429 else Rejected)
    raise kind(f"API server {path}", said, "run again" if kind is Unreachable else "mend what it names, then run again")
