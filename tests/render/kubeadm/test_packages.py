"""What apt is told of a repository of Kubernetes' packages, and what of somebody's is in its way."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.packages import parse
from anytier.render.kubeadm import packages
from anytier.render.kubeadm.packages import (
    KEYRING,
    NAMES,
    SOURCE,
    UPSTREAM,
    address,
    addresses,
    findings,
    kept,
    lacking,
    pinned,
    source,
    url,
)

HERE = "https://pkgs.k8s.io/core:/stable:/v1.34/deb/"
CLEAN: dict[str, Any] = {"installed": {}, "held": [], "sources": {}, "trust": True}


def names(facts: dict[str, Any], ours: tuple[str, ...] = (), trusted: bool = True, at: str = HERE) -> list[str]:
    return [item.name for item in findings({**CLEAN, **facts}, "v1.34.2", at, ours, trusted)]


def test_each_minor_has_a_repository_of_its_own() -> None:
    assert address(UPSTREAM, "v1.34.2") == HERE
    assert address("https://mirror.example.org/k8s", "v1.33.6") == "https://mirror.example.org/k8s/"
    assert address("https://m.example.org/{minor}/x/{minor}/", "v1.33.6") == "https://m.example.org/v1.33/x/v1.33/"


def test_the_source_names_its_key() -> None:
    lines = source(HERE).splitlines()
    assert f"URIs: {HERE}" in lines and "Suites: /" in lines and f"Signed-By: {KEYRING}" in lines


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pkgs.k8s.io",
        "ftp://a/b",
        "https://a/b c",
        "https://a/\nSigned-By: /x",
        "https://user:word@a/b",
        "https://a/{version}/",
        "https://a/?x=1",
        "https://a/#x",
        "file:///etc",
        "https://[fd00::1]/x",
        "https://" + "a" * 600,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mirror\.example\.org"):
        url(text)


@given(
    st.from_regex(r"https?://[a-z0-9.-]{1,20}(:[0-9]{1,5})?(/([a-z0-9._~:+%-]|\{minor\}){0,20}){0,4}", fullmatch=True)
)
def test_what_is_written_is_read_back(text: str) -> None:
    here = address(url(text), "v1.34.2")
    assert addresses(SOURCE, source(here)) == [here]
    assert addresses("/etc/apt/sources.list", f"deb [signed-by=/a arch=amd64] {here} /\n") == [here]
    assert names({"sources": {SOURCE: source(here)}}, at=here) == []
    assert names({"sources": {"/etc/apt/sources.list.d/x.list": f"deb {here} /"}}, at=here) == ["AptSource"]


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.list", f"# deb {HERE} /\n", []),
        ("a.list", f"deb [ arch=amd64 ] {HERE} /\ndeb-src http://a/b x y\n", [HERE, "http://a/b/"]),
        ("a.list", "  deb http://a/b x main\n", ["http://a/b/"]),
        ("a.sources", f"Types: deb\nURIs: {HERE}\n http://b\nSuites: /\n", [HERE, "http://b/"]),
        ("a.sources", f"Enabled: no\nTypes: deb\nURIs: {HERE}\n\nURIs:http://b\n", ["http://b/"]),
        ("a.sources", f"#URIs: {HERE}\nTypes: deb\nuris: http://c\n", ["http://c/"]),
        ("a.sources", "", []),
    ],
)
def test_sources_are_read_in_both_their_forms(path: str, text: str, found: list[str]) -> None:
    assert addresses(path, text) == found


@given(st.text(max_size=300), st.sampled_from(["x.list", "x.sources"]))
def test_no_source_of_somebodys_ends_it(text: str, path: str) -> None:
    assert all(item.endswith("/") for item in addresses(path, text))


def test_another_source_of_the_same_packages_is_told() -> None:
    old = "deb https://apt.kubernetes.io/ kubernetes-xenial main"
    other = f"deb {HERE.replace('1.34', '1.33')} /"
    facts = {"sources": {"/etc/apt/b.list": old, "/etc/apt/a.list": other, "/etc/apt/c.list": "deb http://a/b x y"}}
    found = findings({**CLEAN, **facts}, "v1.34.2", HERE, ())
    assert [item.what.split()[0] for item in found] == ["/etc/apt/a.list", "/etc/apt/b.list"]
    assert all(item.do.startswith("`rm ") for item in found)


def test_somebodys_packages_are_told_and_ours_are_not() -> None:
    installed = {"kubelet": "1.33.1-1.1", "kubectl": "1.34.2-1.1", "kubeadm": "1.34.20-1.1", "kubernetes-cni": "1.4"}
    facts = {"installed": installed, "held": ["kubectl", "kubelet"]}
    assert names(facts) == ["Package-kubeadm", "Package-kubelet", "Package-kubectl"]
    assert names(facts, ("kubeadm", "kubelet")) == ["Package-kubectl"]
    assert names({"installed": {"kubectl": "1.34.2-1.1"}}) == []


def test_without_authorities_nobody_is_believed() -> None:
    assert names({"trust": False}, trusted=False) == ["ca-certificates"]
    assert names({"trust": False}, trusted=True) == []
    assert names({"trust": False}, trusted=False, at="http://a/b/") == []


def test_the_version_is_pinned_whatever_its_revision() -> None:
    assert [str(item) for item in pinned("v1.34.2")] == [f"{name}=1.34.2-*" for name in NAMES]
    assert [parse(str(item)) for item in pinned("v1.34.2")] == pinned("v1.34.2")
    here = {"kubeadm": "1.34.2-1.1", "kubelet": "1.34.20-1.1"}
    assert [item.name for item in lacking("v1.34.2", here)] == ["kubelet", "kubectl"]


def test_what_apt_keeps_is_told_by_its_names() -> None:
    """As apt 2.6 has named them."""
    lists, archive = kept([HERE], ["kubeadm"])
    assert fnmatch.fnmatch("/var/lib/apt/lists/pkgs.k8s.io_core:_stable:_v1.34_deb_InRelease", lists)
    assert not fnmatch.fnmatch("/var/lib/apt/lists/pkgs.k8s.io_core:_stable:_v1.33_deb_InRelease", lists)
    assert fnmatch.fnmatch("/var/cache/apt/archives/kubeadm_1.34.2-1.1_amd64.deb", archive)
    assert kept(["https://10.0.0.1:8443/a_b~c/"], [])[0] == "/var/lib/apt/lists/10.0.0.1:8443_a%5fb%7ec_*"


@given(st.from_regex(r"https://[a-z0-9.-]{1,20}(/[a-z0-9._~:+%-]{0,20}){1,4}/", fullmatch=True))
def test_no_address_reaches_another_file(here: str) -> None:
    (pattern,) = kept([here], [])
    assert pattern.startswith("/var/lib/apt/lists/") and pattern.count("/") == 5 and pattern.count("*") == 1
    assert not set("?[]") & set(pattern)
    assert packages.SOURCE.endswith(".sources")
