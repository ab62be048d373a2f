"""What lies on a machine: containerd's configuration, the kubelet's service, and what does not do for a node."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubeadm import containerd, kubelet, preflight, toml
from anytier.render.kubeadm.merge import over
from anytier.render.kubeadm.preflight import Wanted

KEYS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
LEAVES = st.one_of(
    KEYS, st.booleans(), st.integers(-(2**53), 2**53), st.lists(st.one_of(KEYS, st.integers(0, 9)), max_size=3)
)
TREES = st.recursive(LEAVES, lambda below: st.dictionaries(KEYS, below, max_size=4), max_leaves=12)
CRI = "io.containerd.grpc.v1.cri"
FACTS: dict[str, Any] = {
    "time": 1000.0,
    "cores": 4,
    "memory": 8 << 30,
    "disk": {"size": 100 << 30, "free": 50 << 30},
    "swap": [],
    "listening": [22],
    "modules": {"overlay": "there", "br_netfilter": "loadable"},
    "programs": {name: f"/usr/bin/{name}" for name in preflight.NEEDED},
    "leftovers": [],
    "manifests": [],
    "etcd": [],
    "kubelet": {"path": "", "active": False},
    "containerd": {"used": []},
    "runtimes": [],
    "others": [],
}


def names(wanted: Wanted | None = None, now: float = 1000.0, **changed: Any) -> list[str]:
    return [item.name for item in preflight.findings({**FACTS, **changed}, wanted or Wanted("worker"), now)]


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_toml_reads_back_what_was_written(data: dict[str, Any]) -> None:
    assert tomllib.loads(toml.text(data)) == data


def test_a_number_from_the_engine_is_whole_again() -> None:
    assert tomllib.loads(toml.text({"a": {"n": 2.0}})) == {"a": {"n": 2}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud800"])
def test_what_toml_cannot_say_is_an_error(value: object) -> None:
    with pytest.raises(ValueError):
        toml.text({"a": value})


def test_containerd_has_systemd_keep_its_groups() -> None:
    cri = tomllib.loads(containerd.text("registry.k8s.io/pause:3.10", {}))["plugins"][CRI]
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    assert cri["cni"] == {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}


def test_what_a_stack_says_of_containerd_in_a_word_or_in_full() -> None:
    short = containerd.config("p", {"systemdCgroup": False, "restrictOomScoreAdj": True})
    full = containerd.config("p", {"plugins": {CRI: {"restrict_oom_score_adj": True}}, "debug": {"level": "debug"}})
    assert short["plugins"][CRI]["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}
    assert short["plugins"][CRI]["restrict_oom_score_adj"] is True and "systemdCgroup" not in short
    assert full["plugins"][CRI]["restrict_oom_score_adj"] is True and full["debug"] == {"level": "debug"}
    assert full["plugins"][CRI]["sandbox_image"] == "p"


def test_none_takes_a_setting_away() -> None:
    assert over({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}


def test_the_kubelet_waits_for_kubeadm() -> None:
    unit = kubelet.unit()
    assert "ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS" in unit
    assert "--config=/var/lib/kubelet/config.yaml" in unit and "WantedBy=multi-user.target" in unit


def test_a_kernel_that_is_not_protected_is_left_alone() -> None:
    assert "kernel.panic" in kubelet.settings(True)
    assert set(kubelet.settings(False)) == {
        "net.ipv4.ip_forward",
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
    }


def test_a_good_machine_has_nothing_found() -> None:
    assert names() == names(Wanted("control-plane")) == []


def test_all_findings_at_once_and_by_kubeadms_names() -> None:
    found = names(
        Wanted("control-plane"),
        now=900.0,
        cores=1,
        memory=512 << 20,
        disk={"size": 100 << 30, "free": 14 << 30},
        swap=["/swapfile"],
        listening=[22, 6443, 10250],
        modules={"overlay": "there", "br_netfilter": "missing"},
        leftovers=["/etc/kubernetes/admin.conf"],
        kubelet={"path": "/lib/systemd/system/kubelet.service", "active": True},
        containerd={"used": ["moby"]},
        runtimes=["CRI-O"],
    )
    assert found == [
        *("NumCPU", "Mem", "TimeSkew", "Module-br_netfilter"),
        *("Disk", "Swap", "Port-6443", "Port-10250"),
        *("Leftovers", "Kubelet", "ContainerdInUse", "Runtime"),
    ]


def test_a_disk_on_which_a_kubelet_would_evict_pods_is_found_on_a_new_node() -> None:
    nearly = {"size": 1000, "free": 150}
    assert names(disk=nearly) == [] and names(disk={**nearly, "free": 149}) == ["Disk"]
    assert names(disk={"size": 0, "free": 0}) == ["Disk"]
    assert names(Wanted("worker", installed=True), disk={**nearly, "free": 1}) == []


def test_a_worker_needs_no_port_of_a_control_plane() -> None:
    assert names(listening=[6443, 2379]) == []


def test_a_node_of_ours_may_have_what_ours_is() -> None:
    ours = {"leftovers": ["/etc/kubernetes/admin.conf"], "listening": [6443, 10250], "containerd": {"used": ["k8s.io"]}}
    assert names(Wanted("control-plane", installed=True), **ours) == []


def test_missing_programs_come_by_packages_or_are_findings() -> None:
    few = {key: value for key, value in FACTS["programs"].items() if key not in ("ctr", "containerd", "socat")}
    assert preflight.packages(few) == {"containerd": ["containerd", "ctr"], "socat": ["socat"]}
    assert names(programs=few) == []
    assert names(Wanted("worker", packages=False), programs=few) == ["containerd", "socat"]


def test_an_error_names_each_finding_and_its_way_out() -> None:
    found = preflight.findings({**FACTS, "cores": 1, "swap": ["/s"]}, Wanted("control-plane"), 1000.0)
    error = preflight.error("10.0.0.1", "control-plane", found, [])
    assert error is not None
    assert "NumCPU: 1 cores of the 2" in str(error) and "Swap: it swaps to /s -> `swapoff -a`" in str(error)
    assert "ignorePreflight" in error.do


@pytest.mark.parametrize("ignored", [["numcpu", "SWAP"], ["all"]])
def test_what_is_ignored_by_name_is_no_error(ignored: list[str]) -> None:
    found = preflight.findings({**FACTS, "cores": 1, "swap": ["/s"]}, Wanted("control-plane"), 1000.0)
    assert preflight.error("10.0.0.1", "control-plane", found, ignored) is None
    assert preflight.error("10.0.0.1", "control-plane", found, ["Swap"]) is not None
