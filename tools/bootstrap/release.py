"""The official release of the engine: downloaded, held against its published checksum, unpacked.

Nothing is installed for the user: ~/.pulumi stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bootstrap.pins import ENGINE
from bootstrap.say import SetupError, clock, line

Maker = Callable[[Path], bool]

# A mirror may stand in for both: its address in ANYTIER_PULUMI_RELEASES, with the checksum file beside the archives.
ARCHIVES = "https://get.pulumi.com/releases/sdk"
CHECKSUMS = f"https://github.com/pulumi/pulumi/releases/download/v{ENGINE}"
KEPT = ("pulumi", "pulumi-language-python", "pulumi-analyzer-policy-python", "pulumi-resource-pulumi-python")
PATIENCE = 3.0  # seconds to find out whether a download is possible at all


def fetch(stage: Path) -> bool:
    """The engine in `stage`. False if the release cannot be had here: no network, no build for this machine."""
    name = archive_name(sys.platform, platform.machine())
    mirror = os.environ.get("ANYTIER_PULUMI_RELEASES", "").rstrip("/")
    if name is None:
        return False
    wanted = published(within(f"{mirror or CHECKSUMS}/pulumi-{ENGINE}-checksums.txt"), name)
    if wanted is None or not within(f"{mirror or ARCHIVES}/{name}", method="HEAD", want=False):
        line("engine", "the official release cannot be downloaded (or checked) from here")
        return False
    with clock("engine", f"downloading pulumi {ENGINE}", "10 to 60 s"):
        download(f"{mirror or ARCHIVES}/{name}", stage / name, wanted)
    unpack(stage / name, stage)
    (stage / name).unlink()
    return True


def archive_name(system: str, machine: str) -> str | None:
    arch = archive_arch(machine, amd="x64")
    return f"pulumi-v{ENGINE}-{system}-{arch}.tar.gz" if arch and system in ("linux", "darwin") else None


def archive_arch(machine: str, amd: str) -> str | None:
    """A machine's kind as names of archives have it; `amd`: what they call x86_64."""
    return {"x86_64": amd, "amd64": amd, "aarch64": "arm64", "arm64": "arm64"}.get(machine.lower())


def published(checksums: str | None, name: str) -> str | None:
    """The SHA-256 of an archive in a checksum file's text."""
    for text in (checksums or "").splitlines():
        digest, _, file = text.partition(" ")
        if file.strip().lstrip("*") == name and len(digest) == 64:
            return digest.lower()
    return None


def within(url: str, *, method: str = "GET", want: bool = True) -> str | None:
    """The answer's text, or None when there is none in time. A thread: looking a name up knows no timeout."""
    answer: list[str] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as reply:
                answer.append(reply.read(1 << 20).decode(errors="replace") if want else "there")
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answer[0] if answer else None


def download(url: str, target: Path, wanted: str) -> None:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=60) as reply, target.open("wb") as out:
            while chunk := reply.read(1 << 20):
                digest.update(chunk)
                out.write(chunk)
    except (OSError, urllib.error.URLError) as error:
        raise SetupError(f"the download of {url} broke off: {error}", "run it again") from None
    if digest.hexdigest() != wanted:
        raise SetupError(f"{url} does not have its published checksum", "do not use it; --engine modules builds one")


def unpack(archive: Path, target: Path) -> None:
    """The programs that are needed, whatever folder they are in. Nothing else of the archive is written."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if not member.isfile() or not (name in KEPT or name.startswith("pulumi-language-python")):
                continue
            source = tar.extractfile(member)
            assert source is not None  # it is a file
            with (target / name).open("wb") as out:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
            (target / name).chmod(0o755)
