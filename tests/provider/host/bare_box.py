"""A machine over SSH without Docker that can run a daemon of its own, and whose apt has the sources of this machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .ssh_box import SshBox, ssh_box
from .systemd_box import docker

_APT = Path("/etc/apt")
# A daemon's data cannot lie on the overlay that the box itself is on.
_VOLUMES = ["--volume", "/var/lib/docker", "--volume", "/var/lib/containerd"]
_KEYRINGS = Path("/usr/share/keyrings")


@contextlib.contextmanager
def bare_box(folder: Path) -> Iterator[SshBox]:
    """A fresh one, gone afterwards however it went."""
    with ssh_box(folder, more=_VOLUMES) as made:
        give_apt_sources(made)
        yield made


def give_apt_sources(box: SshBox) -> None:
    """Where this machine's packages come from, and what it trusts there; not what else its apt is told."""
    if (_APT / "sources.list").exists() or any((_APT / "sources.list.d").glob("*.list")) or _deb822():
        docker("exec", box.name, "sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d")
        docker("exec", box.name, "mkdir", "-p", "/etc/apt/sources.list.d", "/etc/apt/keyrings", str(_KEYRINGS))
        for file in (_APT / "sources.list", *(_APT / "sources.list.d").glob("*.list"), *_deb822()):
            if file.exists():
                docker("cp", "--follow-link", str(file), f"{box.name}:{file}")
    for path in (*_APT.glob("trusted.gpg.d/*"), *_APT.glob("keyrings/*"), *_KEYRINGS.glob("debian-archive-*")):
        docker("cp", "--follow-link", str(path), f"{box.name}:{path}")
    proxies = _proxies()
    if proxies:
        file = "/etc/apt/apt.conf.d/99proxy"
        subprocess.run(["docker", "exec", "-i", box.name, "tee", file], input=proxies, text=True, check=True)


def _deb822() -> list[Path]:
    return sorted((_APT / "sources.list.d").glob("*.sources"))


def _proxies() -> str:
    """The proxies that apt uses here, by its own account."""
    said = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(
        f"{line}\n" for line in said.splitlines() if line.lower().startswith(("acquire::http::proxy", "acquire::https"))
    )
