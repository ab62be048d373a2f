"""What a template may not say on Docker, beyond its types. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anytier.errors import AnytierError, Rejected
from anytier.render.template import Container, Template
from anytier.render.tokens import names

_OWNER = re.compile(r"\d+(:\d+)?")
_MODE = re.compile(r"0?[0-7]{3,4}")


def problems(template: Template, volumes: Mapping[str, str]) -> list[AnytierError]:
    """Every error, by the property's path on the wire."""
    found: list[AnytierError] = []
    if not template.containers:
        found.append(Rejected("template.containers", "is empty", "a workload on Docker has at least one container"))
    elif all(item.role == "init" for item in template.containers):
        what = "has init containers only: nothing would run on"
        found.append(Rejected("template.containers", what, "make it a job, or add the app's container"))
    for number, item in enumerate(template.containers):
        found += _problems(f"template.containers[{number}]", item, volumes)
    return found


def _problems(where: str, item: Container, volumes: Mapping[str, str]) -> list[AnytierError]:
    found: list[AnytierError] = []
    for kind, words in (("command", item.command), ("args", item.args)):
        if any(names(word) for word in words or ()):
            what = "holds a secret, and everybody on the Docker host can read a command line"
            found.append(Rejected(f"{where}.{kind}", what, "pass it by `secrets` or in a file"))
    for number, file in enumerate(item.files):
        path = f"{where}.files[{number}]"
        if not file.target.startswith("/"):
            found.append(Rejected(f"{path}.target", f"{file.target!r} is not absolute", "begin it with /"))
        if file.owner and not _OWNER.fullmatch(file.owner):
            what = f"{file.owner!r} is a name, and only the image knows its number"
            found.append(Rejected(f"{path}.owner", what, "use numbers, such as 1000:1000"))
        if not _MODE.fullmatch(file.mode):
            found.append(Rejected(f"{path}.mode", f"{file.mode!r} is not a mode", "use octal digits, such as 0644"))
    for number, mount in enumerate(item.mounts):
        if mount.volume not in volumes:
            what = f"there is no volume {mount.volume!r}"
            found.append(Rejected(f"{where}.mounts[{number}].volume", what, "declare it under resources"))
    return found
