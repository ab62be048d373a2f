"""What each hypervisor can do by libvirt: for a terminal, as Markdown (docs/hypervisors.md) and as JSON. Pure."""

from __future__ import annotations

from typing import Any

from anytier.hypervisors.drivers import ABILITIES, DRIVERS, Driver
from anytier.hypervisors.uri import EXAMPLES
from anytier.report.table import table

TRIED = "run in our tests"


def as_text() -> str:
    """A line for each ability; fits 100 columns."""
    return table([["", *DRIVERS], *rows(), [TRIED, *(_sign(driver.tried) for driver in DRIVERS.values())]])


def rows() -> list[list[str]]:
    return [
        [what, *(_sign(ability in driver.abilities) for driver in DRIVERS.values())]
        for ability, (what, _, _) in ABILITIES.items()
    ]


def as_json() -> list[dict[str, Any]]:
    return [
        {
            "driver": key,
            "name": driver.name,
            "example": EXAMPLES[key],
            "tried": driver.tried,
            "formats": list(driver.formats),
            "abilities": {ability: ability in driver.abilities for ability in ABILITIES},
            "limits": list(driver.limits),
        }
        for key, driver in DRIVERS.items()
    ]


def as_markdown() -> str:
    head = ["| | " + " | ".join(f"`{key}`" for key in DRIVERS) + " |", "|---" * (len(DRIVERS) + 1) + "|"]
    body = ["| " + " | ".join(row) + " |" for row in rows()]
    tried = "| " + " | ".join([TRIED, *(_sign(driver.tried) for driver in DRIVERS.values())]) + " |"
    instead = [f"- {what}: {do}" for what, _, do in ABILITIES.values()]
    each = [line for key, driver in DRIVERS.items() for line in _chapter(key, driver)]
    return "\n".join([_INTRODUCTION, *head, *body, tried, "", "## Instead", "", *instead, "", *each])


_INTRODUCTION = """# What each hypervisor can do

Made by `anytier matrix --hypervisors --markdown`, which reads `anytier/hypervisors/drivers.py`. What is `no` is refused
at preview, with the way that works. **Only QEMU and libvirt's test driver were ever run by us**; all others are written
from libvirt's documentation, their XML is checked against its schema, and none was tried on the real thing.
"""


def _chapter(key: str, driver: Driver) -> list[str]:
    said = [f"- such as `{EXAMPLES[key]}`", f"- disks: {', '.join(driver.formats)}"]
    if not driver.tried:
        said.append("- never run against the real thing")
    return [f"## {driver.name}", "", *said, *(f"- {line}" for line in driver.limits), ""]


def _sign(value: bool) -> str:
    return "yes" if value else "no"
