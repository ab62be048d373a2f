"""What an app registers on a cluster: order, names, what is secret, and what a rollback leaves alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtimes.record import Recording, Secret, record

import pulumi
from anytier.errors import ConfigError, SpecError
from anytier.provider.check import check
from anytier.provider.kubernetes import claim, client, day2, job, kinds, workload
from anytier.provider.registry import Registry
from anytier.provider.values import plain
from anytier.runtimes import kubernetes as runtime
from anytier.spec import App as Spec
from anytier.spec.load import load
from anytier.tiers.places import Binding, Cluster, HostMachine
from anytier.tiers.places import Registry as ImageRegistry

ROOT = Path(__file__).parents[2]
CONFIG = {
    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", "certificate-authority-data": "Q0E="}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
    "users": [{"name": "u", "user": {"token": "t"}}],
}
PLACE = Cluster(
    kubeconfig=json.dumps(CONFIG),
    version="1.34",
    port=8080,
    tls_port=8443,
    address="app.example.org",
    addresses=("10.0.0.1",),
    offers=frozenset({"storage"}),
    storage_class="local-path",
    builder={"host": "unix:///var/run/docker.sock"},
    nodes=(HostMachine("a", {"kind": "ssh", "address": "10.0.0.1"}, "10.0.0.1"),),
)


def registered(app: Spec, place: Cluster = PLACE, rollback: Mapping[str, int] | None = None) -> Recording:
    def program() -> None:
        made = runtime.KubernetesRuntime(
            "app",
            app=app,
            place=place,
            ns="anytier-dev-shop",
            app_dir=ROOT / "apps" / app.metadata.name if (ROOT / "apps" / app.metadata.name).is_dir() else ROOT,
            owner="me",
            scale={},
            rollback=rollback or {},
            secret_config=lambda key: f"value of {key}",
        )
        for name, value in made.exports.items():
            pulumi.export(name, value)

    return record(program)


def example(name: str) -> Spec:
    return load(ROOT / "apps" / name / "app.yaml", "docker")


def spec(**more: Any) -> Spec:
    web = {"containers": {"main": {"image": "x:1"}}}
    data = {"metadata": {"name": "small"}, "workloads": {"web": web}, **more}
    return Spec.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


@pytest.fixture(scope="module")
def conformance() -> Recording:
    return registered(example("conformance"))


def test_program_and_plugin_mean_the_same_by_their_notes() -> None:
    assert runtime.MANAGER == client.MANAGER and runtime.HASH == kinds.HASH
    assert runtime.KEPT_FOR == workload.KEPT_FOR and runtime.OWNER == claim.OWNER


def test_a_workload_waits_for_the_rollout_of_what_it_depends_on(conformance: Recording) -> None:
    rollouts = {item.name for item in conformance.of("kubernetes:Rollout")}
    assert {"app", "store", "echo", "late"} <= rollouts
    late = [
        item for item in conformance.resources if item.name == "late" and item.type == "kubernetes:apps/v1:Deployment"
    ]
    before = [
        item for item in conformance.resources if item.name == "job/before" and item.type == "kubernetes:batch/v1:Job"
    ]
    assert "app" in late[0].depends and before
    assert all(
        "app/namespace" in item.depends
        for item in conformance.resources
        if item.type.startswith("kubernetes:") and item.name != "app/namespace"
    )


def test_the_engine_takes_no_job_away(conformance: Recording) -> None:
    """One that a failed run has put aside may be the wanted one again, by the same name."""
    jobs = [item for item in conformance.resources if item.type == "kubernetes:batch/v1:Job"]
    assert jobs and all(item.stays for item in jobs)


def test_the_plugin_comes_to_the_cluster_once_it_has_let_us_in(conformance: Recording) -> None:
    """The claim waits for that; the plugin would not."""
    (claimed,) = conformance.of("kubernetes:Claim")
    (plugin,) = [item for item in conformance.resources if item.type == "pulumi:providers:kubernetes"]
    assert claimed.name in plugin.depends and plugin.name not in claimed.depends


def test_the_namespace_says_whose_it_is(conformance: Recording) -> None:
    assert conformance["app/namespace"].inputs["metadata"]["annotations"][claim.OWNER] == "me"


def test_what_is_in_the_namespace_goes_with_it(conformance: Recording) -> None:
    inside = [
        item for item in conformance.resources if item.type.startswith("kubernetes:") and item.name != "app/namespace"
    ]
    assert inside and all(item.gone_with == "app/namespace" for item in inside)


def test_values_of_secrets_are_secret_and_names_by_their_hash_are_not(conformance: Recording) -> None:
    (secret,) = [item for item in conformance.resources if item.type == "kubernetes:core/v1:Secret"]
    assert isinstance(secret.inputs["data"], Secret)
    name = secret.inputs["metadata"]["name"]
    (app,) = [
        item for item in conformance.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "app"
    ]
    volumes = app.inputs["spec"]["template"]["spec"]["volumes"]
    assert name in [item["secret"]["secretName"] for item in volumes if "secret" in item]
    assert secret.inputs["metadata"]["labels"]["anytier.dev/kept-for"] == "app"
    without = json.dumps([item.inputs for item in conformance.resources], default=lambda value: "hidden")
    assert "value of" not in without and "generated" not in without


def test_the_rollout_waits_for_the_hash_that_the_template_carries(conformance: Recording) -> None:
    for watched in conformance.of("kubernetes:Rollout"):
        (made,) = [
            item for item in conformance.resources if item.name == watched.name and item.type.startswith("kubernetes:")
        ]
        template = made.inputs["spec"]["template"]
        assert template["metadata"]["annotations"][kinds.HASH] == watched.inputs["hash"]
        assert (
            watched.inputs["name"] == made.inputs["metadata"]["name"] and watched.inputs["kind"] == made.inputs["kind"]
        )


def test_a_secrets_new_value_is_a_new_template() -> None:
    secret = {"token": {"from": "config", "key": "x"}}
    web = {"containers": {"main": {"image": "x:1", "secrets": {"TOKEN": "token"}}}}
    app = spec(workloads={"web": web}, secrets=secret)

    def hash_with(value: str) -> str:
        def program() -> None:
            runtime.KubernetesRuntime(
                "app", app=app, place=PLACE, ns="ns", app_dir=ROOT, owner="me", scale={}, rollback={},
                secret_config=lambda key: value,
            )  # fmt: skip

        (found,) = record(program).of("kubernetes:Rollout")
        return str(found.inputs["hash"])

    assert hash_with("a") == hash_with("a") != hash_with("b")


def test_the_plugin_has_nothing_to_fill_in(conformance: Recording) -> None:
    """So that it tells at once that nothing has changed."""
    registry = Registry()
    seen = 0
    for item in conformance.resources:
        kind = registry.load(item.type) if item.type.startswith("anytier:kubernetes") else None
        if kind is not None:
            given = {key: opened(value) for key, value in item.inputs.items() if value is not None}
            tree, failures = check(kind.inputs, given)
            assert failures == [] and plain(tree) == given, item.name
            seen += 1
    assert seen > 5


def opened(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value


def test_images_are_built_once_and_sent_to_every_node(conformance: Recording) -> None:
    sent = conformance["anytier-dev-shop-app-app-on-nodes"]
    assert sent.inputs["machines"] == [PLACE.nodes[0].machine] and sent.inputs["image"] == "sha256:0123"
    (app,) = [
        item for item in conformance.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "app"
    ]
    assert app.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == "anytier.local/image:0123"


def test_what_is_built_goes_to_the_registry_where_the_place_has_one() -> None:
    registry = ImageRegistry("r.example.org/images", "token", ("login", "--now"))
    found = registered(example("guestbook"), replace(PLACE, nodes=(), registry=registry))
    pushed = {item.name: item for item in found.of("docker:Push")}
    assert set(pushed) == {"anytier-dev-shop-web-web-pushed", "anytier-dev-shop-store-store-pushed"}
    web = pushed["anytier-dev-shop-web-web-pushed"]
    assert web.inputs["repository"] == "r.example.org/images/anytier-dev-shop-web-web"
    assert web.inputs["image"] == "sha256:0123" and "anytier-dev-shop-web-web" in web.depends
    assert web.inputs["login"] == {"user": "token", "command": ["login", "--now"]}
    [deployment] = [
        item for item in found.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "web"
    ]
    [container] = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "r.example.org/images@sha256:0123" and not found.of("kubeadm:Image")


def platforms(app: Spec, *processors: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Image -> the platform that it is built for; workload -> the nodes that it keeps to."""
    found = registered(app, replace(PLACE, processors=processors))
    images = {item.name.rpartition("-")[2]: item.inputs["build"].get("platform") for item in found.of("docker:Image")}
    pods = {
        item.name: item.inputs["spec"]["template"]["spec"].get("nodeSelector")
        for item in found.resources
        if item.type == "kubernetes:apps/v1:Deployment"
    }
    return images, pods


def test_what_is_built_is_built_for_the_machines_and_stays_on_those_that_can_run_it() -> None:
    build = {"context": "apps/guestbook/web"}
    workloads = {
        "web": {"containers": {"web": {"build": build}}},
        "arm": {
            "containers": {"arm": {"build": build}},
            "placement": {"labels": {"kubernetes.io/arch": "arm64", "disk": "ssd"}},
        },
        "cache": {"containers": {"cache": {"image": "redis:8"}}},
    }
    app = spec(workloads=workloads)
    named = {"kubernetes.io/arch": "arm64", "disk": "ssd"}
    # nobody knows, or all machines are alike: pods need no word of it
    assert platforms(app) == ({"web": None, "arm": None}, {"web": None, "arm": named, "cache": None})
    assert platforms(app, "arm64")[0] == {"web": "linux/arm64", "arm": "linux/arm64"}
    assert platforms(app, "arm64")[1] == {"web": None, "arm": named, "cache": None}
    # mixed: an image of a registry may be for all
    images, pods = platforms(app, "amd64", "arm64")
    assert images == {"web": "linux/amd64", "arm": "linux/arm64"}
    assert pods == {"web": {"kubernetes.io/arch": "amd64"}, "arm": named, "cache": None}


def test_a_signal_to_stop_goes_into_what_is_pushed() -> None:
    registry = ImageRegistry("r.example.org/images", "token", ("login", "--now"))
    found = registered(example("shop"), replace(PLACE, nodes=(), registry=registry))
    signals = {item.name: item.inputs.get("stopSignal") for item in found.of("docker:Push")}
    assert signals["anytier-dev-shop-web-web-pushed"] == "SIGQUIT" and None in signals.values()


def test_the_apps_address_may_be_one_that_is_made_with_the_cluster() -> None:
    def program() -> None:
        address = pulumi.Output.from_input("203.0.113.7")
        place = replace(PLACE, address=address, offers=frozenset({"storage", "load-balancer"}), entrance={"note": "it"})
        routes = [{"path": "/", "workload": "web", "port": "http"}, {"path": "/b", "workload": "web", "port": "http"}]
        web = {"containers": {"main": {"image": "x:1"}}, "service": {"ports": {"http": {"port": 80}}}}
        made = runtime.KubernetesRuntime(
            "app", app=spec(workloads={"web": web}, routes=routes), place=place, ns="anytier-dev-small", app_dir=ROOT,
            owner="me", scale={}, rollback={}, secret_config=lambda key: None,
        )  # fmt: skip
        pulumi.export("urls", made.exports["urls"])
        pulumi.export("url", made.exports["url"])

    found = record(program)
    assert found.exports["urls"] == ["http://203.0.113.7:8080/", "http://203.0.113.7:8080/b"]
    assert found.exports["url"] == "http://203.0.113.7:8080/"
    assert found["router/service"].inputs["metadata"]["annotations"]["note"] == "it"


def test_an_up_ends_once_the_machines_take_what_the_app_is_called_by() -> None:
    ports = {"http": {"port": 80}, "tcp": {"port": 7070, "expose": "host"}, "own": {"port": 7071}}
    ports["udp"] = {"port": 7072, "expose": "host", "protocol": "UDP"}
    web = {"containers": {"main": {"image": "x:1"}}, "service": {"ports": ports}}
    app = spec(workloads={"web": web}, routes=[{"path": "/", "workload": "web", "port": "http"}])
    found = registered(app)
    (waited,) = found.of("kubernetes:Entrance")
    assert waited.inputs["ports"] == [7070, 8080] and waited.inputs["addresses"] == ["10.0.0.1"]
    assert {"web", "router/service"} <= set(waited.depends)
    assert not registered(spec()).of("kubernetes:Entrance")
    balanced = replace(PLACE, addresses=(), offers=PLACE.offers | {"load-balancer"})
    assert not registered(app, balanced).of("kubernetes:Entrance")


def test_the_app_is_told_of_the_ports_that_the_machines_need_themselves() -> None:
    ports = {"ssh": {"port": 22, "expose": "host"}}
    app = spec(workloads={"web": {"containers": {"main": {"image": "x:1"}}, "service": {"ports": ports}}})
    with pytest.raises(SpecError, match="port 22 is the machines' own"):
        registered(app, replace(PLACE, reserved=frozenset({22})))


def test_a_workload_that_no_longer_says_its_number_comes_after_its_handover() -> None:
    web = {"containers": {"main": {"image": "x:1"}}}
    asks = {"main": {"image": "x:1", "resources": {"requests": {"cpu": "250m"}}}}
    scaled = {"containers": asks, "scale": {"min": 2, "max": 5}}
    agent = {**web, "scale": {"mode": "global"}}
    app = spec(workloads={"scaled": scaled, "fixed": web, "agent": agent})
    found = registered(app, replace(PLACE, offers=PLACE.offers | {"metrics"}))
    (handover,) = found.of("kubernetes:Handover")
    assert handover.name == "scaled" and {handover.inputs[key] for key in ("kind", "name")} == {"Deployment", "scaled"}
    assert ("anytier:kubernetes:Handover", "scaled") in made_of(found, "scaled").needs
    assert handover.gone_with == "app/namespace"
    needs = found["scaled.scaler"].needs
    assert ("kubernetes:apps/v1:Deployment", "scaled") in needs, "which has no number until there is an autoscaler"
    assert ("anytier:kubernetes:Rollout", "scaled") not in needs


def test_a_volume_is_made_after_what_keeps_its_data() -> None:
    data = {"type": "volume", "class": "fast", "params": {"size": "10Gi"}}
    objects = [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "own"}, "spec": {}}]
    tls = {"routes": [{"path": "/", "host": "a.test", "workload": "web", "port": "http", "tls": {}}]}
    web = {"containers": {"main": {"image": "x:1"}}, "service": {"ports": {"http": {"port": 80}}}}
    found = registered(spec(resources={"data": data}, objects=objects, workloads={"web": web}, **tls))
    router, guard = found.of("kubernetes:Volume")
    given = {key: guard.inputs[key] for key in ("at", "name", "access", "storageClass", "size")}
    assert given == {
        "at": "resources.data", "name": "data", "access": ["ReadWriteOnce"], "storageClass": "fast", "size": "10Gi",
    }  # fmt: skip
    assert (router.inputs["at"], router.inputs["name"]) == ("router/volume", "anytier-router")
    assert router.inputs["storageClass"] == "local-path"
    kind = "kubernetes:core/v1:PersistentVolumeClaim"
    claims = {item.name: item for item in found.resources if item.type == kind}
    assert "volume/data" in claims["volume/data"].depends and "router/volume" in claims["router/volume"].depends
    assert "anytier-dev-shop" in guard.depends and guard.gone_with == "app/namespace"
    assert len(claims) == 3


def test_a_build_without_anybody_who_builds_is_refused_before_anything_is_registered() -> None:
    seen = Recording()
    with pytest.raises(ConfigError, match="is built, and this cluster has nobody"):
        registered(example("guestbook"), replace(PLACE, builder=None))
    assert not seen.resources


def test_exports_are_as_on_every_tier(conformance: Recording) -> None:
    assert conformance.exports["workloads"]["app"] == {"revision": 3, "replicas": 2}
    assert conformance.exports["url"] == "http://app.example.org:8080/"


def test_another_cluster_is_told_from_the_same_at_another_address() -> None:
    first = runtime.fingerprint(json.dumps(CONFIG))
    moved, other = json.loads(json.dumps(CONFIG)), json.loads(json.dumps(CONFIG))
    moved["clusters"][0]["cluster"]["server"] = "https://10.0.0.2:6443"
    other["clusters"][0]["cluster"]["certificate-authority-data"] = "Q0I="
    assert runtime.fingerprint(json.dumps(moved)) == first != runtime.fingerprint(json.dumps(other))
    with pytest.raises(ConfigError):
        runtime.fingerprint("{}")


def test_what_is_kept_is_found_by_who_prunes_it() -> None:
    """By the labels of its pods, whatever its object is called: the name of a StatefulSet is cut, a router has one."""
    long, secrets = "d" * 63, {name: {"from": "config"} for name in ("token", "c", "k")}
    body = {"containers": {"main": {"image": "x:1", "secrets": {"TOKEN": "token"}}}}
    db = {"containers": {"main": {**body["containers"]["main"], "volumes": {"/data": {"source": "data"}}}}}
    web = {**body, "service": {"ports": {"http": {"port": 80}}}}
    tls = {"secretRef": {"certificate": "c", "key": "k"}}
    found = registered(
        spec(
            workloads={"web": web, long: db},
            jobs={"j" * 63: {**body, "trigger": "preDeploy"}},
            resources={"data": {"type": "volume"}},
            secrets=secrets,
            routes=[{"path": "/", "host": "a.test", "workload": "web", "port": "http", "tls": tls}],
        )
    )
    labels = {item.name: item.inputs["metadata"]["labels"] for item in found.resources if kept(item) and item.stays}
    of_job = f"job/{'j' * 63}.secret"
    assert set(labels) == {"web.secret", f"{long}.secret", of_job, "router/config", "certificate/c"}
    assert all(len(item[runtime.KEPT_FOR]) <= 63 for item in labels.values())
    assert labels["certificate/c"][runtime.KEPT_FOR] == labels["router/config"][runtime.KEPT_FOR] == "anytier-router"
    for name, config in (("web", "web.secret"), (long, f"{long}.secret"), ("router/proxy", "router/config")):
        (live,) = [item for item in found.resources if item.name == name and item.type.startswith("kubernetes:apps/")]
        key, _, value = kinds.selector(live.inputs).partition("=")
        assert labels[config][key] == value == labels[config][runtime.KEPT_FOR]
    (run,) = found.of("kubernetes:Run")
    assert labels[of_job][job.JOB] == run.inputs["job"]


def kept(item: Any) -> bool:
    return item.type.startswith("kubernetes:core/v1:") and runtime.KEPT_FOR in item.inputs["metadata"]["labels"]


def test_what_nobody_would_prune_goes_with_what_named_it() -> None:
    """What a CronJob names, and certificates of Ingresses, have no revisions."""
    body = {"containers": {"main": {"image": "x:1", "secrets": {"TOKEN": "token"}}}}
    ports = {"service": {"ports": {"http": {"port": 80}}}}
    tls = {"secretRef": {"certificate": "c", "key": "k"}}
    app = spec(
        workloads={"web": {"containers": {"main": {"image": "x:1"}}, **ports}},
        jobs={"nightly": {**body, "schedule": "@daily"}, "by-hand": body},
        secrets={name: {"from": "config"} for name in ("token", "c", "k")},
        routes=[{"path": "/", "host": "a.test", "workload": "web", "port": "http", "tls": tls}],
    )
    found = registered(app, replace(PLACE, offers=PLACE.offers | {"ingress"}, ingress_class="traefik"))
    names = {item.name for item in found.resources if item.type == "kubernetes:core/v1:Secret"}
    assert names == {"job/nightly.cronsecret", "job/by-hand.cronsecret", "ingress-certificate/c"}
    assert [item.name for item in found.resources if kept(item) or item.stays] == []


def test_what_the_cluster_removes_with_its_owner_is_not_what_others_name_afterwards() -> None:
    """What is kept is the router's or the Job's own: when these go, nothing that is still named goes with them."""
    file = {"/etc/x.conf": {"content": "x"}}
    body = {"containers": {"main": {"image": "x:1", "secrets": {"TOKEN": "token"}, "files": file}}}
    web = {"containers": {"main": {"image": "x:1"}}, "service": {"ports": {"http": {"port": 80}}}}
    tls = {"secretRef": {"certificate": "c", "key": "k"}}

    def held(trigger: dict[str, str], place: Any) -> set[str]:
        app = spec(
            workloads={"web": web},
            jobs={"nightly": {**body, **trigger}},
            secrets={name: {"from": "config"} for name in ("token", "c", "k")},
            routes=[{"path": "/", "host": "a.test", "workload": "web", "port": "http", "tls": tls}],
        )
        kinds_of = ("kubernetes:core/v1:Secret", "kubernetes:core/v1:ConfigMap")
        made = [item for item in registered(app, place).resources if item.type in kinds_of]
        return {f"key {item.name}" for item in made} | {f"name {item.inputs['metadata']['name']}" for item in made}

    before = held({"trigger": "preDeploy"}, PLACE)
    after = held({"schedule": "@daily"}, replace(PLACE, offers=PLACE.offers | {"ingress"}, ingress_class="traefik"))
    assert len(after) == 6 and not before & after


def test_an_apps_own_gateway_is_waited_for_and_no_other() -> None:
    web = {"containers": {"main": {"image": "x:1"}}, "service": {"ports": {"http": {"port": 80}}}}
    app = spec(workloads={"web": web}, routes=[{"workload": "web", "port": "http"}])
    place = replace(PLACE, offers=PLACE.offers | {"gateway"}, gateway_class="eg")
    found = registered(app, place)
    (waited,) = found.of("kubernetes:Address")
    assert waited.inputs["gateway"] == "gateway" and "app/gateway" in waited.depends
    assert not found.of("kubernetes:Entrance"), "no machine of the cluster takes its requests"
    there = registered(app, replace(place, gateway="infra/web"))
    assert not there.of("kubernetes:Address")


@given(st.text())
def test_a_text_reveals_a_secret_only_where_its_value_stands(text: str) -> None:
    assert not runtime.reveals(text.replace("{secrets.", "{"))
    assert runtime.reveals(text.replace("$", "") + "${secrets.x}")
    assert not runtime.reveals(text.replace("$", "") + "${hash:00ff:secrets.x}")


def test_day_two_finds_pods_by_the_label_that_they_are_rendered_with(conformance: Recording) -> None:
    (app,) = [
        item for item in conformance.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "app"
    ]
    assert app.inputs["spec"]["template"]["metadata"]["labels"][day2.WORKLOAD] == "app"


# who it is to a cloud


def test_a_workload_waits_for_its_role_and_no_other_does() -> None:
    asked: list[Binding] = []

    def bind(binding: Binding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        asked.append(binding)
        return pulumi.CustomResource("cloud:index:Bound", binding.workload + "-role", {"role": binding.role}, opts)

    web = {"containers": {"main": {"image": "x:1"}}}
    app = spec(workloads={"web": {**web, "identity": {"cloudRoles": {"aws": "arn"}}}, "other": web})
    made = registered(app, replace(PLACE, cloud="aws", bind=bind))
    assert asked == [Binding("web", "anytier-dev-shop", "web", "arn")]
    assert made["web-role"].parent == "app"
    of_web, of_other = ((made_of(made, name)) for name in ("web", "other"))
    assert "web-role" in of_web.depends and "web-role" not in of_other.depends


def made_of(made: Recording, name: str) -> Any:
    (found,) = [item for item in made.resources if item.name == name and item.type == "kubernetes:apps/v1:Deployment"]
    return found
