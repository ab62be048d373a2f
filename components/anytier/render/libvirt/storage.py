"""Pools and volumes and their XML, both ways. Pure; sizes are bytes."""

from __future__ import annotations

from typing import Literal, get_args
from xml.etree.ElementTree import Element

from anytier.frozen import Frozen
from anytier.render.libvirt.xml import amount, attribute, element, leaf

BYTES = {
    "B": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip
Format = Literal["qcow2", "raw", "vmdk", "vdi", "vhdx"]


class Pool(Frozen):
    """A folder of the host whose files are volumes."""

    name: str
    path: str


class Backing(Frozen):
    """The volume below an overlay, which must not change any more."""

    path: str
    format: Format = "qcow2"


class Volume(Frozen):
    """`mode`: of the file, in octal; the owner is libvirt's affair, which hands it to the machine that runs."""

    name: str
    size: int
    format: Format = "qcow2"
    backing: Backing | None = None
    mode: str = "0600"


class Found(Frozen):
    """A volume as it is there."""

    volume: Volume
    path: str
    allocation: int


def pool(pool: Pool, uuid: str) -> Element:
    return element(
        "pool",
        element("name", text=pool.name),
        element("uuid", text=uuid),
        element("target", element("path", text=pool.path)),
        type_="dir",
    )


def parse_pool(root: Element) -> Pool:
    return Pool(name=str(root.findtext("name")), path=root.findtext("target/path") or "")


def volume(volume: Volume) -> Element:
    # Allocated as it is written: libvirt would fill a raw file of the whole size otherwise.
    sparse = element("allocation", text="0", unit="bytes")
    below = volume.backing
    return element(
        "volume",
        element("name", text=volume.name),
        element("capacity", text=str(volume.size), unit="bytes"),
        sparse,
        element("target", element("format", type_=volume.format), element("permissions", leaf("mode", volume.mode))),
        None if below is None else element(
            "backingStore", element("path", text=below.path), element("format", type_=below.format)
        ),
    )  # fmt: skip


def parse_volume(root: Element) -> Found:
    """A format that is none of ours (libvirt looks into raw files, and calls a CD's image `iso`) is raw to us."""
    said = attribute(root, "target/format", "type") or "raw"
    below = root.findtext("backingStore/path")
    backing = {"path": below, "format": attribute(root, "backingStore/format", "type") or "raw"}
    return Found.model_validate(
        {
            "path": root.findtext("target/path") or root.findtext("key") or "",
            "allocation": amount(root, "allocation", BYTES) or 0,
            "volume": {
                "name": root.findtext("name"),
                "size": amount(root, "capacity", BYTES) or 0,
                "format": said if said in get_args(Format) else "raw",
                "backing": backing if below else None,
                "mode": root.findtext("target/permissions/mode") or "0600",
            },
        }
    )
