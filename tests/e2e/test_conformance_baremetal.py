"""Tier baremetal conforms, on a machine with systemd that is reached by SSH only, as a user with sudo."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.suite import ROOT, assert_conforms, conformance, table
from tests.provider.host.ssh_box import SshBox, ssh_box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SshBox]:
    with ssh_box(tmp_path, here=True) as made:
        yield made


@pytest.fixture
def stack(box: SshBox) -> Iterator[str]:
    """A stack of this project whose machine is the box; its host key is left to be learned."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    machine = {"address": "127.0.0.1", "port": box.port, "user": "deploy", "sudo": True, "keyFile": str(box.key_file)}
    config = {"anytier:tier": "baremetal", "anytier:baremetal": {"machines": [machine]}}
    file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    file.write_text(json.dumps({"config": {"anytier:app": "apps/conformance/app.yaml", **config}}))
    yield name
    file.unlink()


@pytest.fixture
def home(box: SshBox, tmp_path: Path) -> dict[str, str]:
    """A user whose SSH knows the machine, as an import needs it; the engine stays where it is."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    shutil.copy(box.key_file, ssh / "id_ed25519")
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{box.port} {box.host_key}\n")
    tools = os.environ.get("ANYTIER_TOOLS_DIR") or str(Path.home() / ".cache" / "anytier" / "tools")
    return {"HOME": str(ssh.parent), "ANYTIER_TOOLS_DIR": tools}


def test_the_tier_conforms(stack: str, home: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance(stack, **home)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "baremetal", None)
