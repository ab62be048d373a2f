"""Names and versions: what is taken, and what is refused with a way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubeadm import names, versions


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (names.node_name, "Web"),
        (names.node_name, "a_b"),
        (names.node_name, "../../etc"),
        (names.node_name, "a" * 64),
        (names.node_name, ""),
        (names.endpoint, "10.0.0.1"),
        (names.endpoint, "10.0.0.1:0"),
        (names.endpoint, "10.0.0.1:65536"),
        (names.endpoint, "10.0.0.1:80abc"),
        (names.endpoint, "https://a:443"),
        (names.endpoint, "fd00::1:6443"),
        (names.endpoint, "[fd00::zz]:6443"),
        (names.endpoint, "a b:1"),
        (names.subnet, "10.0.0.1/8"),
        (names.subnet, "10.0.0.0"),
        (names.subnet, "10.0.0.0/33"),
        (names.label_key, "a/b/c"),
        (names.label_key, "-a"),
        (names.label_value, "a b"),
        (names.image_name, "Web"),
        (names.image_name, "a:b"),
        (names.signal, "SIGTERM; rm"),
        (versions.version, "1.34"),
        (versions.version, "latest"),
        (versions.version, "v1.31.9"),
    ],
)
def test_refused_with_what_to_give(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(ValueError, match=r"give|use|too old|subnet"):
        check(text)


@pytest.mark.parametrize(
    ("text", "parts"), [("10.0.0.1:6443", ("10.0.0.1", 6443)), ("[fd00::1]:1", ("fd00::1", 1)), ("a.b:80", ("a.b", 80))]
)
def test_an_endpoint_in_its_parts_and_back(text: str, parts: tuple[str, int]) -> None:
    assert names.split_endpoint(text) == parts
    assert names.join_endpoint(*parts) == text


@given(st.text(max_size=80))
def test_what_names_a_node_is_harmless(text: str) -> None:
    try:
        names.node_name(text)
    except ValueError:
        return
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and 0 < len(text) < 64 and text[0] != "-"


@given(st.text(max_size=40))
def test_an_endpoint_holds_nothing_but_a_host_and_a_port(text: str) -> None:
    try:
        host, port = names.split_endpoint(text)
    except ValueError:
        return
    assert 0 < port < 65536 and not set(host) & set(" \n\"'\\/@?#{}")


def test_a_version_gets_its_letter() -> None:
    assert versions.version("1.34.2") == versions.version("v1.34.2") == "v1.34.2"
    assert versions.minor("v1.34.2-rc.1") == (1, 34)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("v1.33.6", "v1.34.2", None),
        ("v1.34.1", "v1.34.2", None),
        ("v1.34.2", "v1.34.2", None),
        ("v1.33.6", "v1.35.0", "skips"),
        ("v1.34.2", "v1.34.1", "older"),
        ("v1.34.2", "v1.33.6", "older"),
    ],
)
def test_which_version_may_follow_which(old: str, new: str, what: str | None) -> None:
    found = versions.problem("version", old, new)
    assert (found is None) == (what is None)
    if found is not None:
        assert what is not None and what in found.what and found.path == "version" and found.do
