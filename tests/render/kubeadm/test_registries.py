"""What containerd is told of a mirror."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubeadm import containerd
from anytier.render.kubeadm.registries import FOLDER, MIRRORED, files, plain, prefix


def test_all_that_a_cluster_pulls_comes_from_the_mirror_alone() -> None:
    found = files("registry.example.org/mirror")
    assert sorted(found) == sorted(f"{FOLDER}/{name}/hosts.toml" for name in MIRRORED)
    said = tomllib.loads(found[f"{FOLDER}/ghcr.io/hosts.toml"])
    at = "https://registry.example.org/v2/mirror/ghcr.io"
    asked = {"capabilities": ["pull", "resolve"], "override_path": True}
    assert said == {"server": at, **asked, "host": {at: asked}}


def test_without_a_mirror_there_is_nothing() -> None:
    assert files("") == {}
    assert "registry" not in containerd.config("pause", {})["plugins"]["io.containerd.grpc.v1.cri"]


def test_containerd_looks_where_they_are() -> None:
    said = tomllib.loads(containerd.text("pause", {}, FOLDER))
    assert said["plugins"]["io.containerd.grpc.v1.cri"]["registry"] == {"config_path": FOLDER}


@pytest.mark.parametrize("text", ["", "https://", "a b", "ftp://a", "a/B", "a?x", "a//b", "u:w@a", 'a"]', "a" * 400])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"registry\.example\.org"):
        prefix(text)


@given(
    st.from_regex(
        r"(https?://)?[a-zA-Z0-9.-]{1,20}(:[0-9]{1,5})?(/[a-z0-9]{1,9}([._-][a-z0-9]{1,9})?){0,3}/?", fullmatch=True
    )
)
def test_any_registry_is_asked_by_its_own_scheme(text: str) -> None:
    for content in files(prefix(text)).values():
        said = tomllib.loads(content)
        assert said["server"].startswith("http://" if plain(text) else "https://")
        assert list(said["host"]) == [said["server"]] and "/v2/" in said["server"] and "//v2" not in said["server"]
