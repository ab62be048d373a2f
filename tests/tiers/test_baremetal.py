"""Tier baremetal on the program's side: what its config may say, and what the resources on its machine are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from anytier import capabilities
from anytier.config import read
from anytier.errors import ConfigError
from anytier.provider.host.sshref import SshRef
from anytier.tiers.baremetal import BaremetalArgs, only, ref_props, wire

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"


def args(*machines: Any, **more: Any) -> BaremetalArgs:
    return BaremetalArgs.model_validate({"machines": machines, **more})


def test_no_machine_and_several_are_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="names no machine"):
        only(args())
    with pytest.raises(ConfigError, match="not built yet"):
        only(args({"address": "a"}, {"address": "b"}))


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
    machine = only(args({"address": "web1", "user": "deploy", "sudo": True, "keyFile": "~/k", "jump": jump}))
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
