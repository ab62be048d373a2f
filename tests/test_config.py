"""A stack's config: every mistake at once, each with its key and a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier import config
from anytier.acme import Acme
from anytier.errors import ConfigError, leaves
from anytier.spec import App
from anytier.tiers import registry
from anytier.tiers.docker import DockerArgs

GOOD = {"app": "app.yaml", "tier": "docker"}
APP = App.model_validate(
    {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "shop"},
        "workloads": {"web": {"containers": {"web": {"image": "nginx"}}}},
        "secrets": {"db": {"from": "config"}, "api": {"from": "config", "key": "apiKey"}, "gen": {"from": "generate"}},
    }
)


def errors(values: dict[str, str]) -> list[ConfigError]:
    with pytest.raises(ExceptionGroup) as caught:
        config.read(values)
    found = leaves(caught.value)
    assert found and all(isinstance(item, ConfigError) for item in found)
    return [item for item in found if isinstance(item, ConfigError)]


def test_what_is_left_out_has_a_default() -> None:
    found = config.read(GOOD)
    assert (found.tier, found.mode, found.port, found.tls_port, found.scale) == ("docker", None, 8080, 8443, {})
    assert found.app_file == Path("app.yaml") and found.tier_args == DockerArgs()


def test_everything_can_be_set() -> None:
    values = {
        "port": "80",
        "tlsPort": "443",
        "scale": '{"web": 3}',
        "acme": '{"directory": "https://ca.example.org/dir"}',
        "docker": '{"host": "unix:///x", "caddyImage": "c"}',
    }
    found = config.read(GOOD | values)
    assert (found.port, found.tls_port, found.scale) == (80, 443, {"web": 3})
    assert found.tier_args == DockerArgs(host="unix:///x", caddy_image="c")
    assert found.acme == Acme(directory="https://ca.example.org/dir")


def test_who_issues_certificates_is_told_by_the_path_of_the_option() -> None:
    (found,) = errors(GOOD | {"acme": '{"directory": "ca.example.org"}'})
    assert found.path == "anytier:acme.directory" and "https://ca.example.org/dir" in found.do
    (found,) = errors(GOOD | {"acme": '{"dirctory": "https://ca.example.org/dir"}'})
    assert found.path == "anytier:acme.dirctory" and "did you mean 'directory'?" in found.what
    (found,) = errors(GOOD | {"acme": "https://ca.example.org/dir"})
    assert found.path == "anytier:acme" and "must be a mapping" in found.what


@pytest.mark.parametrize(
    "port", ["0", "65536", "80abc", "-1", "1.5", "", " 80", "8e1", "²", "８０", "0x50", "9" * 5000]
)
@pytest.mark.parametrize("key", ["port", "tlsPort"])
def test_a_port_is_a_number_from_1_to_65535(key: str, port: str) -> None:
    (error,) = errors(GOOD | {key: port})
    assert error.path == f"anytier:{key}" and "is not a port" in error.what
    assert error.do == "a number from 1 to 65535" and len(str(error)) < 200


def test_the_two_ports_must_differ() -> None:
    (error,) = errors(GOOD | {"port": "8443"})
    assert error.path == "anytier:tlsPort"


@pytest.mark.parametrize("count", ["-1", "1.5", "1000000000", "1001", '"2"', "true", "null", "[]", "NaN"])
def test_replicas_are_a_whole_number_up_to_1000(count: str) -> None:
    (error,) = errors(GOOD | {"scale": f'{{"web": {count}}}'})
    assert error.path == "anytier:scale.web" and "is not a replica count" in error.what and error.do


@pytest.mark.parametrize("text", ["3", "web=3", "[]", '{"web": 3', "null", "[" * 5000])
@pytest.mark.parametrize("key", ["scale", "docker"])
def test_a_mapping_must_be_one(key: str, text: str) -> None:
    (error,) = errors(GOOD | {key: text})
    assert error.path == f"anytier:{key}" and error.what == "must be a mapping" and "pulumi config set" in error.do


@pytest.mark.parametrize(
    ("tier", "said"),
    [("dcoker", "did you mean 'docker'"), ("", "is not set"), ("Docker", "no tier")],
)
def test_a_tier_that_is_not_there_is_told(tier: str, said: str) -> None:
    (error,) = errors(GOOD | {"tier": tier})
    assert error.path == "anytier:tier" and said in error.what and "local" in error.do


def test_a_tier_that_is_planned_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry.REGISTRY, "aks", raising=False)
    (error,) = errors(GOOD | {"tier": "aks"})
    assert error.path == "anytier:tier" and "planned, not built yet" in error.what and "local" in error.do


def test_an_option_that_a_tier_does_not_have_gets_the_nearest_one() -> None:
    (error,) = errors(GOOD | {"docker": '{"hots": "unix:///x"}'})
    assert error.path == "anytier:docker.hots" and "did you mean 'host'" in error.what


def test_an_option_inside_an_option_is_told_with_those_that_may_stand_there() -> None:
    machines = '{"machines": [{"address": "a", "user": "b c", "jump": {"adress": "b"}}]}'
    found = errors({"app": "a", "tier": "baremetal", "baremetal": machines})
    user, missing, jump = sorted(found, key=lambda item: ("jump" in item.path, item.path))
    assert user.path == "anytier:baremetal.machines.0.user" and user.what == "'b c' is no name of a user"
    assert "docs/stacks.md" in user.do
    assert missing.path == "anytier:baremetal.machines.0.jump.address" and missing.what == "is not given"
    assert missing.do.startswith("the options are address") and "connectTimeout" not in missing.do
    assert jump.path == "anytier:baremetal.machines.0.jump.adress" and "did you mean 'address'" in jump.what
    (error,) = errors(GOOD | {"docker": '{"machine": {"address": "a", "prot": 1}}'})
    assert error.path == "anytier:docker.machine.prot" and "docs/stacks.md" in error.do


@given(st.text(max_size=30))
def test_what_to_do_about_a_value_is_told_apart_from_what_is_wrong_with_it(text: str) -> None:
    """Whatever the value is: also one that looks like an end of the sentence."""
    found = config._parts(f"{text!r} is no minor version; the cloud chooses the patch: give 1.NN")
    assert found == (f"{text!r} is no minor version", "the cloud chooses the patch: give 1.NN")
    assert config._parts(f"{text!r} is no name of a user") == (f"{text!r} is no name of a user", "")


def test_a_value_that_cannot_be_is_told_with_what_can() -> None:
    (error,) = errors({"app": "a", "tier": "eks", "eks": '{"network": "8.8.0.0/16"}'})
    assert error.what == "8.8.0.0/16 is not of the private addresses" and error.do == "give one such as 10.20.0.0/16"


def test_an_option_of_the_wrong_kind_is_told() -> None:
    (error,) = errors({"app": "a", "tier": "local", "local": '{"supervisor": "upstart"}'})
    assert error.path == "anytier:local.supervisor" and "systemd-user" in error.what


def test_options_of_another_tier_would_be_read_by_nobody() -> None:
    (error,) = errors(GOOD | {"local": "{}"})
    assert error.path == "anytier:local" and "this stack's tier is docker" in error.what


def test_everything_is_told_at_once() -> None:
    found = errors({"port": "0", "tlsPort": "x", "scale": '{"a": -1, "b": 1.5}'})
    assert [item.path for item in found] == [
        "anytier:tier",
        "anytier:app",
        "anytier:port",
        "anytier:tlsPort",
        "anytier:scale.a",
        "anytier:scale.b",
    ]


@pytest.mark.parametrize(
    ("key", "near"),
    [("replica", ""), ("scal", "scale"), ("prot", "port"), ("tls_port", "tlsPort"), ("secret.dbb", "secret.db")],
)
def test_a_key_that_nobody_reads_is_an_error(key: str, near: str) -> None:
    (error,) = config.check_against(GOOD | {key: "1"}, APP)
    assert error.path == f"anytier:{key}" and "is read by nothing" in error.what and error.do
    assert (f"did you mean '{near}'" in error.what) == bool(near)


def test_the_keys_of_the_apps_secrets_are_read() -> None:
    assert config.check_against(GOOD | {"db": "x", "secret.apiKey": "y"}, APP) == []


def test_without_an_app_only_what_looks_like_a_slip_is_told() -> None:
    found = config.check_against({"prot": "1", "db": "x"}, None)
    assert [item.path for item in found] == ["anytier:prot"]


def test_scaling_a_workload_that_is_not_there_gets_the_nearest_one() -> None:
    (error,) = config.check_against(GOOD | {"scale": '{"wbe": 2}'}, APP)
    assert error.path == "anytier:scale.wbe" and "did you mean 'web'" in error.what and error.do == "one of web"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (80, "80"), ({"web": 2}, '{"web": 2}'), (True, "true"), ({"secure": "v1:x"}, "")],
)
def test_a_stacks_file_gives_what_the_engine_would(value: Any, text: str) -> None:
    given = {"anytier:x": value, "aws:region": "r", "plain": 1}
    assert config.from_yaml(given) == {"x": text}
