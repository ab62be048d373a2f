"""Requests per second through the proxy, as a deploy configures it, and straight to one of the instances behind it.

Twice on this machine: an instance that does next to nothing (Caddy that answers `ok`), so that all there is to see is
the proxy's own cost; and the guestbook, whose work is Python's. The load is bounded in time and clients and stays here.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from anytier.conformance.places.local import environment, pids
from anytier.conformance.trial import free_ports
from benchmarks.measure import CommandFailed, ending, in_turns
from benchmarks.programs import BOMBARDIER, ensure
from benchmarks.row import Options, Row
from benchmarks.stacks import ROOT, Stack, ours

CLIENTS = 16
SECONDS = 5
FAST = """
apiVersion: anytier.dev/v1
kind: App
metadata: {name: fast}
workloads:
  web:
    containers:
      web: {image: unused, readinessProbe: {httpGet: {path: /, port: 8080}}}
    host: {command: [/bin/sh, -c, 'exec "$CADDY" respond --listen "127.0.0.1:$PORT" ok']}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
routes: [{path: /, workload: web, port: http}]
"""


def run(options: Options) -> list[Row]:
    load = ensure(BOMBARDIER)
    fast = FAST.replace("$CADDY", str(ROOT / ".venv" / "bin" / "caddy"))
    guestbook = ROOT / "apps" / "guestbook" / "app.yaml"
    return [
        measure(options, load, fast, "/", "an instance that answers `ok`"),
        measure(options, load, guestbook, "/healthz", "one instance of the guestbook"),
    ]


def measure(options: Options, load: Path, spec: str | Path, path: str, named: str) -> Row:
    port, tls_port = free_ports(2)
    seconds = 1 if options.quick else SECONDS
    with ours(spec, "local", {"anytier:port": port, "anytier:tlsPort": tls_port}) as stack:
        stack.up()
        direct = instance_port(stack, "web")
        samples = in_turns(
            min(options.repeat, 5),
            {
                "proxy": lambda: rate(load, f"http://127.0.0.1:{port}{path}", seconds),
                "direct": lambda: rate(load, f"http://127.0.0.1:{direct}{path}", seconds),
            },
        )
    what = f"through the proxy to {'two instances' if isinstance(spec, Path) else 'it'}"
    return Row(what, "requests/s", samples["proxy"], f"straight to {named}", samples["direct"])


def instance_port(stack: Stack, workload: str) -> int:
    """The port that one instance of the workload was told to listen on."""
    name = re.compile(rf".*-{re.escape(workload)}-r\d+-\d+")
    for env in map(environment, pids()):
        mine = stack.name in env.get("ANYTIER_ROOT", "") and name.fullmatch(env.get("ANYTIER_INSTANCE", ""))
        if mine and "PORT" in env:
            return int(env["PORT"])
    raise CommandFailed(f"no process of {stack.name} says that it is an instance of {workload}")


def rate(load: Path, url: str, seconds: int) -> float:
    """Requests per second that were answered with 2xx. CommandFailed if any was not: then the figure means nothing."""
    command = [str(load), "--connections", str(CLIENTS), "--duration", f"{seconds}s", "--print", "r"]
    command += ["--format", "json", "--timeout", "5s", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    if done.returncode:
        raise CommandFailed(ending(command, done.returncode, done.stdout + done.stderr))
    return rate_in(json.loads(done.stdout)["result"], url)


def rate_in(result: dict[str, Any], url: str) -> float:
    bad = {key: result[key] for key in ("req1xx", "req3xx", "req4xx", "req5xx", "others") if result[key]}
    if bad or not result["req2xx"]:
        raise CommandFailed(f"{url} did not always answer: {bad or 'no request at all'}")
    return float(result["req2xx"] / result["timeTakenSeconds"])
