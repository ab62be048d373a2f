"""A steady, bounded load on one address of this machine, or of a guest of it: keep-alive, new-connection and slow
requests.

Every request that does not come back whole with status 200 is counted as lost, also on a connection that was kept
alive: what a real client would retry is not forgiven here. Only a connection that the other side had closed before a
request was sent on it is opened anew, as HTTP lets a server do and every client's pool does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Kind = Literal["keep-alive", "new connection", "slow"]

LONGEST = 120.0  # seconds at pace 1; a load ends by itself, whatever its owner does
MOST = 20_000  # requests


@dataclass(frozen=True)
class Shape:
    """How many clients of each kind, and how long each waits between two requests (seconds)."""

    kept: int = 4
    fresh: int = 2
    slow: int = 3
    pause: float = 0.05
    slow_ms: int = 1500


@dataclass(frozen=True)
class Lost:
    kind: Kind
    after: float
    why: str


@dataclass
class Outcome:
    """What came of a load. `versions` counts answers by the version that gave them; `instances` likewise."""

    sent: dict[str, int] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    instances: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    def text(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.sent.items()))
        return f"{len(self.lost)} of {self.total} requests lost ({kinds})"

    def losses(self) -> str:
        return "\n".join(f"{lost.after:6.2f} s  {lost.kind}: {lost.why}" for lost in self.lost[:20])


class BadAnswer(Exception):
    """An answer that came, but not as it should."""


@dataclass(frozen=True)
class Target:
    """`network`: the CIDR of one inside this machine, whose guests were made for this load."""

    host: str
    port: int
    network: str | None = None

    def __post_init__(self) -> None:
        if not self._near():
            raise ValueError(f"load goes to this machine only, not to {self.host}")

    def _near(self) -> bool:
        """A name could lead anywhere, so it must be an address."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        ours = self.network is not None and address.is_private and address in ipaddress.ip_network(self.network)
        return address.is_loopback or ours


class Load:
    """`with Load(port) as load: ...`: it runs in a thread of its own; afterwards `load.outcome` holds what happened.

    `pace`: how much longer everything may take there, and how much longer clients wait between two requests.
    """

    def __init__(
        self,
        port: int,
        shape: Shape = Shape(),
        host: str = "127.0.0.1",
        network: str | None = None,
        pace: float = 1.0,
    ) -> None:
        self.target, self.shape, self.pace = Target(host, port, network), shape, pace
        self.outcome = Outcome()
        self._stop = threading.Event()
        self._start = 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def over(self) -> bool:
        late = time.monotonic() - self._start > LONGEST * self.pace
        return self._stop.is_set() or late or self.outcome.total >= MOST

    async def _run(self) -> None:
        shape = self.shape
        clients: list[Coroutine[Any, Any, None]] = [
            *(self._client("keep-alive", "/", shape.pause * self.pace) for _ in range(shape.kept)),
            *(self._client("new connection", "/", shape.pause * 2 * self.pace) for _ in range(shape.fresh)),
            *(self._client("slow", f"/slow?ms={shape.slow_ms}", 0) for _ in range(shape.slow)),
        ]
        await asyncio.gather(*clients)

    async def _client(self, kind: Kind, path: str, pause: float) -> None:
        connection: Connection | None = None
        while not self.over:
            begun = time.monotonic()
            try:
                if connection is None or connection.gone or kind == "new connection":
                    if connection:
                        connection.close()
                    connection = await Connection.open(self.target, 5 * self.pace)
                answer = await asyncio.wait_for(connection.get(path), timeout=30 * self.pace)
                self._count(kind, answer, time.monotonic() - begun)
            except (OSError, EOFError, TimeoutError, ValueError, BadAnswer) as error:
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                self.outcome.sent[kind] = self.outcome.sent.get(kind, 0) + 1
                self.outcome.lost.append(Lost(kind, time.monotonic() - self._start, why))
                if connection:
                    connection.close()
                connection = None
                await asyncio.sleep(0.1)  # a place that is down is not hammered
            await asyncio.sleep(pause)
        if connection:
            connection.close()

    def _count(self, kind: Kind, answer: dict[str, Any], took: float) -> None:
        outcome = self.outcome
        outcome.sent[kind] = outcome.sent.get(kind, 0) + 1
        for counter, key in ((outcome.versions, "version"), (outcome.instances, "instance")):
            name = str(answer.get(key, ""))
            counter[name] = counter.get(name, 0) + 1
        if kind != "slow":
            outcome.slowest = max(outcome.slowest, took)


class Connection:
    """One HTTP/1.1 connection, kept alive until the other side says `Connection: close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.closed = False

    @property
    def gone(self) -> bool:
        """Whether no request can be sent on it any more."""
        return self.closed or self.reader.at_eof()

    @classmethod
    async def open(cls, target: Target, patience: float) -> Connection:
        return cls(*await asyncio.wait_for(asyncio.open_connection(target.host, target.port), timeout=patience))

    async def get(self, path: str) -> dict[str, Any]:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode())
        await self.writer.drain()
        status, headers = parse_head(await self.reader.readuntil(b"\r\n\r\n"))
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        self.closed = headers.get("connection", "").lower() == "close"
        if status != 200:
            raise BadAnswer(f"HTTP {status} {body[:100].decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def close(self) -> None:
        self.closed = True
        self.writer.close()


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case, of an HTTP/1.1 answer."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    version, status, *_ = first.split(" ", 2)
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise BadAnswer(f"not HTTP: {first!r}")
    headers = (line.partition(":") for line in lines)
    return int(status), {name.strip().lower(): value.strip() for name, _, value in headers}


def until(done: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Wait for `done`, at most so long."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
