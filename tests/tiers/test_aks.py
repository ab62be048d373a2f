"""Tier aks without its SDK: what its config may say, what is decided, and what changing it would do to a cluster."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.config import read
from anytier.errors import AnytierError, ConfigError, SpecError, leaves
from anytier.runtimes.kubernetes import fingerprint
from anytier.tiers import aksfacts, aksinputs, aksplan, managed
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksinputs import Made
from anytier.tiers.aksplan import Plan, Pool

TODAY = datetime.date(2026, 11, 28)
PERSON = "00000000-0000-0000-0000-000000000001"
MADE = Made("group", "identity", "tenant", "key", "nodes", "api")
OPEN = {"access": ["203.0.113.7/32"]}
NAMED = {"address": "www.example.org"}
AUTOMATIC = {"mode": "automatic", **NAMED}


def args(**more: Any) -> AksArgs:
    return AksArgs.model_validate(more)


def decided(location: str = "westeurope", stack: str = "dev", today: datetime.date = TODAY, **more: Any) -> Plan:
    return aksplan.decide(args(**more), location, stack, today)


def refused(location: str | None = "westeurope", today: datetime.date = TODAY, **more: Any) -> dict[str, AnytierError]:
    """What is wrong, by its path without the tier's."""
    with pytest.raises(ExceptionGroup) as caught:
        aksplan.decide(args(**more), location, "dev", today)
    found = [item for item in leaves(caught.value) if isinstance(item, AnytierError)]
    assert found and len(found) == len(leaves(caught.value)) and all(item.do for item in found)
    return {item.path.removeprefix("anytier:aks."): item for item in found}


# what may be said


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "auto"},
        {"version": "1.21"},
        {"version": "1.35.2"},
        {"version": "latest"},
        {"nodes": [{"min": -1}]},
        {"nodes": [{"max": 0}]},
        {"nodes": [{"replicas": 1}]},
        {"zones": ["4"]},
        {"zones": [1]},
        {"network": "10.0.0.0"},
        {"network": "8.8.8.0/24"},
        {"network": "10.0.0.0/26"},
        {"podNetwork": "fd00::/48"},
        {"serviceNetwork": "10.0.0.0/28"},
        {"network": "172.31.0.0/20"},
        {"podNetwork": "172.16.0.0/12"},
        {"serviceNetwork": "172.30.4.0/24"},
        {"access": ["0.0.0.0/0"]},
        {"access": ["everybody"]},
        {"admins": ["me@example.org"]},
        {"admins": [{"user": "me@example.org"}]},
        {"admins": [{"user": PERSON, "group": PERSON}]},
        {"admins": [{}]},
        {"login": "devicecode"},
        {"ingress": "nginx"},
        {"upgrades": "nightly"},
        {"nodeOs": "SecurityPatch"},
        {"maintenance": {"day": "Caturday"}},
        {"maintenance": {"start": "24:00"}},
        {"maintenance": {"hours": 3}},
        {"maintenance": {"utcOffset": "CET"}},
        {"sla": "free"},
        {"audit": "none"},
        {"logRetention": 7},
        {"registry": "example.azurecr.io"},
        {"protect": "perhaps"},
        {"tags": {"a<b": "c"}},
        {"tags": {"": "c"}},
        {"address": "https://a"},
        {"builder": "tcp://10.0.0.1:2375"},
        {"nodez": []},
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        args(**wrong)


def test_a_wrong_option_is_named_by_its_path_with_the_nearest_one() -> None:
    values = {"app": "a.yaml", "tier": "aks"}
    for given_, path in (
        ({"node": []}, "node"),
        ({"nodes": [{"sise": "large"}]}, "nodes.0.sise"),
        ({"maintenance": {"hours": 1}}, "maintenance.hours"),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            read({**values, "aks": json.dumps(given_)})
        assert [getattr(error, "path", "") for error in caught.value.exceptions] == [f"anytier:aks.{path}"]


# what is decided


def test_nothing_has_to_be_said() -> None:
    plan = decided("West Europe")
    assert (plan.location, plan.group, plan.name) == ("westeurope", "anytier-dev", "aks-dev")
    assert plan.version == aksfacts.VERSIONS.default
    assert plan.zones == ("1", "2", "3") and plan.private
    assert [(pool.nodes.name, pool.type, pool.nodes.min) for pool in plan.pools] == [("main", "Standard_D2s_v5", 2)]


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ({"location": None}, "azure-native:location", "is not set"),
        ({"location": "westeurop"}, "azure-native:location", "did you mean 'westeurope'"),
        ({"location": "eu-central-1"}, "azure-native:location", "no region"),
        ({"nodes": []}, "nodes", "names no pool"),
        ({"nodes": [{"min": 0, "max": 2}]}, "nodes", "no pool has a machine"),
        ({"nodes": [{}, {}]}, "nodes.1.name", "pool 0, too"),
        ({"nodes": [{"name": "system"}]}, "nodes.0.name", "AKS's own pods"),
        ({"nodes": [{"size": "larg"}]}, "nodes.0.size", "did you mean 'large'"),
        ({"nodes": [{"size": "m5.large"}]}, "nodes.0.size", "nor a machine type"),
        ({"nodes": [{"size": "Standard_D2ps_v5", "arch": "amd64"}]}, "nodes.0.arch", "arm64"),
        ({"nodes": [{"disk": 20}]}, "nodes.0.disk", "20 GiB"),
        ({"nodes": [{"labels": {"kubernetes.azure.com/a": "b"}}]}, "nodes.0.labels.kubernetes.azure.com/a", "keeps"),
        ({"system": {"spot": True}}, "system.spot", "spot"),
        ({"system": {"min": 0, "max": 2}}, "system.min", "own pods"),
        ({"system": {"min": 1, "max": 2}}, "system.min", "own pods"),
        ({"system": {"size": "huge"}}, "system.size", "'huge'"),
        ({"zones": ["1", "1"]}, "zones", "twice"),
        ({"location": "westus", "zones": ["1"]}, "zones", "westus has no zones"),
        ({"network": "10.244.0.0/16"}, "podNetwork", "overlaps"),
        ({"serviceNetwork": "10.180.4.0/24"}, "serviceNetwork", "overlaps"),
        (
            {"network": "10.180.0.0/22", "podNetwork": "10.128.0.0/13", "nodes": [{"max": 450}]},
            "network",
            "has room for 507 machines",
        ),
        ({"podNetwork": "10.244.0.0/22"}, "podNetwork", "has room for 4 machines"),
        ({"version": "1.33"}, "version", "usual support until 2026-07-31"),
        ({"version": "1.33", "today": datetime.date(2027, 8, 1)}, "version", "1.33 is gone"),
        ({"version": "1.35", "upgrades": "stable"}, "version", "goes on to other minors"),
        ({"tags": {"managed-by": "me"}}, "tags.managed-by", "anytier's own"),
        ({"access": ["203.0.113.7", "203.0.113.7/32"]}, "access", "twice"),
        ({"admins": [{"user": PERSON}, {"user": PERSON}]}, "admins", "twice"),
        ({"ingress": "app-routing"}, "address", "nobody knows"),
        ({"mode": "automatic", **OPEN}, "address", "nobody knows"),
        (AUTOMATIC, "access", "nobody else is in"),
        ({**AUTOMATIC, **OPEN, "nodes": [{}]}, "nodes", "decided by AKS itself"),
        ({**AUTOMATIC, **OPEN, "podNetwork": "10.0.0.0/16"}, "podNetwork", "decided by AKS itself"),
        ({**AUTOMATIC, **OPEN, "sla": "premium"}, "sla", "decided by AKS itself"),
        ({**AUTOMATIC, **OPEN, "location": "westus"}, "azure-native:location", "no AKS Automatic"),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(wrong: dict[str, Any], path: str, said: str) -> None:
    found = refused(**wrong)
    assert set(found) == {path} and said in found[path].what


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = refused("mars", nodes=[{"size": "larg"}], zones=["1", "1"], network="10.244.0.0/16")
    assert set(found) == {"azure-native:location", "nodes.0.size", "zones", "podNetwork"}


def test_a_version_that_is_past_its_time_needs_long_term_support() -> None:
    plan = decided(version="1.33", sla="premium")
    made = aksinputs.cluster(plan, MADE)
    assert (made["sku"]["tier"], made["support_plan"]) == ("Premium", "AKSLongTermSupport")


def test_the_default_version_has_its_usual_support_today() -> None:
    assert datetime.date.today() <= aksfacts.VERSIONS.minors[aksfacts.VERSIONS.default].usual


@given(st.text(min_size=1, max_size=100))
def test_any_stack_has_a_name_that_azure_takes(stack: str) -> None:
    name = aksplan.short("anytier", stack)
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name)
    # MC_GROUP_CLUSTER_REGION, and eight digits behind each name, in 80 characters
    assert len(name) <= 20 and len(f"MC_{name}12345678_{name}12345678_australiasoutheast") <= 80


def test_two_long_stacks_have_two_names() -> None:
    assert aksplan.short("aks", "a" * 50 + "1") != aksplan.short("aks", "a" * 50 + "2")


def test_networks_are_shared_out_without_overlaps() -> None:
    for net in ("172.16.0.0/13", "10.180.0.0/16", "192.168.4.0/22"):
        nodes, api = map(ipaddress.IPv4Network, decided(network=net).subnets)
        assert not nodes.overlaps(api) and api.prefixlen == 28
        assert all(item.subnet_of(ipaddress.IPv4Network(net)) for item in (nodes, api))


@pytest.mark.parametrize(
    ("type", "arch"),
    [
        ("Standard_D4s_v5", "amd64"),
        ("Standard_D2ps_v5", "arm64"),
        ("Standard_E8pds_v6", "arm64"),
        ("Standard_DS2_v2", "amd64"),
        ("Standard_NC24ads_A100_v4", "amd64"),
        ("Standard_E32-8s_v5", "amd64"),
        ("m5.large", None),
        ("Standard_", None),
    ],
)
def test_an_exact_type_says_its_processor(type: str, arch: str | None) -> None:
    assert aksfacts.arch_of(type) == arch


def test_the_words_of_all_clouds_have_types_here() -> None:
    assert set(aksfacts.TYPES) == set(managed.SIZES)
    for types in aksfacts.TYPES.values():
        assert {arch: aksfacts.arch_of(type) for arch, type in types.items()} == {"amd64": "amd64", "arm64": "arm64"}


@pytest.mark.parametrize(
    ("address", "annotation"),
    [
        (None, {"azure-pip-name": "anytier-entrance"}),
        ("shop.westeurope.cloudapp.azure.com", {"azure-dns-label-name": "shop"}),
        ("shop.northeurope.cloudapp.azure.com", {}),
        ("www.example.org", {}),
    ],
)
def test_the_app_gets_an_address_or_the_name_that_it_is_given(address: str | None, annotation: dict[str, str]) -> None:
    found = aksplan.offered(decided(address=address), 80, 443).entrance
    assert found == {f"service.beta.kubernetes.io/{name}": value for name, value in annotation.items()}


# pools


def pool_of(**more: Any) -> Pool:
    (found,) = decided(nodes=[{"name": "main", **more}]).pools
    return found


@pytest.mark.parametrize("more", [{"size": "large"}, {"disk": 100}, {"spot": True}, {"arch": "arm64"}])
def test_another_machine_is_another_pool(more: dict[str, Any]) -> None:
    one, other = pool_of(), pool_of(**more)
    assert one.name != other.name and one.name[:4] == other.name[:4] == "main"


@pytest.mark.parametrize("more", [{"min": 3}, {"max": 9}, {"labels": {"disk": "ssd"}}, {"size": "Standard_D2s_v5"}])
def test_what_changes_in_place_keeps_the_pool(more: dict[str, Any]) -> None:
    assert pool_of(**more).name == pool_of().name


@given(st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True).filter(lambda name: name != "system"))
def test_a_pools_name_is_one_that_azure_takes(name: str) -> None:
    (found,) = decided(nodes=[{"name": name}]).pools
    assert re.fullmatch(r"[a-z][a-z0-9]{0,11}", found.name)


def test_the_name_holds_the_hash_of_all_that_cannot_change_on_a_pool() -> None:
    """Whatever differs between pools of one name is nothing that AKS refuses to change."""
    seen: dict[str, dict[str, Any]] = {}
    cases = [{}, {"min": 4}, {"size": "large"}, {"disk": 99}, {"spot": True}, {"arch": "arm64"}, {"labels": {"a": "b"}}]
    for location in ("westeurope", "westus"):
        for more in cases:
            of_aks = {} if "spot" in more else {"system": more}
            plan = decided(location, nodes=[{"name": "main", **more}], **of_aks)
            for item in plan.agent_pools:
                wire = {"name": item.name, **camel(aksinputs.pool(plan, item, "subnet"))}
                fixed = {key: wire.get(key) for key in aksfacts.FIXED_ON_A_POOL}
                assert seen.setdefault(item.name, fixed) == fixed
    assert len(seen) == 2 * 5 + 2 * 4


# the pool for AKS's own pods, and the machine that the cluster begins with


def first(plan: Plan) -> dict[str, Any]:
    """The only pool that is made with the cluster."""
    (found,) = aksinputs.cluster(plan, MADE)["agent_pool_profiles"]
    return dict(found)


@pytest.mark.parametrize("more", [{"size": "large"}, {"disk": 100}, {"arch": "arm64"}, {"name": "own"}])
def test_other_machines_for_aks_own_pods_are_another_pool_too(more: dict[str, Any]) -> None:
    one, other = decided(), decided(system=more)
    assert one.system is not None and other.system is not None and one.system.name != other.system.name
    assert (one.pools, first(one)["name"]) == (other.pools, first(other)["name"])


def test_other_zones_make_each_pool_anew() -> None:
    one, other = ({pool.name for pool in plan.agent_pools} for plan in (decided(), decided(zones=["1", "2"])))
    assert len(one) == len(other) == 2 and not one & other


def test_the_machine_that_a_cluster_begins_with_is_one_of_the_systems() -> None:
    plan = decided(system={"min": 3, "max": 5, "labels": {"a": "b"}})
    assert plan.system is not None
    began, others = first(plan), aksinputs.pool(plan, plan.system, "nodes")
    assert (began["count"], began["enable_auto_scaling"]) == (1, False) and not {"min_count", "max_count"} & set(began)
    assert (others["min_count"], others["max_count"]) == (2, 4)
    same = ("mode", "vm_size", "node_taints", "node_labels", "enable_encryption_at_host", "orchestrator_version")
    assert {key: began[key] for key in same} == {key: others[key] for key in same} and began["mode"] == "System"


def test_the_systems_name_and_least_need_not_be_said_anew() -> None:
    assert args(system={"size": "large"}).system == args().system.model_copy(update={"size": "large"})


def test_an_application_logs_in_to_the_cluster_by_the_variables_of_pulumis_provider() -> None:
    flag = "--use-azurerm-env-vars"
    assert flag in aksinputs.login(args(login="spn"), "t").args and flag not in aksinputs.login(args(), "t").args


def test_on_spot_machines_pods_bear_with_their_taint() -> None:
    plan = decided(nodes=[{"name": "main"}, {"name": "cheap", "spot": True}])
    cheap = aksinputs.pool(plan, plan.pools[1], "subnet")
    assert cheap["scale_set_priority"] == "Spot" and "upgrade_settings" not in cheap
    ((taint,), (tolerated,)) = cheap["node_taints"], aksplan.offered(plan, 80, 443).tolerations
    assert taint == f"{tolerated['key']}={tolerated['value']}:{tolerated['effect']}"
    assert aksplan.offered(decided(), 80, 443).tolerations == ()


def test_images_are_built_for_the_machines_that_take_apps() -> None:
    mixed = [{"arch": "arm64"}, {"name": "more", "size": "Standard_D4s_v5"}]
    for options, processors in (
        ({}, ("amd64",)),
        ({"nodes": [{"arch": "arm64"}]}, ("arm64",)),  # AKS's own pool is another one, and takes none
        ({"nodes": mixed}, ("arm64", "amd64")),
    ):
        assert aksplan.offered(decided(**options), 80, 443).processors == processors


def test_arm_machines_have_no_trusted_launch_and_others_do() -> None:
    for arch, there in (("amd64", True), ("arm64", False)):
        plan = decided(nodes=[{"arch": arch}])
        found = aksinputs.pool(plan, plan.pools[0], "subnet")["security_profile"]
        assert set(found.values()) == {there}


# what changing it would do


def camel(value: Any, key: str = "") -> Any:
    """As on the wire, as far as these tests look."""
    if isinstance(value, Mapping):
        return {_NAMES.get(name, _camel(name)): camel(item) for name, item in value.items()}
    return value


_NAMES = {"vnet_subnet_id": "vnetSubnetID", "os_disk_size_gb": "osDiskSizeGB", "dns_service_ip": "dnsServiceIP"}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def differing(old: Mapping[str, Any], new: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        one, other, path = old.get(name), new.get(name), f"{at}{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differing(one, other, f"{path}.")
        elif one != other:
            yield path


def replaced(one: Plan, other: Plan) -> set[str]:
    """The properties of the cluster that differ and make another one of it."""
    known = aksfacts.REPLACES["azure-native:containerservice:ManagedCluster"]
    changed = differing(*(camel(aksinputs.cluster(plan, MADE)) for plan in (one, other)))
    return {path for path in changed if any(path == item or path.startswith(f"{item}.") for item in known)}


KEPT_CHANGING: list[dict[str, Any]] = [
    {"version": "1.36"},
    {"nodes": [{"min": 4, "size": "large"}]},
    {"nodes": [{}, {"name": "more"}]},
    {"system": {"size": "large"}},
    {"system": {"disk": 99, "arch": "arm64"}},
    {"system": {"min": 3, "max": 9, "labels": {"a": "b"}}},
    {"zones": ["1", "2"]},
    OPEN,
    {"admins": [{"group": PERSON}]},
    {"login": "spn"},
    {"ingress": "app-routing", **NAMED},
    {"gateway": {"className": "approuting-istio"}},
    {"upgrades": "stable"},
    {"nodeOs": "security-patch"},
    {"maintenance": {"day": "Monday"}},
    {"sla": "premium"},
    {"audit": "all"},
    {"logRetention": 90},
    {"protect": True},
    {"tags": {"team": "shop"}},
    NAMED,
]


@pytest.mark.parametrize("change", KEPT_CHANGING, ids=lambda change: next(iter(change)))
def test_what_users_keep_changing_replaces_no_cluster(change: dict[str, Any]) -> None:
    assert replaced(decided(), decided(**change)) == set()


@pytest.mark.parametrize("change", KEPT_CHANGING, ids=lambda change: next(iter(change)))
def test_what_users_keep_changing_asks_azure_for_nothing_that_it_refuses_on_a_pool(change: dict[str, Any]) -> None:
    """Neither of a pool that keeps its name nor of the first one, whose machine stays what it was."""
    one, other = decided(), decided(**change)
    names = {pool.name for pool in one.agent_pools} & {pool.name for pool in other.agent_pools}
    pools = [
        {pool.name: camel(aksinputs.pool(plan, pool, "nodes")) for pool in plan.agent_pools} for plan in (one, other)
    ]
    asked = {path for name in names for path in differing(pools[0][name], pools[1][name])}
    asked |= set(differing(camel(first(one)), camel(first(other)))) - {
        path.removeprefix("agentPoolProfiles[0].") for path in aksinputs.FIRST_STAYS
    }
    assert asked & set(aksfacts.FIXED_ON_A_POOL) == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"podNetwork": "10.128.0.0/16"}, {"networkProfile.podCidr"}),
        ({"serviceNetwork": "10.97.0.0/16"}, {"networkProfile.serviceCidr", "networkProfile.dnsServiceIP"}),
        ({"location": "northeurope"}, {"location"}),
        ({"stack": "other"}, {"dnsPrefix"}),
    ],
)
def test_what_replaces_a_cluster_is_known(change: dict[str, Any], said: set[str]) -> None:
    assert replaced(decided(), decided(**change)) == said


def test_what_replaces_is_listed_for_people_too() -> None:
    """Options that are said nowhere above change in place, or are said here: each option is in one of the two."""
    tried = {name for change in KEPT_CHANGING for name in change} | {"podNetwork", "serviceNetwork"}
    made_again = {"mode", "network", "registry", "builder", "caddyImage"}  # a SKU, a network, a role; of the app
    assert tried | made_again == {info.alias for info in AksArgs.model_fields.values()}


# the way in


HANDED = {"clusters": [{"name": "x", "cluster": {"server": "https://x:443", "certificate-authority-data": "Q0E="}}]}


def encoded(value: Any) -> str:
    return base64.b64encode(yaml.safe_dump(value).encode()).decode()


def test_the_kubeconfig_has_a_command_and_no_credentials() -> None:
    server, authority = aksinputs.reach(encoded({**HANDED, "users": [{"user": {"token": "hidden"}}]}))
    text = managed.kubeconfig("x", server, authority, aksinputs.login(args(), "tenant"))
    run = yaml.safe_load(text)["users"][0]["user"]["exec"]
    assert run["command"] == "kubelogin" and run["args"][:3] == ["get-token", "--login", "azurecli"]
    assert "hidden" not in text and fingerprint(text)


@pytest.mark.parametrize("wrong", ["", "%", encoded({}), encoded({"clusters": []}), encoded([1]), encoded("a: b: c")])
def test_what_is_no_kubeconfig_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError):
        aksinputs.reach(wrong)


@given(st.binary(max_size=60))
def test_whatever_azure_hands_out_ends_in_a_clear_error(data: bytes) -> None:
    with pytest.raises(ConfigError):
        aksinputs.reach(base64.b64encode(data).decode())


def test_who_makes_it_may_do_all_as_what_it_is_logged_in() -> None:
    assert aksinputs.admins(args(), "me") == {"admin": ("me", "User")}
    assert aksinputs.admins(args(login="spn"), "me") == {"admin": ("me", "ServicePrincipal")}
    assert aksinputs.admins(args(admins=[{"group": PERSON}]), "me") == {f"admin-{PERSON}": (PERSON, "Group")}


# workloads that are somebody

IDENTITY = f"/subscriptions/{PERSON}/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"


def test_a_role_is_the_id_of_an_identity() -> None:
    found = aksinputs.identity("web", IDENTITY)
    assert (found.group, found.name) == ("shop", "web")


@pytest.mark.parametrize("wrong", ["", "web", PERSON, IDENTITY + "/x", IDENTITY.replace("web", "w"), f"x{IDENTITY}"])
def test_a_role_that_is_no_identity_is_refused_by_its_path(wrong: str) -> None:
    with pytest.raises(SpecError) as caught:
        aksinputs.identity("web", wrong)
    assert caught.value.path == "workloads.web.identity.cloudRoles.azure" and "az identity show" in caught.value.do
