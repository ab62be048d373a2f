"""What a cluster that we make gets before the app: every object as it was looked at once, and what must hold of all."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anytier.bundle import software
from anytier.render.kubernetes import addons
from anytier.render.kubernetes.addons import Choice, flannel, local_path

GOLDEN = Path(__file__).parent / "golden"
ADDRESSES = ("10.0.0.11", "10.0.0.12")
ALL = Choice(
    "10.244.0.0/16",
    metrics=True,
    ingress="traefik",
    addresses=ADDRESSES,
    replicas=2,
    network_policy="kube-router",
    plugin=True,
)
CHOICES = {
    "flannel": Choice("10.244.0.0/16", storage="none"),
    "flannel-plugin": Choice("10.244.0.0/16", storage="none", plugin=True),
    "flannel-vxlan": Choice("10.244.0.0/16", cni="flannel-vxlan", storage="none"),
    "kube-router": Choice("10.244.0.0/16", cni="none", storage="none", network_policy="kube-router"),
    "local-path": Choice("10.244.0.0/16", cni="none"),
    "metrics": Choice("10.244.0.0/16", cni="none", storage="none", metrics=True),
    "traefik": Choice("10.244.0.0/16", "none", "none", ingress="traefik", addresses=ADDRESSES, replicas=2),
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_addons_objects_are_those_that_were_looked_at(name: str, request: pytest.FixtureRequest) -> None:
    text = yaml.safe_dump_all([item.object for item in addons.render(CHOICES[name])], sort_keys=False)
    file = GOLDEN / f"{name}.yaml"
    if request.config.getoption("--accept"):
        file.write_text(text)
    assert text == file.read_text(), "changed: if that is meant, run it with --accept"


def test_goldens_are_all_used() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == {*CHOICES, "aws-balancers"}


def objects(choice: Choice = ALL) -> list[dict[str, Any]]:
    return [item.object for item in addons.render(choice)]


def pods(choice: Choice = ALL) -> Iterator[dict[str, Any]]:
    for object in objects(choice):
        if object["kind"] in ("DaemonSet", "Deployment"):
            yield object["spec"]["template"]["spec"]
    yield yaml.safe_load(local_path.render("/v")[6].object["data"]["helperPod.yaml"])["spec"]


def test_each_comes_after_what_it_needs_and_has_a_key_of_its_own() -> None:
    seen: list[str] = []
    for item in addons.render(ALL):
        assert item.key not in seen and set(item.after) <= {*seen}, item.key
        seen.append(item.key)
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects()]
    assert len({*names}) == len(names)


def test_every_namespace_account_and_role_that_is_named_is_there() -> None:
    have = {(item["kind"], item["metadata"]["name"]) for item in objects()}
    for item in objects():
        where = item["metadata"].get("namespace")
        assert where in (None, "kube-system") or ("Namespace", where) in have
        if item["kind"].endswith("Binding"):
            (subject,) = item["subjects"]
            assert ("ServiceAccount", subject["name"]) in have
            role = item["roleRef"]
            builtin = role["name"] in ("system:auth-delegator", "extension-apiserver-authentication-reader")
            assert builtin or (role["kind"], role["name"]) in have


def test_every_image_is_one_that_a_bundle_is_asked_for_and_is_never_fetched_again() -> None:
    asked = {image for names in addons.images(ALL).values() for image in names}
    used = set()
    for pod in pods():
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            used.add(container["image"])
            assert container["imagePullPolicy"] == "IfNotPresent" and container["resources"]["requests"]
            assert re.fullmatch(r"[a-z0-9.]+/[a-z0-9./-]+:v?[0-9.]+(-flannel[0-9]+)?", container["image"])
    assert used == asked


def test_what_does_not_work_on_the_machine_itself_is_locked_in() -> None:
    for object in objects():
        if object["kind"] != "Deployment":
            continue
        for container in object["spec"]["template"]["spec"]["containers"]:
            held = container["securityContext"]
            assert held["runAsNonRoot"] and held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"]
            assert held["capabilities"] == {"drop": ["ALL"]} and held["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not [pod for pod in pods() if any(c.get("securityContext", {}).get("privileged") for c in pod["containers"])]


def test_the_network_is_on_every_node_before_it_is_ready() -> None:
    (agent,) = [item.object for item in flannel.render("10.0.0.0/8", "vxlan") if item.object["kind"] == "DaemonSet"]
    assert agent["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_another_config_starts_the_pods_that_read_it_anew() -> None:
    def noted(choice: Choice) -> list[str]:
        templates = [
            item["spec"]["template"] for item in objects(choice) if item["kind"] in ("DaemonSet", "Deployment")
        ]
        return [item["metadata"]["annotations"]["anytier.dev/config"] for item in templates]

    first = noted(Choice("10.244.0.0/16"))
    assert noted(Choice("10.244.0.0/16")) == first
    for one, other in zip(first, noted(Choice("10.0.0.0/16", volumes="/srv/volumes")), strict=True):
        assert one != other


@given(
    st.sampled_from(["flannel", "flannel-vxlan", "none"]),
    st.sampled_from(["local-path", "none"]),
    st.booleans(),
    st.text(max_size=40),
    st.sampled_from(["none", "traefik"]),
    st.integers(1, 65535),
    st.sampled_from(["kube-router", "none"]),
)
def test_any_choice_is_json_and_yaml_and_asks_for_the_images_it_uses(
    cni: Any, storage: Any, metrics: bool, volumes: str, ingress: Any, port: int, firewall: Any
) -> None:
    choice = Choice("10.244.0.0/16", cni, storage, metrics, volumes, ingress, ADDRESSES, port, port, 1, firewall)
    made = objects(choice)
    assert json.loads(json.dumps(made)) == made
    asked = {*itertools.chain(*addons.images(choice).values())}
    text = json.dumps(made)
    assert all(image in text for image in asked)
    if storage != "none":
        (config,) = [item["data"] for item in made if item["metadata"]["name"] == "local-path-config"]
        assert json.loads(config["config.json"])["nodePathMap"][0]["paths"] == [volumes]


def test_the_networks_plugin_is_of_the_version_that_bundles_have() -> None:
    assert flannel.PLUGIN.rpartition(":")[2] == f"v{software.FLANNEL_PLUGIN}"
    bringing = next(pods(Choice("10.244.0.0/16", plugin=True)))["initContainers"]
    assert [item["name"] for item in bringing] == ["install-plugin", "install-cni"]
