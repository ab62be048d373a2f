"""Names and paths that libvirt's resources may have. Pure."""

from __future__ import annotations

import posixpath
import re

from anytier.errors import AnytierError, Conflict, Rejected
from anytier.render.libvirt.xml import carried

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")


def wrong_name(name: str, path: str = "name") -> list[AnytierError]:
    """What libvirt, or the files that it names so, would not take."""
    if NAME.fullmatch(name):
        return []
    do = "up to 100 letters, digits and `_.+-`, beginning with a letter or digit"
    return [Rejected(path, f"{name!r} cannot be a name in libvirt", do)]


def wrong_path(value: str, path: str) -> list[AnytierError]:
    """A file or folder of the host."""
    if value.startswith("/") and posixpath.normpath(value) == value and carried(value) and "\n" not in value:
        return []
    return [Rejected(path, f"{value!r} is no path on the host", "an absolute one, without . and ..")]


def wrong_text(value: str | None, path: str) -> list[AnytierError]:
    if value is None or carried(value):
        return []
    return [Rejected(path, "holds a character that XML cannot carry", "leave control characters out")]


def not_ours(path: str, undefine: str, kind: str, name: str) -> Conflict:
    """A thing of somebody else has the name; `undefine` is virsh's verb for the resource of this `kind`."""
    do = f"`virsh {undefine} {name}`, or `pulumi import anytier:libvirt:{kind} NAME {name}`"
    return Conflict(path, "is there already and is not ours", do)
