"""One probe of one instance, now: the gate of a rollout. healthd does the same afterwards, without us."""

from __future__ import annotations

import asyncio
import os

from anytier.errors import AnytierError
from anytier.provider.host import http
from anytier.provider.host.models import Check
from anytier.provider.host.place import Place
from anytier.provider.judge import Answer


async def probe(place: Place, check: Check, pid: int) -> Answer:
    """Never raises for what the app does: no answer is an answer."""
    try:
        if check.http_get is not None:
            return await _http(place, check)
        if check.tcp_port is not None:
            return await _tcp(place, check)
        return await _exec(place, check, pid)
    except TimeoutError:
        return Answer(False, f"{describe(check)}: no answer within {check.timeout:g} s")
    except OSError as error:
        said = os.strerror(error.errno).lower() if error.errno else str(error)
        return Answer(False, f"{describe(check)}: {said}")
    except (EOFError, ValueError, asyncio.LimitOverrunError) as error:
        return Answer(False, f"{describe(check)}: {error}")
    except AnytierError as error:
        return Answer(False, f"{describe(check)}: {error.what}")


def describe(check: Check) -> str:
    if check.http_get is not None:
        return f"GET {check.http_get.path} on port {check.http_get.port}"
    return f"TCP port {check.tcp_port}" if check.tcp_port is not None else f"exec {' '.join(check.exec or [])}"


async def _http(place: Place, check: Check) -> Answer:
    get = check.http_get
    assert get is not None
    if get.scheme == "HTTPS":
        return await _exec_tls(place, check)
    answer = await http.request(
        lambda: place.machine.open_tcp("127.0.0.1", get.port),
        "GET",
        get.path,
        host=f"127.0.0.1:{get.port}",
        headers={"User-Agent": "anytier-probe", **get.headers},
        timeout=check.timeout,
    )
    return Answer(200 <= answer.status < 400, f"{describe(check)}: answered {answer.status}")


async def _exec_tls(place: Place, check: Check) -> Answer:
    """TLS is spoken on the machine itself, by the prober that will go on probing."""
    argv = [place.facts.python, "-I", "-S", f"{place.layout.lib}/healthd.py", "once"]
    result = await place.machine.run(argv, check.model_dump_json(by_alias=True).encode(), timeout=check.timeout + 5)
    return Answer(result.code == 0, f"{describe(check)}: {result.out.strip() or 'answered'}")


async def _tcp(place: Place, check: Check) -> Answer:
    _, writer = await asyncio.wait_for(place.machine.open_tcp("127.0.0.1", check.tcp_port or 0), check.timeout)
    writer.close()
    return Answer(True, f"{describe(check)}: open")


async def _exec(place: Place, check: Check, pid: int) -> Answer:
    result = await place.machine.run(exec_argv(place, pid, check.exec or []), timeout=check.timeout)
    said = (result.err.strip() or result.out.strip()).splitlines()
    return Answer(result.code == 0, f"{describe(check)}: exit {result.code}" + (f", {said[-1]}" if said else ""))


def exec_argv(place: Place, pid: int, argv: list[str]) -> list[str]:
    """A command that runs `argv` as process `pid` would: its environment, folder, user and mounts."""
    return [place.facts.python, "-I", "-S", place.layout.launcher, "exec", str(pid), "--", *argv]
