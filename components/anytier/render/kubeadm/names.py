"""What may name a node, an endpoint, a subnet, a label, an image; ValueError says what to give. Pure."""

from __future__ import annotations

import ipaddress
import re

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_IMAGE = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_SIGNAL = re.compile(r"(SIG)?[A-Z0-9+-]{1,12}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def node_name(text: str) -> str:
    if not _LABEL.fullmatch(text):
        do = "use at most 63 of a-z, 0-9 and -, beginning and ending with a letter or a digit"
        raise ValueError(f"{text[:70]!r} cannot name a node; {do}")
    return text


def endpoint(text: str) -> str:
    """`host:port`, an IPv6 address in brackets."""
    split_endpoint(text)
    return text


def split_endpoint(text: str) -> tuple[str, int]:
    """(host without brackets, port)."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = bool(colon) and port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not good or not (_HOST.fullmatch(bare) or (bare != host and _is_ip(bare))):
        raise ValueError(f"{text[:80]!r} is no host:port; give one such as 10.0.0.11:6443 or [fd00::1]:6443")
    return bare, int(port)


def join_endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def subnet(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no subnet ({error}); give one such as 10.244.0.0/16") from None
    if "/" not in text:
        raise ValueError(f"{text!r} is an address; give a subnet such as 10.244.0.0/16")
    return text


def label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _PART.fullmatch(name) or (slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))):
        raise ValueError(f"{text[:80]!r} is no key of a label; give one such as zone or example.org/zone")
    return text


def label_value(text: str) -> str:
    if text and not _PART.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no value of a label; use at most 63 letters, digits, -, _ and .")
    return text


def image_name(text: str) -> str:
    if not _IMAGE.fullmatch(text) or len(text) > 128:
        raise ValueError(f"{text[:80]!r} cannot name an image; use lower-case letters, digits, -, _, . and /")
    return text


def signal(text: str) -> str:
    if not _SIGNAL.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no signal; give one such as SIGTERM")
    return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
