"""A self-signed certificate for the suite's own host: ECDSA on P-256, in DER by hand, since the standard library reads
certificates and makes none. For tests only: nothing here is constant-time.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
EC_PUBLIC_KEY = "2a8648ce3d0201"
P256 = "2a8648ce3d030107"
ECDSA_SHA256 = "2a8648ce3d040302"
COMMON_NAME, ALTERNATIVE_NAMES = "550403", "551d11"

Point = tuple[int, int] | None  # None is the point at infinity


@dataclass(frozen=True)
class Pair:
    """In PEM; `der` is the certificate as it goes over the wire."""

    certificate: str
    key: str
    der: bytes


def self_signed(host: str) -> Pair:
    """Valid for every reader of dates that lives between 2020 and 2049."""
    secret = secrets.randbelow(N - 1) + 1
    public = encoded(multiplied(secret, G))
    algorithm = sequence(oid(ECDSA_SHA256))
    name = sequence(tag(0x31, sequence(oid(COMMON_NAME), tag(0x0C, host.encode()))))
    names = sequence(sequence(oid(ALTERNATIVE_NAMES), tag(0x04, sequence(tag(0x82, host.encode())))))
    body = sequence(
        tag(0xA0, integer(2)),
        integer(secrets.randbits(63) + 1),
        algorithm,
        name,
        sequence(tag(0x17, b"200101000000Z"), tag(0x17, b"491231235959Z")),
        name,
        sequence(sequence(oid(EC_PUBLIC_KEY), oid(P256)), bits(public)),
        tag(0xA3, names),
    )
    der = sequence(body, algorithm, bits(signature(secret, body)))
    key = sequence(integer(1), tag(0x04, secret.to_bytes(32, "big")), tag(0xA0, oid(P256)), tag(0xA1, bits(public)))
    return Pair(pem("CERTIFICATE", der), pem("EC PRIVATE KEY", key), der)


def signature(secret: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(N - 1) + 1
        point = multiplied(nonce, G)
        r = point[0] % N if point else 0
        s = pow(nonce, -1, N) * (digest + r * secret) % N
        if r and s:
            return sequence(integer(r), integer(s))


def multiplied(times: int, point: Point) -> Point:
    result: Point = None
    while times:
        if times & 1:
            result = added(result, point)
        point = added(point, point)
        times >>= 1
    return result


def added(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


def encoded(point: Point) -> bytes:
    if point is None:
        raise ValueError("the point at infinity is no public key")
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


# DER


def tag(kind: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([kind, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([kind, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    return tag(0x30, b"".join(parts))


def integer(value: int) -> bytes:
    return tag(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(content: str) -> bytes:
    return tag(0x06, bytes.fromhex(content))


def bits(content: bytes) -> bytes:
    return tag(0x03, b"\0" + content)


def pem(what: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {what}-----", *lines, f"-----END {what}-----", ""])
