"""The proxy's configuration as anytier sees it, independent of Caddy. Pure types; `render.caddy` makes JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anytier.acme import Acme
from anytier.frozen import Frozen

PUBLIC, PUBLIC_TLS = "public", "public-tls"  # the listeners of the app's routes


class Upstream(Frozen):
    """One instance behind a pool. `dial` is host:port. A draining one gets nothing new but is still counted."""

    dial: str
    draining: bool = False


class HealthCheck(Frozen):
    """Continuous active check of every upstream of a pool; seconds."""

    path: str
    interval: float = 2
    timeout: float = 1
    fails: int = 2


class Pool(Frozen):
    """The instances of one workload port. Its key in `ProxyConfig.pools` is `<workload>/<port name>`."""

    health: HealthCheck | None = None
    upstreams: list[Upstream] = Field(default_factory=list)


class Route(Frozen):
    """A request that comes in on listener `listener` and matches `host` and path prefix `path` goes to `pool`.

    `redirect`: it is sent to this port instead, by HTTPS.
    """

    listener: str
    pool: str
    host: str | None = None
    path: str = "/"
    strip_prefix: bool = False
    timeout: float | None = None
    redirect: int | None = None


class Tls(Frozen):
    """Where the certificate of `host` comes from; None stands for every other host.

    `auto`: by ACME. `files`: a given pair, paths on the proxy's machine. `internal`: Caddy's own local authority.
    """

    mode: Literal["auto", "files", "internal"] = "auto"
    host: str | None = None
    certificate: str | None = None
    key: str | None = None


class Listener(Frozen):
    """An address that the proxy listens on, such as `:8080` or `127.0.0.1:20123`; encrypted if `tls` says how."""

    address: str
    tls: list[Tls] = Field(default_factory=list)


class ProxyConfig(Frozen):
    """Everything the proxy does. `render.caddy.render` and `.parse` are inverse on it."""

    listeners: dict[str, Listener] = Field(default_factory=dict)
    routes: list[Route] = Field(default_factory=list)
    pools: dict[str, Pool] = Field(default_factory=dict)
    acme: Acme | None = None  # who issues what is `auto`; None: Caddy's own choice
    grace: float = 60  # how long requests of a replaced config may go on, seconds
