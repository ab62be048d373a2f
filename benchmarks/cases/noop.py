"""`pulumi up` of a guestbook that is up and unchanged, beside the same of a Pulumi program that holds nothing.

The second is the least that Pulumi can take: the engine's start, a Python, `import pulumi`, the state read and written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.conformance.trial import free_ports
from benchmarks.measure import in_turns
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT, Stack, base_image, ours, program

LIMIT = Limit("ratio", 1.3)
EMPTY = "import pulumi\n"


def local(options: Options) -> list[Row]:
    return measure(options, "local", {})


def docker(options: Options) -> list[Row]:
    base_image()
    return measure(options, "docker", {})


def measure(options: Options, tier: str, config: Mapping[str, Any]) -> list[Row]:
    port, tls_port = free_ports(2)
    ports = {"anytier:port": port, "anytier:tlsPort": tls_port}
    with (
        ours(ROOT / "apps" / "guestbook" / "app.yaml", tier, {**ports, **config}) as guestbook,
        program(EMPTY) as empty,
    ):
        guestbook.up()
        empty.up()
        return [
            in_both(options, guestbook, empty, tier, False),
            in_both(options, guestbook, empty, tier, True),
        ]


def in_both(options: Options, guestbook: Stack, empty: Stack, tier: str, preview: bool) -> Row:
    samples = in_turns(
        options.repeat,
        {"ours": lambda: guestbook.no_change(preview), "theirs": lambda: empty.no_change(preview)},
    )
    what = f"`pulumi up --yes{'' if preview else ' --skip-preview'}`, guestbook on {tier}, nothing to change"
    return Row(what, "s", samples["ours"], "an empty Pulumi program", samples["theirs"], LIMIT)
