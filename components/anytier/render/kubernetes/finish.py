"""Values into rendered objects at the last moment: secrets, and what else only a run knows; and names by content. Pure.

A rendered object's strings may hold tokens, in the form of `render.tokens` (a `$` before `{` is written twice):

    ${secrets.NAME}                a secret's value
    ${images.WORKLOAD/CONTAINER}   what an image is called at the place
    ${addresses.N}                 an address of the cluster
    ${identities.WORKLOAD}         what a workload is called by the cluster's cloud
    ${hash:DIGEST:TOKEN,TOKEN}     the hash of a content with that digest, in which these tokens stand

A hash says by itself what it depends on, so that a Secret and everything that refers to it get the same name though
each is finished alone.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anytier.errors import SpecError
from anytier.render.kubernetes.target import Json

_TOKEN = re.compile(
    r"(\$+)\{(?:(secrets\.[^{}]+|images\.[^{}]+|addresses\.[^{}]+|identities\.[^{}]+|hash:[0-9a-f]+:[^{}]*)\})?"
)
_RUN = re.compile(r"\$+(?=\{)")
DIGITS = 10


class Live(str):
    """A string with tokens, and `$${` for a literal `${`. Other strings of an object under way are as they read."""

    __slots__ = ()


def literal(text: str) -> Live:
    """The live form of a text as it reads."""
    return Live(_RUN.sub(lambda run: run[0] * 2, text) if "${" in text else text)


def joined(*parts: str) -> Live:
    """Texts one behind the other; live ones keep their tokens."""
    return Live("".join(part if isinstance(part, Live) else literal(part) for part in parts))


def sealed(value: Any) -> Any:
    """A copy in which every string is live: what a `Rendered` holds, as plain `str`."""
    kind = type(value)  # quicker than isinstance, and no other kinds of these are in an object
    if kind is dict:
        return {key: sealed(item) for key, item in value.items()}
    if kind is str:
        return str(literal(value)) if "${" in value else value
    if kind is Live:
        return str(value)
    return [sealed(item) for item in value] if kind is list or kind is tuple else value


def content_hash(value: Any) -> str:
    """The hash of an object under way, for a name or an annotation: hexadecimal, or a token for it (`Live`)."""
    whole = json.dumps(sealed(value), sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    tokens = sorted(set(_names(whole)))  # nothing of a token is written otherwise in JSON
    return Live(f"${{hash:{digest[:32]}:{','.join(tokens)}}}") if tokens else digest[:DIGITS]


def finish(item: Json, secrets: Mapping[str, str], values: Mapping[str, str] | None = None) -> Json:
    """A rendered object as the API server gets it. `values` are by token (`images.web/web`, `addresses.0`).

    A Secret's texts become `data`, which is what the server keeps. SpecError names what has no value.
    """
    known = {**{f"secrets.{name}": value for name, value in secrets.items()}, **(values or {})}
    made: Json = _finished(item, known)
    if made.get("kind") == "Secret" and made.get("apiVersion") == "v1" and "stringData" in made:
        texts = made.pop("stringData")
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        made["data"] = {**made.get("data", {}), **data}
    return made


def _finished(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _put_in(value, known) if "${" in value else value
    if isinstance(value, dict):
        return {key: _finished(item, known) for key, item in value.items()}
    return [_finished(item, known) for item in value] if isinstance(value, list) else copy.copy(value)


def _put_in(text: str, known: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        dollars = "$" * (len(match[1]) // 2)
        if len(match[1]) % 2 == 0:
            return dollars + match[0][len(match[1]) :]
        if match[2] is None:
            return f"{dollars}${match[0][len(match[1]) :]}"
        return dollars + _value(match[2], known)

    return _TOKEN.sub(replace, text)


def _value(token: str, known: Mapping[str, str]) -> str:
    if token.startswith("hash:"):
        _, digest, names = token.split(":", 2)
        whole = hashlib.sha256(digest.encode())
        for name in names.split(","):
            value = _value(name, known).encode(errors="surrogatepass")
            whole.update(b"\0%s %d " % (name.encode(), len(value)))
            whole.update(value)
        return whole.hexdigest()[:DIGITS]
    if token not in known:
        raise SpecError(token, "is named by an object but has no value", "give it one")
    return known[token]


def shown(item: Json) -> Json:
    """A rendered object for people to read: tokens stand for themselves, and hashes are those of the tokens."""
    made: Json = _finished(item, {name: f"${{{name}}}" for name in tokens_in(item)})
    return made


def tokens_in(value: Any) -> set[str]:
    """Every value that a sealed object asks for, by token; those that its hashes depend on included."""
    return {name for text in _strings(value) for name in _names(text)}


def secrets_in(value: Any) -> set[str]:
    """The names of the secrets among them."""
    return {name.removeprefix("secrets.") for name in tokens_in(value) if name.startswith("secrets.")}


def _names(text: str) -> Iterable[str]:
    for match in _TOKEN.finditer(text) if "${" in text else ():
        if match[2] and len(match[1]) % 2:
            yield from match[2].split(":", 2)[2].split(",") if match[2].startswith("hash:") else [match[2]]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
