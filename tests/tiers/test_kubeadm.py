"""Tier kubeadm on the program's side: what its config may say, what is decided of it, and what it registers."""

from __future__ import annotations

import base64
import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.render.kubeadm.test_openpgp import ARMOURED, OWN
from tests.runtimes.record import Recording, Secret, record

from anytier.bundle import manifest
from anytier.bundle.manifest import NEEDED, Bundle, Manifest
from anytier.config import read
from anytier.errors import AnytierError, leaves
from anytier.frozen import Frozen
from anytier.provider.check import check
from anytier.provider.kubeadm.models import ControlPlaneInputs, NodeInputs, WorkerInputs
from anytier.render.kubeadm.names import node_name
from anytier.render.kubeadm.openpgp import fingerprints
from anytier.render.kubernetes import addons
from anytier.render.kubernetes.addons import flannel
from anytier.tiers import kubeadmplan, vmplan
from anytier.tiers.kubeadm import Here, KubeadmTier
from anytier.tiers.kubeadmargs import KubeadmArgs, taint
from anytier.tiers.kubeadmplan import Plan, default_name
from anytier.tiers.places import Cluster

THREE = [{"address": f"10.0.0.{number}", "user": "root"} for number in (11, 12, 13)]
VM = {"image": "https://example.org/debian.qcow2", "sha256": "ab" * 32}
ALIKE = [{"address": f"a.{at}.org", "privateAddress": f"10.0.0.{n}"} for n, at in enumerate("xy", 1)]
JUMP = {"address": "bastion.example.org"}


def args(*machines: Any, **more: Any) -> KubeadmArgs:
    return KubeadmArgs.model_validate({**({"machines": [*machines]} if machines else {}), **more})


def filled(folder: Path, version: str = "v1.34.2", without: str = "") -> Path:
    """A bundle's folder: its files hold next to nothing, as their checksums are the plugin's part."""
    every = addons.Choice("10.244.0.0/16", metrics=True, ingress="traefik", network_policy="kube-router")
    images = addons.images(every).values()
    names = [image for group in (*images, ("registry.k8s.io/pause:3.10",)) for image in group if image != without]
    archives = {f"images/{number}.tar": [name] for number, name in enumerate(names)}
    files = {}
    for path in (*NEEDED, *archives):
        if path != without:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode())
            files[path] = manifest.checksum(file)
    manifest.write(folder, Manifest(kubernetes=version, arch="amd64", files=files, images=archives))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.read(filled(tmp_path_factory.mktemp("bundle")))


def decided(bundle: Bundle, asked: KubeadmArgs, stack: str = "dev") -> Plan:
    vms = vmplan.decide(asked.libvirt, stack) if asked.libvirt else []
    return kubeadmplan.decide(asked, asked.machines, vms, bundle, stack, "me")


def refused(bundle: Bundle, asked: KubeadmArgs) -> dict[str, AnytierError]:
    """What is wrong, by its path without the tier's."""
    with pytest.raises(ExceptionGroup) as caught:
        decided(bundle, asked)
    found = [item for item in leaves(caught.value) if isinstance(item, AnytierError)]
    assert found and len(found) == len(leaves(caught.value)) and all(item.do for item in found)
    return {item.path.removeprefix("anytier:kubeadm."): item for item in found}


# what may be said


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.29.0"},
        {"version": "1.99.0"},
        {"version": "latest"},
        {"version": "1.34"},
        {"bundle": ""},
        {"endpoint": "api.example.org"},
        {"endpoint": "api.example.org:0"},
        {"endpoint": "https://api.example.org:6443"},
        {"endpoint": "a b:6443"},
        {"controlPlaneEndpoint": ":6443"},
        {"podSubnet": "10.244.0.0"},
        {"podSubnet": "10.244.0.1/16"},
        {"podSubnet": "10.244.0.0/25"},
        {"podSubnet": "fd00::/48"},
        {"podSubnet": "127.0.0.0/16"},
        {"podSubnet": "169.254.0.0/16"},
        {"podSubnet": "224.0.0.0/8"},
        {"podSubnet": "0.0.0.0/0"},
        {"serviceSubnet": "10.0.0.0/8"},
        {"serviceSubnet": "10.96.0.0/29"},
        {"dnsDomain": "cluster local"},
        {"certSANs": ["https://a"]},
        {"cni": "calico"},
        {"storage": "nfs"},
        {"ingressController": "nginx"},
        {"ingressController": True},
        {"volumes": "/"},
        {"volumes": "/srv/../x"},
        {"volumes": "/srv/$(id)"},
        {"builder": "tcp://10.0.0.1:2375"},
        {"builder": "docker"},
        {"minMemory": -1},
        {"ignorePreflight": ["a b"]},
        {"apiServer": {"--v": "2"}},
        {"apiServer": {"v": 2}},
        {"featureGates": {"A": "maybe"}},
        {"drainTimeout": -1},
        {"startTimeout": 0},
        {"maxUnavailable": 0},
        {"maxUnavailable": True},
        {"maxUnavailable": "0%"},
        {"maxUnavailable": "2"},
        {"machines": [{"address": "a", "role": "master"}]},
        {"machines": [{"address": "a", "taints": ["a"]}]},
        {"machines": [{"address": "a", "taints": ["a=b:Never"]}]},
        {"machines": [{"address": "a", "labels": {"a b": "c"}}]},
        {"machines": [{"address": "a", "labels": {"a": "b c"}}]},
        {"machines": [{"address": "a", "name": "Node_1"}]},
        {"libvirt": {**VM, "memory": "2GB"}},
        {"masters": 3},
        {"software": "apt"},
        {"mirror": {"url": "pkgs.k8s.io"}},
        {"mirror": {"url": "https://a/b c"}},
        {"mirror": {"registry": "a/B"}},
        {"mirror": {"key": ""}},
        {"mirror": {"insecure": "maybe"}},
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KubeadmArgs.model_validate({"machines": THREE, **wrong})


def test_a_wrong_option_is_named_by_its_path_with_the_nearest_one() -> None:
    values = {"app": "a.yaml", "tier": "kubeadm"}
    for given_, path in (
        ({"podSubnets": "x"}, "podSubnets"),
        ({"machines": [{"address": "a", "rol": "worker"}]}, "machines.0.rol"),
        ({"libvirt": {"memory": "x"}}, "libvirt.memory"),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            read({**values, "kubeadm": json.dumps(given_)})
        assert [getattr(error, "path", "") for error in caught.value.exceptions] == [f"anytier:kubeadm.{path}"]


def test_a_taint_is_written_as_kubectl_writes_it() -> None:
    assert taint("dedicated=db:NoSchedule") == {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    assert taint("example.org/gpu:NoExecute") == {"key": "example.org/gpu", "value": "", "effect": "NoExecute"}


# what is decided


def test_the_first_machine_is_the_control_plane_and_the_others_take_the_app(bundle: Bundle) -> None:
    plan = decided(bundle, args(*THREE))
    assert [(item.name, item.role, item.pods) for item in plan.members] == [
        ("10-0-0-11", "control-plane", False),
        ("10-0-0-12", "worker", True),
        ("10-0-0-13", "worker", True),
    ]
    assert (plan.endpoint, plan.inside, plan.address) == ("10.0.0.11:6443", "10.0.0.11:6443", "10.0.0.11")
    assert plan.version == "v1.34.2" and plan.cluster == "anytier-dev" and plan.offers == {"storage"}
    assert plan.control.taints is None


def test_a_machine_may_say_what_it_is(bundle: Bundle) -> None:
    plan = decided(bundle, args(THREE[0], {**THREE[1], "role": "control-plane"}, THREE[2]))
    assert plan.control.address == "10.0.0.12" and len(plan.workers) == 2
    plan = decided(bundle, args({**THREE[0], "role": "worker"}, *THREE[1:]))
    assert plan.control.address == "10.0.0.12"


def test_a_control_plane_without_workers_takes_the_app(bundle: Bundle) -> None:
    plan = decided(bundle, args(THREE[0]))
    assert plan.control.pods and plan.control.taints == ()
    kept = decided(bundle, args({**THREE[0], "taints": ["a=b:NoSchedule"]}))
    assert kept.control.taints == ("a=b:NoSchedule",)
    both = decided(bundle, args({**THREE[0], "taints": []}, THREE[1]))
    assert both.control.pods and both.control.taints == ()


@pytest.mark.parametrize(
    ("address", "name"),
    [("10.0.0.11", "10-0-0-11"), ("Web1.example.org", "web1"), ("fd00::1", "fd00--1"), ("db-1", "db-1")],
)
def test_a_node_is_called_by_what_its_address_gives(address: str, name: str) -> None:
    assert default_name(address) == node_name(name)


def test_the_api_is_reached_by_what_lies_between(bundle: Bundle) -> None:
    box = {"address": "127.0.0.1", "port": 2201, "name": "one", "privateAddress": "172.30.0.2"}
    plan = decided(bundle, args(box, endpoint="127.0.0.1:16443", address="localhost"))
    assert (plan.endpoint, plan.inside, plan.address) == ("127.0.0.1:16443", "172.30.0.2:6443", "localhost")
    made = kubeadmplan.control_plane(plan, {}, "key")
    assert made["certSANs"] == ["127.0.0.1"] and made["advertiseAddress"] == "172.30.0.2"
    plan = decided(bundle, args(*THREE, controlPlaneEndpoint="api.example.org:6443", certSANs=["10.9.9.9"]))
    assert plan.inside == "api.example.org:6443"
    assert kubeadmplan.control_plane(plan, {}, "key")["certSANs"] == ["10.0.0.11", "api.example.org", "10.9.9.9"]


def test_virtual_machines_of_the_stack_make_a_cluster(bundle: Bundle) -> None:
    plan = decided(bundle, args(libvirt={**VM, "machines": 3}))
    assert [item.name for item in plan.members] == ["anytier-dev", "anytier-dev-2", "anytier-dev-3"]
    assert [item.role for item in plan.members] == ["control-plane", "worker", "worker"]
    assert len({item.incarnation for item in plan.members}) == 3 and None not in {i.incarnation for i in plan.members}
    assert plan.addons.volumes == "/var/lib/anytier/volumes" and plan.endpoint == f"{plan.control.address}:6443"


# what cannot be


@pytest.mark.parametrize(
    ("asked", "path", "what"),
    [
        (args(), "machines", "names no machine"),
        (args(*THREE, inventory="x.yaml"), "inventory", "beside `machines`"),
        (args(*THREE, libvirt=VM), "libvirt", "beside `machines`"),
        (args(THREE[0], THREE[0]), "machines.1.address", "is machine 0"),
        (args(*({**one, "role": "control-plane"} for one in THREE)), "machines.2.role", "second control plane"),
        (args(*({**one, "role": "worker"} for one in THREE)), "machines", "workers only"),
        (args(*({**one, "ingress": False} for one in THREE)), "machines", "takes requests"),
        (args(*ALIKE), "machines.1.name", "node name of machine 0"),
        (args({"address": "a_b", "privateAddress": "10.0.0.1"}), "machines.0.name", "no node's name"),
        (args({"address": "web1.example.org"}), "machines.0.privateAddress", "no IPv4 address"),
        (args({"address": "127.0.0.1"}), "machines.0.privateAddress", "no address by which other machines"),
        (args(THREE[0], {**THREE[1], "privateAddress": "10.0.0.11"}), "machines.1.privateAddress", "machine 0"),
        (args(*THREE, podSubnet="10.0.0.0/16"), "podSubnet", "machine 10-0-0-13"),
        (args(*THREE, serviceSubnet="10.0.0.0/24"), "serviceSubnet", "machine"),
        (args(*THREE, podSubnet="10.96.0.0/16"), "serviceSubnet", "overlaps"),
        (args(*THREE, podSubnet="10.244.0.0/24"), "podSubnet", "too small for 3 machines"),
        (args({**THREE[0], "jump": JUMP}), "endpoint", "through another host"),
        (args(*THREE, version="1.33.6"), "version", "holds v1.34.2"),
        (args(*THREE, mirror={"registry": "a.example.org/b"}), "mirror", "they get a bundle"),
        (args(*THREE, software="packages", mirror={"url": "http://a/b"}), "mirror.url", "without TLS"),
        (args(*THREE, software="packages", mirror={"registry": "http://a/b"}), "mirror.registry", "without TLS"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_way_out(bundle: Bundle, asked: KubeadmArgs, path: str, what: str) -> None:
    found = refused(bundle, asked)
    assert path in found and what in found[path].what, found


def test_whatever_is_wrong_is_told_at_once(bundle: Bundle) -> None:
    wrong = args({"address": "a_b"}, {"address": "127.0.0.1"}, podSubnet="10.96.0.0/24", version="1.33.6")
    names = {"machines.0.name", "machines.0.privateAddress", "machines.1.privateAddress"}
    assert {*refused(bundle, wrong)} == {*names, "serviceSubnet", "podSubnet", "version"}


def test_machines_behind_another_hosts_nat_need_an_endpoint(bundle: Bundle) -> None:
    remote = {**VM, "uri": "qemu+ssh://root@kvm1.example.org/system"}
    assert {*refused(bundle, args(libvirt=remote))} == {"endpoint"}
    assert decided(bundle, args(libvirt=remote, endpoint="kvm1.example.org:6443")).endpoint == "kvm1.example.org:6443"


def test_a_bundle_must_hold_what_the_stack_asks_for(tmp_path: Path) -> None:
    flannel = addons.images(addons.Choice("10.244.0.0/16"))["cni"][0]
    lean = Bundle.read(filled(tmp_path / "lean", without=flannel))
    assert "which `cni` needs" in refused(lean, args(*THREE))["bundle"].what
    assert decided(lean, args(*THREE, cni="none"))
    old = Bundle.read(filled(tmp_path / "old", "v1.31.0"))
    assert "known here are" in refused(old, args(*THREE))["bundle"].what
    broken = Bundle.read(filled(tmp_path / "broken"))
    (tmp_path / "broken" / "bin" / "kubelet").unlink()
    (error,) = refused(broken, args(*THREE)).values()
    assert error.path.startswith("anytier:kubeadm.bundle") and "bin/kubelet" in error.what


def test_a_bundle_without_the_controller_is_refused_only_where_one_is_asked_for(tmp_path: Path) -> None:
    traefik = addons.images(addons.Choice("10.244.0.0/16", ingress="traefik"))["ingressController"][0]
    older = Bundle.read(filled(tmp_path, without=traefik))
    assert decided(older, args(*THREE)).addons.ingress == "none"
    error = refused(older, args(*THREE, ingressController="traefik"))["bundle"]
    assert traefik in error.what and "`ingressController` needs" in error.what
    assert "anytier bundle build" in error.do and "or change `ingressController`" in error.do


def test_no_bundle_at_all_is_told_with_the_command_that_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "ANYTIER_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ExceptionGroup) as caught:
        Here(args(*THREE, version="1.33.6"), "dev")
    (error,) = leaves(caught.value)
    assert isinstance(error, AnytierError) and error.path == "anytier:kubeadm.bundle"
    assert f"anytier bundle build --kubernetes 1.33.6 -o {tmp_path}/.cache/anytier/bundles/v1.33.6" in error.do
    filled(tmp_path / ".cache/anytier/bundles/v1.34.2")
    found = Here(args(*THREE), "dev").bundle
    assert found is not None and found.version == "v1.34.2"


def test_machines_get_packages_of_their_version_where_the_stack_asks_for_it() -> None:
    """Without a bundle anywhere. What is brought by an image then is said to the addon."""
    here = Here(args(*THREE, software="packages", version="1.33.6", bundle=None), "dev")
    plan = here.plan("dev", "me", 80, 443)
    props = kubeadmplan.node(plan, plan.control, {"kind": "ssh", "address": "10.0.0.11", "user": "root"})
    upstream = {"url": "https://pkgs.k8s.io/core:/stable:/v1.33/deb/", "key": "", "registry": ""}
    assert props["repository"] == upstream and props["version"] == "v1.33.6"
    assert props["bundle"] == props["bundleDigest"] == ""
    _, wrong = check(NodeInputs, json.loads(json.dumps({**props, "owner": "me"})))
    assert not wrong
    assert flannel.PLUGIN in addons.images(plan.addons)["cni"]
    assert flannel.PLUGIN not in addons.images(addons.Choice("10.244.0.0/16"))["cni"]


def test_software_comes_from_one_place() -> None:
    both = args(*THREE, software="packages", bundle="nowhere")
    with pytest.raises(ExceptionGroup) as caught:
        Here(both, "dev").plan("dev", "me", 80, 443)
    (error,) = leaves(caught.value)
    assert isinstance(error, AnytierError) and error.path == "anytier:kubeadm.bundle"
    assert "where does the software come from" in error.what


def test_a_mirror_is_taken_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "repository.asc"
    file.write_bytes(ARMOURED)
    mirror = {"url": "http://m.example.org/{minor}", "key": str(file), "registry": "r.example.org/m", "insecure": True}
    plan = Here(args(*THREE, software="packages", mirror=mirror), "dev").plan("dev", "me", 80, 443)
    assert plan.repository is not None and plan.repository["url"] == "http://m.example.org/v1.34/"
    assert fingerprints(base64.b64decode(plan.repository["key"])) == [OWN]
    assert plan.repository["registry"] == "r.example.org/m"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no file"),
        (b"key", "is no public key"),
        (ARMOURED.replace(b"PUBLIC", b"PRIVATE"), "private key"),
    ],
)
def test_a_mirrors_key_must_be_one(tmp_path: Path, content: bytes | None, what: str) -> None:
    file = tmp_path / "repository.asc"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ExceptionGroup) as caught:
        Here(args(*THREE, software="packages", mirror={"key": str(file)}), "dev")
    (error,) = leaves(caught.value)
    assert isinstance(error, AnytierError) and error.path == "anytier:kubeadm.mirror.key"
    assert what in error.what and "gpg --export" in error.do


def test_what_libvirt_refuses_is_told_by_its_path_here(bundle: Bundle) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        Here(args(libvirt={"image": "/nowhere.qcow2"}, bundle=str(bundle.path)), "dev")
    found = [error for error in leaves(caught.value) if isinstance(error, AnytierError)]
    assert {error.path.rpartition(".")[0] for error in found} == {"anytier:kubeadm.libvirt"}


def test_an_inventory_is_the_same_list_in_a_file(tmp_path: Path, bundle: Bundle) -> None:
    file = tmp_path / "machines.yaml"
    file.write_text("- {address: 10.0.0.1, role: worker}\n- {address: 10.0.0.2, taints: []}\n")
    here = Here(args(inventory=str(file), bundle=str(bundle.path)), "dev")
    assert [item.role for item in here.listed] == ["worker", None]
    file.write_text("- {address: 10.0.0.1, rol: worker}\n")
    with pytest.raises(ExceptionGroup, match="config") as caught:
        Here(args(inventory=str(file), bundle=str(bundle.path)), "dev")
    assert "machines.yaml:1" in str(leaves(caught.value)[0])
    with pytest.raises(ExceptionGroup) as caught:
        Here(args(inventory=str(tmp_path / "none"), bundle=str(bundle.path)), "dev")
    assert getattr(leaves(caught.value)[0], "path", "") == "anytier:kubeadm.inventory"


subnets = st.builds(
    lambda bits, prefix: str(ipaddress.ip_network((bits, prefix), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(4, 30),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subnets, subnets, st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_plan_never_has_an_address_twice(bundle: Bundle, pods: str, services: str, first: int, count: int) -> None:
    """Either the config is refused, with what to do, or pods, services and machines share no address."""
    assume(first + count < 2**32)
    addresses = [str(ipaddress.IPv4Address(first + number)) for number in range(count)]
    try:
        asked = args(*({"address": address} for address in addresses), podSubnet=pods, serviceSubnet=services)
    except ValidationError:
        return
    try:
        plan = decided(bundle, asked)
    except ExceptionGroup as group:
        assert all(isinstance(error, AnytierError) and error.do for error in leaves(group))
        return
    nets = [ipaddress.ip_network(asked.pod_subnet), ipaddress.ip_network(asked.service_subnet)]
    assert not nets[0].overlaps(nets[1])
    assert not [item for item in plan.members for net in nets if ipaddress.ip_address(item.address) in net]
    assert nets[0].num_addresses // 256 >= count


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3), st.text(max_size=80))
def test_whatever_text_a_stack_has_is_an_error_or_what_the_plugin_takes(
    bundle: Bundle, stack: str, machines: list[str], label: str
) -> None:
    assume(stack)
    try:
        asked = args(*({"address": item, "labels": {"a": label}} for item in machines), caddyImage=label)
        plan = decided(bundle, asked, stack)
    except ValidationError:
        return
    except ExceptionGroup as group:
        assert all(isinstance(error, AnytierError) for error in leaves(group))
        return
    for member in plan.members:
        node_name(member.name)
    node_name(plan.cluster)


# what is registered


def recorded(bundle: Bundle, **more: Any) -> tuple[Recording, Cluster]:
    found: list[Cluster] = []
    software = {} if more.get("software") == "packages" else {"bundle": str(bundle.path)}
    asked = KubeadmArgs.model_validate({"machines": THREE, **software, **more})

    def program() -> None:
        found.append(KubeadmTier("kubeadm", asked, port=8080, tls_port=8443).place)

    return record(program), found[0]


def test_machines_are_looked_at_prepared_and_joined_in_their_order(bundle: Bundle) -> None:
    made, _ = recorded(bundle)
    assert [item.name for item in made.of("host:Machine")] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
    assert [item.inputs["role"] for item in made.of("kubeadm:Node")] == ["control-plane", "worker", "worker"]
    needs = [item.inputs["node"] for item in made.of("host:Machine")]
    assert [item["role"] for item in needs] == ["control-plane", "worker", "worker"]
    assert {item["architecture"] for item in needs} == {bundle.arch}
    assert made.after("10-0-0-12-node") == {"10.0.0.12", "cluster-identity"}
    assert made.after("control-plane") == {"cluster-identity", "encryption-key", "10.0.0.11", "10-0-0-11-node"}
    assert {"control-plane", "10-0-0-13-node"} <= made.after("10-0-0-13")
    assert not {"flannel", "10-0-0-12", "10-0-0-12-node"} & made.after("10-0-0-13")
    assert {"cluster", "control-plane", "flannel.config"} <= {*made.after("flannel"), "cluster"}
    assert not {"10-0-0-12", "10-0-0-12-node"} & made.after("flannel")
    assert made["flannel"].gone_with == "control-plane" and made["flannel"].type == "kubernetes:apps/v1:DaemonSet"
    assert {item.parent for item in made.resources if item.name != "kubeadm"} == {"kubeadm"}


@pytest.mark.parametrize(("said", "at_once"), [(None, 1), (2, 2), ("50%", 1), ("100%", 2), ("1%", 1)])
def test_an_upgrade_empties_as_many_workers_at_a_time_as_the_stack_says(
    bundle: Bundle, said: Any, at_once: int
) -> None:
    made, _ = recorded(bundle, **({} if said is None else {"maxUnavailable": said}))
    assert [item.inputs["maxUnavailable"] for item in made.of("kubeadm:Worker")] == [at_once, at_once]


def test_how_long_it_may_take_to_come_up_is_said_to_all_that_start_a_kubelet(bundle: Bundle) -> None:
    made, _ = recorded(bundle, startTimeout=900)
    found = [*made.of("kubeadm:ControlPlane"), *made.of("kubeadm:Worker")]
    assert [item.inputs["startTimeout"] for item in found] == [900, 900, 900]
    plugin = made["cluster"]
    assert plugin.inputs["kubeClientSettings"] == '{"timeout": 225}'
    usual, _ = recorded(bundle)
    assert "kubeClientSettings" not in usual["cluster"].inputs


def test_the_cluster_is_a_place_once_all_have_joined(bundle: Bundle) -> None:
    _, place = recorded(bundle)
    assert (place.version, place.port, place.tls_port, place.address) == ("1.34", 8080, 8443, "10.0.0.11")
    assert place.addresses == ("10.0.0.11", "10.0.0.12", "10.0.0.13")
    assert [item.name for item in place.nodes] == ["10-0-0-12", "10-0-0-13"]
    assert place.storage_class == "local-path" and place.offers == {"storage"} and place.lives_on is None
    assert place.dns_domain == "cluster.local"
    there = KubeadmTier.offered(args(*THREE, dnsDomain="inside.example"), port=8080, tls_port=8443, stack="dev")
    assert there.dns_domain == "inside.example"
    names = {item._name for item in place.ready}
    assert {"control-plane", "10-0-0-12", "10-0-0-13", "flannel", "storage.class"} <= names


def test_what_it_offers_is_known_without_software_and_without_a_run(bundle: Bundle) -> None:
    _, place = recorded(bundle)
    asked = args(*THREE, bundle="nowhere")
    found = KubeadmTier.offered(asked, port=8080, tls_port=8443, stack="dev")
    left = {"kubeconfig", "nodes", "ready", "identity"}
    assert {key: value for key, value in vars(found).items() if key not in left} == {
        key: value for key, value in vars(place).items() if key not in left
    }
    with pytest.raises(ExceptionGroup):
        KubeadmTier.offered(args(*THREE, podSubnet="10.96.0.0/16"), port=1, tls_port=2, stack="dev")


def test_what_the_machines_need_themselves_is_told_to_the_app(bundle: Bundle) -> None:
    inside = {"address": "10.0.0.14", "port": 2023, "ingress": False}
    asked = args({**THREE[0], "port": 2022}, THREE[1], inside, bundle="nowhere")
    found = KubeadmTier.offered(asked, port=8080, tls_port=8443, stack="dev")
    assert found.reserved == {22, 2022, 2379, 2380, 6443, 10250, 10256, 20244}


@pytest.mark.parametrize(
    ("more", "ssh"),
    [
        ({}, {2022}),
        ({"privateAddress": THREE[0]["address"]}, {2022}),
        ({"privateAddress": "10.0.0.14"}, {22, 2022}),
        ({"jump": {"address": "gate.example.org"}}, {22, 2022}),
    ],
)
def test_the_usual_port_of_ssh_is_free_where_ssh_is_known_to_be_elsewhere(more: dict[str, Any], ssh: set[int]) -> None:
    one = {**THREE[0], "port": 2022, **more}
    found = KubeadmTier.offered(
        args(one, bundle="nowhere", endpoint="10.0.0.11:6443"), port=8080, tls_port=8443, stack="dev"
    )
    assert found.reserved == {*ssh, 2379, 2380, 6443, 10250, 10256, 20244}


def test_an_ingress_controller_does_not_take_the_machines_own_ports(bundle: Bundle) -> None:
    ways = {"port": 6443, "tls_port": 2022}
    asked = args({**THREE[0], "port": 2022}, ingressController="traefik", bundle="nowhere")
    with pytest.raises(ExceptionGroup) as caught:
        KubeadmTier.offered(asked, **ways, stack="dev")
    told = {item.path: item for item in leaves(caught.value) if isinstance(item, AnytierError)}
    assert set(told) == {"anytier:port", "anytier:tlsPort"}
    assert "6443, which is the machines' own" in told["anytier:port"].what and told["anytier:tlsPort"].do
    with pytest.raises(ExceptionGroup, match="config"):
        record(
            lambda: KubeadmTier("cluster", args(*THREE, bundle=str(bundle.path), ingressController="traefik"), **ways)
        )
    KubeadmTier.offered(args(*THREE, bundle="nowhere"), **ways, stack="dev")


def test_addons_are_optional_and_a_dead_cluster_can_be_let_go(bundle: Bundle) -> None:
    made, place = recorded(bundle, cni="none", storage="none", metrics=True, forget=True)
    kinds = {item.name for item in made.resources if item.type.startswith("kubernetes:")}
    assert "metrics" in kinds and not {"flannel", "storage"} & kinds
    assert place.offers == {"metrics"} and place.storage_class is None and place.lives_on is not None
    assert made["cluster"].inputs["deleteUnreachable"] == "true"
    assert {item.inputs["forget"] for item in made.resources if item.type.startswith("anytier:kubeadm:")} == {True}


def test_an_ingress_controller_takes_requests_where_the_stack_says(bundle: Bundle) -> None:
    made, place = recorded(bundle, ingressController="traefik")
    assert "ingress" in place.offers and place.ingress_class == "traefik"
    service = made["ingress.service"].inputs["spec"]
    assert service["externalIPs"] == [*place.addresses]
    assert [item["port"] for item in service["ports"]] == [place.port, place.tls_port]
    assert made["ingress"].inputs["spec"]["replicas"] == 2
    _, place = recorded(bundle)
    assert "ingress" not in place.offers and place.ingress_class is None


def test_the_graph_with_a_controller_is_as_it_was(bundle: Bundle, request: pytest.FixtureRequest) -> None:
    made, _ = recorded(bundle, ingressController="traefik", metrics=True)
    lines = (f"{item.type} {item.name}: {' '.join(sorted(item.depends))}".rstrip() for item in made.resources)
    text = "".join(f"{line}\n" for line in sorted(lines))  # what waits for the same comes in any order
    golden = Path(__file__).with_name("golden") / "kubeadm-traefik.txt"
    if request.config.getoption("--accept"):
        golden.write_text(text)
    assert text == golden.read_text(), "if that is meant: pytest --accept"


def test_the_controllers_replicas_are_as_many_as_there_are_machines_with_pods(bundle: Bundle) -> None:
    for machines, replicas in ((THREE[:1], 1), (THREE[:2], 1), (THREE, 2)):
        assert decided(bundle, args(*machines, ingressController="traefik")).addons.replicas == replicas
    bare = [{**THREE[0], "taints": [], "ingress": False}, THREE[1]]
    chosen = decided(bundle, args(*bare, ingressController="traefik")).addons
    assert (chosen.replicas, chosen.addresses) == (2, ("10.0.0.12",))


def test_secrets_are_marked_and_what_is_said_twice_is_said_alike(bundle: Bundle) -> None:
    made, _ = recorded(bundle)
    assert made["control-plane"].inputs["encryptionKey"] == Secret("generated")
    assert made["cluster"].inputs["kubeconfig"] == Secret("apiVersion: v1")
    control, workers = made["control-plane"].inputs, [item.inputs for item in made.of("kubeadm:Worker")]
    for inputs in workers:
        assert inputs["control"] == control["machine"] and inputs["caHash"] == "sha256:ca"
        assert inputs["endpoint"] == "10.0.0.11:6443" and inputs["version"] == control["version"]
    assert {item.inputs["machine"]["hostKey"] for item in made.of("kubeadm:Node")} != {None}


MODELS: dict[str, type[Frozen]] = {
    "kubeadm:Node": NodeInputs,
    "kubeadm:ControlPlane": ControlPlaneInputs,
    "kubeadm:Worker": WorkerInputs,
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"minMemory": 900, "minCores": 1, "controlPlaneEndpoint": "api.example.org:6443"},
        {"software": "packages", "mirror": {"registry": "r.example.org/m"}},
    ],
)
def test_inputs_are_in_their_final_form(bundle: Bundle, more: dict[str, Any]) -> None:
    """So that the plugin sees by the request alone that nothing has changed."""
    made, _ = recorded(bundle, **more)
    for kind, model in MODELS.items():
        for item in made.of(kind):
            given_ = json.loads(json.dumps(item.inputs, default=lambda one: one.value * 4))
            found, wrong = check(model, given_)
            assert wrong == []
            said = {key: value for key, value in found.items() if key != "encryptionKey"}
            assert said == {key: value for key, value in given_.items() if key != "encryptionKey"}, kind


def test_virtual_machines_are_made_first(bundle: Bundle) -> None:
    made, place = recorded(bundle, machines=[], libvirt={**VM, "machines": 2})
    nodes = made.of("kubeadm:Node")
    assert [item.name for item in nodes] == ["anytier-dev-2-node", "anytier-dev-node"]
    assert made["machine-2"].type == "anytier:libvirt:Domain" and "machine-2" in made.after("anytier-dev-2-node")
    assert nodes[0].inputs["incarnation"] != nodes[1].inputs["incarnation"]
    assert [item.name for item in place.nodes] == ["anytier-dev-2"]


def test_what_is_wrong_registers_nothing(bundle: Bundle) -> None:
    into = Recording()
    asked = args(*THREE, podSubnet="10.96.0.0/16", bundle=str(bundle.path))
    with pytest.raises(ExceptionGroup):
        record(lambda: KubeadmTier("kubeadm", asked, port=1, tls_port=2), into=into)
    assert into.resources == []
