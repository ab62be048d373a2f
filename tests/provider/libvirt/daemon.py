"""A libvirtd of the test's own, with QEMU under TCG: private folders, private /dev, nothing of the machine's touched.

It lives in a mount namespace in which libvirt's folders are the test's and /dev/kvm is not there: where the node is
but does not work, libvirt would try it again for every operation.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from . import firewall

NEEDS = ("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img", "unshare", "dnsmasq")
INSTALL = (
    "apt-get install libvirt-daemon-system libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils dnsmasq-base ovmf"
)
CONFIG = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
"""
SCRIPT = """\
set -e
cp -r /etc/libvirt/. "$1/etc/" 2>/dev/null || mkdir -p "$1/etc/qemu"
rm -rf "$1/etc/qemu/networks" "$1/etc/qemu/autostart" "$1/etc/storage"
cat >"$1/etc/qemu.conf" <<END
{config}END
mkdir -p /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /etc/libvirt
mount --bind "$1/etc" /etc/libvirt
mount --bind "$1/lib" /var/lib/libvirt
mount --bind "$1/run" /run/libvirt
mount --bind "$1/cache" /var/cache/libvirt
mount --bind "$1/log" /var/log/libvirt
mount -t tmpfs dev "$1/dev"
for node in null zero full random urandom tty; do cp -a /dev/$node "$1/dev/$node"; done
mkdir "$1/dev/net" "$1/dev/pts" "$1/dev/shm"
cp -a /dev/net/tun "$1/dev/net/tun" 2>/dev/null || true
mount --bind /dev/pts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
mount --move "$1/dev" /dev
virtlogd -p "$1/virtlogd.pid" &
exec libvirtd -p "$1/libvirtd.pid"
"""


def why_not() -> str:
    """Why none can be started here; empty if one can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if importlib.util.find_spec("libvirt") is None:
        return "libvirt-python is not installed (apt-get install libvirt-dev; tools/setup.py --extra libvirt)"
    if missing := [name for name in NEEDS if shutil.which(name, path=path) is None]:
        return f"not installed: {', '.join(missing)} ({INSTALL})"
    if os.geteuid() != 0:
        return "not root"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "no mount namespace can be made here"


class Libvirtd:
    """`uri` leads to it. Whatever it runs ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"qemu+unix:///system?socket={folder}/run/libvirt-sock"
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Libvirtd:
        self._chains = firewall.chains()
        for name in ("etc", "lib", "run", "cache", "log", "dev"):
            (self.folder / name).mkdir(parents=True)
        env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        with (self.folder / "output").open("wb") as out:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT.format(config=CONFIG), "sh",
                 str(self.folder)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True,
            )  # fmt: skip
        limit = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > limit:
                said = (self.folder / "output").read_text()[-1500:]
                self.__exit__(None, None, None)
                raise RuntimeError(f"libvirtd did not come up: {said}")
            time.sleep(0.2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        for file in (*self.folder.glob("run/qemu/*.pid"), *self.folder.glob("run/network/*.pid")):
            _kill(file)
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        _kill(self.folder / "virtlogd.pid")
        firewall.remove(firewall.chains() - self._chains)

    def _answers(self) -> bool:
        if not (self.folder / "run" / "libvirt-sock").exists():
            return False
        done = subprocess.run(["virsh", "-c", self.uri, "version"], capture_output=True, timeout=60, check=False)
        return done.returncode == 0


def _kill(file: Path) -> None:
    """The process that a file of this very daemon names, and no other."""
    try:
        os.kill(int(file.read_text().strip()), signal.SIGTERM)
    except (OSError, ValueError):
        return
