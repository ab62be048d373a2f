"""A virtual machine for a test of its own: what a stack says of it, the key to it, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_libvirt import ARGUMENTS, digest
from tests.provider.libvirt import guest
from tests.provider.libvirt.daemon import Libvirtd, why_not

OURS = re.compile(r"anytier-anytier-test-\w+")


@contextmanager
def hypervisor(folder: Path) -> Iterator[Libvirtd]:
    """Skips where none can be started, or no guest be made."""
    if reason := why_not() or guest.missing():
        pytest.skip(reason)
    with Libvirtd(folder / "libvirtd") as daemon:
        try:
            yield daemon
        finally:
            sweep(daemon.uri)


def options(uri: str, folder: Path) -> dict[str, Any]:
    """Config `anytier:libvirt` of a machine that QEMU emulates, on a network of its own, with a key in the folder."""
    files, key = guest.ensure(), folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return {
        "uri": uri,
        "image": str(files.disk),
        "sha256": digest(files.disk),
        "kernel": {"path": str(files.kernel), "initrd": str(files.initrd), "arguments": ARGUMENTS},
        "accelerator": "tcg",
        "memory": "2Gi",
        "bootTimeout": 900,  # beside other work of this machine
        "connectTimeout": 90,
        "disk": "4Gi",
        "dataDisk": "2Gi",
        "folder": str(folder / "pool"),
        "consoleLog": str(folder / "console.log"),
        "keyFile": str(key),
        "network": {"subnet": f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}.0/24"},
    }


def sweep(uri: str) -> None:
    """Whatever became of it, no machine, network or pool of a stack's stays."""
    kinds = {"list": ("destroy", "undefine"), "net-list": ("net-destroy", "net-undefine")}
    kinds["pool-list"] = ("pool-destroy", "pool-undefine")
    for listing, ends in kinds.items():
        for name in OURS.findall(virsh(uri, listing, "--all", "--name")):
            for verb in ends:
                virsh(uri, verb, name)


def virsh(uri: str, *args: str) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(["virsh", "-c", uri, *args], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout
    return ""
