"""The local daemon behind TLS on 127.0.0.1, with a CA of the test's own: what `dockerd --tlsverify` does."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import select
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SOCKET = "/var/run/docker.sock"


class Authority:
    """Signs certificates; writes them and their keys to files of its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(name, self._key, ca=True)
        self.file = self._write("ca.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, days: int = 1, address: str = "127.0.0.1") -> tuple[str, str]:
        """Files of a certificate for this address and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, ca=False, days=days, address=address)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}-key.pem", pem),
        )

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool, days: int = 1, address: str = ""
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if ca else subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if not ca:
            reached = x509.IPAddress(ipaddress.ip_address(address))
            builder = builder.add_extension(x509.SubjectAlternativeName([reached]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> str:
        file = self.folder / name
        file.write_bytes(data)
        return str(file)


class TlsRelay:
    """Bytes between TLS clients with a certificate of its CA, and the daemon's socket.

    With blocking sockets: asyncio's TLS server hangs up on a wrong certificate without the alert that others send.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "tls", "anytier test CA")
        self.stranger = Authority(folder / "other tls", "somebody's CA")
        self.client = self.authority.issue("client")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*self.authority.issue("daemon"))
        self._context.load_verify_locations(self.authority.file)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = {self._server}
        self._threads = [threading.Thread(target=self._serve)]

    @property
    def host(self) -> str:
        return f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def __enter__(self) -> TlsRelay:
        self._threads[0].start()
        return self

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._answer, args=[plain]))
                self._threads[-1].start()

    def _answer(self, plain: socket.socket) -> None:
        self._open.add(plain)
        with plain, contextlib.suppress(OSError):
            plain.settimeout(20)
            outer = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._open.add(outer)
            with outer, socket.socket(socket.AF_UNIX) as inner:
                if _shaken(outer):
                    inner.connect(_SOCKET)
                    _relay(outer, inner)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for item in list(self._open):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._server.close()


def _shaken(outer: ssl.SSLSocket) -> bool:
    """Reads what a refused client still says: a reset would overtake the alert."""
    try:
        outer.do_handshake()
    except ssl.SSLError:
        raw = socket.socket(fileno=os.dup(outer.fileno()))
        with raw:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(1 << 16):
                pass
        return False
    return True


def _relay(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Until one side ends. TLS may hold bytes back that the system no longer shows."""
    while True:
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for source, target in ((outer, inner), (inner, outer)):
            if source in ready:
                data = source.recv(1 << 16)
                if not data:
                    return
                target.sendall(data)
