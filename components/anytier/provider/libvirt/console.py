"""A machine's console log, where the hypervisor is this machine: what a guest said while it booted."""

from __future__ import annotations

import re
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")
_MOST = 256 * 1024


class Console:
    """What was written since `mark()`; nothing where there is no log or it lies elsewhere."""

    def __init__(self, file: str | None, local: bool) -> None:
        self._file = Path(file) if file is not None and local else None
        self._from = 0

    def mark(self) -> None:
        self._from = self._size()

    def lines(self, most: int = 12) -> list[str]:
        """The last lines that say something, without what steers a terminal."""
        size = self._size()
        if self._file is None or size <= self._from:
            return []
        try:
            with self._file.open("rb") as data:
                data.seek(max(self._from, size - _MOST))
                text = data.read().decode("utf-8", "replace")
        except OSError:
            return []
        found = [_CONTROL.sub("", line).strip() for line in text.replace("\r", "\n").split("\n")]
        return [line for line in found if line][-most:]

    def _size(self) -> int:
        try:
            return self._file.stat().st_size if self._file is not None else 0
        except OSError:
            return 0
