"""Tier libvirt conforms: the whole suite in a virtual machine that its own stack makes, and that QEMU emulates.

The longest test there is, since every instruction of the machine is emulated: `make e2e-vm`.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH, ROOT, assert_conforms, conformance, table
from tests.e2e.test_libvirt import ARGUMENTS, digest
from tests.provider.libvirt import guest
from tests.provider.libvirt.daemon import Libvirtd, why_not

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="a suite in an emulated machine: make e2e-vm")]
LONGEST = 5400.0  # seconds
OURS = re.compile(r"anytier-anytier-test-\w+")


@pytest.fixture
def libvirtd(tmp_path: Path) -> Iterator[Libvirtd]:
    if reason := why_not() or guest.missing():
        pytest.skip(reason)
    with Libvirtd(tmp_path / "libvirtd") as daemon:
        try:
            yield daemon
        finally:
            sweep(daemon.uri)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made)], check=True)
    return made


@pytest.fixture
def stack(libvirtd: Libvirtd, key_file: Path, tmp_path: Path) -> Iterator[str]:
    """A stack of this project that makes the machine; the suite's own is like it."""
    files, name = guest.ensure(), f"anytier-test-{secrets.token_hex(3)}"
    options: dict[str, Any] = {
        "uri": libvirtd.uri,
        "image": str(files.disk),
        "sha256": digest(files.disk),
        "kernel": {"path": str(files.kernel), "initrd": str(files.initrd), "arguments": ARGUMENTS},
        "accelerator": "tcg",
        "memory": "2Gi",
        "bootTimeout": 900,  # beside other work of this machine
        "connectTimeout": 90,
        "disk": "3Gi",
        "dataDisk": "2Gi",
        "folder": str(tmp_path / "pool"),
        "consoleLog": str(tmp_path / "console.log"),
        "keyFile": str(key_file),
        "network": {"subnet": f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}.0/24"},
    }
    config = {"anytier:app": "apps/conformance/app.yaml", "anytier:tier": "libvirt", "anytier:libvirt": options}
    file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    file.write_text(json.dumps({"config": config}))
    yield name
    file.unlink()


def test_the_tier_conforms(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance(stack, longest=LONGEST)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "libvirt", None)


def sweep(uri: str) -> None:
    """Whatever became of it, no machine, network or pool of the suite's stays."""
    verbs = {"list": ("destroy", "undefine"), "net-list": ("net-destroy", "net-undefine")}
    verbs["pool-list"] = ("pool-destroy", "pool-undefine")
    for listing, ends in verbs.items():
        for name in OURS.findall(virsh(uri, listing, "--all", "--name")):
            for verb in ends:
                virsh(uri, verb, name)


def virsh(uri: str, *args: str) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(["virsh", "-c", uri, *args], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout
    return ""
