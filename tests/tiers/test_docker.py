"""Tier docker on the program's side: which daemon a stack's config names, and what a machine gets before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.record import Recording, Secret, record

from anytier import program
from anytier.config import read
from anytier.errors import ConfigError
from anytier.provider.check import check
from anytier.provider.docker.models import AppInputs
from anytier.provider.registry import Registry
from anytier.provider.values import plain
from anytier.tiers.docker import DockerArgs, endpoint_of

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


# a machine that is made

VM = {"image": "https://example.org/debian.qcow2", "sha256": "ab" * 32}


@pytest.fixture(scope="module")
def made() -> Recording:
    return recorded(libvirt=VM)


def test_a_machine_is_made_and_gets_its_daemon_before_anything_uses_it(made: Recording) -> None:
    (machine,), (engine,), (domain,) = made.of("host:Machine"), made.of("host:DockerEngine"), made.of("libvirt:Domain")
    assert {machine.name, domain.name} <= made.after(engine.name)
    users = [item for item in made.resources if item.type.startswith("anytier:docker:")]
    assert {item.type.rpartition(":")[2] for item in users} == {"Network", "Image", "Volume", "Proxy", "Workload"}
    for item in users:
        assert engine.name in made.after(item.name), item.name
        assert item.inputs["endpoint"] == {"host": "unix:///run/docker.sock", "machine": engine.inputs["machine"]}
    assert engine.inputs["machine"]["privateKey"] == Secret("generated")
    assert made.exports["url"] == f"http://{engine.inputs['machine']['address']}:8080/"
    assert recorded(libvirt=VM, address="shop.test").exports["url"] == "http://shop.test:8080/"


def test_another_installation_of_the_machine_is_told_to_all_that_is_on_it(made: Recording) -> None:
    (domain,) = made.of("libvirt:Domain")
    on_it = [item for item in made.resources if item.type.startswith(("anytier:docker:", "anytier:host:Docker"))]
    assert {item.inputs["incarnation"] for item in on_it} == {domain.inputs["generation"]}
    other = recorded(libvirt={**VM, "sha256": "cd" * 32})
    assert other.of("docker:Network")[0].inputs["incarnation"] != domain.inputs["generation"]


def test_what_docker_has_outlives_the_machine_and_goes_with_it(made: Recording) -> None:
    (domain,), (app,), (engine,) = made.of("libvirt:Domain"), made.of("index:App"), made.of("host:DockerEngine")
    (seed,) = made.of("libvirt:SeedIso")
    assert seed.inputs["extra"]["bootcmd"][0][-2] == "/var/lib/docker"
    assert app.gone_with == engine.gone_with == domain.name


def test_what_is_registered_for_a_machine_that_is_made_needs_nothing_filled_in(made: Recording) -> None:
    engine = made.of("host:DockerEngine")[0].inputs
    machine = {**engine["machine"], "privateKey": "generated"}
    given = {**engine, "machine": machine}
    tree, failures = check(Registry().load("anytier:host:DockerEngine").inputs, given)  # type: ignore[union-attr]
    assert failures == [] and plain(tree) == given
    endpoint = {**made.of("docker:Workload")[0].inputs["endpoint"], "machine": machine}
    assert AppInputs.model_validate({"endpoint": endpoint, "ns": "x"}).wire()["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("options", "path", "said"),
    [
        ({"libvirt": {**VM, "machines": 2}}, "libvirt.machines", "a daemon is on one machine"),
        ({"libvirt": {**VM, "stateDir": "/srv/apps"}}, "libvirt.stateDir", "all that Docker has is in /var/lib/docker"),
        ({"libvirt": {**VM, "retainData": True}}, "libvirt.retainData", "no stack knows"),
        ({"libvirt": {"image": VM["image"]}}, "libvirt.sha256", "is not set"),
        ({"libvirt": {**VM, "image": "/nowhere.qcow2"}}, "libvirt.image", "there is no file"),
        ({"libvirt": VM, "machine": MACHINE}, "libvirt", "`machine` is given"),
        ({"libvirt": VM, "host": "unix:///x"}, "host", "`libvirt` is given"),
    ],
)
def test_a_machine_that_cannot_be_made_registers_nothing(options: dict[str, Any], path: str, said: str) -> None:
    into = Recording()
    with pytest.raises(Exception, match=f"anytier:docker.{path}: ") as caught:
        recorded(into=into, **options)
    assert said in str(caught.value) and into.resources == []


def test_a_wrong_option_of_a_machine_that_is_made_is_named_by_its_path() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        read({"app": "a.yaml", "tier": "docker", "docker": json.dumps({"libvirt": {**VM, "memory": "2GB"}})})
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == ["anytier:docker.libvirt.memory"]


# what is said of a machine


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
