"""YAML that whoever reads it takes for what it is. Pure.

PyYAML quotes a text that it would itself read as something else. Kubernetes, kubeadm and all else that is written in Go
read more than that as numbers and booleans: `2481e59`, `08`, `0o17`, `y`. Those are quoted, too.
Source: resolve.go of sigs.k8s.io/yaml/goyaml.v2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

_SIGNED = list("-+.0123456789")
_NUMBER = re.compile(r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9_]+)?\Z")
_BASED = re.compile(r"[-+]?0[bBoOxX][0-9a-fA-F_]+\Z")
_BOOLEAN = re.compile(r"[yYnN]\Z")


def dumped(value: Any, *, fast: bool = False, **options: Any) -> str:
    """One document, its keys in the order given. `fast`: by the C library where it is there. `options` are PyYAML's."""
    return dumped_all([value], fast=fast, **options)


def dumped_all(values: Iterable[Any], *, fast: bool = False, **options: Any) -> str:
    return str(yaml.dump_all(values, Dumper=_FAST if fast else _PLAIN, **{"sort_keys": False, **options}))


def _quoting(base: Any) -> Any:
    found: Any = type("Quoting", (base,), {})
    found.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, _SIGNED)
    found.add_implicit_resolver("tag:yaml.org,2002:int", _BASED, _SIGNED)
    found.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEAN, list("yYnN"))
    return found


_PLAIN = _quoting(yaml.SafeDumper)
_FAST = _quoting(getattr(yaml, "CSafeDumper", yaml.SafeDumper))

__all__ = ["dumped", "dumped_all"]
