"""A secret's value from where the spec says. Reads files, the environment and commands; errors never hold a value."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from anytier.errors import SpecError
from anytier.spec.model import Secret

# Sources that are read here; `generate` is made by a resource that keeps it, the stores are planned.
Config = Callable[[str], str | None]


def read(name: str, secret: Secret, folder: Path, config: Config) -> str:
    """The value. SpecError names the secret, its source and what to do."""
    path = f"secrets.{name}"
    value = _SOURCES[secret.from_](name, secret, folder, config, path)
    if not value:
        raise SpecError(path, f"is empty in its source ({secret.from_})", "give it a value")
    return value


def _config(name: str, secret: Secret, folder: Path, config: Config, path: str) -> str:
    key = secret.key or name
    value = config(key)
    if value is None:
        raise SpecError(
            path, f"is not in this stack's config under {key!r}", f"`pulumi config set --secret anytier:{key}`"
        )
    return value


def _env(name: str, secret: Secret, folder: Path, config: Config, path: str) -> str:
    key = secret.key or name.upper().replace("-", "_")
    value = os.environ.get(key)
    if value is None:
        raise SpecError(path, f"environment variable {key} is not set", f"export {key}, or choose another source")
    return value


def _file(name: str, secret: Secret, folder: Path, config: Config, path: str) -> str:
    file = folder / Path(secret.path or "").expanduser()
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise SpecError(
            f"{path}.path", f"cannot read {secret.path}: {error.strerror}", "give a readable file"
        ) from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}.path", f"{secret.path} is not UTF-8 text", "encode it, e.g. in base64") from None


def _command(name: str, secret: Secret, folder: Path, config: Config, path: str) -> str:
    argv = secret.command or []
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, timeout=secret.timeout, check=False)
    except subprocess.TimeoutExpired:
        what = f"{argv[0]} gave nothing within {secret.timeout:g} s"
        raise SpecError(f"{path}.command", what, "raise secrets.*.timeout, or log in first") from None
    except OSError as error:
        raise SpecError(
            f"{path}.command", f"cannot run {argv[0]}: {error.strerror}", "install it, or mend the path"
        ) from None
    if done.returncode != 0:
        # its stderr may hold anything, so only the code is shown
        raise SpecError(f"{path}.command", f"{argv[0]} ended with {done.returncode}", "run it by hand to see why")
    return done.stdout.decode(errors="replace").removesuffix("\n")


_SOURCES = {"config": _config, "env": _env, "file": _file, "command": _command}
