"""Tier aks as it registers its resources: the security baseline line by line, the order, the graph as a file."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.runtimes.record import Recording, Registered, Secret, record
from tests.tiers.azure import ANSWERS, DEPLOYER, SUBSCRIPTION, TENANT

import pulumi
from anytier.app import App
from anytier.errors import AnytierError, leaves
from anytier.spec import App as Spec
from anytier.tiers import aks
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import FIXED_ON_A_POOL
from anytier.tiers.places import Cluster

pytest.importorskip("pulumi_azure_native", reason="make test-clouds")
akscluster: Any = importlib.import_module("anytier.tiers.akscluster")

# The SDK loads its modules when they are used. That takes its time, which is none of a recording's.
for module in (akscluster.network, akscluster.monitor, akscluster.containerservice, akscluster.authorization):
    assert dir(module)

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
WHERE = {"azure-native:location": "westeurope"}
IDENTITY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"
)
REGISTRY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/mine1"
CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
CASES: dict[str, dict[str, Any]] = {
    "standard": {},
    "automatic": {"mode": "automatic", "access": ["203.0.113.7/32"], "address": "shop.westeurope.cloudapp.azure.com"},
    "all": {
        "version": "1.36",
        "nodes": [{"min": 1, "max": 5, "size": "large"}, {"name": "arm", "arch": "arm64"}, {"name": "s", "spot": True}],
        "access": ["203.0.113.7", "198.51.100.0/24"],
        "admins": [{"group": TENANT}, {"app": SUBSCRIPTION}],
        "ingress": "app-routing",
        "sla": "premium",
        "audit": "all",
        "registry": REGISTRY,
        "protect": True,
        "tags": {"team": "shop"},
        "address": "www.example.org",
    },
}


def made(config: Mapping[str, str] = WHERE, **args: Any) -> tuple[Recording, Cluster]:
    found: list[Cluster] = []

    def program() -> None:
        tier = aks.AksTier("aks", AksArgs.model_validate(args), port=80, tls_port=443)
        found.append(tier.place)
        for name, value in tier.exports.items():
            pulumi.export(name, value)

    recording = record(program, config, answers=ANSWERS, longest=600)
    return recording, found[0]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def recorded(case: str) -> Recording:
    return made(**CASES[case])[0]


def of(recording: Recording, kind: str) -> list[Registered]:
    return [item for item in recording.resources if item.type == kind]


def test_what_is_supported_no_longer_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, resource=None: said.append(text))
    made(ingress="app-routing", address="www.example.org")
    assert len(said) == 1 and said[0].startswith("anytier:aks.ingress: ") and "docs/aks.md" in said[0]
    made(gateway={"className": "approuting-istio"})
    assert len(said) == 1


def test_with_a_gateway_no_address_is_made() -> None:
    recording, place = made(gateway={"className": "approuting-istio"})
    assert not of(recording, "azure-native:network:PublicIPAddress") and "address" not in recording.exports
    assert "address" in made()[0].exports and place.gateway_class == "approuting-istio"


def cluster(recording: Recording) -> Any:
    (found,) = of(recording, CLUSTER)
    return found.inputs


def pools(recording: Recording) -> list[Any]:
    return [*(item.inputs for item in of(recording, POOL)), *cluster(recording).get("agentPoolProfiles", [])]


def test_aks_makes_one_pool_at_a_time() -> None:
    """It refuses another one meanwhile."""
    found = of(made(**CASES["all"])[0], POOL)
    assert [item.name[:-4] for item in found] == ["system", "main", "arm", "s"]
    for before, after in itertools.pairwise(found):
        assert before.name in after.depends


def test_the_machine_that_came_with_the_cluster_stays_as_it_is(recorded: Recording, case: str) -> None:
    """Azure refuses to change or to exchange it; it counts as one of the system's."""
    (item,) = of(recorded, CLUSTER)
    if case == "automatic":
        assert item.ignored == () and not of(recorded, POOL)
        return
    assert {f"agentPoolProfiles[0].{name}" for name in FIXED_ON_A_POOL} <= set(item.ignored)
    assert not any(path in ("agentPoolProfiles", "agentPoolProfiles[0].orchestratorVersion") for path in item.ignored)
    (began,), (system,) = item.inputs["agentPoolProfiles"], [p for p in pools(recorded)[:-1] if p["mode"] == "System"]
    assert (began["count"], system["minCount"], system["maxCount"]) == (1, 1, 3)


# the baseline


def test_it_is_a_private_cluster_or_for_known_addresses_only(recorded: Recording) -> None:
    access = cluster(recorded)["apiServerAccessProfile"]
    ranges = access.get("authorizedIPRanges", [])
    assert access["enablePrivateCluster"] != bool(ranges) and "0.0.0.0/0" not in ranges


def test_nobody_runs_commands_past_the_api_server(recorded: Recording) -> None:
    assert cluster(recorded)["apiServerAccessProfile"]["disableRunCommand"] is True


def test_there_are_no_local_accounts(recorded: Recording) -> None:
    assert cluster(recorded)["disableLocalAccounts"] is True


def test_rights_are_those_of_entra_and_azure(recorded: Recording) -> None:
    assert cluster(recorded)["enableRBAC"] is True
    assert cluster(recorded)["aadProfile"] == {"managed": True, "enableAzureRBAC": True, "tenantID": TENANT}


def test_secrets_in_etcd_are_wrapped_by_a_key_of_ours(recorded: Recording) -> None:
    (key,) = of(recorded, "azure-native:keyvault:Key")
    (vault,) = of(recorded, "azure-native:keyvault:Vault")
    kms = cluster(recorded)["securityProfile"]["azureKeyVaultKms"]
    assert kms["enabled"] is True and kms["keyId"] == ANSWERS[key.type]["keyUriWithVersion"]
    props = vault.inputs["properties"]
    assert props["enableRbacAuthorization"] and props["enablePurgeProtection"] and props["enableSoftDelete"]
    assert cluster(recorded)["identity"]["type"] == "UserAssigned"


def test_workloads_can_be_somebody(recorded: Recording) -> None:
    assert cluster(recorded)["oidcIssuerProfile"]["enabled"] is True
    assert cluster(recorded)["securityProfile"]["workloadIdentity"]["enabled"] is True


def test_the_policy_add_on_is_on(recorded: Recording) -> None:
    assert cluster(recorded)["addonProfiles"]["azurepolicy"]["enabled"] is True


def test_the_control_plane_has_an_sla(recorded: Recording) -> None:
    assert cluster(recorded)["sku"]["tier"] in ("Standard", "Premium")


def test_who_changed_what_is_kept_in_a_workspace(recorded: Recording) -> None:
    (setting,) = of(recorded, "azure-native:monitor:DiagnosticSetting")
    (workspace,) = of(recorded, "azure-native:operationalinsights:Workspace")
    kept = {item["category"] for item in setting.inputs["logs"] if item["enabled"]}
    assert {"kube-audit-admin", "guard"} <= kept and setting.inputs["workspaceId"] == f"{workspace.name}-id"
    assert setting.inputs["resourceUri"] == f"{of(recorded, CLUSTER)[0].name}-id"


def test_upgrades_come_by_channels_in_a_window(recorded: Recording, case: str) -> None:
    if case != "automatic":  # it has its own, stable and NodeImage
        channels = cluster(recorded)["autoUpgradeProfile"]
        assert channels == {"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"}
    windows = of(recorded, "azure-native:containerservice:MaintenanceConfiguration")
    assert {item.inputs["configName"] for item in windows} == {
        "aksManagedAutoUpgradeSchedule",
        "aksManagedNodeOSUpgradeSchedule",
    }


def test_network_policies_are_held(recorded: Recording, case: str) -> None:
    if case == "automatic":  # it has Cilium, and says so itself
        assert "networkProfile" not in cluster(recorded)
        return
    net = cluster(recorded)["networkProfile"]
    assert (net["networkPolicy"], net["networkDataplane"], net["networkPluginMode"]) == ("cilium", "cilium", "overlay")


def test_no_node_is_public_and_each_is_encrypted_and_boots_what_is_signed(recorded: Recording, case: str) -> None:
    found = pools(recorded)
    assert bool(found) == (case != "automatic")
    for item in found:
        assert item["enableNodePublicIP"] is False and item["enableEncryptionAtHost"] is True
        arm = "ps_" in item["vmSize"]  # Azure has no Trusted Launch for these
        assert item["securityProfile"] == {"enableSecureBoot": not arm, "enableVTPM": not arm}


def test_the_systems_pods_have_machines_of_their_own(recorded: Recording, case: str) -> None:
    found = {item["mode"]: item["nodeTaints"] for item in pools(recorded)}
    if case != "automatic":
        assert found["System"] == ["CriticalAddonsOnly=true:NoSchedule"] and "User" in found


# what is registered


def test_azure_knows_every_property_that_it_is_given(recorded: Recording) -> None:
    for item in recorded.resources:
        if item.type.startswith("azure-native:"):
            _, module, name = item.type.split(":")
            sdk = importlib.import_module(f"pulumi_azure_native.{module}")
            known = getattr(sdk, f"{name}InitArgs", None) or getattr(sdk, f"{name}Args")
            assert list(unknown(known, item.inputs)) == [], item.type


def test_a_property_that_azure_does_not_know_would_be_noticed() -> None:
    from pulumi_azure_native.containerservice import ManagedClusterArgs

    wrong = {"sku": {"teir": "Standard"}, "agentPoolProfiles": [{"nmae": "x"}], "dnsPrefixes": "x"}
    assert list(unknown(ManagedClusterArgs, wrong)) == ["sku.teir", "agentPoolProfiles.0.nmae", "dnsPrefixes"]


def unknown(kind: Any, value: Any, at: str = "") -> Iterator[str]:
    """Paths of what the SDK's own input type has no word for."""
    from pulumi._types import input_type_types, is_input_type, unwrap_type

    kind = unwrap_type(kind) if not isinstance(kind, type) else kind
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown(inner[0] if inner else Any, item, f"{at}{number}.")
    elif isinstance(value, Mapping) and origin is None and isinstance(kind, type) and is_input_type(kind):
        known = input_type_types(kind)
        for name, item in value.items():
            if name in known:
                yield from unknown(known[name], item, f"{at}{name}.")
            else:
                yield f"{at}{name}"
    elif isinstance(value, Mapping) and not inner:
        raise AssertionError(f"{at}: the type {kind} was not seen through")


def test_the_cluster_is_gone_before_what_it_stands_on(recorded: Recording, case: str) -> None:
    (item,) = of(recorded, CLUSTER)
    assert {"anytier-dev", "may-use-key", "etcd", "cluster"} <= set(item.depends)
    assert ({"network", "may-use-network"} <= set(item.depends)) == (case != "automatic")


def test_what_is_lost_for_good_is_protected_where_the_stack_says_so(recorded: Recording, case: str) -> None:
    protected = {item.name for item in recorded.resources if item.protect}
    assert protected == ({"anytier-dev", "aks-dev", "anytier-kms", "etcd"} if case == "all" else set())


# What has a name of its own in a subscription, or in the world; everything else lies in the stack's group.
OWN_NAMES = {
    "azure-native:resources:ResourceGroup": "resourceGroupName",
    "azure-native:containerservice:ManagedCluster": "resourceName",
    "azure-native:keyvault:Vault": "vaultName",
    "azure-native:containerregistry:Registry": "registryName",
}


def test_nothing_has_a_name_that_a_second_stack_would_want_too(recorded: Recording) -> None:
    """Azure's provider makes the names up."""
    found = [item for item in recorded.resources if item.type in OWN_NAMES]
    assert len(found) >= 2 and not [item.name for item in found if OWN_NAMES[item.type] in item.inputs]
    for item in recorded.resources:
        if item.type.startswith("azure-native:") and item.type not in OWN_NAMES and "scope" not in item.inputs:
            assert "resourceGroupName" in item.inputs or "resourceUri" in item.inputs, item.name


def test_the_one_who_makes_it_stays_its_admin() -> None:
    recording, place = made()
    (admin,) = [item for item in recording.resources if item.name == "admin"]
    assert (admin.inputs["principalId"], admin.inputs["principalType"]) == (DEPLOYER, "User")
    assert set(admin.ignored) == {"principalId", "principalType"}
    assert admin.inputs["roleDefinitionId"].endswith("b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b")
    assert len(place.ready) == 6  # the cluster, its pools, its address, who may pull, and who may put something there


def test_named_admins_are_all_there_is() -> None:
    recording, _ = made(**CASES["all"])
    found = {item.name: item for item in recording.resources if item.name.startswith("admin")}
    assert set(found) == {f"admin-{TENANT}", f"admin-{SUBSCRIPTION}"} and not any(i.ignored for i in found.values())


def test_the_place_and_what_is_exported() -> None:
    recording, place = made()
    assert place.offers == {"load-balancer", "metrics", "network-policy", "storage"} and place.cloud == "azure"
    assert (place.storage_class, place.mode, place.tier) == ("managed-csi", "standard", "aks")
    said = recording.exports
    assert said["address"] == "203.0.113.80"
    assert isinstance(said["kubeconfig"], Secret) and "kubelogin" in said["kubeconfig"].value
    assert said["console"] == f"https://portal.azure.com/#@{TENANT}/resourceaks-dev-id/overview"
    assert [item["pool"] for item in said["costs"]["nodes"]] == ["system", "main"]
    assert "anytier:aks.access[0]" in said["access"] and "anytier:aks.protect true" in said["protection"]
    has = ["load-balancer", "metrics", "network-policy", "storage"]
    assert said["offers"] == {"has": has, "storageClass": "managed-csi"}
    routed = made(ingress="app-routing", address="www.example.org")[0].exports["offers"]
    assert routed["has"] == ["ingress", *has] and routed["ingressClass"] == "webapprouting.kubernetes.azure.com"


# an app on it


def with_app(spec: Mapping[str, Any], **args: Any) -> Recording:
    app = Spec.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "shop"}, **spec})

    def program() -> None:
        tier = aks.AksTier("aks", AksArgs.model_validate(args), port=80, tls_port=443)
        App("shop", spec=app, place=tier.place, app_dir=ROOT / "apps" / "guestbook")

    return record(program, WHERE, answers=ANSWERS, longest=600)


WEB = {"containers": {"web": {"image": "nginx:1.29"}}, "service": {"ports": {"http": {"port": 80}}}}


def test_an_app_comes_after_the_cluster_its_pools_and_its_rights() -> None:
    found = with_app({"workloads": {"web": WEB}, "routes": [{"path": "/", "workload": "web", "port": "http"}]})
    (namespace,) = of(found, "kubernetes:core/v1:Namespace")
    pools = {item.name for item in of(found, POOL)}
    assert {"aks-dev", *pools, "admin"} <= found.after(namespace.name)
    service = next(item for item in of(found, "kubernetes:core/v1:Service") if item.name == "router/service")
    assert service.inputs["spec"]["type"] == "LoadBalancer"
    (address,) = of(found, "azure-native:network:PublicIPAddress")
    marks = service.inputs["metadata"]["annotations"]
    assert marks["service.beta.kubernetes.io/azure-pip-name"] == address.inputs["publicIpAddressName"]
    assert address.inputs["resourceGroupName"].startswith("MC_")
    assert len([item for item in found.resources if item.type.startswith("pulumi:providers:kubernetes")]) == 1
    assert not [item for item in found.resources if item.type.startswith("pulumi:providers:azure-native")]


def test_a_workload_with_a_role_is_bound_to_its_identity() -> None:
    web = {**WEB, "identity": {"cloudRoles": {"azure": IDENTITY}}}
    found = with_app({"workloads": {"web": web, "other": WEB}})
    (bound,) = of(found, "azure-native:managedidentity:FederatedIdentityCredential")
    assert bound.inputs == {
        "resourceGroupName": "shop",
        "resourceName": "web",
        "issuer": "https://oidc.example.org/dev",
        "subject": "system:serviceaccount:anytier-dev-shop:web",
        "audiences": ["api://AzureADTokenExchange"],
    }
    (account,) = [item for item in of(found, "kubernetes:core/v1:ServiceAccount") if item.name == "web.account"]
    notes = account.inputs["metadata"]["annotations"]
    assert notes["azure.workload.identity/client-id"] == "11111111-2222-3333-4444-555555555555"
    deployments = {item.name: item for item in of(found, "kubernetes:apps/v1:Deployment")}
    labels = {name: item.inputs["spec"]["template"]["metadata"]["labels"] for name, item in deployments.items()}
    assert labels["web"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/use" not in labels["other"]
    assert bound.name in deployments["web"].depends and bound.name not in deployments["other"].depends


def test_what_is_built_goes_to_the_stacks_registry_and_the_machines_may_pull_it() -> None:
    app = {"workloads": {"web": {**WEB, "containers": {"web": {"build": {"context": "web"}}}}}}
    for args, prefix in (({}, "anytier0a1b2c3d.azurecr.io"), ({"registry": REGISTRY}, "mine1.azurecr.io")):
        found = with_app(app, **args)
        (pushed,) = of(found, "anytier:docker:Push")
        assert pushed.inputs["repository"] == f"{prefix}/anytier-dev-shop-web-web"
        command = pushed.inputs["login"]["command"]
        assert command[:5] == ["az", "acr", "login", "--name", prefix.partition(".")[0]]
        (pull,) = [item for item in found.resources if item.name == "may-pull"]
        assert pull.inputs["principalId"] == "kubelet"
        (own,) = of(found, "azure-native:containerregistry:Registry") or [None]
        assert (own is None) == bool(args) and (own is None or own.inputs["adminUserEnabled"] is False)


def test_on_spot_machines_the_apps_pods_bear_with_the_taint() -> None:
    found = with_app({"workloads": {"web": WEB}}, nodes=[{}, {"name": "cheap", "spot": True}])
    (web,) = of(found, "kubernetes:apps/v1:Deployment")
    (tolerated,) = web.inputs["spec"]["template"]["spec"]["tolerations"]
    assert tolerated["value"] == "spot"


def test_a_role_that_is_no_identity_ends_the_run() -> None:
    with pytest.raises(AnytierError) as caught:
        with_app({"workloads": {"web": {**WEB, "identity": {"cloudRoles": {"azure": "Owner"}}}}})
    assert caught.value.path == "workloads.web.identity.cloudRoles.azure"


# what is wrong registers nothing


def test_a_stack_without_a_region_registers_nothing() -> None:
    into = Recording()

    def program() -> None:
        aks.AksTier("aks", AksArgs(), port=80, tls_port=443)

    with pytest.raises(ExceptionGroup) as caught:
        record(program, {}, into=into, answers=ANSWERS)
    assert [getattr(item, "path", "") for item in leaves(caught.value)] == ["azure-native:location"]
    assert into.resources == []


def test_nobody_logged_in_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_USE_OIDC", "ARM_USE_MSI", "AZURE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(aks, "get_monitor", object)
    (found,) = aks._lacking({}, "azurecli")
    assert "nobody is logged in to Azure" in found.what and "az login" in found.do
    monkeypatch.setenv("ARM_USE_OIDC", "true")
    assert list(aks._lacking({}, "workloadidentity")) == []
    (found,) = aks._lacking({}, "azurecli")
    assert found.path == "anytier:aks.login" and "az login" in found.do and "spn" in found.do
    monkeypatch.setattr(aks, "is_dry_run", lambda: True)
    assert list(aks._lacking({}, "azurecli")) == []
    monkeypatch.setattr(aks, "is_dry_run", lambda: False)
    monkeypatch.delenv("ARM_USE_OIDC")
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "azureProfile.json").write_text("{}")
    assert list(aks._lacking({}, "azurecli")) == []
    (found,) = aks._lacking({}, "spn")
    assert "ARM_CLIENT_ID" in found.what
    monkeypatch.setenv("ARM_CLIENT_ID", "i")
    monkeypatch.setenv("ARM_CLIENT_SECRET", "s")
    assert list(aks._lacking({}, "spn")) == []


def test_a_config_is_read_without_the_sdk() -> None:
    code = (
        "import sys; sys.path.insert(0, 'components')\n"
        "from anytier.config import read\n"
        "print(read({'app': 'a.yaml', 'tier': 'aks'}).mode, 'pulumi_azure_native' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["standard", "False"], done.stderr


# the shortest stack, and the graph as a file


def test_the_shortest_stack_is_four_lines_and_works() -> None:
    text = (ROOT / "stacks" / "Pulumi.aks.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    config = yaml.safe_load(text)["config"]
    assert len(lines) == 4 and set(config) == {"anytier:app", "anytier:tier", "azure-native:location"}
    recording, _ = made({"azure-native:location": config["azure-native:location"]})
    assert cluster(recording)["location"] == config["azure-native:location"]


def text_of(recording: Recording) -> str:
    found = {
        f"{item.type} {item.name}": {
            **({"dependsOn": list(item.depends)} if item.depends else {}),
            **({"ignoreChanges": list(item.ignored)} if item.ignored else {}),
            **({"protect": True} if item.protect else {}),
            **({"inputs": item.inputs} if item.inputs else {}),
        }
        for item in sorted(recording.resources, key=lambda item: (item.type, item.name))
    }
    exports = {name: "SECRET" if isinstance(item, Secret) else item for name, item in recording.exports.items()}
    return yaml.safe_dump({"resources": found, "exports": exports}, width=110, allow_unicode=True)


def test_the_graph_is_the_one_on_file(recorded: Recording, case: str, request: pytest.FixtureRequest) -> None:
    file, text = GOLDEN / f"aks-{case}.yaml", text_of(recorded)
    if request.config.getoption("--accept"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert json.dumps(yaml.safe_load(text)) == json.dumps(yaml.safe_load(file.read_text())), "pytest ... --accept"
