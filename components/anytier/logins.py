"""What may name a machine, a user of it, and its host key: the same for a stack's config and for the plugin. Pure."""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")
_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}")


def address(text: str) -> str:
    """A host's name or an IP address; nothing that could be an option, a URL or a user with it."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        if ":" in text or not _NAME.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is no name and no address of a machine") from None
    return bare


def user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no name of a user")
    return text


def public_key(text: str) -> str:
    """`ssh-ed25519 AAAA...`, without the comment; ValueError for what is no public key."""
    bare = " ".join(text.split()[:2])
    if not _KEY.fullmatch(bare):
        raise ValueError("is no public key: give two words such as `ssh-ed25519 AAAA...`")
    return bare
