"""What the machine of an app needs of its distribution: the packages of all its workloads and jobs together. Pure."""

from __future__ import annotations

from collections.abc import Set

from anytier.packages import Package, parse
from anytier.spec import App
from anytier.spec.checks import bodies
from anytier.spec.diagnostic import dotted


def packages_of(app: App, only: Set[tuple[str, str]] | None = None) -> dict[str, str]:
    """Package -> the path in the spec that first asks for it, by name; one with a version covers one without.

    `only`: what to look at, as (`workloads` or `jobs`, name); all of the app without it. The spec has been
    checked: no two versions of one package are asked for.
    """
    found: dict[str, tuple[Package, str]] = {}
    for path, body in bodies(app):
        if only is not None and tuple(path) not in only:
            continue
        for index, text in enumerate(body.host.packages if body.host else ()):
            asked = parse(text)
            known = found.get(asked.name)
            if known is None or (known[0].version is None and asked.version is not None):
                found[asked.name] = (asked, dotted((*path, "host", "packages", index)))
    return {str(asked): path for _, (asked, path) in sorted(found.items())}
