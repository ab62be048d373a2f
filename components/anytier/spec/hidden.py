"""What may be a secret, by the name of its key or by its form, and so is printed nowhere. Pure."""

from __future__ import annotations

import re

from anytier.spec.diagnostic import Path

_KEY = re.compile(r"(?i)pass(word|wd|phrase)?$|secret|token|credential|api_?key|private_?key")
# Where a secret may come from: of all that stands below `secrets`, the one word that may be shown. A test holds these
# equal to the model's.
SOURCES = frozenset({"config", "env", "file", "command", "generate", "aws-sm", "gcp-sm", "azure-kv"})
HIDDEN = "•••"
_DIGEST = re.compile(r"@[a-z0-9+._-]{1,40}:[0-9a-fA-F]*$")
_AROUND = "\"'`()[]{},"


def is_secret_key(name: str) -> bool:
    return bool(_KEY.search(name))


def in_secret(path: Path) -> bool:
    """Whether a value at this path may be a secret that was written here by mistake."""
    last = path[-1] if path else ""
    below = not {"secrets", "secretRef"}.isdisjoint(path[:-1])
    return below or (isinstance(last, str) and is_secret_key(last))


def image_has_login(image: str) -> bool:
    """What is left of an image's name without its digest holds no @, unless somebody wrote user:password@registry."""
    return "@" in _DIGEST.sub("", image)


def has_login(text: str) -> bool:
    """Whether a word of it is `user:password@...`, as in a URL; `name:tag@sha256:...` is none."""
    return "@" in text and any(_is_login(word) for word in text.split())


def _is_login(word: str) -> bool:
    bare = _DIGEST.sub("", word.strip(_AROUND))
    authority = (bare.partition("://")[2] or bare).partition("/")[0]
    return ":" in authority.rpartition("@")[0]


def is_unspaced(key: str, below_secret: bool) -> bool:
    """Whether a key that has no value may be both, without a blank after the colon: `{token:hunter2}`."""
    name, _, value = key.partition(":")
    return bool(value) and (below_secret or is_secret_key(name) or "@" in value)
