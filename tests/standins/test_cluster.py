"""What a stood-in cloud gives a real cluster, as far as it is pure: addresses, classes, the way in."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.standins import balancers, cluster
from tests.standins.balancers import MOST, RESERVED, changes, pool
from tests.standins.cluster import EBS, about, hosts, storage
from tests.standins.stacks import NAME, STACKS, CloudProject
from tests.standins.world import World

from anytier.conformance.load import until
from anytier.render.kubernetes.addons import local_path
from anytier.spec import diagnose

FREE, OWN = ["10.0.0.9", "10.0.0.8", "10.0.0.7"], "10.0.0.10"


def service(name: str, kind: str = "LoadBalancer", **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name, **more}, "spec": {"type": kind}}


def test_each_service_has_an_address_of_its_own_and_keeps_it() -> None:
    new, gone = changes([service("a"), service("b"), service("c", "ClusterIP")], {}, FREE, OWN)
    assert new == {"ns/a": "10.0.0.9", "ns/b": "10.0.0.8"} and gone == []
    assert changes([service("a"), service("b")], new, FREE, OWN) == ({}, [])
    more, gone = changes([service("b"), service("d")], new, FREE, OWN)
    assert more == {"ns/d": "10.0.0.9"} and gone == ["ns/a"]
    assert changes([service("b", deletionTimestamp="now")], {"ns/b": "10.0.0.8"}, FREE, OWN) == ({}, ["ns/b"])


class Kube:
    """An API server, as far as load balancers go."""

    def __init__(self, *services: dict[str, Any]) -> None:
        self.services, self.patched = list(services), dict[str, Any]()

    def list(self, kind: Any, namespace: str) -> Any:
        return [SimpleNamespace(to_dict=lambda item=item: item) for item in self.services]

    def patch(self, kind: Any, name: str, status: Any, namespace: str, patch_type: Any) -> None:
        self.patched[f"{namespace}/{name}"] = status["status"]["loadBalancer"]["ingress"]


def test_the_machine_answers_for_an_address_as_long_as_there_is_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    kube, commands = Kube(service("a"), service("b", "ClusterIP")), list[str]()
    monkeypatch.setattr(balancers, "client", lambda text: kube)
    monkeypatch.setattr(balancers, "PAUSE", 0.01)
    with balancers.Balancers("", "10.1.0.0/24", commands.append) as made:
        assert until(lambda: "ns/a" in kube.patched, 10)
        kube.services.clear()
        assert until(lambda: len(commands) == 2, 10)
    address = kube.patched["ns/a"][0]["ip"]
    assert address != made.reserved and made.failed == []
    assert commands == [f"ip address replace {address}/32 dev eth0", f"ip address del {address}/32 dev eth0"]


@pytest.mark.parametrize("note", RESERVED)
def test_one_that_asks_for_the_reserved_address_gets_it(note: str) -> None:
    new, _ = changes([service("a"), service("b", annotations={note: "x"})], {}, FREE, OWN)
    assert new == {"ns/a": "10.0.0.9", "ns/b": OWN}


@given(st.lists(st.sampled_from("abcdef"), max_size=12), st.lists(st.sampled_from("abcdef"), max_size=12))
def test_no_two_services_share_an_address(first: list[str], then: list[str]) -> None:
    held: dict[str, str] = {}
    for names in (first, then):
        new, gone = changes([service(name) for name in names], held, pool("10.1.0.0/24"), OWN)
        held = {key: value for key, value in held.items() if key not in gone} | new
        assert len(set(held.values())) == len(held) == len(set(names))


def test_the_pool_is_at_the_end_of_the_network() -> None:
    found = pool("172.18.0.0/16")
    assert (found[0], len(found), len(set(found))) == ("172.18.255.253", MOST, MOST)


def test_the_provisioner_of_ebs_is_the_tiers_own_under_another_name() -> None:
    (own,) = [item.object for item in local_path.render("/volumes") if item.key == "storage"]
    deployment, *classes = storage(own)
    pod = deployment["spec"]["template"]
    assert pod["spec"]["containers"][0]["command"][-2:] == ["--provisioner-name", EBS]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    assert own["spec"]["selector"]["matchLabels"] != deployment["spec"]["selector"]["matchLabels"]
    assert {item["metadata"]["name"] for item in classes} == {"standard-rwo", "managed-csi"}


def test_what_a_cloud_hands_out_of_a_cluster() -> None:
    text = yaml.safe_dump(
        {"clusters": [{"name": "a", "cluster": {"server": "https://h:6443", "certificate-authority-data": "Q0E="}}]}
    )
    assert about(text) == {"endpoint": "https://h:6443", "ca": "Q0E="}
    assert hosts("10.0.0.1:5000").startswith('[host."http://10.0.0.1:5000"]\n')


def test_the_app_beside_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(json.dumps(cluster.APP))
    app, found = diagnose(tmp_path / "app.yaml", tier="kubeadm")
    assert app is not None and not [item for item in found if item.severity == "error"]


@pytest.mark.parametrize("tier", STACKS)
def test_the_project_is_whole(tmp_path: Path, tier: str) -> None:
    made = CloudProject(tmp_path, tier, builder="unix:///front.sock")
    project = yaml.safe_load((made.folder / "Pulumi.yaml").read_text())
    for item in project["plugins"]["providers"]:
        assert (Path(item["path"]) / f"pulumi-resource-{item['name']}").is_file()
    stack = yaml.safe_load((made.folder / "stacks" / f"Pulumi.{NAME}.yaml").read_text())
    assert (made.folder / stack["config"]["anytier:app"]).is_file()
    assert stack["config"][f"anytier:{tier}"]["builder"] == "unix:///front.sock"
    for command in ("aws", "az", "kubelogin", "gke-gcloud-auth-plugin"):
        assert (tmp_path / "commands" / command).is_file()
    assert World(Path(made.env("/bin")["ANYTIER_STANDINS"])).things() == []
