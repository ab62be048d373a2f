"""Tier docker on the program's side: which daemon a stack's config names, and what a machine gets before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.record import Recording, record

from anytier import program
from anytier.config import read
from anytier.errors import ConfigError
from anytier.provider.check import check
from anytier.provider.docker.models import AppInputs
from anytier.provider.registry import Registry
from anytier.provider.values import plain
from anytier.tiers.docker import DockerArgs, endpoint_of, refuse_two_ways

ROOT = Path(__file__).parents[2]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
MACHINE = {"address": "box.test", "port": 2222, "user": "deploy", "sudo": True, "hostKey": KEY}


def args(**given: Any) -> DockerArgs:
    return DockerArgs.model_validate(given)


def recorded(into: Recording | None = None, **options: Any) -> Recording:
    def whole() -> None:
        stack = program.load()
        program.check(stack)
        program.deploy(stack)

    spec = str(ROOT / "apps" / "guestbook" / "app.yaml")
    config = {"anytier:app": spec, "anytier:tier": "docker", "anytier:docker": json.dumps(options)}
    return record(whole, config, into=into)


@pytest.fixture(scope="module")
def on_machine() -> Recording:
    return recorded(machine=MACHINE, address="shop.test")


def test_a_machine_gets_its_daemon_before_anything_uses_it(on_machine: Recording) -> None:
    (machine,), (engine,) = on_machine.of("host:Machine"), on_machine.of("host:DockerEngine")
    assert "hostKey" not in machine.inputs["machine"] and machine.inputs["hostKey"] == KEY
    assert engine.depends == (machine.name,) and engine.inputs["machine"]["hostKey"] == KEY
    users = [item for item in on_machine.resources if item.type.startswith("anytier:docker:")]
    assert {item.type.rpartition(":")[2] for item in users} == {"Network", "Image", "Volume", "Proxy", "Workload"}
    for item in users:
        assert engine.name in on_machine.after(item.name), item.name
        assert item.inputs["endpoint"] == {"host": "unix:///run/docker.sock", "machine": engine.inputs["machine"]}


def test_users_are_sent_to_the_machine_or_to_where_the_stack_says(on_machine: Recording) -> None:
    assert on_machine.exports["url"] == "http://shop.test:8080/"
    assert recorded(machine=MACHINE).exports["url"] == "http://box.test:8080/"


def test_what_is_registered_needs_nothing_filled_in(on_machine: Recording) -> None:
    """The plugin tells at once that such inputs are those of before: see anytier.provider.settled."""
    registry = Registry()
    for item in on_machine.resources:
        kind = registry.load(item.type)
        if kind is not None and item.type != "anytier:docker:Workload":  # that one holds secrets; its endpoint below
            given = {key: value for key, value in item.inputs.items() if value is not None and key != "certificates"}
            tree, failures = check(kind.inputs, given)
            assert failures == [] and {key: plain(tree)[key] for key in given} == given, item.name
    endpoint = on_machine.of("docker:Workload")[0].inputs["endpoint"]
    assert AppInputs.model_validate({"endpoint": endpoint, "ns": "x"}).wire()["endpoint"] == endpoint


def test_a_jump_host_keeps_its_own_key() -> None:
    jump = {"address": "bastion.test", "hostKey": KEY}
    found = recorded(machine={**MACHINE, "jump": jump})
    way = found.of("docker:Network")[0].inputs["endpoint"]["machine"]
    assert way["jump"] == {"address": "bastion.test", "port": 22, "hostKey": KEY}


def test_without_a_machine_nothing_of_one_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = recorded()
    assert found.of("host:Machine") == found.of("host:DockerEngine") == []
    assert found.of("docker:Network")[0].inputs["endpoint"] == {"host": "unix:///var/run/docker.sock"}


def test_docker_host_of_the_environment_does_not_lead_past_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2376")
    assert recorded(machine=MACHINE).of("docker:Network")[0].inputs["endpoint"]["host"] == "unix:///run/docker.sock"


@pytest.mark.parametrize("other", ["host", "caCert", "cert", "key"])
def test_a_machine_and_another_way_to_a_daemon_are_refused_before_anything_is_registered(other: str) -> None:
    made = Recording()
    with pytest.raises(Exception, match=f"anytier:docker.{other}: is another way to a daemon") as caught:
        recorded(into=made, machine=MACHINE, **{other: "x"})
    assert "take one of the two out" in str(caught.value) and made.of("host:Machine") == []


@pytest.mark.parametrize("name", ["libvirt", "baremetal", "", "x" * 5000])
def test_a_machine_of_another_tier_is_not_built_yet(name: str) -> None:
    with pytest.raises(ConfigError, match="not built yet") as caught:
        refuse_two_ways(args(machineOf=name))
    assert caught.value.path == "anytier:docker.machineOf" and "`machine`" in caught.value.do
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("machine", "path"),
    [
        ({"address": "root@web1"}, "machine.address"),
        ({"address": "a", "port": 65536}, "machine.port"),
        ({"address": "a", "hostKey": "nonsense"}, "machine.hostKey"),
        ({"address": "a", "pasword": "x"}, "machine.pasword"),
        ({"address": "a", "labels": {}}, "machine.labels"),
        ({"address": "a", "ingress": True}, "machine.ingress"),
        ({"user": "root"}, "machine.address"),
        ("web1", "machine"),
        ([], "machine"),
    ],
)
def test_a_wrong_machine_is_named_by_its_path(machine: Any, path: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        read({"app": "a.yaml", "tier": "docker", "docker": json.dumps({"machine": machine})})
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == [f"anytier:docker.{path}"]


def test_the_plain_ways_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert endpoint_of(args()) == {"host": "unix:///var/run/docker.sock"}
    assert endpoint_of(args(host="ssh://me@box")) == {"host": "ssh://me@box"}
    with pytest.raises(ConfigError, match="plain TCP"):
        endpoint_of(args(host="tcp://box:2376"))
