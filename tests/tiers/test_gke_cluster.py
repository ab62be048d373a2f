"""What tier gke registers: the security baseline line by line, what replaces what, in which order it comes and goes.

Under Pulumi's mocks with the cloud's own SDK: names and types of properties are real, what Google would say is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.runtimes.record import Recording, Registered, Secret, record

import pulumi
from anytier import config, program
from anytier.errors import AnytierError, leaves
from anytier.tiers.gke import GkeTier
from anytier.tiers.gkeargs import GkeArgs
from anytier.tiers.gkeplan import GATEWAY, IGNORED, REPLACES, called
from anytier.tiers.places import Binding

pytest.importorskip("pulumi_gcp", reason="make test-clouds")

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
STACK = {"gcp:project": "my-project", "gcp:region": "europe-west3"}
NAME = called("prod", "anytier")
DNS = "gke-0123456789-42.europe-west3.gke.goog"
GOOGLE = {
    CLUSTER: {
        "endpoint": "203.0.113.9",
        "masterVersion": "1.35.8-gke.1036000",
        "masterAuth": {"clusterCaCertificate": "Y2E=", "clientCertificateConfig": {"issueClientCertificate": False}},
        "privateClusterConfig": {"privateEndpoint": "10.0.0.2"},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": DNS}},
    },
    "gcp:serviceaccount/account:Account": {"email": "nodes@my-project.iam.gserviceaccount.com"},
    "gcp:projects/serviceIdentity:ServiceIdentity": {"member": "serviceAccount:agent@gke.example"},
    "gcp:compute/address:Address": {"address": "203.0.113.20"},
    "gcp:compute/globalAddress:GlobalAddress": {"address": "203.0.113.21"},
    "anytier:kubernetes:Rollout": {"revision": 3, "replicas": 2},
}
APP = """
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers:
      web:
        image: registry.example.org/web:1
        volumes: {/data: {source: "${resources.data}"}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
    identity: {cloudRoles: {gcp: web@my-project.iam.gserviceaccount.com}}
resources: {data: {type: volume}}
routes: [{path: /, workload: web, port: http}]
"""


@cache
def made(text: str = "{}", stack: str = "prod") -> Recording:
    def deploy() -> None:
        tier = GkeTier("gke", GkeArgs.model_validate(json.loads(text)), port=80, tls_port=443)
        for name, value in tier.exports.items():
            pulumi.export(name, value)

    return record(deploy, STACK, stack, answers=GOOGLE)


def tier(**args: Any) -> Recording:
    return made(json.dumps(args))


def of(recording: Recording, kind: str) -> Registered:
    [found] = [item for item in recording.resources if item.type == kind]
    return found


def at(inputs: Any, path: str) -> Any:
    """KeyError where there is no such thing."""
    for step in path.split("."):
        inputs = inputs[step]
    return inputs


# the security baseline

BASELINE = {
    "privateClusterConfig.enablePrivateNodes": True,
    "privateClusterConfig.enablePrivateEndpoint": True,
    "masterAuthorizedNetworksConfig.cidrBlocks": [],
    "masterAuthorizedNetworksConfig.gcpPublicCidrsAccessEnabled": False,
    "databaseEncryption.state": "ENCRYPTED",
    "databaseEncryption.keyName": f"{NAME}-secrets-id",
    "workloadIdentityConfig.workloadPool": "my-project.svc.id.goog",
    "releaseChannel.channel": "REGULAR",
    "datapathProvider": "ADVANCED_DATAPATH",
    "masterAuth.clientCertificateConfig.issueClientCertificate": False,
    "enableLegacyAbac": False,
    "loggingConfig.enableComponents": [
        "APISERVER",
        "CONTROLLER_MANAGER",
        "SCHEDULER",
        "SYSTEM_COMPONENTS",
        "WORKLOADS",
    ],
    "monitoringConfig.enableComponents": ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS"],
    "anonymousAuthenticationConfig.mode": "LIMITED",
    "rbacBindingConfig.enableInsecureBindingSystemAuthenticated": False,
    "serviceExternalIpsConfig.enabled": False,
    "networkingMode": "VPC_NATIVE",
    "ipAllocationPolicy.clusterSecondaryRangeName": "pods",
    "gatewayApiConfig.channel": "CHANNEL_STANDARD",
    "maintenancePolicy.recurringWindow.startTime": "2026-01-01T02:00:00Z",
}
OF_STANDARD = {
    "enableShieldedNodes": True,
    "enableIntranodeVisibility": True,
    "removeDefaultNodePool": True,
    "nodeConfig.shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
    "nodeConfig.serviceAccount": "nodes@my-project.iam.gserviceaccount.com",
    # 100 GB of the faster kind in each zone would be more than a new project may have.
    "nodeConfig.diskType": "pd-standard",
    "nodeConfig.diskSizeGb": 20,
    "nodePoolDefaults.nodeConfigDefaults.insecureKubeletReadonlyPortEnabled": "FALSE",
}
OF_POOLS = {
    "nodeConfig.serviceAccount": "nodes@my-project.iam.gserviceaccount.com",
    "nodeConfig.workloadMetadataConfig.mode": "GKE_METADATA",
    "nodeConfig.shieldedInstanceConfig.enableSecureBoot": True,
    "nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring": True,
    "nodeConfig.imageType": "COS_CONTAINERD",
    "nodeConfig.metadata": {"disable-legacy-endpoints": "true"},
    "nodeConfig.kubeletConfig.insecureKubeletReadonlyPortEnabled": "FALSE",
    "management": {"autoRepair": True, "autoUpgrade": True},
    "networkConfig.enablePrivateNodes": True,
    "nodeDrainConfigs": [{"respectPdbDuringNodePoolDeletion": True}],
}


@pytest.mark.parametrize("path", BASELINE)
@pytest.mark.parametrize("mode", ["standard", "autopilot"])
def test_a_line_of_the_baseline_holds_in_both_modes(mode: str, path: str) -> None:
    assert at(tier(mode=mode)["cluster"].inputs, path) == BASELINE[path]


@pytest.mark.parametrize("path", OF_STANDARD)
def test_a_line_of_the_baseline_holds_in_mode_standard(path: str) -> None:
    assert at(tier(mode="standard")["cluster"].inputs, path) == OF_STANDARD[path]


@pytest.mark.parametrize("path", OF_POOLS)
def test_a_line_of_the_baseline_holds_for_every_pool(path: str) -> None:
    two = tier(nodes=[{}, {"name": "spot", "spot": True, "size": "large"}])
    pools = [item for item in two.resources if item.type == POOL]
    assert len(pools) == 2
    for pool in pools:
        assert at(pool.inputs, path) == OF_POOLS[path]


def test_autopilots_nodes_are_the_clusters_own_account_too() -> None:
    inputs = tier(mode="autopilot")["cluster"].inputs
    defaults = inputs["clusterAutoscaling"]["autoProvisioningDefaults"]
    assert defaults["serviceAccount"] == "nodes@my-project.iam.gserviceaccount.com"
    assert inputs["enableAutopilot"] is True and "nodeConfig" not in inputs
    assert not [item for item in tier(mode="autopilot").resources if item.type == POOL]


def test_the_nodes_account_may_do_what_a_node_must_and_no_more() -> None:
    roles = {item.inputs["role"] for item in tier().resources if item.type == "gcp:projects/iAMMember:IAMMember"}
    assert roles == {"roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"}


def test_the_key_turns_and_gke_alone_may_use_it() -> None:
    recording = tier()
    assert of(recording, "gcp:kms/cryptoKey:CryptoKey").inputs["rotationPeriod"] == "7776000s"
    [right] = [item for item in recording.resources if item.type == "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"]
    assert right.inputs["member"] == "serviceAccount:agent@gke.example"
    assert right.inputs["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def test_a_ring_of_keys_has_no_fixed_name_since_google_never_lets_it_go() -> None:
    assert "name" not in of(tier(), "gcp:kms/keyRing:KeyRing").inputs


def test_the_network_is_its_own_with_a_way_out_and_none_in() -> None:
    recording = tier()
    assert of(recording, "gcp:compute/network:Network").inputs["autoCreateSubnetworks"] is False
    subnet = of(recording, "gcp:compute/subnetwork:Subnetwork").inputs
    assert subnet["privateIpGoogleAccess"] is True and subnet["logConfig"]["flowSampling"] > 0
    assert {item["rangeName"]: item["ipCidrRange"] for item in subnet["secondaryIpRanges"]} == {
        "pods": "10.64.0.0/14",
        "services": "10.1.0.0/20",
    }
    nat = of(recording, "gcp:compute/routerNat:RouterNat").inputs
    assert nat["natIpAllocateOption"] == "AUTO_ONLY" and nat["logConfig"] == {"enable": True, "filter": "ERRORS_ONLY"}


@pytest.mark.parametrize(
    ("asked", "dns", "private", "networks"),
    [
        ({}, True, True, []),
        ({"endpoint": "private", "access": ["10.9.0.0/16"]}, False, True, ["10.9.0.0/16"]),
        ({"endpoint": "public", "access": ["203.0.113.7/32"]}, False, False, ["203.0.113.7/32"]),
    ],
)
def test_the_api_server_is_reached_as_asked_and_by_nobody_else(
    asked: Any, dns: bool, private: bool, networks: list[str]
) -> None:
    inputs = tier(**asked)["cluster"].inputs
    assert inputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is dns
    assert inputs["privateClusterConfig"] == {"enablePrivateNodes": True, "enablePrivateEndpoint": private}
    blocks = inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"]
    assert [block["cidrBlock"] for block in blocks] == networks


# what a stack says


def test_pools_count_by_themselves_between_what_the_stack_says() -> None:
    [pool] = [item for item in tier(nodes=[{"min": 3, "max": 9, "arch": "arm64"}]).resources if item.type == POOL]
    scaling = pool.inputs["autoscaling"]
    assert (scaling["totalMinNodeCount"], scaling["totalMaxNodeCount"]) == (3, 9)
    assert pool.inputs["nodeConfig"]["taintConfig"] == {"architectureTaintBehavior": "NONE"}
    assert pool.inputs["nodeConfig"]["diskType"] == "hyperdisk-balanced"
    assert "taintConfig" not in of(tier(), POOL).inputs["nodeConfig"]


def test_machines_that_take_hyperdisks_only_get_a_storage_class_for_them() -> None:
    recording = tier(nodes=[{"arch": "arm64"}])
    storage = recording["storage"]
    assert len([item for item in recording.resources if item.type == "pulumi:providers:kubernetes"]) == 1
    assert storage.inputs["parameters"] == {"type": "hyperdisk-balanced"} and storage.gone_with == "cluster"
    assert not [item for item in tier().resources if "kubernetes" in item.type]


def test_what_a_stack_exports_hides_the_way_in_and_shows_the_rest() -> None:
    exports = tier().exports
    assert isinstance(exports["kubeconfig"], Secret) and DNS in exports["kubeconfig"].value
    assert exports["cluster"] == {"name": NAME, "version": "1.35.8-gke.1036000", "mode": "standard"}
    assert exports["console"].endswith(f"/europe-west3/{NAME}/details?project=my-project")
    assert exports["costs"]["machines"][0]["type"] == "e2-standard-2"
    has = ["load-balancer", "metrics", "network-policy", "storage"]
    assert exports["offers"] == {"has": has, "storageClass": "standard-rwo"}


def test_protection_stops_a_destroy_before_anything_is_taken_down_and_says_how_to_go_on() -> None:
    recording = tier(protect=True)
    assert recording["cluster"].protect and recording["cluster"].inputs["deletionProtection"] is True
    assert of(recording, "gcp:kms/cryptoKey:CryptoKey").protect
    assert "anytier:gke.protect false" in recording.exports["protection"]
    assert not any(item.protect for item in tier().resources)
    assert tier()["cluster"].inputs["deletionProtection"] is False


def test_a_project_whose_apis_somebody_else_turns_on() -> None:
    assert not [item for item in tier(enableApis=False).resources if item.type == "gcp:projects/service:Service"]
    for item in tier().resources:
        if item.type == "gcp:projects/service:Service":
            assert item.inputs["disableOnDestroy"] is False


# day two


def paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from paths(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


def replaced(before: Recording, after: Recording) -> dict[str, set[str]]:
    """Resource -> the changed properties that make another thing of it."""
    found: dict[str, set[str]] = {}
    for old in before.resources:
        for new in (item for item in after.resources if (item.type, item.name) == (old.type, old.name)):
            one, other = dict(paths(old.inputs)), dict(paths(new.inputs))
            changed = {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}
            for key in REPLACES.get(old.type, ()):
                if key not in new.ignored and any(path == key or path.startswith(f"{key}.") for path in changed):
                    found.setdefault(new.name, set()).add(key)
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.36"},
        {"channel": "stable"},
        {"nodes": [{"min": 5, "max": 20}]},
        {"nodes": [{"labels": {"disk": "ssd"}}]},
        {"nodes": [{}, {"name": "more", "size": "large"}]},
        {"zones": ["europe-west3-a", "europe-west3-b"]},
        {"network": "10.0.0.0/19"},
        {"endpoint": "public", "access": ["203.0.113.7/32"]},
        {"maintenance": {"start": "23:30", "days": ["SA", "SU"], "hours": 6}},
        {"protect": True},
        {"labels": {"team": "shop"}},
        {"flowLogs": False},
        {"enableApis": False},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_what_users_keep_changing_replaces_nothing(change: dict[str, Any]) -> None:
    assert replaced(tier(), tier(**change)) == {}


@pytest.mark.parametrize("change", [{"size": "large"}, {"spot": True}, {"disk": 200}, {"size": "n2-standard-4"}])
def test_another_kind_of_machine_is_a_new_pool_beside_the_old_one(change: dict[str, Any]) -> None:
    found = replaced(tier(), tier(nodes=[change]))
    assert set(found) == {"pool-main"} and "name" in found["pool-main"]
    assert tier(nodes=[change])["pool-main"].gone_first is False  # said, since the provider would have it otherwise


@pytest.mark.parametrize("change", [{"pods": "10.128.0.0/14"}, {"services": "10.2.0.0/20"}])
def test_ranges_that_are_in_use_are_another_cluster_and_the_preview_says_so(change: dict[str, Any]) -> None:
    after = tier(**change)
    assert replaced(tier(), after) == {"subnet": {"name"}}
    assert after["subnet"].gone_first and after["cluster"].gone_first  # the subnet's id is the cluster's to follow
    assert "subnetwork" in REPLACES[CLUSTER]


def test_every_property_that_replaces_is_one_that_is_set_here() -> None:
    ways: list[dict[str, Any]] = [
        {"nodes": [{"spot": True}]},
        {"mode": "autopilot"},
        {"gateway": {"className": GATEWAY}},
    ]
    all_ = [item for way in ways for item in tier(**way).resources]
    for kind, keys in REPLACES.items():
        there = {path for item in all_ if item.type == kind for path, _ in paths(item.inputs)}
        for key in keys:
            assert any(path == key or path.startswith(f"{key}.") for path in there), f"{kind} {key}"
    assert {item.type for item in all_ if item.type.startswith(("gcp:compute", "gcp:container"))} <= set(REPLACES)


def test_what_only_began_so_is_not_held_against_a_cluster_later() -> None:
    for name, kind in (("cluster", CLUSTER), ("pool-main", POOL)):
        assert tier()[name].ignored == IGNORED[kind]


# the order


def test_a_cluster_waits_for_its_key_its_account_and_its_way_out() -> None:
    before = tier().after("cluster")
    assert before >= {"gke-uses-key", "nodes", "nodes-defaultNodeServiceAccount", "nat", "subnet", "api-container"}
    assert "cluster" in tier().after("pool-main")


def test_roles_on_the_project_wait_for_the_api_that_gives_them() -> None:
    assert "api-cloudresourcemanager" in tier().after("nodes-defaultNodeServiceAccount")


def test_everything_stands_below_the_tier() -> None:
    for item in tier().resources:
        assert item.parent in ("gke", "anytier-prod") and (item.type.startswith("anytier:tier") or item.parent == "gke")


# an app on it, by the program as it is run


def deployed(folder: Path, stack: dict[str, Any], app: str = APP) -> Recording:
    (folder / "app.yaml").write_text(app)

    def whole() -> None:
        loaded = program.load()
        program.check(loaded)
        program.deploy(loaded)

    given = {"anytier:app": str(folder / "app.yaml"), "anytier:tier": "gke", **stack}
    return record(whole, {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()},
                  "prod", answers=GOOGLE)  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return deployed(tmp_path_factory.mktemp("app"), STACK)


def test_the_shortest_stack_is_four_lines_and_works(shop: Recording) -> None:
    stack = yaml.safe_load((ROOT / "stacks" / "Pulumi.gke.yaml").read_text())["config"]
    assert set(stack) == {"anytier:app", "anytier:tier", "gcp:project", "gcp:region"}
    assert config.read(config.from_yaml(stack)).tier == "gke"
    kinds = [item.type for item in shop.resources]
    assert kinds.count(CLUSTER) == kinds.count(POOL) == kinds.count("pulumi:providers:kubernetes") == 1
    assert "kubernetes:apps/v1:StatefulSet" in kinds


def test_the_app_comes_last_and_goes_first(shop: Recording) -> None:
    """Its load balancers and disks are gone with its namespace, before the cluster that makes them is."""
    [claim] = [item for item in shop.resources if item.type == "anytier:kubernetes:Claim"]
    assert shop.after(claim.name) >= {"cluster", "pool-main", "nat", "subnet", "gke-uses-key"}
    [provider] = [item for item in shop.resources if item.type == "pulumi:providers:kubernetes"]
    assert claim.name in provider.depends


def test_which_cluster_it_is_stays_the_same_for_its_life(shop: Recording) -> None:
    [provider] = [item for item in shop.resources if item.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["clusterIdentifier"] == DNS
    assert isinstance(provider.inputs["kubeconfig"], Secret)


def test_volumes_and_load_balancers_are_the_clouds(shop: Recording) -> None:
    (claim,) = [item for item in shop.resources if item.type == "kubernetes:core/v1:PersistentVolumeClaim"]
    assert claim.inputs["spec"]["storageClassName"] == "standard-rwo"
    assert shop["router/service"].inputs["spec"]["type"] == "LoadBalancer"


def test_the_routes_have_an_address_that_stays_and_is_told(shop: Recording) -> None:
    notes = shop["router/service"].inputs["metadata"]["annotations"]
    assert notes["networking.gke.io/load-balancer-ip-addresses"] == shop["address"].inputs["name"] == NAME
    assert notes["cloud.google.com/l4-rbs"] == "enabled"
    assert shop.exports["url"] == "http://203.0.113.20/"


def test_a_gateway_of_googles_has_an_address_that_stays_and_is_told(tmp_path: Path) -> None:
    wanted = {**STACK, "anytier:gke": json.dumps({"gateway": {"className": GATEWAY}})}
    made = deployed(tmp_path, wanted)
    assert made["address"].type == "gcp:compute/globalAddress:GlobalAddress"
    found = made["app/gateway"].inputs["spec"]
    assert found["addresses"] == [{"type": "NamedAddress", "value": made["address"].inputs["name"]}]
    assert [item["port"] for item in found["listeners"]] == [80]
    assert {"web.health-check", "web.backend", "app/gateway"} <= set(made["route/any"].depends)
    assert made.exports["url"] == "http://203.0.113.21/" == f"http://{made.exports['address']}/"
    assert not [item for item in made.resources if item.name.startswith("router/")]


def test_a_gateway_that_is_there_has_an_address_of_its_own() -> None:
    made = tier(gateway={"name": "web", "namespace": "infra"})
    assert not [item for item in made.resources if item.name == "address"] and "address" not in made.exports


def test_what_is_built_goes_to_the_stacks_own_registry(tmp_path: Path) -> None:
    recording = deployed(tmp_path, STACK, (ROOT / "apps" / "guestbook" / "app.yaml").read_text().replace(
        "context: ", f"context: {ROOT}/apps/guestbook/"))  # fmt: skip
    assert of(recording, "gcp:artifactregistry/repository:Repository").inputs["repositoryId"] == NAME
    pushed = [item for item in recording.resources if item.type == "anytier:docker:Push"]
    assert {item.inputs["repository"].rpartition("/")[0] for item in pushed} == {
        f"europe-west3-docker.pkg.dev/my-project/{NAME}"
    }
    for item in pushed:
        assert "images" in item.depends
        assert item.inputs["login"]["command"][0] == "gke-gcloud-auth-plugin"
    assert len(pushed) == 2 and not [item for item in recording.resources if item.type == "anytier:kubeadm:Image"]


def test_a_workload_is_the_service_account_that_its_spec_names(shop: Recording) -> None:
    bound = shop["web-identity"]
    assert bound.type == "gcp:serviceaccount/iAMMember:IAMMember"
    assert bound.inputs == {
        "serviceAccountId": "projects/my-project/serviceAccounts/web@my-project.iam.gserviceaccount.com",
        "role": "roles/iam.workloadIdentityUser",
        "member": "serviceAccount:my-project.svc.id.goog[anytier-prod-shop/web]",
    }
    assert "cluster" in bound.depends and "web-identity" in of(shop, "kubernetes:apps/v1:StatefulSet").depends
    notes = shop["web.account"].inputs["metadata"]["annotations"]
    assert notes["iam.gke.io/gcp-service-account"] == "web@my-project.iam.gserviceaccount.com"


@pytest.mark.parametrize("role", ["web", "web@example.org", "roles/storage.admin", "a@b.iam.gserviceaccount.com;x"])
def test_a_role_that_is_no_service_account_is_refused(role: str) -> None:
    def deploy() -> None:
        made = GkeTier("gke", GkeArgs(), port=80, tls_port=443)
        assert made.place.bind is not None
        made.place.bind(Binding("web", "ns", "web", role), pulumi.ResourceOptions())

    with pytest.raises(AnytierError, match=r"workloads\.web\.identity\.cloudRoles\.gcp.*is no service account"):
        record(deploy, STACK, "prod", answers=GOOGLE)


def test_a_stack_without_a_project_registers_nothing(tmp_path: Path) -> None:
    into = Recording()
    with pytest.raises(ExceptionGroup) as caught:
        record(lambda: GkeTier("gke", GkeArgs(), port=80, tls_port=443), {"gcp:region": "nowhere"}, into=into)
    assert {getattr(error, "path", "") for error in leaves(caught.value)} == {"gcp:project", "gcp:region"}
    assert into.resources == []


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("placement: {hosts: [a]}", "machines come and go"),
        ("containers: {web: {image: x, resources: {limits: {gpu: 1}}}}", "no pool has GPUs"),
    ],
)
def test_what_this_tier_cannot_carry_is_told_before_anything_is_made(tmp_path: Path, field: str, said: str) -> None:
    app = f"apiVersion: anytier.dev/v1\nkind: App\nmetadata: {{name: a}}\nworkloads:\n  web:\n    {field}\n"
    app += "" if "containers" in field else "    containers: {web: {image: x}}\n"
    with pytest.raises(pulumi.RunError, match=said):
        deployed(tmp_path, STACK, app)


# the whole graph


def text_of(recording: Recording) -> str:
    rows = {
        f"{item.type} {item.name}": {
            "dependsOn": list(item.depends),
            "inputs": item.inputs,
            **({"goneFirst": True} if item.gone_first else {}),
            **({"ignored": list(item.ignored)} if item.ignored else {}),
        }
        for item in recording.resources
        if item.type.startswith("gcp:")
    }
    return yaml.safe_dump(rows, width=110)


@pytest.mark.parametrize("mode", ["standard", "autopilot"])
def test_the_graph_is_as_it_was(mode: str, request: pytest.FixtureRequest) -> None:
    file, text = GOLDEN / f"gke-{mode}.yaml", text_of(tier(mode=mode))
    if request.config.getoption("--accept"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text
