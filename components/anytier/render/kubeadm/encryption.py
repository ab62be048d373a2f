"""Encryption of what etcd holds at rest. Pure. What comes out is secret."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def key(text: str) -> str:
    """32 bytes, base64, of any text that is long and random enough."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def config(keys: Sequence[str]) -> dict[str, Any]:
    """The first key writes, all read; what was written before there was any is read, too."""
    named = [{"name": f"key-{_name(item)}", "secret": item} for item in keys]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {"resources": ["secrets"], "providers": [{"secretbox": {"keys": named}}, {"identity": {}}]},
        ],
    }


def keys_in(config: Mapping[str, Any]) -> list[str]:
    """The keys of a configuration of ours, in order."""
    found = []
    for resource in config.get("resources") or []:
        for provider in resource.get("providers") or []:
            found += [item["secret"] for item in (provider.get("secretbox") or {}).get("keys") or []]
    return list(dict.fromkeys(found))


def mark(config: Mapping[str, Any]) -> str:
    """Tells configurations apart, and says nothing of the keys that a key's own name does not."""
    names = [_name(item) for item in keys_in(config)]
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:10]


def _name(key: str) -> str:
    """A hash of a hash of the key: 32 random bytes cannot be guessed from it."""
    return hashlib.sha256(b"anytier key name " + base64.b64decode(key)).hexdigest()[:12]
