"""The conformance app's few lines of gRPC, asked by a real client."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest

from anytier.conformance.trial import free_ports

APP = Path(__file__).resolve().parents[2] / "apps" / "conformance" / "app.py"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def asked(channel: grpc.Channel, service: str) -> bytes:
    call = channel.unary_unary("/grpc.health.v1.Health/Check")
    name = service.encode()
    answer: bytes = call(b"\x0a" + bytes([len(name)]) + name if name else b"", timeout=10, wait_for_ready=True)
    return answer


@pytest.mark.parametrize("service", ["", "ready", "live"])
def test_a_client_is_told_how_the_app_is(service: str) -> None:
    http, port = free_ports(2)
    env = {**os.environ, "PORT": str(http), "CONF_GRPC_PORT": str(port)}
    app = subprocess.Popen([sys.executable, str(APP), "serve"], env=env)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert [asked(channel, service) for _ in range(3)] == [SERVING] * 3
            kind = service or "ready"
            url = f"http://127.0.0.1:{http}/fail-health?kind={kind}&seconds=60"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(urllib.request.Request(url, b"", method="POST"), timeout=10).close()
            assert asked(channel, service) == NOT_SERVING
            assert asked(channel, "nobody") == NOT_SERVING
    finally:
        app.terminate()
        app.wait(20)
