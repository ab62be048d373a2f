"""An app on several machines: what is registered, what is refused before anything is, and whether memory suffices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.apps import job, spec, workload
from tests.runtimes.record import Recording, record

import pulumi
from anytier.app import App
from anytier.errors import AnytierError, leaves
from anytier.runtimes import machines
from anytier.runtimes.host import after
from anytier.tiers.places import HostMachine, Hosts

GIB = 2**30
HTTP = {"ports": {"http": {"port": 80, "targetPort": 8080}}}
TCP = {"ports": {"db": {"port": 5432}}}
DATA = {"resources": {"data": {"type": "volume"}}}


def mounted(**more: Any) -> dict[str, Any]:
    return workload(containers={"main": {"image": "x", "volumes": {"/data": {"source": "data"}}}}, **more)


def sized(memory: str, **more: Any) -> dict[str, Any]:
    limits = {"resources": {"limits": {"memory": memory}}}
    return workload(containers={"main": {"image": "x", **limits}}, **more)


def machine(name: str, memory: Any = None, **labels: str) -> HostMachine:
    number = "abc".index(name) + 1
    way = {"kind": "ssh", "address": f"10.0.0.{number}", "port": 22}
    return HostMachine(name, way, f"192.168.0.{number}", labels, name != "c", memory)


FLEET = (machine("a", disk="ssd"), machine("b", disk="ssd"), machine("c"))


def deployed(app: Any, fleet: tuple[HostMachine, ...] = FLEET, into: Recording | None = None) -> Recording:
    def program() -> None:
        def looked_at(m: HostMachine) -> HostMachine:
            way = m.machine | {"hostKey": pulumi.Output.from_input(f"key of {m.name}")}
            return replace(m, machine=way, memory=pulumi.Output.from_input(m.memory))

        listed = tuple(looked_at(m) if m.memory else m for m in fleet)
        way = listed[0].machine
        place = Hosts(way, "/state", "systemd-system", 8080, 8443, tier="baremetal", machines=listed)
        App("shop", spec=app, place=place, app_dir=Path("/app"))

    return record(program, into=into)


def refused(app: Any, fleet: tuple[HostMachine, ...] = FLEET) -> list[str]:
    recording = Recording()
    with pytest.raises((AnytierError, ExceptionGroup)) as caught:
        deployed(app, fleet, recording)
    assert not recording.of("host:Workload") and not recording.of("host:Volume")
    return [str(error) for error in leaves(caught.value)]


def test_each_resource_is_told_of_all_machines_and_the_first_one_is_its_own() -> None:
    made = deployed(spec({"web": workload(service=HTTP, scale={"replicas": 3})}))
    for name in ("web", "anytier-dev-shop-proxy"):
        inputs = made[name].inputs
        assert inputs["machine"] == inputs["machines"][0]["machine"]
        assert [item["name"] for item in inputs["machines"]] == ["a", "b", "c"]
    told = made["web"].inputs["machines"][2]
    assert (told["address"], told["labels"], told["ingress"]) == ("192.168.0.3", {}, False)
    assert made["web"].inputs["placement"] == {"hosts": [], "labels": {}, "mode": "spread"}
    assert made["web"].inputs["template"]["process"]["env"]["HOST"] == "0.0.0.0"


def test_one_machine_registers_nothing_of_machines() -> None:
    made = deployed(spec({"web": workload(service=HTTP, placement={"labels": {"disk": "ssd"}})}), FLEET[:1])
    inputs = made["web"].inputs
    assert "machines" not in inputs and "placement" not in inputs
    assert "HOST" not in inputs["template"]["process"]["env"]


def test_an_app_that_says_itself_where_to_listen_is_not_overruled() -> None:
    host = {"command": ["run"], "variables": {"HOST": "10.1.1.1"}}
    made = deployed(spec({"web": workload(host=host, service=HTTP)}))
    assert made["web"].inputs["template"]["process"]["env"] == {"HOST": "10.1.1.1"}


def test_global_is_one_on_each_machine_that_fits() -> None:
    body = workload(service=HTTP, scale={"mode": "global"}, placement={"labels": {"disk": "ssd"}})
    inputs = deployed(spec({"web": body}))["web"].inputs
    assert inputs["replicas"] == 2 and inputs["placement"]["mode"] == "each"


def test_what_is_not_http_is_on_the_first_machine_that_fits_and_its_callers_are_told_which() -> None:
    api = workload(host={"command": ["run"], "variables": {"DB": "${workloads.db.host}:${workloads.db.ports.db}"}})
    made = deployed(spec({"db": workload(service=TCP, placement={"hosts": ["b", "c"]}), "api": api}))
    assert made["db"].inputs["placement"]["hosts"] == ["b"]
    assert made["api"].inputs["template"]["process"]["env"]["DB"] == "192.168.0.2:5432"


def test_http_is_on_loopback_on_every_machine() -> None:
    api = workload(host={"command": ["run"], "variables": {"WEB": "${workloads.web.host}"}})
    made = deployed(spec({"web": workload(service=HTTP), "api": api}))
    assert made["api"].inputs["template"]["process"]["env"]["WEB"] == "127.0.0.1"


def test_a_volume_is_where_its_workload_may_run_and_so_is_a_job_that_uses_it() -> None:
    body = mounted(service=HTTP, placement={"hosts": ["b", "c"]})
    volumes = {"main": {"image": "x", "volumes": {"/data": {"source": "data"}}}}
    made = deployed(spec({"web": body}, jobs={"fill": job(containers=volumes), "plain": job()}, **DATA))
    assert [item["name"] for item in made["anytier-dev-shop-data"].inputs["machines"]] == ["b", "c"]
    assert made["web"].inputs["placement"]["mode"] == "together"
    assert made["job-fill"].inputs["machine"]["address"] == "10.0.0.2"
    assert made["job-plain"].inputs["machine"]["address"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("body", "path", "what"),
    [
        (workload(placement={"hosts": ["x"]}), "workloads.web.placement.hosts", "no machine x"),
        (workload(placement={"labels": {"disk": "hdd"}}), "workloads.web.placement", "disk=hdd"),
        (workload(placement={"labels": {"disk": "ssd"}, "hosts": ["c"]}), "workloads.web.placement", "disk=ssd on c"),
        (workload(service=TCP, scale={"mode": "global"}), "workloads.web.service.ports.db", "nothing shares it out"),
        (mounted(service=TCP), "workloads.web.service.ports.db", "where its volume is"),
    ],
)
def test_what_the_machines_cannot_do_is_refused(body: dict[str, Any], path: str, what: str) -> None:
    (said,) = refused(spec({"web": body}, **DATA))
    assert said.startswith(f"{path}: ") and what in said and " -> " in said


def test_one_machine_that_does_not_fit_is_refused_too() -> None:
    (said,) = refused(spec({"web": workload(placement={"hosts": ["b"]})}), FLEET[:1])
    assert "no machine b" in said and "one of a" in said


def test_a_number_for_what_is_one_on_each_machine_is_refused() -> None:
    app = spec({"web": workload(scale={"mode": "global"})})
    (said,) = machines.scaled(app, {"web": 3})
    assert said.path == "anytier:scale.web" and said.do
    assert machines.scaled(spec(), {"web": 3}) == []


def test_everything_wrong_is_told_at_once() -> None:
    bodies = {"web": workload(placement={"hosts": ["x"]}), "api": workload(placement={"hosts": ["y"]})}
    assert len(refused(spec(bodies))) == 2


def test_more_memory_than_a_machine_has_is_refused_where_it_is_known() -> None:
    app = spec({"web": sized("3Gi", scale={"replicas": 2}), "api": sized("1Gi")})
    deployed(app, (machine("a", 8 * GIB),))
    with pytest.raises(pulumi.RunError) as caught:
        deployed(app, (machine("a", 4 * GIB),))
    said = str(caught.value)
    assert "workloads.web.containers" in said and "machine a has 4.00 GiB" in said
    assert "7.00 GiB is asked for: web 6.00 GiB, api 1.00 GiB" in said


def test_two_machines_carry_what_one_cannot() -> None:
    app = spec({"web": sized("3Gi", scale={"replicas": 2})})
    deployed(app, (machine("a", 4 * GIB), machine("b", 4 * GIB)))
    with pytest.raises(pulumi.RunError, match="machine a"):
        deployed(app, (machine("a", 2 * GIB), machine("b", 4 * GIB)))


def test_nothing_is_registered_on_a_machine_before_its_memory_is_known_to_suffice() -> None:
    recorded = Recording()
    with pytest.raises(pulumi.RunError):
        deployed(spec({"web": sized("3Gi")}), (machine("a", 2 * GIB),), into=recorded)
    assert not [item for item in recorded.resources if item.type.startswith("anytier:host:")]
    fine = deployed(spec({"web": sized("3Gi")}), (machine("a", 4 * GIB),))
    (web,) = fine.of("host:Workload")
    assert web.inputs["machine"]["hostKey"] == "key of a"


async def test_what_waits_is_known_or_not_as_it_is_by_itself() -> None:
    unknown = pulumi.Output({*()}, settled(None), settled(False))
    key = after(unknown, pulumi.Output.from_input("key"))
    assert (await key.future(), await key.is_known()) == ("key", True)
    assert await after(pulumi.Output.from_input(1), unknown).is_known() is False


async def settled(value: Any) -> Any:
    return value


def test_what_is_requested_counts_before_the_limit() -> None:
    body = workload(
        containers={"main": {"image": "x", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "9Gi"}}}}
    )
    deployed(spec({"web": body}), (machine("a", 2 * GIB),))


def test_a_memory_that_is_not_known_refuses_nothing() -> None:
    assert machines.overload("a", 0, {}) is None
    deployed(spec({"web": sized("900Gi")}), (machine("a"),))
