"""Tier baremetal on the program's side: what its config may say, and what the resources on its machine are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier import capabilities
from anytier.config import read
from anytier.errors import ConfigError
from anytier.provider.host.sshref import SshRef
from anytier.tiers.baremetal import BaremetalArgs, MachineArgs, machines_of, ref_props, takes_requests, wire
from anytier.tiers.inventory import parse

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"


def args(*machines: Any, **more: Any) -> BaremetalArgs:
    return BaremetalArgs.model_validate({"machines": machines, **more})


def test_no_machine_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="names no machine"):
        machines_of(args())


def test_machines_are_called_by_their_name_else_their_address() -> None:
    listed = machines_of(args({"address": "10.0.0.1", "name": "web1"}, {"address": "10.0.0.2"}))
    assert [item.called for item in listed] == ["web1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("machines", "what"),
    [
        ([{"address": "a"}, {"address": "a"}], "a:22 is machine 0 of the list already"),
        ([{"address": "a", "name": "x"}, {"address": "b", "name": "x"}], "also the name of machine 0"),
        ([{"address": "a", "port": 1}, {"address": "a", "port": 2}], "'a' is also the name"),
        ([{"address": "a", "ingress": False}, {"address": "b", "ingress": False}], "no machine takes requests"),
    ],
)
def test_two_that_are_one_and_a_fleet_without_a_door_are_refused(machines: list[Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        machines_of(args(*machines))


def test_whatever_is_wrong_in_the_list_is_told_at_once() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        machines_of(
            args({"address": "a"}, {"address": "a"}, {"address": "b", "name": "x"}, {"address": "c", "name": "x"})
        )
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == [
        "anytier:baremetal.machines.1.address",
        "anytier:baremetal.machines.3.name",
    ]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([None, None], [True, True]),
        ([True, None], [True, False]),
        ([None, False], [True, False]),
        ([True, True, False], [True, True, False]),
    ],
)
def test_who_takes_requests_from_outside(said: list[bool | None], found: list[bool]) -> None:
    listed = args(*({"address": f"m{n}", "ingress": one} for n, one in enumerate(said))).machines
    assert [takes_requests(item, listed) for item in listed] == found


def inventory(folder: Path, text: str) -> BaremetalArgs:
    file = folder / "machines.yaml"
    file.write_text(text)
    return BaremetalArgs.model_validate({"inventory": str(file)})


def test_an_inventory_is_the_same_list_in_a_file(tmp_path: Path) -> None:
    text = (
        "- {name: web1, address: 10.0.0.1, labels: {disk: ssd}}\n- address: 10.0.0.2\n  privateAddress: 192.168.0.2\n"
    )
    listed = machines_of(inventory(tmp_path, text))
    assert [item.called for item in listed] == ["web1", "10.0.0.2"]
    assert listed[0].labels == {"disk": "ssd"} and listed[1].private_address == "192.168.0.2"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "is no list of machines"),
        ("address: a\n", 1, "is no list of machines"),
        ("- address: a\n- web2\n", 2, "is no machine"),
        ("- address: a\n  prot: 22\n", 2, "is not an option.*port"),
        ("- address: a\n  port: no\n", 2, "port"),
        ("- address: a\n- name: b\n", 2, "field required"),
        ("- address: a\n- {address: b, name: Web_1}\n", 2, "name"),
        ("- address: a\n  address: b\n", 2, "is there twice"),
        ("- &x {address: a}\n- *x\n", 2, "aliases"),
        ("- address: a\n  labels: [\n", 3, "is no YAML"),
        ("- address: !!python/object:os.system a\n", 1, "is no plain value"),
        ("- address: a\n  labels: {x: [[[[[[[[[1]]]]]]]]]}\n", 2, "too deeply"),
    ],
)
def test_what_is_wrong_in_an_inventory_is_told_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        machines_of(inventory(tmp_path, text))
    assert f"machines.yaml:{line}" in str(caught.value) and caught.value.do


def test_an_inventory_that_is_not_there_or_not_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        machines_of(BaremetalArgs.model_validate({"inventory": str(tmp_path / "none")}))
    with pytest.raises(ConfigError, match="two lists"):
        machines_of(BaremetalArgs.model_validate({"inventory": "x", "machines": [{"address": "a"}]}))


@given(st.text(max_size=80))
def test_no_text_of_an_inventory_is_more_than_an_error(text: str) -> None:
    try:
        parse(text.encode(errors="replace"), "machines.yaml", MachineArgs)
    except ConfigError as error:
        assert error.path and error.do
    except ExceptionGroup as group:
        assert all(isinstance(error, ConfigError) for error in group.exceptions)


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "root@web1"},
        {"address": "-oProxyCommand=x"},
        {"address": "a", "port": 0},
        {"address": "a", "user": "a b"},
        {"address": "a", "hostKey": "nonsense"},
        {"address": "a", "password": "x"},
        {"user": "root"},
        {"address": "a", "name": "Web 1"},
        {"address": "a", "privateAddress": "a b"},
        {"address": "a", "labels": {"a": 1}},
    ],
)
def test_a_wrong_machine_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        args(wrong)


def test_a_wrong_machine_is_named_by_its_path_in_the_stacks_config() -> None:
    values = {"app": "a.yaml", "tier": "baremetal", "baremetal": '{"machines": [{"address": "a b"}]}'}
    with pytest.raises(ExceptionGroup) as caught:
        read(values)
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == ["anytier:baremetal.machines.0.address"]


def test_the_plugin_takes_what_the_tier_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    jump = {"address": "bastion", "user": "hop", "hostKey": KEY}
    (machine,) = machines_of(args({"address": "web1", "user": "deploy", "sudo": True, "keyFile": "~/k", "jump": jump}))
    ref = SshRef.model_validate(ref_props(machine))
    assert (ref.address, ref.port, ref.user, ref.sudo, ref.key_file) == ("web1", 22, "deploy", True, "/home/me/k")
    assert ref.jump is not None and (ref.jump.address, ref.jump.host_key) == ("bastion", KEY)
    assert "hostKey" not in str(wire(machine))
    assert Path(str(wire(machine)["keyFile"])).is_absolute()


def test_what_systemd_carries_here_a_machine_carries_too() -> None:
    cpu = "workloads.*.containers.*.resources.limits.cpu"
    assert capabilities.lookup(cpu, "baremetal").status == "native"
    assert capabilities.lookup("workloads.*.host.packages", "baremetal").status == "native"
    assert capabilities.lookup("workloads.*.host.packages", "local").status == "emulated"
