"""Every golden by libvirt's own schema; apart from the goldens, as where there is no schema these alone are skipped."""

from __future__ import annotations

import pytest

from .schema import GOLDEN, valid

KINDS = {"domain": "domain", "network": "network", "volume": "storagevol", "pool": "storagepool"}
FILES = sorted(file.name for file in GOLDEN.glob("*.xml"))


@pytest.mark.parametrize("name", FILES)
def test_it_is_as_libvirt_allows(name: str) -> None:
    kind = KINDS[name.removesuffix(".xml").partition("-")[0]]
    valid((GOLDEN / name).read_text(encoding="utf-8"), kind)
