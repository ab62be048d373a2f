"""One Docker daemon: JSON in, JSON out, errors as ours. aiodocker carries the bytes, over a socket, SSH or TLS."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import posixpath
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from weakref import WeakKeyDictionary

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.docker import errors
from anytier.provider.fields import ignored, normalise
from anytier.provider.host.sshref import SshRef

if TYPE_CHECKING:
    import aiodocker
    import aiohttp

T = TypeVar("T")
_OLDEST = (1, 41)  # Docker 20.10
_TIMEOUT = 120.0
_CONNECT = 15.0
FIRST_ANSWER = 30.0
_PIECE = 1 << 20  # bytes of a download at a time
_ENDINGS = 20  # looks for how a command ended, 0.1 s apart
_NO_CONNECTION = 900  # what aiodocker calls a connection that failed


def same_host(host: object) -> object:
    """The address without what does not tell daemons apart: the spelling of a socket's folder, who logs in, a port that
    is the usual one. Moving to another daemon replaces everything, so a spelling must not look like it."""
    if not isinstance(host, str):
        return host
    scheme, bar, rest = host.partition("://")
    if not bar:
        return host
    if scheme.lower() == "unix":
        return f"unix://{posixpath.normpath(rest).replace('/var/run/', '/run/', 1)}"
    usual = {"ssh": ":22", "tcp": ":2376"}.get(scheme.lower(), "")
    return f"{scheme}://{rest.rpartition('@')[2].rstrip('/')}".lower().removesuffix(usual)


class Endpoint(Frozen):
    """`unix://`, `ssh://` or `tcp://` with the paths of TLS files. With `machine`, `unix://` is a socket there."""

    host: Annotated[str, normalise(same_host)] = "unix:///var/run/docker.sock"
    ca_cert: Annotated[str | None, ignored] = None
    cert: Annotated[str | None, ignored] = None
    key: Annotated[str | None, ignored] = None
    machine: SshRef | None = None

    @property
    def name(self) -> str:
        """As errors name it."""
        return f"on {self.machine}" if self.machine else self.host

    def keyless(self) -> Endpoint:
        """As it may be written there."""
        return self.model_copy(update={"machine": self.machine and self.machine.keyless()})


def located(id: str) -> tuple[Endpoint, str]:
    """An import's id: `name`, or `host|name` for a daemon that is not DOCKER_HOST's, nor the local one. A machine is
    named as the ids of its other resources name it: `<user>@<address>:<port>|name`.

    TLS files are where Docker's own tools look for them: DOCKER_CERT_PATH, else `~/.docker`.
    """
    given, _, name = id.rpartition("|")
    if given and "://" not in given:
        from anytier.provider.host.ids import parse_machine

        return Endpoint(machine=parse_machine(given)), name
    host = given or os.environ.get("DOCKER_HOST") or Endpoint().host
    if not host.startswith("tcp://"):
        return Endpoint(host=host), name
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker").absolute()
    ca_cert, cert, key = (str(folder / f"{part}.pem") for part in ("ca", "cert", "key"))
    return Endpoint(host=host, ca_cert=ca_cert, cert=cert, key=key), name


@dataclass(frozen=True)
class Result:
    """How a command in a container ended."""

    code: int
    out: str

    @property
    def last(self) -> str:
        return next((line.strip() for line in reversed(self.out.splitlines()) if line.strip()), "")


class Daemon:
    """Calls by path below the API's version, such as `containers/json`."""

    def __init__(self, endpoint: Endpoint, docker: aiodocker.Docker) -> None:
        self.endpoint, self.docker = endpoint, docker
        self.lock = asyncio.Lock()  # for what is made once a daemon
        self.facts: Mapping[str, Any] = {}
        self._shared: dict[str, Any] = {}

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """One object a key, for whatever must not be done twice at once."""
        if key not in self._shared:
            self._shared[key] = make()
        found: T = self._shared[key]
        return found

    @property
    def local(self) -> bool:
        """Whether containers can be reached by their addresses from here."""
        options = [str(item) for item in self.facts.get("SecurityOptions") or ()]
        desktop = "Desktop" in str(self.facts.get("OperatingSystem"))
        rootless = any("rootless" in item for item in options)
        here = self.endpoint.machine is None and self.endpoint.host.startswith("unix://")
        return here and not desktop and not rootless

    async def get(self, path: str, about: str = "", **params: Any) -> Any:
        return await self.call("GET", path, None, about, **params)

    async def post(self, path: str, body: Any = None, about: str = "", **params: Any) -> Any:
        return await self.call("POST", path, body, about, **params)

    async def delete(self, path: str, about: str = "", **params: Any) -> None:
        """Gone already is fine. A container that somebody else removes just now is waited for."""
        try:
            await self.call("DELETE", path, None, about, **params)
        except NotFound:
            return
        except Conflict as error:
            if "already in progress" not in error.what:  # Docker has no code of its own for it
                raise
            while await self.find(f"{path}/json") is not None:
                await asyncio.sleep(0.1)

    async def find(self, path: str) -> Any:
        """What is at the path; None where the daemon says that there is nothing."""
        try:
            return await self.get(path)
        except NotFound:
            return None

    async def call(
        self, method: str, path: str, body: Any = None, about: str = "", timeout: float = _TIMEOUT, **params: Any
    ) -> Any:
        """The answer as JSON, or as text where it is none. `about` is the path of an error."""
        with self.translated(about or path):
            headers = {"Content-Type": "application/json"} if body is not None else None
            data = json.dumps(body).encode() if body is not None else None
            async with asyncio.timeout(timeout), self._query(method, path, params, data, headers) as answer:
                text = await answer.text()
        if "json" not in answer.headers.get("Content-Type", ""):
            return text
        return json.loads(text) if text.strip() else None

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        data: Any = None,
        about: str = "",
        type: str = "application/x-tar",
        explain: errors.Explain = errors.of_answer,
        **params: Any,
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The daemon's progress messages, one JSON object a line; one that tells of an error is raised by `explain`.

        `headers` among the params go as headers.
        """
        headers = {"Content-Type": type, **params.pop("headers", {})}
        with self.translated(about or path, explain=explain):
            async with self._query(method, path, params, data, headers) as answer:

                async def told() -> AsyncIterator[dict[str, Any]]:
                    async for line in _lines(answer.content):
                        message = json.loads(line)
                        if error := errors.of_message(about or path, message, explain):
                            raise error
                        yield message

                yield told()

    @contextlib.asynccontextmanager
    async def download(self, path: str, about: str = "", **params: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """What is at a path as it comes, such as an image's archive."""
        with self.translated(about or path):
            async with self._query("GET", path, params, None, {"Accept-Encoding": "identity"}) as answer:
                yield answer.content.iter_chunked(_PIECE)

    async def put_files(self, container: str, path: str, tar: bytes) -> None:
        """Unpack a tar archive at a path of a container, running or not."""
        with self.translated(f"container {container}"):
            headers = {"Content-Type": "application/x-tar"}
            params = {"path": path, "noOverwriteDirNonDir": "false"}
            async with self._query("PUT", f"containers/{container}/archive", params, tar, headers):
                pass

    async def get_files(self, container: str, path: str) -> bytes:
        """A path of a container as a tar archive."""
        plain = {"Accept-Encoding": "identity"}  # Docker's raw deflate is now and then taken for another
        with self.translated(f"container {container}"):
            query = self._query("GET", f"containers/{container}/archive", {"path": path}, None, plain)
            async with query as answer:
                return await answer.read()

    async def run(self, container: str, argv: Sequence[str], timeout: float = 60, user: str | None = None) -> Result:
        """A command inside a running container. TimeoutError when it takes longer; Unreachable where the connection
        ended before the command did, so that nobody knows how it ended."""
        body: dict[str, Any] = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)}
        if user is not None:
            body["User"] = user
        made = await self.post(f"containers/{container}/exec", body, f"container {container}")
        with self.translated(f"container {container}", timeouts=False):
            async with asyncio.timeout(timeout):
                from aiodocker.execs import Exec

                out = []
                async with Exec(self.docker, made["Id"], tty=False).start(detach=False) as stream:
                    while (message := await stream.read_out()) is not None:
                        out.append(message.data)
        code = await self.exit_code(made["Id"], container)
        return Result(code, b"".join(out).decode(errors="replace"))

    async def exit_code(self, command: str, container: str) -> int:
        """Of a command in a container, by its id, once its stream has ended. That may be a moment before the command
        does; if the command goes on, it was the connection that ended."""
        for _ in range(_ENDINGS):
            found = await self.get(f"exec/{command}/json", f"container {container}")
            if not found.get("Running") and found.get("ExitCode") is not None:
                return int(found["ExitCode"])
            await asyncio.sleep(0.1)
        raise Unreachable(f"container {container}", "the connection ended before the command did", "run again")

    async def log(self, container: str, tail: int) -> str:
        """The last lines that a container printed; empty where it is gone or its log cannot be read."""
        try:
            with self.translated(f"container {container}"):
                found = self.docker.containers.container(container)
                lines = await found.log(stdout=True, stderr=True, tail=tail)
        except AnytierError:
            return ""
        return "".join(lines)

    @contextlib.contextmanager
    def translated(
        self, about: str, timeouts: bool = True, explain: errors.Explain = errors.of_answer
    ) -> Iterator[None]:
        """aiodocker's errors as ours. With `timeouts` False a TimeoutError stays what it is."""
        import aiohttp
        from aiodocker.exceptions import DockerError

        try:
            yield
        except DockerError as error:
            if error.status == _NO_CONNECTION:
                raise self._failure(error.__context__ or error) from error
            raise explain(about, error.status, str(error.message)) from error
        except TimeoutError as error:
            if not timeouts:
                raise
            raise Unreachable(f"docker {self.endpoint.name}", f"{about}: no answer in time", "run again") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> AnytierError:
        """What a transport knows of a connection that failed, else what can be read off the error."""
        told: AnytierError | None = getattr(error, "error", None) or getattr(self.docker.connector, "failure", None)
        return told or errors.of_failure(self.endpoint.name, error)

    @contextlib.asynccontextmanager
    async def _query(
        self, method: str, path: str, params: Mapping[str, Any], data: Any, headers: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that was not read to its end closes its connection: that is how the daemon learns of a cancel."""
        plain = {key: _param(value) for key, value in params.items() if value is not None}
        body = io.BytesIO(data) if isinstance(data, bytes) else data  # sent in pieces: others have their turn
        async with self.docker._query(path, method=method, params=plain, data=body, headers=headers) as answer:
            try:
                yield answer
            finally:
                answer.release()


class _Known:
    """The daemons of one event loop."""

    def __init__(self) -> None:
        self.daemons: dict[Endpoint, Daemon] = {}
        self.opening: dict[Endpoint, asyncio.Lock] = {}


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, _Known] = WeakKeyDictionary()


async def daemon(endpoint: Endpoint) -> Daemon:
    """The daemon at the endpoint, asked once whether it is there and new enough."""
    known = _known.setdefault(asyncio.get_running_loop(), _Known())
    if endpoint not in known.daemons:
        async with known.opening.setdefault(endpoint, asyncio.Lock()):
            if endpoint not in known.daemons:
                known.daemons[endpoint] = await open_daemon(endpoint)
    return known.daemons[endpoint]


async def open_daemon(endpoint: Endpoint) -> Daemon:
    """One of the caller's own, to be closed by `docker.close()`."""
    import aiodocker
    import aiohttp

    connector, url = _transport(endpoint)
    # An operation has limits of its own: a build may be silent for long.
    docker = aiodocker.Docker(url=url, connector=connector, timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT))
    docker.docker_host, docker._owns_connector = url, True
    docker.session._connector_owner = True
    made = Daemon(endpoint, docker)
    try:
        version = await made.call("GET", "version", timeout=FIRST_ANSWER)
        made.facts = await made.call("GET", "info", timeout=FIRST_ANSWER)
        if tuple(int(part) for part in str(version["ApiVersion"]).split(".")) < _OLDEST:
            what = f"speaks API {version['ApiVersion']}, and 1.41 (Docker 20.10) is the oldest that will do"
            raise Rejected(f"docker {endpoint.name}", what, "update Docker there")
    except BaseException:
        await docker.close()
        raise
    return made


async def close_all() -> None:
    """Ends every connection of this event loop."""
    for made in _known.pop(asyncio.get_running_loop(), _Known()).daemons.values():
        await made.docker.close()


def _transport(endpoint: Endpoint) -> tuple[aiohttp.BaseConnector, str]:
    """How connections are made, and the address that requests then bear."""
    import aiohttp

    scheme, _, rest = endpoint.host.partition("://")
    if endpoint.machine is not None:
        from anytier.provider.docker.onmachine import MachineConnector

        if scheme != "unix":
            raise Rejected("endpoint.host", f"{endpoint.host!r} is no socket of a machine", "use unix:///path")
        return MachineConnector(endpoint.machine, rest, endpoint.name), "unix://localhost"
    if scheme == "unix":
        return aiohttp.UnixConnector(rest), "unix://localhost"
    if scheme == "ssh":
        from anytier.provider.docker.ssh import SshConnector

        return SshConnector(endpoint.host), "unix://localhost"
    if scheme == "tcp":
        return aiohttp.TCPConnector(ssl=_tls(endpoint)), f"https://{rest}"
    do = "use unix:///path, ssh://user@host, or tcp://host:2376 with caCert, cert and key"
    raise Rejected("endpoint.host", f"{endpoint.host!r} is not a Docker address", do)


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    """Certificates on both sides, and the name in the daemon's checked."""
    if not (endpoint.ca_cert and endpoint.cert and endpoint.key):
        what = "plain TCP gives everybody on the network root"
        raise Rejected("endpoint", what, "set caCert, cert and key, or use ssh://")
    for name, path in (("caCert", endpoint.ca_cert), ("cert", endpoint.cert), ("key", endpoint.key)):
        if not Path(path).is_file():
            raise Rejected(f"endpoint.{name}", f"there is no file {path}", "give the path of a PEM file")
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_cert)
        context.load_cert_chain(endpoint.cert, endpoint.key)
    except (OSError, ssl.SSLError) as error:
        do = "caCert, cert and key must be PEM files, and the key that of the certificate"
        raise Rejected("endpoint", f"its TLS files cannot be used: {error}", do) from error
    return context


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length that are not blank."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def _param(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
