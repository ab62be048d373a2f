"""A Debian guest with cloud-init for tests, made of packages by mmdebstrap once and kept in the cache.

No boot loader is in it: QEMU loads the kernel and initrd that lie beside the disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
RECIPE = 2  # raise it when what is below changes, so that an old cached guest is not taken
PACKAGES = (
    "linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "cloud-init", "openssh-server",
    "qemu-guest-agent", "netbase", "iproute2", "sudo", "python3-minimal", "e2fsprogs",
)  # fmt: skip
LEFT_OUT = ("doc", "man", "locale", "info")
NEEDS = ("mmdebstrap", "mke2fs", "qemu-img")


@dataclass(frozen=True)
class Guest:
    """Files of one guest; `disk` is qcow2."""

    disk: Path
    kernel: Path
    initrd: Path


def missing() -> str:
    """Why no guest can be made here; empty if one can."""
    lacks = [name for name in NEEDS if shutil.which(name) is None]
    return f"not installed: {', '.join(lacks)}" if lacks else "" if os.geteuid() == 0 else "not root"


def ensure(*more: str) -> Guest:
    """About two minutes the first time. `more`: packages that are to be in it, too."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("ANYTIER_CACHE_DIR") or home / "anytier")
    folder = cache / "-".join([f"guest-{SUITE}-{RECIPE}", *more])
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="guest-") as scratch:
            made = _make(Path(scratch), [*PACKAGES, *more])
            made.rename(folder)
    return Guest(folder / "disk.qcow2", folder / "vmlinuz", folder / "initrd")


def _make(scratch: Path, packages: Sequence[str]) -> Path:
    root, done = scratch / "root", scratch / "done"
    done.mkdir()
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    # cloud-init looks at the seed only, and networkd takes what it renders; host keys come from the seed
    command += [
        '--customize-hook=echo "datasource_list: [NoCloud]" >"$1/etc/cloud/cloud.cfg.d/99-seed.cfg"',
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
        '--customize-hook=systemctl --root="$1" enable systemd-networkd serial-getty@ttyS0',
        '--customize-hook=echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"',
    ]
    _run(*command, SUITE, str(root))
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), done / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), done / "initrd")
    raw = scratch / "disk.raw"
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(raw), "2G")
    _run("qemu-img", "convert", "-O", "qcow2", str(raw), str(done / "disk.qcow2"))
    return done


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-800:]}")


if __name__ == "__main__":
    print(missing() or ensure())
