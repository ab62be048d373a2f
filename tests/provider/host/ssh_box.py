"""A machine that is reached by SSH only: systemd and sshd in a container, its port published on 127.0.0.1.

Nothing of the repository is in it. `root` and `deploy` (with password-less sudo) take the key of the test, and so does
`plain`, who may not use sudo.
"""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anytier.provider.host.sshref import SshRef

from .corner import free_port
from .systemd_box import IMAGE, Box, build, docker, started

SSH_IMAGE = f"{IMAGE}-ssh"
_USERS = ("deploy", "plain")
_SETUP = """set -e
mkdir -p /run/sshd
for user in deploy plain; do useradd --create-home --shell /bin/bash $user; done
echo 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
for home in /root /home/deploy /home/plain; do
    mkdir -p $home/.ssh; cp /opt/key.pub $home/.ssh/authorized_keys
    chown -R --reference=$home $home/.ssh; chmod 700 $home/.ssh
done
systemctl enable --now ssh
"""


# A machine in this one's network must not set anything of it.
_NO_SYSCTL = ["--volume", "/dev/null:/etc/systemd/system/systemd-sysctl.service:ro"]


class SshBox(Box):
    """`port` is that of its sshd, `app_port` leads to port 8080 of it; both on 127.0.0.1."""

    def __init__(self, name: str, key_file: Path, port: int | None = None) -> None:
        super().__init__(name)
        self.key_file = key_file
        self.port = port or self._published(22)
        self.app_port = 8080 if port else self._published(8080)
        self.host_key = self.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout

    def run(self, *argv: str, user: str = "root", timeout: float = 600) -> subprocess.CompletedProcess[str]:
        command = ["docker", "exec", "--user", user, self.name, *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    def ref(self, user: str = "deploy", **more: Any) -> SshRef:
        given = {"address": "127.0.0.1", "port": self.port, "user": user, "key_file": str(self.key_file)}
        return SshRef.model_validate({**given, "host_key": self.host_key, "sudo": user != "root", **more})

    @property
    def address(self) -> str:
        """Where the other boxes reach it."""
        return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name).strip() or gateway()

    def _published(self, port: int) -> int:
        return int(docker("port", self.name, f"{port}/tcp").split()[0].rpartition(":")[2])


@contextlib.contextmanager
def ssh_box(folder: Path, here: bool = False, more: Sequence[str] = ()) -> Iterator[SshBox]:
    """A fresh machine with a key in `folder` that it knows, gone afterwards however it went.

    `here`: it shares this machine's network, so that every port of it is one of 127.0.0.1. `more`: for `docker run`.
    """
    build(SSH_IMAGE, ",openssh-server,sudo")
    key, port = folder / "box_key", free_port() if here else None
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    # ports that are still its own after a reboot
    options = [part for inner in (22, 8080) for part in ("--publish", f"127.0.0.1:{free_port()}:{inner}")]
    if here:
        config = folder / "sshd.conf"
        config.write_text(f"Port {port}\nListenAddress 127.0.0.1\n")
        options = ["--network", "host", *_NO_SYSCTL, "--volume", f"{config}:/etc/ssh/sshd_config.d/port.conf:ro"]
    with started(SSH_IMAGE, *options, *more) as made:
        docker("cp", f"{key}.pub", f"{made.name}:/opt/key.pub")
        docker("exec", made.name, "sh", "-c", _SETUP)
        yield SshBox(made.name, key, port)


@contextlib.contextmanager
def ssh_boxes(folder: Path, count: int, here: bool = False) -> Iterator[list[SshBox]]:
    """Several machines that reach each other, with one key. `here`: the first shares this machine's network."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(ssh_box(folder, here=here and number == 0)) for number in range(count)]


def gateway() -> str:
    """This machine's address for the boxes that have a network of their own."""
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "bridge").strip()
    return str(next(ipaddress.ip_network(subnet).hosts()))
