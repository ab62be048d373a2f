"""Where everything of a clone and of the cache lies. Only paths: nothing is made here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bootstrap.pins import ENGINE


@dataclass(frozen=True)
class Paths:
    """`root` is the clone, `cache` outlives it and is shared by all clones of a user."""

    root: Path
    cache: Path

    @classmethod
    def here(cls) -> Paths:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = os.environ.get("ANYTIER_CACHE_DIR") or Path(home) / "anytier"
        return cls(Path(__file__).resolve().parents[2], Path(cache).expanduser().absolute())

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def notes(self) -> Path:
        """What set-up remembers about the virtual environment: inside it, so that both go together."""
        return self.venv / "anytier"

    @property
    def site(self) -> Path:
        return self.venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    @property
    def state(self) -> Path:
        return self.root / ".anytier" / "state"

    @property
    def passphrase(self) -> Path:
        return self.root / ".anytier" / "passphrase"

    @property
    def stacks(self) -> Path:
        return self.root / "stacks"

    def lock(self, extra: str) -> Path:
        return self.root / "requirements" / f"{extra}.lock"

    @property
    def tools(self) -> Path:
        return self.cache / "tools"

    @property
    def engine(self) -> Path:
        """Where set-up puts an engine of its own."""
        return self.tools / f"pulumi-{ENGINE}"
