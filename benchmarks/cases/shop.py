"""The shop on a machine that has nothing: nginx, two instances of an API, MariaDB, its tables. anytier and Ansible.

Both install the same packages from the distribution's mirror, start the same programs and return once the shop answers;
each sample is on a fresh machine. Then once more, with nothing to change. The Ansible side is tools/ansible/shop.yaml:
tasks in the order that works, handlers for what has changed, waits for each part, pipelining, no facts.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.boxes import Machine, boxes
from benchmarks.cases import machines
from benchmarks.measure import CommandFailed, timed
from benchmarks.packages import ANSIBLE, ensure
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT, ours

LIMIT = Limit("ratio", 1.0)
SHOP = ROOT / "apps" / "shop"
PLAYBOOK = Path(__file__).parents[1] / "tools" / "ansible" / "shop.yaml"
PORT = 8080  # of the machine, published
Sample = tuple[float, float]  # seconds: made, and run again


def run(options: Options) -> list[Row]:
    ways: dict[str, Callable[[Machine], Sample]] = {"anytier": by_anytier, "Ansible": by_ansible}
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    for index in range(1 if options.quick else min(options.repeat, 2)):
        for name in list(ways)[:: 1 if index % 2 == 0 else -1]:
            with boxes(1) as (machine,):
                samples[name].append(ways[name](machine))
    return rows(samples)


def rows(samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    said = ("the shop on a bare machine", "the shop on a bare machine, nothing to change")
    return [
        Row(what, "s", [s[step] for s in samples["anytier"]], "Ansible", [s[step] for s in samples["Ansible"]], LIMIT)
        for step, what in enumerate(said)
    ]


def expect(machine: Machine) -> None:
    """It sells, or there was nothing to measure."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{machine.box.app_port}/api/products", timeout=10) as answer:
            found = len(json.loads(answer.read())["products"])
    except (OSError, ValueError, KeyError) as error:
        raise CommandFailed(f"the shop does not answer: {error}") from error
    if found != 5:
        raise CommandFailed(f"the shop has {found} products, not 5")


def by_anytier(machine: Machine) -> Sample:
    config = {"anytier:port": PORT, "anytier:baremetal": machines.stack_config([machine])}
    with ours(SHOP / "app.yaml", "baremetal", config) as stack:
        made = stack.up()
        expect(machine)
        return made, stack.no_change()


def by_ansible(machine: Machine) -> Sample:
    with machines.folder([machine]) as place:
        (place / "inventory.yaml").write_text(yaml.safe_dump(machines.inventory([machine], place)))
        command = [str(ensure(ANSIBLE) / "ansible-playbook"), "-i", "inventory.yaml", str(PLAYBOOK)]
        env = {
            **os.environ,
            "ANSIBLE_HOME": str(place / "ansible"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true",
            "SHOP_SOURCE": str(SHOP),
            "SHOP_SECRETS": str(place / "secrets"),
        }
        made = timed(command, place, env)
        expect(machine)
        again = timed(command, place, env)
        expect(machine)
        return made, again
