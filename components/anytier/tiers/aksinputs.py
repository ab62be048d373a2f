"""The inputs of the resources that make an AKS cluster, and what is made of Azure's answers. Pure: no call, no SDK.

Inputs have the SDK's names; what Azure only knows once something is made comes in as `Made`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from typing import Any

import yaml

from anytier.errors import ConfigError, SpecError
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import FIXED_ON_A_POOL, REGIONS, SERVER_ID
from anytier.tiers.aksplan import ADDRESS, SURGE, Plan, Pool
from anytier.tiers.managed import Exec

SUBNETS = ("nodes", "api-server")
# Of the machine that a cluster begins with: what Azure would refuse to change, and what depends on its type.
FIRST_STAYS = tuple(f"agentPoolProfiles[0].{name}" for name in (*FIXED_ON_A_POOL, "securityProfile"))
AUDIENCE = "api://AzureADTokenExchange"

_LOGS = (
    "kube-audit-admin",
    "guard",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "cluster-autoscaler",
)
_CHANNELS = {"node-image": "NodeImage", "security-patch": "SecurityPatch", "none": "None"}
_IDENTITY = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-fA-F-]{36})/resource[gG]roups/(?P<group>[A-Za-z0-9._()-]{1,90})"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/(?P<name>[A-Za-z0-9_-]{3,128})"
)


@dataclass(frozen=True)
class Made:
    """What is known once something else is made; outputs. Without a network of ours its subnets are None."""

    group: Any
    identity: Any
    tenant: Any
    key: Any
    nodes_subnet: Any = None
    api_subnet: Any = None


def network(plan: Plan) -> dict[str, Any]:
    """Of the VirtualNetwork, which has its subnets in it: they come and go together. The nodes' is the first."""
    nodes, api = plan.subnets
    service = "Microsoft.ContainerService/managedClusters"
    return {
        "location": plan.location,
        "address_space": {"address_prefixes": [plan.args.network]},
        "subnets": [
            {"name": SUBNETS[0], "address_prefix": nodes},
            {"name": SUBNETS[1], "address_prefix": api, "delegations": [{"name": "aks", "service_name": service}]},
        ],
        "tags": plan.tags,
    }


def account(plan: Plan) -> dict[str, Any]:
    """Of the identity that the cluster has towards Azure."""
    return {"location": plan.location, "tags": plan.tags}


def vault(plan: Plan, tenant: Any) -> dict[str, Any]:
    """Of the Vault. What is deleted there stays for 90 days, whoever deletes it: without its key a cluster is lost."""
    return {
        "location": plan.location,
        "properties": {
            "sku": {"family": "A", "name": "standard"},
            "tenant_id": tenant,
            "enable_rbac_authorization": True,
            "enable_soft_delete": True,
            "enable_purge_protection": True,
            "soft_delete_retention_in_days": 90,
            "enabled_for_deployment": False,
            "enabled_for_disk_encryption": False,
            "enabled_for_template_deployment": False,
        },
        "tags": plan.tags,
    }


def key(plan: Plan) -> dict[str, Any]:
    """Of the key that the keys of etcd's content are wrapped by."""
    ops = ["encrypt", "decrypt", "wrapKey", "unwrapKey"]
    return {"properties": {"kty": "RSA", "key_size": 3072, "key_ops": ops}, "tags": plan.tags}


def address(plan: Plan) -> dict[str, Any]:
    """Of the PublicIPAddress of the app's router, in all zones that there are."""
    return {
        "public_ip_address_name": ADDRESS,
        "location": plan.location,
        "sku": {"name": "Standard", "tier": "Regional"},
        "public_ip_allocation_method": "Static",
        "public_ip_address_version": "IPv4",
        "zones": ["1", "2", "3"] if REGIONS[plan.location] else None,
        "tags": plan.tags,
    }


def registry(plan: Plan) -> dict[str, Any]:
    """Of the Registry that built images go to. Nobody logs in there but by Entra."""
    return {
        "location": plan.location,
        "sku": {"name": "Basic"},
        "admin_user_enabled": False,
        "tags": plan.tags,
    }


def workspace(plan: Plan) -> dict[str, Any]:
    return {
        "location": plan.location,
        "sku": {"name": "PerGB2018"},
        "retention_in_days": plan.args.log_retention,
        "features": {"disable_local_auth": True, "enable_log_access_using_only_resource_permissions": True},
        "tags": plan.tags,
    }


def diagnostics(plan: Plan) -> dict[str, Any]:
    """Which logs of the control plane are kept: every change, and with `audit: all` every read, too."""
    kept = [*_LOGS, *(["kube-audit"] if plan.args.audit == "all" else [])]
    return {
        "name": "control-plane",
        "log_analytics_destination_type": "Dedicated",
        "logs": [{"category": name, "enabled": True} for name in kept],
    }


def cluster(plan: Plan, made: Made) -> dict[str, Any]:
    """Of the ManagedCluster."""
    return {
        "resource_group_name": made.group,
        "location": plan.location,
        "sku": {"name": "Automatic" if plan.automatic else "Base", "tier": plan.args.sla.capitalize()},
        "support_plan": _support(plan),
        "kubernetes_version": _version(plan),
        "dns_prefix": plan.group,
        "identity": {"type": "UserAssigned", "user_assigned_identities": [made.identity]},
        "enable_rbac": True,
        "disable_local_accounts": True,
        "aad_profile": {"managed": True, "enable_azure_rbac": True, "tenant_id": made.tenant},
        "api_server_access_profile": _api_server(plan, made),
        "oidc_issuer_profile": {"enabled": True},
        "security_profile": {
            "workload_identity": {"enabled": True},
            "image_cleaner": {"enabled": True, "interval_hours": 168},
            "azure_key_vault_kms": {"enabled": True, "key_id": made.key, "key_vault_network_access": "Public"},
        },
        "addon_profiles": {"azurepolicy": {"enabled": True, "config": {"version": "v2"}}},
        "metrics_profile": {"cost_analysis": {"enabled": True}},
        **({"ingress_profile": {"web_app_routing": {"enabled": True}}} if plan.args.ingress == "app-routing" else {}),
        **({} if plan.automatic else _standard(plan, made)),
        "tags": plan.tags,
    }


def _support(plan: Plan) -> str:
    return "AKSLongTermSupport" if plan.args.sla == "premium" else "KubernetesOfficial"


def _version(plan: Plan) -> str | None:
    """None where AKS goes on to other minors by itself: one that is said would take it back."""
    if plan.automatic or plan.args.upgrades in ("stable", "rapid"):
        return plan.args.version
    return plan.version


def _api_server(plan: Plan, made: Made) -> dict[str, Any]:
    """With a subnet of its own in our network the API server can become private or public later on, in place."""
    integrated = {} if plan.automatic else {"enable_vnet_integration": True, "subnet_id": made.api_subnet}
    private = {"enable_private_cluster": True, "enable_private_cluster_public_fqdn": True, "private_dns_zone": "system"}
    public = {"enable_private_cluster": False, "authorized_ip_ranges": list(plan.args.access)}
    return {"disable_run_command": True, **integrated, **(private if plan.private else public)}


def _standard(plan: Plan, made: Made) -> dict[str, Any]:
    """What AKS Automatic decides by itself."""
    args = plan.args
    assert plan.system is not None
    services = ipaddress.IPv4Network(args.service_network)
    return {
        "network_profile": {
            "network_plugin": "azure",
            "network_plugin_mode": "overlay",
            "network_dataplane": "cilium",
            "network_policy": "cilium",
            "pod_cidr": args.pod_network,
            "service_cidr": args.service_network,
            "dns_service_ip": str(services[10]),
            "load_balancer_sku": "standard",
            "outbound_type": "loadBalancer",
        },
        "auto_upgrade_profile": {
            "upgrade_channel": args.upgrades,
            "node_os_upgrade_channel": _CHANNELS[args.node_os],
        },
        "storage_profile": {
            "disk_csi_driver": {"enabled": True},
            "file_csi_driver": {"enabled": True},
            "snapshot_controller": {"enabled": True},
        },
        "agent_pool_profiles": [_first(plan, plan.system, made.nodes_subnet)],
    }


def _first(plan: Plan, system: Pool, subnet: Any) -> dict[str, Any]:
    """The pool without which AKS makes no cluster, and which it lets nobody exchange later on: the least of one. All
    others are resources of their own."""
    counted = ("enable_auto_scaling", "min_count", "max_count")
    one = {key: value for key, value in pool(plan, system, subnet).items() if key not in counted}
    return {"name": "first", **one, "enable_auto_scaling": False, "count": 1}


def pool(plan: Plan, item: Pool, subnet: Any) -> dict[str, Any]:
    """Of an AgentPool. How many machines there are now is AKS's business: a number given here would take back what its
    autoscaler has done."""
    nodes = item.nodes
    first = 1 if item.system else 0  # is there already
    once = {"max_surge": f"{SURGE}%", "drain_timeout_in_minutes": 30}  # a spot pool has no word for it
    spot = {"scale_set_priority": "Spot", "scale_set_eviction_policy": "Delete", "spot_max_price": -1.0}
    return {
        "mode": "System" if item.system else "User",
        "type": "VirtualMachineScaleSets",
        "vm_size": item.type,
        "os_type": "Linux",
        "os_sku": "AzureLinux",
        "os_disk_type": "Managed",
        "os_disk_size_gb": nodes.disk,
        "enable_auto_scaling": True,
        "min_count": nodes.min - first,
        "max_count": nodes.most - first,
        "availability_zones": list(plan.zones) or None,
        "vnet_subnet_id": subnet,
        "enable_node_public_ip": False,
        "enable_encryption_at_host": True,
        # Azure has no Trusted Launch on Arm64.
        "security_profile": {"enable_secure_boot": item.arch == "amd64", "enable_vtpm": item.arch == "amd64"},
        "node_labels": {"anytier.dev/pool": nodes.name, **nodes.labels},
        "node_taints": item.taints,
        "orchestrator_version": _version(plan),
        **(spot if nodes.spot else {"upgrade_settings": once}),
        "tags": plan.tags,
    }


def maintenance(plan: Plan) -> dict[str, dict[str, Any]]:
    """Of the MaintenanceConfigurations, by the names that AKS gives a meaning."""
    given = plan.args.maintenance
    window = {
        "schedule": {"weekly": {"day_of_week": given.day, "interval_weeks": 1}},
        "start_time": given.start,
        "duration_hours": given.hours,
        "utc_offset": given.utc_offset,
    }
    names = ("aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")
    return {name: {"config_name": name, "maintenance_window": window} for name in names}


def role(subscription: str, id: str) -> str:
    """A built-in role's definition."""
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{id}"


# the way in


def admins(args: AksArgs, deployer: Any) -> dict[str, tuple[Any, str]]:
    """By a name: (object id, kind) of who may do all in the cluster. Nobody named: who makes it, as whom it logs in."""
    if not args.admins:
        person = args.login in ("azurecli", "azd")
        return {"admin": (deployer, "User" if person else "ServicePrincipal")}
    return {f"admin-{admin.principal[0]}": admin.principal for admin in args.admins}


def reach(kubeconfig: str) -> tuple[str, str]:
    """(the server, its authority's certificate) of what Azure hands out, base64. ConfigError for anything else."""
    try:
        text = base64.b64decode(kubeconfig, validate=True).decode()
        (entry,) = yaml.safe_load(text)["clusters"]
        server, authority = entry["cluster"]["server"], entry["cluster"]["certificate-authority-data"]
    except (ValueError, KeyError, TypeError, yaml.YAMLError, binascii.Error):
        what = "is not a kubeconfig with one cluster, as Azure hands it out"
        raise ConfigError("kubeconfig", what, "`az aks get-credentials` says what is wrong") from None
    return str(server), str(authority)


# Who has a token of a registry's.
REGISTRY_USER = "00000000-0000-0000-0000-000000000000"


def registry_login(name: Any) -> tuple[Any, ...]:
    """The command that prints such a token, in the form of kubeconfigs' commands. `name`: the registry's."""
    form = "{status: {token: accessToken}}"
    return ("az", "acr", "login", "--name", name, "--expose-token", "--query", form, "--output", "json")


def login(args: AksArgs, tenant: str) -> Exec:
    """kubelogin gets a token of Entra's, by whoever is logged in where it runs; an application by the variables that
    Pulumi's provider reads."""
    how = ["get-token", "--login", args.login, "--server-id", SERVER_ID, "--tenant-id", tenant]
    how += ["--use-azurerm-env-vars"] if args.login == "spn" else []
    return Exec(
        "kubelogin", how, hint="kubelogin is missing: `az aks install-cli`, or see https://azure.github.io/kubelogin"
    )


# workloads that are somebody to Azure


@dataclass(frozen=True)
class Identity:
    """A user-assigned identity, by the parts of its id."""

    group: str
    name: str


def identity(workload: str, text: str) -> Identity:
    """SpecError for what is no id of a user-assigned identity."""
    found = _IDENTITY.fullmatch(text)
    if found is None:
        path = f"workloads.{workload}.identity.cloudRoles.azure"
        do = "`az identity show -g GROUP -n NAME --query id` says it: /subscriptions/.../userAssignedIdentities/NAME"
        raise SpecError(path, f"{text[:70]!r} is no id of a user-assigned identity", do)
    return Identity(found["group"], found["name"])


# what it costs


def costs(plan: Plan) -> dict[str, Any]:
    """What is paid for, without prices, which change: for people, and for `anytier compare`."""
    return {
        "region": plan.location,
        "controlPlane": f"AKS {'Automatic' if plan.automatic else plan.args.sla}, by the hour",
        "nodes": [
            {
                "pool": pool.nodes.name,
                "type": pool.type,
                "min": pool.nodes.min,
                "max": pool.nodes.most,
                "spot": pool.nodes.spot,
                "diskGiB": pool.nodes.disk,
            }
            for pool in plan.agent_pools
        ]
        or "as pods need them (node auto provisioning)",
        "network": [
            "a Standard load balancer",
            "public addresses: one out, one in",
            "what leaves the region, by the GiB",
        ],
        "registry": "one that is there" if plan.args.registry else "a Basic container registry",
        "logs": f"Log Analytics by the GiB, kept for {plan.args.log_retention} days",
        "keys": "a Key Vault, by the operation",
    }


def portal(tenant: str, id: str) -> str:
    """Where a person looks at the cluster."""
    return f"https://portal.azure.com/#@{tenant}/resource{id}/overview"
