"""The proxy on a daemon, when a command in its container does not come to its end before our eyes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import Unreachable
from anytier.provider.docker import caddy
from anytier.provider.docker.client import Daemon, Endpoint, Result
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route

CONFIG = ProxyConfig(
    listeners={"public": Listener(address=":48080")},
    routes=[Route(listener="public", pool="web/http")],
    pools={"web/http": Pool()},
)
CUT = Unreachable("container app-proxy", "the connection ended before the command did", "run again")
WELL = Result(0, "")


class Told(Daemon):
    """A daemon whose commands end as `ends` says, the last one for ever; keeps what it was given."""

    def __init__(self, *ends: Result | Exception, away: bool = False) -> None:
        super().__init__(Endpoint(), None)  # type: ignore[arg-type]
        self.ends, self.away, self.seen = list(ends), away, list[str]()

    async def put_files(self, container: str, path: str, tar: bytes) -> None:
        self.seen.append("files")

    async def run(self, container: str, argv: Sequence[str], timeout: float = 60, user: str | None = None) -> Result:
        self.seen.append("alive" if argv[-1].endswith("/config/admin") else "run")
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end

    async def call(self, method: str, path: str, *rest: Any, **more: Any) -> Any:
        assert path == "_ping"
        if self.away:
            raise Unreachable("docker", "no answer in time", "run again")
        return "OK"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(0))


async def test_a_load_whose_end_nobody_saw_is_not_taken_for_done() -> None:
    there = Told(CUT, CUT, WELL, WELL)
    await caddy.Caddy(there, "app")._load(CONFIG, other=False)
    assert there.seen == ["files", "run", "alive", "alive", "files", "run"], "with its files, which it uses up"


@pytest.mark.parametrize(
    ("cp", "reload", "left"),
    [("0", "0", "new"), ("0", "1", "old"), ("1", "0", "old")],
    ids=["loaded", "refused", "disk full"],
)
def test_a_load_leaves_a_whole_config(tmp_path: Path, cp: str, reload: str, left: str) -> None:
    """`cp` fails as on a full disk: with the beginning of the file in its place."""
    (tmp_path / "caddy.json").write_text("old")
    (tmp_path / "next.json").write_text("new")
    busybox, program = tmp_path / "busybox", tmp_path / "caddy"
    busybox.write_text(f'#!/bin/sh\nif [ $1$2 = cpcaddy.json -a {cp} = 1 ]; then printf o >old.json; exit 1; fi\n"$@"')
    program.write_text(f"#!/bin/sh\nexit {reload}")
    for made in (busybox, program):
        made.chmod(0o755)
    script = caddy._LOAD.replace(caddy.CONFIG, str(tmp_path)).replace(caddy._BUSYBOX, str(busybox))
    done = subprocess.run(["sh", "-c", script.replace("/usr/bin/caddy", str(program))], check=False)
    assert (done.returncode == 0) == (left == "new")
    assert (tmp_path / "caddy.json").read_text() == left


async def test_a_daemon_that_is_away_is_not_a_proxy_that_is_away() -> None:
    assert await caddy.Caddy(Told(CUT), "app").alive() is False
    with pytest.raises(Unreachable, match="no answer in time"):
        await caddy.Caddy(Told(CUT, away=True), "app").alive()


async def test_an_answer_that_was_cut_off_is_asked_for_again() -> None:
    whole = f"{caddy.body(CONFIG).decode()}\n--\n\n--\n\n--\n"
    there = Told(Result(0, whole[:40]), WELL, Result(0, whole))
    assert (await caddy.Caddy(there, "app").config()) == CONFIG
    with pytest.raises(Unreachable, match="Caddy has no config"):
        await caddy.Caddy(Told(Result(0, whole[:40])), "app").config()


async def test_counts_that_were_cut_off_are_asked_for_again() -> None:
    whole = '[{"address":"10.0.0.2:80","num_requests":3}]'
    there = Told(Result(0, whole[:20]), Result(0, whole))
    assert await caddy.Caddy(there, "app").in_flight() == {"10.0.0.2:80": 3}
    for half in ("", whole[:20]):
        with pytest.raises(Unreachable, match="its answer was cut off"):
            await caddy.Caddy(Told(Result(0, half)), "app").in_flight()
    assert await caddy.Caddy(Told(Result(0, "null")), "app").in_flight() == {}, "no upstream yet"
