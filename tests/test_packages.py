"""What names a package: nothing that a shell, apt-get or dpkg could take for something else."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.packages import PATTERN, NoPackage, Package, missing, package, parse

names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,20}[a-z0-9+.]", fullmatch=True)
versions = st.from_regex(r"([0-9]{1,2}:)?[0-9][A-Za-z0-9.+~-]{0,20}", fullmatch=True)


@given(names, st.none() | versions | versions.map(lambda text: f"{text}*"))
def test_what_is_a_package_comes_back_as_it_was(name: str, version: str | None) -> None:
    text = name if version is None else f"{name}={version}"
    assert parse(text) == Package(name, version) and package(text) == text == str(parse(text))


@given(st.text())
def test_whatever_is_taken_is_one_plain_word(text: str) -> None:
    try:
        found = package(text)
    except NoPackage as error:
        assert error.what and error.do
        return
    assert re.fullmatch(PATTERN, found)
    assert shlex.split(found, comments=True) == [found] and found.isascii() and found[0].isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "-y",
        "--allow-unauthenticated",
        "nginx-",  # apt would remove it
        "nginx:i386",
        "nginx/bookworm-backports",
        "nginx=",
        "nginx==1",
        "nginx=*",
        "nginx=1*2",
        "nginx=one",
        "nginx=1;reboot",
        "nginx=$(reboot)",
        "nginx=-oDpkg::Pre-Invoke=x",
        "Nginx",
        "nginx redis",
        "nginx\n",
        "./local.deb",
        "/tmp/local.deb",
        "web-server^",
        "ng*",
        "^nginx$",
        "${secrets.x}",
        "x" * 300,
    ],
)
def test_what_apt_would_take_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(NoPackage):
        parse(text)


@pytest.mark.parametrize(
    "text", ["g++", "libstdc++6", "0ad", "python3.11", "mariadb-server=1:10.11.*", "a7=1~rc1-2+b3"]
)
def test_odd_ones_that_exist_are_taken(text: str) -> None:
    assert package(text) == text


@given(versions, versions)
def test_a_version_takes_itself_and_a_beginning_all_that_begin_so(version: str, other: str) -> None:
    assert Package("ab", version).takes(version) and Package("ab", f"{version}*").takes(version + "x")
    assert Package("ab", version).takes(other) == (version == other)
    assert Package("ab", f"{version}*").takes(other) == other.startswith(version)
    assert Package("ab").takes(other) and not Package("ab").takes(None) and not Package("ab", version).takes(None)


def test_missing_is_what_is_not_there_or_another_version() -> None:
    there = {"nginx": "1.22.1-9", "redis": "7.0"}
    assert missing(["nginx", "redis=7.*"], there) == []
    assert missing(["nginx=1.23*", "hello"], there) == [Package("nginx", "1.23*"), Package("hello")]
