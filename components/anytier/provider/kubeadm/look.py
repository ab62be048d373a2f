"""Looking at a cluster that we made: its nodes and its health by the API, its certificates on the machine itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from anytier.errors import AnytierError
from anytier.provider.host.machines import close_all, machine_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.kubeadm.certificates import CONFS, FILES, PKI, ends
from anytier.provider.kubernetes.client import Api


@dataclass(frozen=True)
class Seen:
    """`server` is the API's address, `nodes` are the API's objects, `checks` what the API server says of itself, by
    name. `certificates`: when each ends; `unread`: why they could not be looked at, where that is so."""

    server: str
    version: str
    nodes: list[dict[str, Any]]
    checks: dict[str, bool]
    certificates: dict[str, datetime] = field(default_factory=dict)
    unread: str = ""


async def look(kubeconfig: str, machine: Mapping[str, Any]) -> Seen:
    """Unreachable if the API server does not answer; a machine that does not is only told in `unread`."""
    api = Api(kubeconfig)
    try:
        asked = asyncio.gather(_asked(api), _ends(SshRef.model_validate(machine)), return_exceptions=True)
        of_api, of_machine = await asked
    finally:
        await api.close()
        await close_all()
    if isinstance(of_api, BaseException):
        raise of_api
    version, nodes, checks = of_api
    if isinstance(of_machine, AnytierError):
        return Seen(api.server, version, nodes, checks, unread=str(of_machine))
    if isinstance(of_machine, BaseException):
        raise of_machine
    return Seen(api.server, version, nodes, checks, of_machine)


def checks_of(text: str) -> dict[str, bool]:
    """Of `/readyz?verbose`: a line such as `[+]etcd ok` or `[-]etcd failed: reason withheld` for each."""
    found = {}
    for line in text.splitlines():
        sign, name = line[:3], line[3:].split(" ", 1)[0]
        if sign in ("[+]", "[-]") and name:
            found[name] = sign == "[+]"
    return found


def title(path: str) -> str:
    """What a certificate is called: by its file."""
    name = path.removeprefix(f"{PKI}/").rpartition(".crt")[0] or path.rpartition("/")[2]
    return name.replace("/", "-")


async def _asked(api: Api) -> tuple[str, list[dict[str, Any]], dict[str, bool]]:
    version = await api.get("/version")  # first: it says whether there is anybody
    nodes, (_, text) = await asyncio.gather(api.items("/api/v1/nodes"), api.answer("/readyz", verbose=True))
    return str(version["gitVersion"]), nodes, checks_of(text)


async def _ends(ref: SshRef) -> dict[str, datetime]:
    files = await machine_of(ref).read([*FILES, *CONFS])
    return {title(path): ends(data) for path, data in files.items()}
