"""One probe of one container, now: the gate of a rollout. Afterwards the proxy and Docker's health check go on.

Where the daemon is this machine's, its containers are asked by their address; elsewhere by a script inside them.
"""

from __future__ import annotations

import asyncio
import os
import ssl

from anytier.errors import AnytierError
from anytier.provider.docker.client import Daemon
from anytier.provider.host import http
from anytier.provider.judge import Answer
from anytier.render.docker import argv
from anytier.render.template import HttpGet, Probe

_SLACK = 5.0  # seconds that a command in a container may take longer, only because it is one


async def ask(daemon: Daemon, container: str, address: str, probe: Probe) -> Answer:
    """Never raises for what the app does: no answer is an answer. `address` is empty where there is none."""
    try:
        if probe.exec is None and address and daemon.local:
            return await _direct(address, probe)
        return await _inside(daemon, container, probe)
    except TimeoutError:
        return Answer(False, f"{describe(probe)}: no answer within {probe.timeout:g} s")
    except OSError as error:
        said = os.strerror(error.errno).lower() if error.errno else str(error)
        return Answer(False, f"{describe(probe)}: {said}")
    except (EOFError, ValueError, asyncio.LimitOverrunError) as error:
        return Answer(False, f"{describe(probe)}: {error}")
    except AnytierError as error:
        return Answer(False, f"{describe(probe)}: {error.what}")


def describe(probe: Probe) -> str:
    if probe.http_get is not None:
        return f"GET {probe.http_get.path} on port {probe.http_get.port}"
    return f"TCP port {probe.tcp_port}" if probe.tcp_port is not None else f"exec {' '.join(probe.exec or [])}"


async def _direct(address: str, probe: Probe) -> Answer:
    get = probe.http_get
    if get is None:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, probe.tcp_port), probe.timeout)
        writer.close()
        return Answer(True, f"{describe(probe)}: open")
    answer = await http.request(
        lambda: asyncio.open_connection(address, get.port, ssl=_tls(get)),
        "GET",
        get.path,
        host=f"{address}:{get.port}",
        headers={"User-Agent": "anytier-probe", **get.headers},
        timeout=probe.timeout,
    )
    return Answer(200 <= answer.status < 400, f"{describe(probe)}: answered {answer.status}")


async def _inside(daemon: Daemon, container: str, probe: Probe) -> Answer:
    result = await daemon.run(container, argv(probe), timeout=probe.timeout + _SLACK)
    if probe.exec is None:
        return Answer(result.code == 0, result.last or f"{describe(probe)}: answered")
    said = f", {result.last}" if result.last else ""
    return Answer(result.code == 0, f"{describe(probe)}: exit {result.code}{said}")


def _tls(get: HttpGet) -> ssl.SSLContext | None:
    """As Kubernetes: whether it answers is asked, not who it is."""
    if get.scheme != "HTTPS":
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
