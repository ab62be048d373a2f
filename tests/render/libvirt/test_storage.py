from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.libvirt import storage, xml
from anytier.render.libvirt.storage import Backing, Pool, Volume

from . import samples
from .schema import golden

volumes = st.builds(
    Volume,
    name=samples.texts,
    size=st.integers(0, 2**50),
    format=st.sampled_from(["qcow2", "raw", "vmdk"]),
    backing=st.none() | st.builds(Backing, path=samples.paths, format=st.sampled_from(["qcow2", "raw"])),
)


@given(volumes)
def test_a_volume_is_read_back(volume: Volume) -> None:
    assert storage.parse_volume(xml.read(xml.written(storage.volume(volume)))).volume == volume


@given(samples.texts, samples.paths)
def test_a_pool_is_read_back(name: str, path: str) -> None:
    pool = Pool(name=name, path=path)
    root = xml.read(xml.written(storage.pool(pool, samples.UUID)))
    assert storage.parse_pool(root) == pool
    assert root.findtext("uuid") == samples.UUID


@pytest.mark.parametrize("name", samples.VOLUMES)
def test_a_volume_is_written_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    text = xml.written(storage.volume(samples.VOLUMES[name]))
    golden(f"volume-{name}.xml", text, request)


def test_a_pool_is_written_as_it_was(request: pytest.FixtureRequest) -> None:
    text = xml.written(storage.pool(Pool(name="images", path=samples.POOL), samples.UUID))
    golden("pool.xml", text, request)


@pytest.mark.parametrize(
    ("said", "size"), [("<capacity unit='GiB'>2</capacity>", 2**31), ("<capacity unit='bytes'>7</capacity>", 7)]
)
def test_a_size_is_in_whatever_unit_libvirt_says(said: str, size: int) -> None:
    root = xml.read(f"<volume><name>a</name>{said}<target><path>/a</path></target></volume>")
    assert storage.parse_volume(root).volume.size == size


def test_what_libvirt_takes_a_raw_file_for_is_raw_to_us() -> None:
    root = xml.read("<volume><name>a</name><target><path>/a</path><format type='iso'/></target></volume>")
    assert storage.parse_volume(root).volume.format == "raw"
