"""The shop in a virtual machine that its stack makes: packages, database and all, on a processor that is emulated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.e2e import vm
from tests.e2e.suite import AT_LENGTH
from tests.e2e.test_shop import Shop, shop, story

from anytier.conformance.places.baremetal import over_ssh
from anytier.conformance.places.libvirt import LibvirtPlace

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="an emulated machine: make e2e-vm")]


def test_in_a_virtual_machine(tmp_path: Path) -> None:
    with vm.hypervisor(tmp_path) as daemon:
        options = vm.options(daemon.uri, tmp_path)
        place = LibvirtPlace(options)
        with shop(Shop(place, {"anytier:tier": "libvirt", "anytier:libvirt": options})) as made:

            def crash() -> None:
                unit = f"{made.ns}-db-r1-0.service"
                kill = ["systemctl", "kill", "--signal=KILL", unit]
                done = asyncio.run(over_ssh(place.machines[0], lambda machine: machine.run(kill)))
                assert done.code == 0, done.err

            story(made, crash)
