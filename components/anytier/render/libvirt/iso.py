"""Files of a cloud-init seed as an ISO 9660 image with the label that cloud-init looks for. Pure: bytes to bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping

LABEL = "cidata"


def image(files: Mapping[str, str]) -> bytes:
    """Under their own names by Joliet and Rock Ridge, both of which Linux reads."""
    from pycdlib.pycdlib import PyCdlib  # only who makes a seed needs it

    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for index, (name, text) in enumerate(files.items()):
        body = text.encode()
        iso.add_fp(io.BytesIO(body), len(body), f"/FILE{index}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    return out.getvalue()


def files(data: bytes) -> dict[str, str]:
    """What an image holds; ValueError where it is none."""
    from pycdlib.pycdlib import PyCdlib
    from pycdlib.pycdlibexception import PyCdlibException

    iso, found = PyCdlib(), {}
    try:
        iso.open_fp(io.BytesIO(data))
        for child in iso.list_children(rr_path="/"):
            if child is not None and child.is_file():
                name = child.rock_ridge.name().decode()
                body = io.BytesIO()
                iso.get_file_from_iso_fp(body, rr_path=f"/{name}")
                found[name] = body.getvalue().decode()
        iso.close()
    except PyCdlibException as error:
        raise ValueError(f"no ISO image: {error}") from error
    return found
