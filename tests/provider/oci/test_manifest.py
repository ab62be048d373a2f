"""What registries say of images: the right platform, every part by digest, and nothing taken on trust."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import Rejected
from anytier.provider.oci import manifest as m

A, B, C = ("sha256:" + digit * 64 for digit in "abc")
INDEX = "application/vnd.oci.image.index.v1+json"


def item(digest: str, architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    return {"digest": digest, "size": 9, "platform": {"os": system, "architecture": architecture, "variant": variant}}


@pytest.mark.parametrize(("machine", "wanted"), [("x86_64", A), ("aarch64", B), ("armv7l", C)])
def test_an_index_gives_the_machines_own(machine: str, wanted: str) -> None:
    items = [
        item(C, "amd64", system="windows"), item(A, "amd64"), item(B, "arm64", "v8"), item(A, "arm", "v5"),
        item(C, "arm", "v7"), item(B, "unknown", system="unknown"),
    ]  # fmt: skip
    assert m.choose({"manifests": items}, machine, "image x").digest == wanted


def test_an_index_without_the_machines_own_says_what_it_has() -> None:
    items = [item(A, "amd64"), item(B, "arm", "v7"), item(C, "unknown", system="unknown")]
    with pytest.raises(Rejected, match=r"nothing for linux/s390x; it has: linux/amd64, linux/arm/v7 -> "):
        m.choose({"manifests": items}, "s390x", "image x")
    with pytest.raises(Rejected, match="nothing for linux/arm;"):
        m.choose({"manifests": [item(A, "arm", "v7")]}, "armv6l", "image x")


def test_kinds_of_documents_are_told_apart() -> None:
    assert m.is_index({"schemaVersion": 2, "mediaType": INDEX}, "x")
    assert m.is_index({"schemaVersion": 2, "manifests": []}, "x")
    assert not m.is_index({"schemaVersion": 2, "layers": []}, "x")
    for found, what in (
        ({"schemaVersion": 1}, "old form"),
        ({"schemaVersion": 2, "mediaType": "text/x"}, "no image"),
        ({}, "no image"),
    ):
        with pytest.raises(Rejected, match=what):
            m.is_index(found, "x")


@pytest.mark.parametrize(
    "layer",
    [{}, {"digest": A}, {"digest": "sha256:x", "size": 1}, {"digest": A, "size": -1}, {"digest": f"{A}/..", "size": 1}],
)
def test_a_part_needs_a_digest_and_a_size(layer: Any) -> None:
    with pytest.raises(Rejected, match="digest and a size"):
        m.manifest({"config": {"digest": A, "size": 1}, "layers": [layer]}, "x")


def test_a_config_is_read_and_what_it_leaves_out_is_empty() -> None:
    said = {"Env": ["A=b=c", "B="], "Entrypoint": None, "Cmd": ["x"], "User": "app", "ExposedPorts": {"80/tcp": {}}}
    found = m.config(json.dumps({"architecture": "amd64", "config": said, "rootfs": {"diff_ids": [A]}}).encode(), "x")
    assert found == m.ImageConfig(
        cmd=["x"], env={"A": "b=c", "B": ""}, user="app", exposed_ports=["80/tcp"], architecture="amd64", diff_ids=[A]
    )
    assert m.config(b"{}", "x") == m.ImageConfig()


KEYS = st.sampled_from(
    ["config", "layers", "manifests", "digest", "size", "platform", "Env", "Cmd", "rootfs", "diff_ids", "schemaVersion"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_no_document_whatsoever_is_more_than_a_refusal(found: Any) -> None:
    data = json.dumps(found).encode()
    for read in (
        lambda: m.config(data, "x"),
        lambda: m.manifest(m.document(data, "x"), "x"),
        lambda: m.choose(m.document(data, "x"), "x86_64", "x"),
        lambda: m.is_index(m.document(data, "x"), "x"),
    ):
        try:
            read()
        except Rejected as error:
            assert error.do
