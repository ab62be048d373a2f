"""Pictures for the documents, as a headless Chromium shows a page; each says of which text it is.

Nobody can compare a picture with a new one, since fonts differ from machine to machine. The text can be compared.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Literal

from tests.browser import Browser

_HEAD = 33  # bytes of the signature and of the first chunk, which has to be IHDR
_KIND, _KEY = b"tEXt", b"Source\0"


def take(
    chromium: Browser,
    page: Path,
    target: Path,
    of: str,
    size: tuple[int, int],
    theme: Literal["light", "dark"] = "light",
    whole: bool = False,
) -> None:
    """`of`: the text that the picture is of; `whole`: all of the page, however long."""
    chromium.call("Emulation.setScrollbarsHidden", hidden=True)
    chromium.open(page, *size, theme)
    chromium.picture(target, whole)
    target.write_bytes(marked(target.read_bytes(), digest(of)))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def marked(png: bytes, source: str) -> bytes:
    data = _KIND + _KEY + source.encode("ascii")
    chunk = struct.pack(">I", len(data) - len(_KIND)) + data + struct.pack(">I", zlib.crc32(data))
    return png[:_HEAD] + chunk + png[_HEAD:]


def mark_of(png: bytes) -> str | None:
    """What `marked` wrote; None where it did not."""
    (size,) = struct.unpack(">I", png[_HEAD : _HEAD + 4])
    data = png[_HEAD + 4 : _HEAD + 8 + size]
    return data.removeprefix(_KIND + _KEY).decode("ascii") if data.startswith(_KIND + _KEY) else None
