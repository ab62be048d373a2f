"""What the terminal can take: its width, and whether colours are wanted. Not a verb."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO


def colors(stream: TextIO | None = None) -> bool:
    """On a terminal only, and not where NO_COLOR (https://no-color.org) or a dumb terminal says otherwise."""
    out = stream or sys.stdout
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def room(stream: TextIO | None = None) -> int | None:
    """The columns of a terminal; None where the output is piped, so that nothing is cut there."""
    out = stream or sys.stdout
    return shutil.get_terminal_size((100, 24)).columns if out.isatty() else None
