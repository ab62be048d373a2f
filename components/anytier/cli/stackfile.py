"""A stack's file for `anytier validate`: its config, and what is wrong in it, each in its place. Not a verb."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anytier.config import Settings
    from anytier.errors import AnytierError
    from anytier.spec.diagnostic import Diagnostic
    from anytier.spec.diagnostic import Path as FieldPath
    from anytier.spec.document import Document


@dataclass(frozen=True)
class StackFile:
    """`name` is the file as a user would type it, `app` that of the spec, if the config names one."""

    name: str
    raw: bytes
    app: str | None
    tier: str | None
    settings: Settings | None
    found: list[Diagnostic] = field(default_factory=list)


def read(stack: str) -> StackFile:
    """ConfigError if there is no such file, or if it cannot be read at all."""
    from anytier import config
    from anytier.capabilities import TIERS
    from anytier.cli.stack import project_dir, stack_config, stacks_dir
    from anytier.errors import AnytierError, leaves
    from anytier.spec import diagnose

    values = config.from_yaml(stack_config(stack))
    settings, errors = None, list[AnytierError]()
    try:
        settings = config.read(values)
    except ExceptionGroup as group:
        errors += [error for error in leaves(group) if isinstance(error, AnytierError)]
    file = stacks_dir(project_dir()) / f"Pulumi.{stack}.yaml"
    app = project_dir() / values["app"] if values.get("app") else None
    tier = values.get("tier") if values.get("tier") in TIERS else None
    errors += config.check_against(values, diagnose(app, tier)[0] if app else None)
    name, raw = shown(file), file.read_bytes()
    return StackFile(name, raw, shown(app) if app else None, tier, settings, placed(errors, name, raw))


def shown(path: Path) -> str:
    return os.path.relpath(path)


def placed(errors: list[AnytierError], name: str, raw: bytes) -> list[Diagnostic]:
    """`anytier:scale.web` -> the line of `web` below `anytier:scale`; what is not there is told at `config`."""
    from anytier.spec.diagnostic import Diagnostic
    from anytier.spec.document import parse

    document = parse(raw)
    found = []
    for error in errors:
        line, column = document.locate(_path(document, error.path))
        found.append(Diagnostic(name, line, column, error.path, error.what, error.do))
    return sorted(found)


def _path(document: Document, key: str) -> FieldPath:
    whole: FieldPath = ("config", key)
    return whole if document.depth(whole) == 2 else ("config", *key.split("."))


def may_be_secret(key: str) -> bool:
    """Also a key that anytier itself does not know: under it a secret may be found, or would be but for a slip."""
    from anytier.capabilities import TIERS
    from anytier.config import KEYS
    from anytier.spec.hidden import is_secret_key

    space, _, name = key.partition(":")
    return is_secret_key(key) or (space == "anytier" and name not in (*KEYS, *TIERS))
