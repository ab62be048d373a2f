"""A hypervisor to measure on: a libvirtd of its own with QEMU, as the tests have it, and its library."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import CommandFailed


@dataclass(frozen=True)
class Hypervisor:
    """`raw`: libvirt's own connection. `folder`: for what a benchmark puts there; gone afterwards."""

    uri: str
    folder: Path
    raw: Any


@contextmanager
def hypervisor() -> Iterator[Hypervisor]:
    """CommandFailed where none can be started here: not root, no libvirt."""
    daemon = import_module("tests.provider.libvirt.daemon")
    if reason := daemon.why_not():
        raise CommandFailed(f"no hypervisor: {reason}")
    libvirt = import_module("libvirt")
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as made:
        folder = Path(made)
        with daemon.Libvirtd(folder / "libvirtd") as there:
            raw = libvirt.open(there.uri)
            try:
                yield Hypervisor(there.uri, folder, raw)
            finally:
                raw.close()
