"""Certificates that the proxy fetches by itself: by the real protocol, of a real ACME server (Pebble, which Let's
Encrypt has for tests), on a machine where that server, the proxy and the app are.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.tiny import Tiny, gone_afterwards
from tests.provider.host.ssh_box import SshBox, ssh_box
from tests.provider.host.systemd_box import docker

from anytier.conformance.certificate import self_signed
from benchmarks.programs import PEBBLE, ensure

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
HOST, AUTHORITY = "shop.anytier-test.example", "acme.anytier-test.example"
PORT, TLS_PORT = 8080, 8443  # to which a router in front of the machine would lead 80 and 443
DIRECTORY, MANAGEMENT = 14000, 15000
# Nobody answers there.
NOWHERE = 9
ROOTS = f"""import ssl, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen("https://127.0.0.1:{MANAGEMENT}/roots/0", context=context).read().decode())
"""


class Shop(Tiny):
    """One instance behind an encrypted route whose certificate nobody gave, on one machine."""

    def __init__(self, box: SshBox) -> None:
        super().__init__({"host": HOST, "tls": {"auto": True}})
        login = {"address": "127.0.0.1", "port": box.port, "user": "root", "keyFile": str(box.key_file)}
        config = {
            **self.config,
            **self.own_config(),
            "anytier:port": PORT,
            "anytier:tlsPort": TLS_PORT,
            "anytier:acme": {"directory": f"https://{AUTHORITY}:{DIRECTORY}/dir", "email": "ops@anytier-test.example"},
            "anytier:baremetal": {"machines": [login]},
        }
        self.config_file.write_text(json.dumps({"config": config}))
        self.begin()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SshBox]:
    with ssh_box(tmp_path) as made:
        yield made


@pytest.fixture
def stack(box: SshBox) -> Iterator[Shop]:
    with gone_afterwards(Shop(box)) as made:
        yield made


def authority(box: SshBox, folder: Path, http: int, tls: int) -> ssl.SSLContext:
    """Pebble on the machine, which asks for proof at these ports and whose own address the machine trusts; and what
    trusts the certificates that it issues."""
    pair = self_signed(AUTHORITY)
    config = {
        "pebble": {
            "listenAddress": f"127.0.0.1:{DIRECTORY}",
            "managementListenAddress": f"127.0.0.1:{MANAGEMENT}",
            "certificate": "/opt/acme.crt",
            "privateKey": "/opt/acme.key",
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
    }
    for name, text in {"acme.crt": pair.certificate, "acme.key": pair.key, "pebble.json": json.dumps(config)}.items():
        (folder / name).write_text(text)
        docker("cp", str(folder / name), f"{box.name}:/opt/{name}")
    docker("cp", str(ensure(PEBBLE)), f"{box.name}:/opt/pebble")
    sh(
        box,
        f"echo 127.0.0.1 {HOST} {AUTHORITY} >> /etc/hosts"
        " && mkdir -p /etc/ssl/certs && cat /opt/acme.crt >> /etc/ssl/certs/ca-certificates.crt"
        " && systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 /opt/pebble -config /opt/pebble.json",
    )
    root = ""
    while "BEGIN CERTIFICATE" not in root:
        time.sleep(0.5)
        root = box.run("python3", "-c", ROOTS).stdout
    return ssl.create_default_context(cadata=root)


def sh(box: SshBox, command: str) -> str:
    done = box.run("sh", "-c", command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def served(box: SshBox, trusted: ssl.SSLContext) -> tuple[str, bytes]:
    """The serial number of the certificate, checked by name, and the answer; OSError where there is none."""
    with (
        socket.create_connection((box.address, TLS_PORT), timeout=10) as plain,
        trusted.wrap_socket(plain, server_hostname=HOST) as encrypted,
    ):
        encrypted.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: encrypted.recv(65536), b""))
        return str((encrypted.getpeercert() or {})["serialNumber"]), answer


def eventually(box: SshBox, trusted: ssl.SSLContext, patience: float = 60) -> tuple[str, bytes]:
    end = time.monotonic() + patience
    while True:
        try:
            return served(box, trusted)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.mark.parametrize(("http", "tls"), [(PORT, NOWHERE), (NOWHERE, TLS_PORT)], ids=["http-01", "tls-alpn-01"])
def test_a_certificate_is_fetched_and_kept(stack: Shop, box: SshBox, tmp_path: Path, http: int, tls: int) -> None:
    trusted = authority(box, tmp_path, http, tls)
    stack.anytier("up")
    serial, answer = eventually(box, trusted)
    assert answer.startswith(b"HTTP/1.1 200") and b"hello" in answer
    assert not [line for line in sh(box, "ss -ltnH").splitlines() if line.split()[3].endswith((":80", ":443"))]
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "--refresh")

    # a proxy that died needs no other one, and no authority
    sh(box, "systemctl stop pebble && systemctl kill --signal=KILL '*-tiny-proxy.service'")
    assert eventually(box, trusted)[0] == serial
    stack.pulumi("destroy", "--yes", "--skip-preview")
