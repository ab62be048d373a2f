"""Tier libvirt conforms: the whole suite in a virtual machine that its own stack makes, and that QEMU emulates.

The longest test there is, since every instruction of the machine is emulated: `make e2e-vm`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import vm
from tests.e2e.suite import AT_LENGTH, ROOT, assert_conforms, conformance, table

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="a suite in an emulated machine: make e2e-vm")]
LONGEST = 7200.0  # seconds


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[str]:
    """A stack of this project that makes the machine; the suite's own is like it."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    with vm.hypervisor(tmp_path) as daemon:
        place = {"anytier:tier": "libvirt", "anytier:libvirt": vm.options(daemon.uri, tmp_path)}
        file.write_text(json.dumps({"config": {"anytier:app": "apps/conformance/app.yaml", **place}}))
        yield name
        file.unlink()


def test_the_tier_conforms(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance(stack, longest=LONGEST)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "libvirt", None)
