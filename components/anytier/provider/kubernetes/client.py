"""A cluster's API server: JSON in, JSON out, errors of ours. Login, TLS and exec plugins are lightkube's business.

Objects are plain data and paths are the API's own: what looks at them is pure, and no model of every kind is imported.
A server that does not answer is `Unreachable`, whatever was asked; only its own 404 is `NotFound`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

import httpx2 as httpx
import yaml
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError as BadConfig

from anytier.errors import AnytierError, ConfigError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable

CONNECT, ANSWER = 5.0, 30.0  # seconds
ATTEMPTS, PAUSE = 3, 0.5  # of what changes nothing, and seconds between two
PAGE = 500  # objects in one answer of a list
MANAGER = "anytier"  # who owns the fields that we set, and pulumi-kubernetes for us
_KINDS = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml"}

Json = dict[str, Any]


class Api:
    """One cluster, as one user. Made by `api`; `server` is its address, for messages."""

    def __init__(self, kubeconfig: str) -> None:
        config = parsed(kubeconfig)
        self.server = config.cluster.server
        self.where = f"cluster {self.server}"
        with _clear(self.where):
            limits = httpx.Timeout(ANSWER, connect=CONNECT)
            self.http = AsyncClient(config, ConnectionParams(timeout=limits))

    async def get(self, path: str, **params: Any) -> Json:
        """NotFound if the server says so."""
        found: Json = (await self._safely(path, params)).json()
        return found

    async def find(self, path: str, **params: Any) -> Json | None:
        """None if the server says that it is not there."""
        try:
            return await self.get(path, **params)
        except NotFound:
            return None

    async def items(self, path: str, **params: Any) -> list[Json]:
        """All objects of a list, however many answers it takes."""
        found: list[Json] = []
        more: Json = {}
        while True:
            page = await self.get(path, limit=PAGE, **params, **more)
            found += page.get("items") or []
            if not (page.get("metadata") or {}).get("continue"):
                return found
            more = {"continue": page["metadata"]["continue"]}

    async def text(self, path: str, **params: Any) -> str:
        return (await self._safely(path, params)).text

    async def answer(self, path: str, **params: Any) -> tuple[int, str]:
        """Status and text, whatever they are: for what answers with an error when something is not well."""
        with _clear(self.where):
            found = await self.http.get(path, params=_wire(params))
        return found.status_code, found.text

    async def lines(self, path: str, **params: Any) -> AsyncIterator[str]:
        """Lines as they come, without a time limit between them."""
        limits = httpx.Timeout(None, connect=CONNECT)
        with _clear(self.where):
            async with self.http.stream("GET", path, params=_wire(params), timeout=limits) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise refused(answer.status_code, _body(answer), path)
                async for line in answer.aiter_lines():
                    yield line

    async def patch(
        self,
        path: str,
        body: Json,
        kind: Literal["merge", "apply"] = "merge",
        force: bool = False,
        *,
        manager: str = MANAGER,
        dry: bool = False,
    ) -> Json:
        """`apply` is server-side apply as `manager`: fields of its own that `body` lacks are taken away. `dry`: the
        server only says whether it would take it."""
        params = {"fieldManager": manager, **({"force": "true"} if force else {}), **({"dryRun": "All"} if dry else {})}
        headers = {"Content-Type": _KINDS[kind]}
        answer = await self._send("PATCH", path, params=params, content=json.dumps(body), headers=headers)
        changed: Json = answer.json()
        return changed

    async def post(self, path: str, body: Json) -> Json:
        headers = {"Content-Type": "application/json"}
        made: Json = (await self._send("POST", path, content=json.dumps(body), headers=headers)).json()
        return made

    async def delete(self, path: str) -> None:
        """Gone already is success."""
        with contextlib.suppress(NotFound):
            await self._send("DELETE", path, params={"propagationPolicy": "Background"})

    async def close(self) -> None:
        await self.http.aclose()

    async def _safely(self, path: str, params: Mapping[str, Any]) -> httpx.Response:
        """A question may be asked again: an API server restarts, a connection that was kept has gone."""
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return await self._send("GET", path, params=_wire(params))
            except Unreachable:
                if not left:
                    raise
            await asyncio.sleep(PAUSE)
        raise AssertionError("unreachable")

    async def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        with _clear(self.where):
            answer = await self.http.request(method, path, **given)
        if answer.status_code >= 400:
            raise refused(answer.status_code, _body(answer), path, self.where)
        return answer


_APIS: dict[str, Api] = {}


def api(kubeconfig: str) -> Api:
    """The one connection of this process to a cluster."""
    key = hashlib.sha256(kubeconfig.encode()).hexdigest()
    if key not in _APIS:
        _APIS[key] = Api(kubeconfig)
    return _APIS[key]


def parsed(text: str) -> SingleConfig:
    """What the current context of a kubeconfig says. ConfigError for what is none; its text is never shown."""
    do = "give the text of a kubeconfig with a current-context"
    try:
        given = yaml.safe_load(text)
        config = KubeConfig.from_dict(given).get()
    except (yaml.YAMLError, BadConfig, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError("kubeconfig", f"cannot be read ({type(error).__name__})", do) from None
    if config is None:
        raise ConfigError("kubeconfig", "names no context", do)
    user = config.user or User()
    if user.exec is not None and user.exec.apiVersion.endswith("/v1"):
        # The answer is the same; lightkube only knows the older names.
        user.exec.apiVersion = "client.authentication.k8s.io/v1beta1"
    return config._replace(user=user)


def refused(code: int, body: Json, path: str, where: str = "") -> AnytierError:
    """An answer that is an error, by its code and its reason, never by its text."""
    said = " ".join(str(body.get("message") or f"answered {code}").split())
    reason = str(body.get("reason") or "")
    thing = _thing(path)
    if code == 404:
        return NotFound(thing, said)
    if code == 401:
        return Denied(
            where or thing, "the login is not accepted", "is the kubeconfig of this cluster, and still valid?"
        )
    if code == 403 and "exceeded quota" not in said:
        return Denied(thing, said, "the kubeconfig's user needs this right")
    if code == 403:
        return NoSpace(thing, said, "raise the namespace's quota, or ask for less")
    if code == 409:
        return Conflict(thing, said, "run again")
    if code in (429, 500, 502, 503, 504) or reason in ("ServerTimeout", "Timeout"):
        return Unreachable(where or thing, said, "is the control plane well? run again")
    return Rejected(thing, said)


def _thing(path: str) -> str:
    """`/apis/apps/v1/namespaces/shop/deployments/web` -> `deployments/web`, as kubectl names it."""
    steps = path.strip("/").split("/")
    if "namespaces" in steps[:-2]:
        steps = steps[steps.index("namespaces") + 2 :]
    return "/".join(steps[-2:]) if len(steps) > 2 else "/".join(steps)


def _body(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _wire(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in params.items()
        if value is not None
    }


@contextlib.contextmanager
def _clear(where: str) -> Iterator[None]:
    """Errors of the connection as ours."""
    do = "is the cluster up, and reachable from here?"
    try:
        yield
    except httpx.TimeoutException:
        raise Unreachable(where, "does not answer in time", do) from None
    except BadConfig as error:
        raise Denied(
            where, f"no login: {' '.join(str(error).split())}", "run the kubeconfig's command by hand"
        ) from None
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise Unreachable(where, f"does not answer: {said}", do) from None
