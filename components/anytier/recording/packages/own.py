"""Our own plugin's answers: of its models every output that is a text, as `<name.output>`; secret where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from anytier.marks import Secret
from anytier.provider.fields import alternatives, fields, own
from anytier.provider.registry import Registry
from anytier.recording.packages import Asked

# What the program looks into, so that it has to be of the right form. No private half of this key was ever kept.
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
_FORMS: dict[tuple[str, str], str] = {
    ("anytier:index:KeyPair", "publicKey"): _KEY,
    ("anytier:libvirt:SeedIso", "hostPublicKey"): _KEY,
}
_READY = "anytier:index:ready"


def resource(asked: Asked, config: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, sealed in _texts(asked.type):
        value = _FORMS.get((asked.type, name)) or asked.text(name)
        found[name] = Secret(value) if sealed else value
    return found


def function(token: str, args: Mapping[str, Any], config: Mapping[str, str]) -> dict[str, Any] | None:
    return {} if token == _READY else None


@cache
def _texts(token: str) -> tuple[tuple[str, bool], ...]:
    """The outputs of a type that are texts, and whether each is secret. None where its module cannot be loaded."""
    try:
        kind = Registry().load(token)
    except ImportError:  # an extra that is not installed; its outputs are unknown
        return ()
    if kind is None:
        return ()
    found = fields(kind.outputs).items()
    return tuple((name, own(info).secret) for name, info in found if alternatives(info.annotation) == (str,))
