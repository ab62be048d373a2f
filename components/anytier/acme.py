"""Who issues the certificates that a proxy fetches by itself: stack config `anytier:acme`. Pure."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from anytier.frozen import Frozen

_SIGN = re.compile(r"[\x21-\x7e]+")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`|~-]{1,64}@[A-Za-z0-9.-]{1,253}")


def _directory(text: str) -> str:
    """A Caddy that is given braces puts a variable there."""
    try:
        url = urlsplit(text)
        right = url.scheme == "https" and bool(url.hostname) and url.port != 0
    except ValueError:
        right, url = False, urlsplit("")
    if not right or not _SIGN.fullmatch(text) or {"{", "}"} & set(text):
        raise ValueError(
            f"{text[:80]!r} is no directory of an ACME server; give one such as https://ca.example.org/dir"
        )
    if "@" in url.netloc:
        raise ValueError("has a login in it; an ACME server knows its users by keys of their own")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no email address")
    return text


class Acme(Frozen):
    """`directory` is the URL of an ACME server (RFC 8555), the proxy's own choice if not said; `email` where that
    server's owner reaches you."""

    directory: Annotated[str, AfterValidator(_directory)] | None = None
    email: Annotated[str, AfterValidator(_email)] | None = None
