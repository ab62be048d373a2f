"""Tier baremetal conforms, on three machines with systemd that are reached by SSH only, as a user with sudo."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import ROOT, assert_conforms, conformance, table
from tests.provider.host.ssh_box import SshBox, ssh_boxes

from bootstrap.paths import Paths

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[SshBox]]:
    """The first takes the requests, since the suite asks the app at 127.0.0.1."""
    with ssh_boxes(tmp_path, 3, here=True) as made:
        yield made


def machine(name: str, box: SshBox) -> dict[str, Any]:
    login = {"address": "127.0.0.1", "port": box.port, "user": "deploy", "sudo": True, "keyFile": str(box.key_file)}
    return {"name": name, "privateAddress": box.address, "ingress": name == "a", **login}


@pytest.fixture
def stack(boxes: list[SshBox]) -> Iterator[str]:
    """A stack of this project whose machines are the boxes; their host keys are left to be learned."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    machines = [machine(letter, box) for letter, box in zip("abc", boxes, strict=True)]
    config = {"anytier:tier": "baremetal", "anytier:baremetal": {"machines": machines}}
    file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    file.write_text(json.dumps({"config": {"anytier:app": "apps/conformance/app.yaml", **config}}))
    yield name
    file.unlink()


@pytest.fixture
def home(boxes: list[SshBox], tmp_path: Path) -> dict[str, str]:
    """A user whose SSH knows the machines, as an import needs it; the engine stays where it is."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    shutil.copy(boxes[0].key_file, ssh / "id_ed25519")
    (ssh / "known_hosts").write_text("".join(f"[127.0.0.1]:{box.port} {box.host_key}\n" for box in boxes))
    tools = str(Paths.here().tools)
    return {"HOME": str(ssh.parent), "ANYTIER_TOOLS_DIR": tools}


def test_the_tier_conforms(stack: str, home: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance(stack, **home)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "baremetal", None)
