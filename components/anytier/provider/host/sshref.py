"""How a machine is reached, in the form in which the engine keeps it. Which machine it is, its address and port say.

All the rest is only the way there: changed, it makes no other deployment.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from anytier.frozen import Frozen
from anytier.provider.fields import ignored

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")
_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}")


def _address(text: str) -> str:
    """A host's name or an IP address; nothing that could be an option, a URL or a user with it."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        if ":" in text or not _NAME.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is no name and no address of a machine") from None
    return bare


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no name of a user")
    return text


def public_key(text: str) -> str:
    """`ssh-ed25519 AAAA...`, without the comment; ValueError for what is no public key."""
    bare = " ".join(text.split()[:2])
    if not _KEY.fullmatch(bare):
        raise ValueError("is no public key: give two words such as `ssh-ed25519 AAAA...`")
    return bare


class SshLogin(Frozen):
    """One hop. `user`, `keyFile`: default to those of the user's own SSH; `hostKey`: None is one not known yet."""

    address: Annotated[str, AfterValidator(_address)]
    port: int = Field(default=22, ge=1, le=65535)
    user: Annotated[Annotated[str, AfterValidator(_user)] | None, ignored] = None
    key_file: Annotated[str | None, ignored] = None
    host_key: Annotated[Annotated[str, AfterValidator(public_key)] | None, ignored] = None

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}" if self.port != 22 else address


class SshRef(SshLogin):
    """A machine over SSH. `sudo`: what is done there is done as root, by password-less sudo."""

    kind: Literal["ssh"] = "ssh"
    sudo: Annotated[bool, ignored] = False
    jump: Annotated[SshLogin | None, ignored] = None
    connect_timeout: Annotated[float, ignored] = Field(default=15, gt=0, le=600)

    @property
    def root(self) -> bool:
        return self.sudo or self.user == "root"
