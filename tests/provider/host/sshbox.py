"""Machines over SSH for tests: a real sshd on 127.0.0.1 in front of this machine, and how to log in there."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.provider.docker.sshd import Sshd

from anytier.provider.host.sshref import SshRef

needs_sshd = pytest.mark.skipif(
    shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None,
    reason="no sshd on this machine (apt-get install openssh-server; tools/e2e_setup.sh does it)",
)


def ref_of(server: Sshd, **more: Any) -> SshRef:
    """How to log in there, with the host key that it has now."""
    key = (server.folder / "host_key.pub").read_text()
    given = {"user": getpass.getuser(), "key_file": str(server.home / ".ssh" / "id_ed25519"), "host_key": key}
    return SshRef.model_validate({"address": "127.0.0.1", "port": server.port, **given, **more})


def cut(server: Sshd) -> None:
    """Ends every connection to this sshd, as a network that fails does; it goes on to take new ones."""
    assert server._process is not None
    for pid in children(server._process.pid):
        for below in [*children(pid), pid]:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(below, 9) if "sshd" in Path(f"/proc/{below}/comm").read_text() else None


def children(pid: int) -> list[int]:
    try:
        return [int(item) for item in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
