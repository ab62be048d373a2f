"""Azure, as far as tier `aks` sees it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from tests.standins.clouds.base import Answer, Cloud, Holder, Refused, Scene, Tree, certificate, endpoint, short
from tests.standins.invent import digest, guid
from tests.standins.shapes import Shape
from tests.standins.world import Thing

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
TENANT = "00000000-0000-4000-8000-000000000002"
CLIENT = "00000000-0000-4000-8000-000000000003"
VERSIONS = ("1.31", "1.32", "1.33", "1.34")
GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"
# Type -> how its id is written; the last parameter is its name.
IDS = {
    "resources/ResourceGroup": GROUP,
    "network/VirtualNetwork": GROUP + "/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}",
    "network/Subnet": GROUP + "/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
    "network/NetworkSecurityGroup": GROUP
    + "/providers/Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
    "network/NatGateway": GROUP + "/providers/Microsoft.Network/natGateways/{natGatewayName}",
    "network/PublicIPAddress": GROUP + "/providers/Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
    "containerservice/ManagedCluster": GROUP + "/providers/Microsoft.ContainerService/managedClusters/{resourceName}",
    "containerservice/AgentPool": GROUP
    + "/providers/Microsoft.ContainerService/managedClusters/{resourceName}/agentPools/{agentPoolName}",
    "containerservice/MaintenanceConfiguration": GROUP
    + "/providers/Microsoft.ContainerService/managedClusters/{resourceName}/maintenanceConfigurations/{configName}",
    "managedidentity/UserAssignedIdentity": GROUP
    + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
    "managedidentity/FederatedIdentityCredential": GROUP
    + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
    + "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
    "keyvault/Vault": GROUP + "/providers/Microsoft.KeyVault/vaults/{vaultName}",
    "keyvault/Key": GROUP + "/providers/Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}",
    "operationalinsights/Workspace": GROUP + "/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}",
    "containerregistry/Registry": GROUP + "/providers/Microsoft.ContainerRegistry/registries/{registryName}",
    "authorization/RoleAssignment": "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
    "monitor/DiagnosticSetting": "{resourceUri}/providers/microsoft.insights/diagnosticSettings/{name}",
}
CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
NO_SYSTEM_POOL = "MustDefineAtLeastOneSystemPool: There must be at least one system pool."
NEW_POOL = "BadRequest: A new agent pool was introduced. Adding agent pools to an existing cluster is not allowed."
# Things within another one take the program's name as it is; others get random digits.
COPIED = ("network/Subnet", "containerservice/AgentPool", "containerservice/MaintenanceConfiguration", "keyvault/Key")


class Azure(Cloud):
    name = "azure-native"
    package = "pulumi_azure_native"
    holders: ClassVar[Mapping[str, tuple[Holder, ...]]] = {
        "azure-native:network:Subnet": (
            Holder(CLUSTER, "agentPoolProfiles.vnetSubnetID"),
            Holder(POOL, "vnetSubnetID"),
        ),
        "azure-native:network:VirtualNetwork": (Holder(CLUSTER, "agentPoolProfiles.vnetSubnetID"),),
        "azure-native:network:NatGateway": (Holder("azure-native:network:Subnet", "natGateway.id"),),
        "azure-native:network:NetworkSecurityGroup": (
            Holder("azure-native:network:Subnet", "networkSecurityGroup.id"),
        ),
        "azure-native:network:PublicIPAddress": (Holder("azure-native:network:NatGateway", "publicIpAddresses.id"),),
    }

    def name_property(self, token: str, shape: Shape) -> str | None:
        """The last parameter of its id."""
        return IDS[short(token)].rpartition("{")[2].removesuffix("}")

    def made_up_name(self, token: str, name: str, suffix: str) -> str:
        kind = short(token)
        if kind in COPIED or kind == "managedidentity/FederatedIdentityCredential":
            return name
        return guid(name, suffix) if kind == "authorization/RoleAssignment" else f"{name}{suffix}"

    def defaults(self, shape: Shape, inputs: Tree, scene: Scene) -> Tree:
        if "location" in shape.inputs and not inputs.get("location") and scene.config.get("location"):
            return {**inputs, "location": scene.config["location"]}
        return inputs

    def flags(self, made_up: bool) -> Tree:
        return {"__createBeforeDelete": True} if made_up else {}

    def deletes_first(self, token: str, old: Tree, new: Tree, name: str | None) -> bool:
        return not old.get("__createBeforeDelete")

    def identify(self, token: str, inputs: Tree, scene: Scene, seed: str) -> str:
        subscription = scene.config.get("subscriptionId") or SUBSCRIPTION
        values = {key: value for key, value in inputs.items() if isinstance(value, str)}
        return IDS[short(token)].format_map({**values, "subscription": subscription})

    def word(self, token: str, id: str, inputs: Tree, scene: Scene, prop: str) -> str | None:
        module, _, kind = short(token).partition("/")
        return {
            "id": id,
            "name": id.rpartition("/")[2],
            "type": f"Microsoft.{module}/{kind}",
            "provisioningState": "Succeeded",
            "azureApiVersion": "stand-in",
            "tenantId": TENANT,
            "principalId": guid("principal", id),
            "clientId": guid("client", id),
            "customerId": guid("customer", id),
            "createdAt": "2026-01-01T00:00:00Z",
        }.get(prop)

    def said(self, token: str, id: str, inputs: Tree, scene: Scene, seed: str) -> Tree:
        kind = short(token)
        if kind == "containerservice/ManagedCluster":
            return _cluster(id, inputs, scene)
        if kind == "keyvault/Vault":
            return {"properties": {"vaultUri": f"https://{id.rpartition('/')[2]}.vault.azure.net/"}}
        if kind == "keyvault/Key":
            uri = f"https://{inputs['vaultName']}.vault.azure.net/keys/{id.rpartition('/')[2]}"
            return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{digest(id, length=32)}"}
        if kind == "containerregistry/Registry":
            return {"loginServer": f"{id.rpartition('/')[2]}.azurecr.io".lower()}
        if kind == "network/PublicIPAddress":
            return {"ipAddress": scene.control.get("address") or "203.0.113.40"}
        return {}

    def configured(self, config: Tree, control: Tree) -> list[str]:
        if control.get("credentials") is False:
            return ["building auth config: please ensure you have installed Azure CLI and run `az login`"]
        return []

    def may_create(self, token: str, inputs: Tree, scene: Scene) -> None:
        if "resourceGroupName" in inputs and short(token) != "resources/ResourceGroup":
            group = _group(str(inputs["resourceGroupName"]), scene)
            there = [name for thing in scene.things for name in (thing.id, _of_nodes(thing, scene)) if name]
            if not any(name.lower() == group.lower() for name in there):
                raise Refused(
                    f"ResourceGroupNotFound: Resource group '{inputs['resourceGroupName']}' could not be found."
                )
        located = ("resources/ResourceGroup", "network/VirtualNetwork", "containerservice/ManagedCluster")
        if short(token) in located and not inputs.get("location"):
            raise Refused("LocationRequired: The location property is required for this definition.")
        if token == CLUSTER and not _automatic(inputs) and not any(_system(pool) for pool in _profiles(inputs)):
            raise Refused(NO_SYSTEM_POOL)
        if token == POOL:
            _may_add_pool(inputs, scene)

    def may_update(self, thing: Thing, inputs: Tree, scene: Scene) -> None:
        if thing.token == POOL:
            self._fixed(thing.inputs, inputs)
        if thing.token == CLUSTER:
            there = _pools(thing, scene)
            for pool in _profiles(inputs):
                if pool.get("name") not in there:
                    raise Refused(NEW_POOL)
                self._fixed(there[pool["name"]], pool)

    def _fixed(self, old: Tree, new: Tree) -> None:
        """A pool that is there, and what it should become."""
        for name in self.facts[POOL]["fixed"]:
            if old.get(name) != new.get(name):
                raise Refused(f"PropertyChangeNotAllowed: Changing property 'properties.{name}' is not allowed.")

    def may_delete(self, thing: Thing, scene: Scene) -> None:
        super().may_delete(thing, scene)
        if thing.token == POOL:
            cluster = _cluster_of(thing.inputs, scene)
            left = {} if cluster is None else _pools(cluster, scene)
            left.pop(thing.inputs["agentPoolName"], None)
            if cluster is not None and not any(_system(pool) for pool in left.values()):
                raise Refused(NO_SYSTEM_POOL)

    def takes_along(self, thing: Thing, scene: Scene) -> list[Thing]:
        """Azure deletes what is within; with a cluster, what is in the group of its nodes."""
        within = [f"{name.lower()}/" for name in (thing.id, _of_nodes(thing, scene)) if name]
        return [other for other in scene.things if any(other.id.lower().startswith(name) for name in within)]

    def names(self, thing: Thing) -> set[str]:
        found = {thing.id.lower()}
        if short(thing.token) == "network/VirtualNetwork":
            subnets = thing.inputs.get("subnets") or []
            found |= {f"{thing.id}/subnets/{item.get('name')}".lower() for item in subnets}
        return found

    def answers(self) -> Mapping[str, Answer]:
        return ANSWERS


def _group(name: str, scene: Scene) -> str:
    return GROUP.format(subscription=scene.config.get("subscriptionId") or SUBSCRIPTION, resourceGroupName=name)


def _of_nodes(thing: Thing, scene: Scene) -> str | None:
    """The group that AKS itself makes beside a cluster, for its machines, disks and load balancers."""
    name = thing.outputs.get("nodeResourceGroup") if thing.token == CLUSTER else None
    return _group(str(name), scene) if name else None


# a cluster's pools


def _profiles(inputs: Tree) -> list[Tree]:
    return list(inputs.get("agentPoolProfiles") or [])


def _system(pool: Tree) -> bool:
    return pool.get("mode") == "System"


def _automatic(inputs: Tree) -> bool:
    return bool((inputs.get("sku") or {}).get("name") == "Automatic")


def _cluster_of(pool: Tree, scene: Scene) -> Thing | None:
    return scene.made(CLUSTER, resourceGroupName=pool["resourceGroupName"], resourceName=pool["resourceName"])


def _pools(cluster: Thing, scene: Scene) -> dict[str, Tree]:
    """Those that came with it, and those that were made by themselves, by their names."""
    within = f"{cluster.id}/agentPools/".lower()
    alone = (thing.inputs for thing in scene.things if thing.token == POOL and thing.id.lower().startswith(within))
    return {**{pool["name"]: pool for pool in _profiles(cluster.inputs)}, **{p["agentPoolName"]: p for p in alone}}


def _may_add_pool(pool: Tree, scene: Scene) -> None:
    cluster = _cluster_of(pool, scene)
    if cluster is None:
        raise Refused(f"ResourceNotFound: The managed cluster '{pool['resourceName']}' could not be found.")
    if pool["agentPoolName"] in _pools(cluster, scene):
        raise Refused(f"cannot create already existing resource: agent pool {pool['agentPoolName']} already exists")


def _cluster(id: str, inputs: Tree, scene: Scene) -> Tree:
    name, region = id.rpartition("/")[2], str(inputs.get("location") or "westeurope")
    about = scene.cluster(name)
    prefix = inputs.get("dnsPrefix") or name
    fqdn = endpoint(about, f"{prefix}-{digest(id, length=8)}.hcp.{region}.azmk8s.io").removeprefix("https://")
    given = inputs.get("identity") or {}
    identity: Tree = {"type": given.get("type") or "None", "tenantId": TENANT, "principalId": guid("cluster", id)}
    if given.get("userAssignedIdentities"):
        identity["userAssignedIdentities"] = {
            key: {"clientId": guid("client", key), "principalId": guid("principal", key)}
            for key in given["userAssignedIdentities"]
        }
    group = str(inputs.get("resourceGroupName"))
    kubelet = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/MC_{group}_{name}_{region}/kubelet"
    return {
        "fqdn": fqdn,
        "currentKubernetesVersion": f"{inputs.get('kubernetesVersion') or VERSIONS[-2]}",
        "nodeResourceGroup": inputs.get("nodeResourceGroup") or f"MC_{group}_{name}_{region}",
        "identity": identity,
        "oidcIssuerProfile": {
            **(inputs.get("oidcIssuerProfile") or {}),
            "issuerURL": f"https://{region}.oic.prod-aks.azure.com/{TENANT}/{guid('issuer', id)}/",
        },
        "identityProfile": {
            "kubeletidentity": {"clientId": guid("kubelet", id), "objectId": guid("object", id), "resourceId": kubelet}
        },
        "powerState": {"code": "Running"},
    }


# functions


def _client(args: Tree, scene: Scene) -> Tree:
    subscription = scene.config.get("subscriptionId") or SUBSCRIPTION
    return {"clientId": CLIENT, "objectId": CLIENT, "subscriptionId": subscription, "tenantId": TENANT}


def _token(args: Tree, scene: Scene) -> Tree:
    return {"token": f"eyJ0{digest('token', length=40)}"}


def _credentials(args: Tree, scene: Scene) -> Tree:
    group, name = str(args["resourceGroupName"]), str(args["resourceName"])
    clusters = (t for t in scene.things if t.token == CLUSTER)
    thing = next((t for t in clusters if t.id.lower().endswith(f"/{name}".lower())), None)
    if thing is None:
        raise Refused(f"ResourceNotFound: The managed cluster '{name}' under resource group '{group}' was not found.")
    text = scene.cluster(name).get("kubeconfig") or _kubeconfig(thing, scene)
    return {"kubeconfigs": [{"name": "clusterUser", "value": base64.b64encode(str(text).encode()).decode()}]}


def _kubeconfig(thing: Thing, scene: Scene) -> str:
    """As AKS hands it out where local accounts are off: with the plugin that fetches a token."""
    name = thing.id.rpartition("/")[2]
    about = scene.cluster(name)
    cluster = {
        "server": endpoint(about, f"{thing.outputs['fqdn']}:443"),
        "certificate-authority-data": certificate(about),
    }
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": [
            "get-token",
            "--environment",
            "AzurePublicCloud",
            "--server-id",
            "6dae42f8-4368-4678-94ff-3960e28e3630",
        ],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": "user", "user": {"exec": exec_}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "user"}}],
            "current-context": name,
        }
    )


def _identity(args: Tree, scene: Scene) -> Tree:
    """Of one that nobody made here: the test's word that it is there."""
    place = GROUP.format(
        subscription=scene.config.get("subscriptionId") or SUBSCRIPTION, resourceGroupName=args["resourceGroupName"]
    )
    id = f"{place}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{args['resourceName']}"
    return {
        "id": id,
        "name": args["resourceName"],
        "clientId": guid("client", id),
        "principalId": guid("principal", id),
        "tenantId": TENANT,
        "location": scene.config.get("location") or "westeurope",
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
    }


ANSWERS: dict[str, Answer] = {
    "azure-native:authorization:getClientConfig": _client,
    "azure-native:authorization:getClientToken": _token,
    "azure-native:managedidentity:getUserAssignedIdentity": _identity,
    "azure-native:containerservice:listManagedClusterUserCredentials": _credentials,
    "azure-native:containerservice:listManagedClusterAdminCredentials": _credentials,
}
