"""What kubeadm is given: golden files, and nothing of a user's that becomes anything but a value."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubeadm import audit, authentication, config, encryption, kubelet
from anytier.render.kubeadm.config import Control

GOLDENS = Path(__file__).parent / "goldens"
CONTROL = Control(
    name="one",
    cluster="demo",
    version="v1.34.2",
    endpoint="127.0.0.1:16443",
    address="10.0.0.11",
    encryption="0123456789",
)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


def golden(request: pytest.FixtureRequest, name: str, text: str) -> None:
    file = GOLDENS / name
    if request.config.getoption("--accept"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def arguments(component: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in component["extraArgs"]}


def test_what_an_init_is_given(request: pytest.FixtureRequest) -> None:
    golden(request, "init.yaml", config.text(config.documents(CONTROL)))


def test_what_a_join_is_given(request: pytest.FixtureRequest) -> None:
    golden(request, "join.yaml", config.text([config.join("two", "10.0.0.12", [], ["Swap"])]))


def test_kubeadm_waits_as_long_as_it_is_told_to_and_never_less_than_it_would() -> None:
    assert "timeouts" not in config.init(CONTROL)
    said = config.init(dataclasses.replace(CONTROL, start=1800))["timeouts"]
    assert said["controlPlaneComponentHealthCheck"] == said["kubeletHealthCheck"] == said["tlsBootstrap"] == "1800s"
    assert (said["kubernetesAPICall"], said["etcdAPICall"], said["discovery"]) == ("450s", "900s", "1800s")
    short = config.join("two", "10.0.0.12", [], [], 30.5)["timeouts"]
    assert (short["kubeletHealthCheck"], short["kubernetesAPICall"], short["discovery"]) == ("31s", "60s", "300s")


def test_what_the_api_server_reads(request: pytest.FixtureRequest) -> None:
    documents = [audit.policy(), authentication.config("v1.34.2"), encryption.config([encryption.key("k" * 32)])]
    golden(request, "apiserver.yaml", config.text(documents))


def test_safe_by_default() -> None:
    cluster, agent = config.cluster(CONTROL), kubelet.config({})
    server = arguments(cluster["apiServer"])
    assert server["profiling"] == "false"
    assert server["tls-min-version"] == "VersionTLS12"
    assert server["audit-log-maxage"] == "30"
    assert server["encryption-provider-config"].endswith("/encryption-0123456789.yaml")
    assert server["kubelet-certificate-authority"] == "/etc/kubernetes/pki/ca.crt"
    assert server["enable-aggregator-routing"] == "true"
    assert arguments(cluster["controllerManager"])["profiling"] == "false"
    assert arguments(cluster["scheduler"])["profiling"] == "false"
    assert agent["authentication"] == {"anonymous": {"enabled": False}, "webhook": {"enabled": True}}
    assert (agent["readOnlyPort"], agent["protectKernelDefaults"], agent["serverTLSBootstrap"]) == (0, True, True)
    assert agent["authorization"] == {"mode": "Webhook"}


def test_nobody_without_a_name_gets_more_than_health() -> None:
    said = authentication.config("v1.34.2")
    assert {item["path"] for item in said["anonymous"]["conditions"]} == {"/livez", "/readyz", "/healthz"}
    assert authentication.config("v1.33.6")["apiVersion"].endswith("/v1beta1")


def test_without_audit_nothing_of_it_is_there() -> None:
    given_ = dataclasses.replace(CONTROL, audit=False)
    assert not [name for name in arguments(config.cluster(given_)["apiServer"]) if name.startswith("audit")]
    assert not [path for path in config.files(given_) if "audit" in path]


def test_a_stacks_own_settings_lie_over_ours() -> None:
    given_ = dataclasses.replace(
        CONTROL,
        kubelet={"cgroupDriver": "cgroupfs", "maxPods": 50.0, "authentication": {"anonymous": {"enabled": True}}},
        api_server={"profiling": "true", "v": "4"},
        kube_proxy={"conntrack": {"maxPerCore": 0.0}},
    )
    _, cluster, agent, proxy = config.documents(given_)
    assert agent["cgroupDriver"] == "cgroupfs" and agent["maxPods"] == 50 and isinstance(agent["maxPods"], int)
    assert agent["authentication"] == {"anonymous": {"enabled": True}, "webhook": {"enabled": True}}
    assert arguments(cluster["apiServer"])["profiling"] == "true" and arguments(cluster["apiServer"])["v"] == "4"
    assert proxy["conntrack"] == {"maxPerCore": 0} and proxy["clusterCIDR"] == "10.244.0.0/16"


def test_the_certificate_is_good_for_every_name_that_is_used() -> None:
    given_ = dataclasses.replace(
        CONTROL, endpoint="api.example.org:443", control_plane_endpoint="10.0.0.9:6443", cert_sans=["extra"]
    )
    assert config.sans(given_) == ["api.example.org", "10.0.0.9", "10.0.0.11", "127.0.0.1", "localhost", "extra"]


def test_taints_not_said_are_kubeadms_own_and_none_are_none() -> None:
    assert "taints" not in config.init(CONTROL)["nodeRegistration"]
    assert config.init(dataclasses.replace(CONTROL, taints=[]))["nodeRegistration"]["taints"] == []


@given(TEXT, TEXT, TEXT)
def test_any_text_stays_a_value(cluster: str, value: str, key: str) -> None:
    given_ = dataclasses.replace(
        CONTROL, cluster=cluster, api_server={"oidc-username-prefix": value}, kubelet={"extra": {key: value}}
    )
    documents = list(yaml.safe_load_all(config.text(config.documents(given_))))
    assert [item["kind"] for item in documents] == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
    ]
    assert documents[1]["clusterName"] == cluster
    assert arguments(documents[1]["apiServer"])["oidc-username-prefix"] == value
    assert documents[2]["extra"] == {key: value}


@given(TEXT, TEXT)
def test_a_kubeconfig_says_what_it_was_given(name: str, token: str) -> None:
    made = config.kubeconfig(name, "https://10.0.0.11:6443", "Q0E=", {"token": token})
    read = yaml.safe_load(config.text([made]))
    assert read == made and read["users"][0]["user"]["token"] == token


@given(
    st.lists(
        st.text(min_size=32, max_size=64, alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, unique=True
    )
)
def test_old_keys_go_on_reading(texts: list[str]) -> None:
    keys = [encryption.key(item) for item in texts]
    made = encryption.config(keys)
    assert encryption.keys_in(yaml.safe_load(config.text([made]))) == keys
    assert not any(item in encryption.mark(made) for item in [*texts, *keys])
    assert (encryption.mark(made) == encryption.mark(encryption.config(keys[:1]))) == (len(keys) == 1)
