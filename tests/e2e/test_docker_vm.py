"""Tier docker in a virtual machine that its stack makes: from a hypervisor with nothing on it to an app in containers,
and back. QEMU emulates the machine, and Docker is in its image: test_docker_on_machine.py has it installed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import vm
from tests.e2e.suite import AT_LENGTH
from tests.e2e.test_docker_on_machine import APP, DOCKERFILE
from tests.e2e.test_libvirt import VmStack, story, switched_off, told
from tests.provider.libvirt import guest

from anytier.conformance.pace import paced
from anytier.conformance.places.libvirt import EMULATED

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="Docker in an emulated machine: make e2e-vm")]


class DockerVm(VmStack):
    """A throw-away stack whose daemon is on a machine of its own."""

    patience = 1800.0
    tier = "docker"

    def place_config(self) -> Any:
        return {"libvirt": self.options}

    def make_app(self) -> None:
        web = self.app_dir / "web"
        web.mkdir()
        shutil.copy("/bin/busybox", web / "busybox")
        (web / "Dockerfile").write_text(DOCKERFILE)
        self.page("one")
        self.base = paced(APP, EMULATED)

    def page(self, text: str) -> None:
        (self.app_dir / "web" / "index.html").write_text(text)


def test_an_app_in_containers_on_a_machine_that_the_stack_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vm.hypervisor(tmp_path) as daemon:
        files = guest.ensure("docker.io", "apparmor")
        with story(DockerVm(daemon, files, tmp_path, memory="2Gi", bootTimeout=900)) as stack:
            told(capsys, "up", stack.up())
            stack.serves("one")
            told(capsys, "again", stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes"))
            status = json.loads(stack.anytier("status", "--json").output)
            assert [item["replicas"] for item in status] == [{"wanted": 2, "ready": 2}]
            assert "PRIVATE KEY" not in json.dumps(stack.state())
            assert all("PRIVATE KEY" not in text for text in stack.printed)

            stack.page("two")
            told(capsys, "update", stack.up())
            stack.serves("two")
            switched_off(stack, capsys)
            stack.serves("two", patience=300)

            told(capsys, "destroy", stack.pulumi("destroy", "--yes", "--skip-preview"))
            assert stack.left() == []
