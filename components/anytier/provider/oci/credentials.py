"""Registry logins as Docker's own tools keep them: `config.json`, its helpers, and never a place of ours.

The daemon has none of its own: who asks for an image sends the login along, in a header.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anytier.errors import Rejected
from anytier.provider.oci.reference import HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 20.0
_TOKEN_USER = "<token>"  # a helper's way to say that the secret is an identity token


async def login(registry: str) -> dict[str, str] | None:
    """`username` and `password`, or `identitytoken`; None without a login."""
    return await _login(_config(), _HUB_KEY if registry == HUB else registry)


async def for_registry(registry: str) -> dict[str, str]:
    """Headers of a pull; none without a login."""
    found = await login(registry)
    return header(found) if found else {}


def header(login: Mapping[str, str]) -> dict[str, str]:
    """A login as the daemon takes it; an empty one is nobody's."""
    return {"X-Registry-Auth": _packed(dict(login))}


async def for_build() -> dict[str, str]:
    """Headers of a build, which may pull from any registry. A login that cannot be had is one that is not sent."""
    config = _config()
    logins = {}
    for name in sorted({*(config.get("auths") or {}), *(config.get("credHelpers") or {})}):
        with suppress(Rejected):
            if found := await _login(config, name):
                logins[name] = found
    return {"X-Registry-Config": _packed(logins)} if logins else {}


def _config() -> Mapping[str, Any]:
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Rejected(str(file), f"cannot be read: {error}", "mend it, or `docker login` again") from error
    return found if isinstance(found, dict) else {}


async def _login(config: Mapping[str, Any], name: str) -> dict[str, str] | None:
    helper = (config.get("credHelpers") or {}).get(name) or config.get("credsStore")
    if helper:
        return await _ask(str(helper), name)
    kept = _entry(config.get("auths") or {}, name)
    if kept.get("identitytoken"):
        return {"identitytoken": str(kept["identitytoken"]), "serveraddress": name}
    try:
        user, colon, password = base64.b64decode(kept.get("auth") or "").decode().partition(":")
    except ValueError as error:
        raise Rejected(f"the login of {name}", "is not what `docker login` writes", "`docker login` again") from error
    return {"username": user, "password": password, "serveraddress": name} if colon else None


def _entry(auths: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Entries were once written with a scheme and a path."""
    for key, value in auths.items():
        bare = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
        if key == name or (name != _HUB_KEY and bare == name):
            return value if isinstance(value, dict) else {}
    return {}


async def _ask(helper: str, name: str) -> dict[str, str] | None:
    """A helper that knows nothing of the registry says so with an exit code: then there is no login."""
    program = f"docker-credential-{helper}"
    try:
        process = await asyncio.create_subprocess_exec(
            program, "get", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        do = "install it, or take it out of Docker's config.json"
        raise Rejected(program, f"cannot be run: {error.strerror}", do) from error
    try:
        async with asyncio.timeout(_HELPER_SECONDS):
            out, _ = await process.communicate(name.encode())
    except TimeoutError as error:
        raise Rejected(program, "does not answer", "unlock it (it may wait for a password), then run again") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return None
    found = json.loads(out)
    if found.get("Username") == _TOKEN_USER:
        return {"identitytoken": str(found["Secret"]), "serveraddress": name}
    return {"username": str(found["Username"]), "password": str(found["Secret"]), "serveraddress": name}


def _packed(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
