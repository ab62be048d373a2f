"""A certificate made by hand is one that TLS takes."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from anytier.conformance.certificate import G, N, encoded, integer, multiplied, self_signed, tag


def server(pair_file: Path, sockets: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair_file)
    with context.wrap_socket(sockets, server_side=True) as stream:
        stream.sendall(b"hello")


@pytest.mark.parametrize("attempt", range(5))
def test_a_client_that_trusts_it_shakes_hands(tmp_path: Path, attempt: int) -> None:
    pair = self_signed("shop.example")
    file = tmp_path / "pair.pem"
    file.write_text(pair.certificate + pair.key)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=server, args=(file, theirs))
    thread.start()
    context = ssl.create_default_context(cadata=pair.certificate)
    with context.wrap_socket(ours, server_hostname="shop.example") as stream:
        assert stream.recv(5) == b"hello"
        assert stream.getpeercert(binary_form=True) == pair.der
    thread.join(10)


def test_another_host_is_refused(tmp_path: Path) -> None:
    pair = self_signed("shop.example")
    assert ssl.PEM_cert_to_DER_cert(pair.certificate) == pair.der
    assert b"shop.example" in pair.der and b"other.example" not in pair.der


def test_every_certificate_is_another() -> None:
    assert self_signed("a.example").der != self_signed("a.example").der


def test_the_curve_closes() -> None:
    assert multiplied(N, G) is None
    assert multiplied(N + 1, G) == G
    with pytest.raises(ValueError, match="infinity"):
        encoded(None)


def test_lengths_and_signs_are_der() -> None:
    assert integer(127) == b"\x02\x01\x7f" and integer(128) == b"\x02\x02\x00\x80" and integer(0) == b"\x02\x01\x00"
    assert tag(4, b"x" * 300)[:4] == b"\x04\x82\x01\x2c"
