"""Public keys of OpenPGP: out of their armour, and their fingerprints (RFC 4880 and 9580). Pure.

Only as much as tells whose key it is. Whether a signature is good is apt's part.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

LARGEST = 64 << 10  # bytes of a key with all that is signed to it
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*\n(?P<heads>(?:[A-Za-z]+: [^\n]*\n)*)\s*\n?(?P<body>[A-Za-z0-9+/=\s]+?)"
    rb"(?:\n=[A-Za-z0-9+/]{4}\s*)?\n?-----END PGP PUBLIC KEY BLOCK-----"
)
_SECRET, _PUBLIC = (5, 7), 6  # tags of packets; 14 is a subkey, which belongs to the key before it


def dearmor(data: bytes) -> bytes:
    """The packets of a public key, as `signed-by` of apt takes them. ValueError says what is wrong with it."""
    if len(data) > LARGEST:
        raise ValueError(f"has {len(data)} bytes, and a key has at most {LARGEST}")
    if b"PRIVATE KEY" in data:
        raise ValueError("holds a private key, which has no business here")
    if b"-----BEGIN PGP" in data:
        parts = [match["body"] for match in _ARMOUR.finditer(data.replace(b"\r\n", b"\n"))]
        try:
            data = b"".join(base64.b64decode(b"".join(part.split()), validate=True) for part in parts)
        except binascii.Error:
            raise ValueError("is armoured, and damaged") from None
    tags = [tag for tag, _ in _packets(data)]
    if set(_SECRET) & set(tags):
        raise ValueError("holds a private key, which has no business here")
    if not tags or tags[0] != _PUBLIC:
        raise ValueError("is no public key of OpenPGP")
    return data


def fingerprints(packets: bytes) -> list[str]:
    """Of each primary key among the packets, in capitals; ValueError for what is damaged, or of an unknown version."""
    return [_fingerprint(body) for tag, body in _packets(packets) if tag == _PUBLIC]


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    if version == 4:
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError(f"holds a key of version {version}; 4 and 6 are known")


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each; ValueError where they do not end with the data."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("is no public key of OpenPGP")
        at += 1
        tag, size, at = _new(data, at, head) if head & 0x40 else _old(data, at, head)
        if at + size > len(data):
            raise ValueError("is cut short")
        yield tag, data[at : at + size]
        at += size


def _new(data: bytes, at: int, head: int) -> tuple[int, int, int]:
    """(tag, size, where the body begins). A key comes in no partial lengths."""
    first = _number(data, at, 1)
    if first < 192:
        return head & 0x3F, first, at + 1
    if first < 224:
        return head & 0x3F, ((first - 192) << 8) + _number(data, at + 1, 1) + 192, at + 2
    if first < 255:
        raise ValueError("is no public key of OpenPGP")
    return head & 0x3F, _number(data, at + 1, 4), at + 5


def _old(data: bytes, at: int, head: int) -> tuple[int, int, int]:
    width = 1 << (head & 3)
    if width == 8:
        raise ValueError("is no public key of OpenPGP")
    return (head >> 2) & 0x0F, _number(data, at, width), at + width


def _number(data: bytes, at: int, width: int) -> int:
    if at + width > len(data):
        raise ValueError("is cut short")
    return int.from_bytes(data[at : at + width], "big")
