"""What the managed clouds have in common: the same words, the same refusals."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.errors import ConfigError
from anytier.runtimes.kubernetes import fingerprint
from anytier.tiers import managed
from anytier.tiers.managed import SIZES, Arch, Credentials, Exec, Minor, Nodes, Versions

AT = "anytier:eks.nodes"
TYPES: managed.Types = {word: {"amd64": f"x.{word}", "arm64": f"g.{word}"} for word in SIZES}


def pool(**more: Any) -> Nodes:
    return Nodes.model_validate(more)


def arch_of(text: str) -> Arch | None:
    return {"x": "amd64", "g": "arm64"}.get(text.partition(".")[0])  # type: ignore[return-value]


# node pools


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Main"},
        {"name": "a-b"},
        {"name": "toolonganame"},
        {"name": ""},
        {"min": -1},
        {"min": 1.5},
        {"min": 10**9},
        {"max": 0},
        {"min": 0, "max": 0},
        {"min": 3, "max": 2},
        {"arch": "riscv64"},
        {"disk": 1},
        {"labels": {"a b": "c"}},
        {"labels": {"a": "b c"}},
        {"replica": 3},
    ],
)
def test_a_pool_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        pool(**wrong)


def test_a_pool_has_room_for_more_unless_it_is_said() -> None:
    assert [pool(min=n).most for n in (0, 1, 3)] == [2, 2, 6]
    assert pool(min=0, max=1).most == 1 and pool(min=3, max=3).most == 3


def test_a_size_is_the_same_word_everywhere_or_an_exact_type() -> None:
    assert managed.machine_type(pool(size="large"), f"{AT}.0", TYPES, arch_of, "x.big") == ("x.large", "amd64")
    assert managed.machine_type(pool(arch="arm64"), f"{AT}.0", TYPES, arch_of, "x.big") == ("g.medium", "arm64")
    assert managed.machine_type(pool(size="g.metal"), f"{AT}.0", TYPES, arch_of, "x.big") == ("g.metal", "arm64")


def test_processors_are_those_of_pools_that_have_machines_first() -> None:
    def found(*pools: dict[str, Any]) -> tuple[str, ...]:
        return managed.processors([pool(**item) for item in pools], arch_of)

    assert found({}) == ("amd64",) and found({"arch": "arm64"}) == ("arm64",) and found() == ()
    assert found({"size": "g.metal"}, {"size": "x.big"}) == ("arm64", "amd64")
    assert found({"size": "g.metal", "min": 0}, {}, {"arch": "arm64"}) == ("amd64", "arm64")
    assert found({"size": "none.such"}, {"size": "large"}) == ("amd64",)  # what is none is told elsewhere


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ({"size": "larg"}, "size", "did you mean 'large'"),
        ({"size": "q.big"}, "size", "small, medium, large"),
        ({"size": "x; rm -rf /"}, "size", "nor a machine type"),
        ({"size": "g.big", "arch": "amd64"}, "arch", "g.big is arm64"),
    ],
)
def test_a_size_that_is_none_is_named(wrong: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        managed.machine_type(pool(**wrong), f"{AT}.1", TYPES, arch_of, "x.big")
    assert caught.value.path == f"{AT}.1.{path}" and said in caught.value.what and caught.value.do


def test_pools_have_names_of_their_own_and_one_machine_to_begin_with() -> None:
    assert not [*managed.wrong_pools([pool(), pool(name="more", min=0)], AT)]
    (twice,) = managed.wrong_pools([pool(), pool()], AT)
    assert twice.path == f"{AT}.1.name"
    assert [error.path for error in managed.wrong_pools([pool(min=0, max=3)], AT)] == [AT]
    assert [error.what for error in managed.wrong_pools([], AT)] == ["names no pool"]


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4), st.sampled_from([12, 40]))
def test_a_hashed_name_stays_with_its_content_and_fits(content: dict[str, Any], limit: int) -> None:
    name = managed.hashed("elephant", content, limit, "", 4)
    assert name == managed.hashed("elephant", dict(reversed(content.items())), limit, "", 4)
    assert len(name) <= limit and name.startswith("elephant"[: limit - 4])
    assert name != managed.hashed("elephant", {**content, "new": 1}, limit, "", 8)


# versions

VERSIONS = Versions(
    "EKS",
    {
        "1.33": Minor(datetime.date(2026, 7, 29), datetime.date(2027, 7, 29)),
        "1.34": Minor(datetime.date(2026, 12, 2), datetime.date(2027, 12, 2)),
    },
    "1.34",
    datetime.date(2026, 4, 24),
    "https://example.org/versions",
)


@pytest.mark.parametrize("text", ["1.32", "1.99", "1.34.2", "latest", "", "1.34\n"])
def test_a_version_that_a_cloud_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="EKS"):
        VERSIONS.known(text)


def test_a_version_ends_on_its_day() -> None:
    assert VERSIONS.known("v1.34") == "1.34"
    last = datetime.date(2027, 7, 29)
    assert VERSIONS.over("1.33", last, "anytier:eks.version") is None
    gone = VERSIONS.over("1.33", last + datetime.timedelta(days=1), "anytier:eks.version")
    assert gone is not None and gone.path == "anytier:eks.version" and gone.do.startswith("one of 1.34")
    none = VERSIONS.over("1.34", datetime.date(2030, 1, 1), "anytier:eks.version")
    assert none is not None and "example.org" in none.do


def test_a_version_past_its_usual_support_is_worth_a_word() -> None:
    assert VERSIONS.warning("1.33", datetime.date(2026, 7, 29)) is None
    assert "1.33" in (VERSIONS.warning("1.33", datetime.date(2026, 7, 30)) or "")
    assert VERSIONS.warning("1.33", datetime.date(2028, 1, 1)) is None  # `over` says it


# places and networks


def test_a_region_is_set_and_known() -> None:
    known = ("eu-central-1", "us-east-1")
    assert managed.wrong_location("eu-central-1", known, "aws:region", "eu-central-1") is None
    for text, said in ((None, "not set"), ("", "not set"), ("eu-centrl-1", "'eu-central-1'"), ("moon", "no region")):
        error = managed.wrong_location(text, known, "aws:region", "eu-central-1")
        assert error is not None and error.path == "aws:region" and said in error.what and error.do


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0",
        "10.0.0.1/16",
        "8.8.0.0/16",
        "10.0.0.0/8",
        "10.0.0.0/25",
        "fd00::/48",
        "0.0.0.0/0",
        "x",
        "",
        "10.0/16",
    ],
)
def test_a_network_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10"):
        managed.network(text, 16, 24, "10.20.0.0/16")


def test_overlaps_name_the_later_one() -> None:
    nets = {"a.network": "10.0.0.0/16", "a.services": "10.0.128.0/20", "a.pods": None, "a.more": "10.1.0.0/16"}
    (found,) = managed.overlaps(nets)
    assert found.path == "a.services" and "`network`, which is 10.0.0.0/16" in found.what


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_nobody_lets_everybody_in(address: int, prefix: int) -> None:
    text = str(ipaddress.ip_network((address, prefix), strict=False))
    if prefix < 8:
        with pytest.raises(ValueError, match="everybody"):
            managed.caller(text)
    else:
        assert managed.caller(text) == text


@pytest.mark.parametrize("text", ["::/0", "me", "", "203.0.113.7/33", "10.0.0.1/8", "1.2.3.4/0.0.0.0"])
def test_a_caller_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        managed.caller(text)


def test_one_address_is_a_network_of_one() -> None:
    assert managed.caller("203.0.113.7") == "203.0.113.7/32"


# kubeconfigs


_TEXT = st.text(st.characters(max_codepoint=0xFFFF), max_size=8)  # beyond it PyYAML reads JSON's pairs as two


@given(_TEXT, st.lists(_TEXT, max_size=4), st.dictionaries(_TEXT, _TEXT, max_size=3))
def test_a_kubeconfig_says_what_it_was_told(name: str, args: list[str], env: dict[str, str]) -> None:
    text = managed.kubeconfig(name, "https://1.2.3.4", "Q0E=", Exec("aws", args, env, "install it"))
    read = yaml.safe_load(text)
    run = read["users"][0]["user"]["exec"]
    assert read["current-context"] == read["contexts"][0]["name"] == name
    assert run["args"] == args and {item["name"]: item["value"] for item in run["env"] or ()} == env
    assert read["clusters"][0]["cluster"] == {"server": "https://1.2.3.4", "certificate-authority-data": "Q0E="}


def test_another_authority_is_another_cluster() -> None:
    one, other = (managed.kubeconfig("a", "https://a", ca, Exec("aws")) for ca in ("Q0E=", "Q0I="))
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(managed.kubeconfig("b", "https://b", "Q0E=", Exec("aws")))


# who we are

KNOWN = Credentials(
    "AWS", "`aws sso login`", (("KEY", "SECRET"), ("PROFILE",)), (".aws/credentials", "$AWS_FILE"), ("aws:profile",)
)


def test_nobody_is_logged_in(tmp_path: Path) -> None:
    error = KNOWN.missing({"KEY": "half", "PROFILE": "", "AWS_FILE": "nowhere"}, tmp_path, ["aws:region"], "aws")
    assert error is not None and str(error) == "aws: nobody is logged in to AWS here -> `aws sso login`"


def test_whoever_a_clouds_tools_would_find_is_enough(tmp_path: Path) -> None:
    assert KNOWN.missing({"KEY": "a", "SECRET": "b"}, tmp_path, [], "aws") is None
    assert KNOWN.missing({"PROFILE": "a"}, tmp_path, [], "aws") is None
    assert KNOWN.missing({}, tmp_path, ["aws:profile"], "aws") is None
    (tmp_path / "mine").write_text("")
    assert KNOWN.missing({"AWS_FILE": str(tmp_path / "mine")}, tmp_path, [], "aws") is None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("")
    assert KNOWN.missing({}, tmp_path, [], "aws") is None


def test_protection_says_the_way_out() -> None:
    assert "false" in managed.protection("anytier:eks", True) and "destroy" in managed.protection("anytier:eks", True)
    assert "true" in managed.protection("anytier:eks", False)
