"""The app's secrets as secret inputs of its workloads: read where the spec says, or generated once and kept."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from anytier import planning
from anytier.errors import AnytierError
from anytier.resources import Resource
from anytier.spec import App
from anytier.spec.model import Secret

_CHARSETS = {
    "alphanumeric": string.ascii_letters + string.digits,
    "hex": string.hexdigits.lower()[:16],
    "ascii": "".join(c for c in string.printable[:94] if c not in "\"'`$\\"),
}


def secret_inputs(
    app: App, app_dir: Path, config: Callable[[str], str | None], opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Output[Any]]:
    """Secret name -> its value as a secret output.

    Every source that has no value is told at once, before anything is registered. A plan reads none of them.
    """
    read: dict[str, str] = {}
    wrong: list[AnytierError] = []
    for name, secret in app.secrets.items():
        try:
            if secret.from_ != "generate":
                read[name] = _read(name, secret, app_dir, config)
        except AnytierError as error:
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("secrets", wrong)
    return {
        name: pulumi.Output.secret(read[name]) if name in read else _generated(name, secret, opts)
        for name, secret in app.secrets.items()
    }


def _read(name: str, secret: Secret, app_dir: Path, config: Callable[[str], str | None]) -> str:
    from anytier.spec.secrets import read

    if planning.active():
        return planning.stand_in("secret", name)
    return read(name, secret, app_dir, config)


def _generated(name: str, secret: Secret, opts: pulumi.ResourceOptions) -> pulumi.Output[Any]:
    props = {"length": secret.length, "charset": _CHARSETS[secret.charset]}
    made = Resource("index:Secret", f"secret-{name}", props, ("value",), opts)
    return pulumi.Output.secret(made.output("value"))
