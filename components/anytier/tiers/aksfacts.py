"""What is so at Azure, as data with its date: regions, versions, machine types, roles, and what replaces a resource.

Nothing is decided here, and nothing is asked of anybody.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

from anytier.errors import ConfigError
from anytier.tiers.managed import Arch, Credentials, Minor, Types, Versions

# https://learn.microsoft.com/azure/aks/supported-kubernetes-versions: `usual` is the end of life, `last` that of the
# long-term support, which the premium tier has.
VERSIONS = Versions(
    cloud="AKS",
    minors={
        "1.33": Minor(datetime.date(2026, 7, 31), datetime.date(2027, 7, 31)),
        "1.34": Minor(datetime.date(2026, 11, 30), datetime.date(2027, 11, 30)),
        "1.35": Minor(datetime.date(2027, 3, 31), datetime.date(2028, 3, 31)),
        "1.36": Minor(datetime.date(2027, 6, 30), datetime.date(2028, 6, 30)),
        "1.37": Minor(datetime.date(2027, 10, 31), datetime.date(2028, 10, 31)),
    },
    default="1.35",
    asof=datetime.date(2026, 8, 21),
    source="https://learn.microsoft.com/azure/aks/supported-kubernetes-versions",
)

# Regions of the public cloud with AKS and API server VNet integration (all but qatarcentral, as of 2026-08), and
# whether they have three zones.
_ZONED = [
    "australiaeast",
    "austriaeast",
    "belgiumcentral",
    "brazilsouth",
    "canadacentral",
    "centralindia",
    "centralus",
    "chilecentral",
    "denmarkeast",
    "eastasia",
    "eastus",
    "eastus2",
    "francecentral",
    "germanywestcentral",
    "indonesiacentral",
    "israelcentral",
    "italynorth",
    "japaneast",
    "japanwest",
    "koreacentral",
    "malaysiawest",
    "mexicocentral",
    "newzealandnorth",
    "northeurope",
    "norwayeast",
    "polandcentral",
    "southafricanorth",
    "southcentralus",
    "southeastasia",
    "spaincentral",
    "swedencentral",
    "switzerlandnorth",
    "uaenorth",
    "uksouth",
    "westeurope",
    "westus2",
    "westus3",
]
_ONE_ZONE = [
    "australiacentral",
    "australiasoutheast",
    "canadaeast",
    "koreasouth",
    "northcentralus",
    "southindia",
    "switzerlandwest",
    "ukwest",
    "westcentralus",
    "westus",
]
REGIONS: Mapping[str, bool] = {**dict.fromkeys(_ZONED, True), **dict.fromkeys(_ONE_ZONE, False)}
# AKS Automatic is where the zones are (its quickstart, 2026-07-24).
AUTOMATIC = frozenset(_ZONED)

# Each of the amd64 ones can do Trusted Launch (secure boot, vTPM) and encryption at host; no Arm64 can do the former.
TYPES: Types = {
    "small": {"amd64": "Standard_D2ls_v5", "arm64": "Standard_D2pls_v5"},
    "medium": {"amd64": "Standard_D2s_v5", "arm64": "Standard_D2ps_v5"},
    "large": {"amd64": "Standard_D4s_v5", "arm64": "Standard_D4ps_v5"},
}
EXAMPLE = "Standard_D8s_v5"
_TYPE = re.compile(r"Standard_[A-Z]{1,3}[0-9]{1,3}(-[0-9]{1,3})?([a-z]*)(_[A-Z][A-Za-z0-9]*)*(_v[0-9]{1,2})?")


def arch_of(text: str) -> Arch | None:
    """The `p` among a type's small letters says Arm64: Standard_D4ps_v5. None for what is no type of Azure's."""
    found = _TYPE.fullmatch(text)
    if found is None:
        return None
    return "arm64" if "p" in found[2] else "amd64"


# Built-in roles by their ids, which are the same everywhere.
CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"  # Azure Kubernetes Service RBAC Cluster Admin
CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"  # Key Vault Crypto User
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"

# The application that every cluster with Entra takes tokens for.
SERVER_ID = "6dae42f8-4368-4678-94ff-3960e28e3630"

CREDENTIALS = Credentials(
    cloud="Azure",
    login="`az login`, and `az account set --subscription ...`; or ARM_CLIENT_ID, ARM_TENANT_ID, ARM_SUBSCRIPTION_ID"
    " and ARM_CLIENT_SECRET (or ARM_USE_OIDC=true, ARM_USE_MSI=true) in the environment",
    variables=(
        ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET"),
        ("ARM_CLIENT_ID", "ARM_CLIENT_CERTIFICATE_PATH"),
        ("ARM_USE_OIDC",),
        ("ARM_USE_MSI",),
        ("AZURE_CONFIG_DIR",),
    ),
    files=(".azure/azureProfile.json",),
    config=("azure-native:clientId", "azure-native:useOidc", "azure-native:useMsi"),
)


def wrong_login(login: str, environment: Mapping[str, str], home: Path, at: str) -> ConfigError | None:
    """Where Pulumi's provider may be somebody, and kubelogin, by this option, cannot be: the cluster would be made for
    no one. What a managed identity or a federated token needs is not looked at."""
    cli = "AZURE_CONFIG_DIR" in environment or (home / ".azure/azureProfile.json").is_file()
    if login == "azurecli" and not cli:
        what = "is azurecli, and the Azure CLI is not logged in here; the ARM_ variables log in Pulumi's provider alone"
        return ConfigError(at, what, "`az login`, or `login: spn` with ARM_CLIENT_ID and ARM_CLIENT_SECRET, or another")
    secret = environment.get("ARM_CLIENT_SECRET") or environment.get("ARM_CLIENT_CERTIFICATE_PATH")
    if login == "spn" and not (environment.get("ARM_CLIENT_ID") and secret):
        what = "is spn, and the environment has no ARM_CLIENT_ID with ARM_CLIENT_SECRET or ARM_CLIENT_CERTIFICATE_PATH"
        return ConfigError(at, what, "set them: kubelogin looks nowhere else")
    return None


# What replaces a resource when it changes: azure-native's own list (provider/pkg/gen/replacement.go, read 2026-11) with
# what AKS says cannot be changed. Paths as on the wire; one stands for all below it. Resources' own names replace, too:
# they are chosen once, or hold the hash of what cannot change.
REPLACES: Mapping[str, tuple[str, ...]] = {
    "azure-native:containerservice:ManagedCluster": (
        "diskEncryptionSetID",
        "dnsPrefix",
        "fqdnSubdomain",
        "linuxProfile",
        "location",
        "networkProfile.dnsServiceIP",
        "networkProfile.networkDataplane",
        "networkProfile.networkMode",
        "networkProfile.networkPlugin",
        "networkProfile.networkPluginMode",
        "networkProfile.networkPolicy",
        "networkProfile.outboundType",
        "networkProfile.podCidr",
        "networkProfile.serviceCidr",
        "nodeResourceGroup",
        "resourceGroupName",
        "windowsProfile",
    ),
    "azure-native:containerservice:AgentPool": (
        "agentPoolName",
        "gpuInstanceProfile",
        "networkProfile.nodePublicIPTags",
        "resourceGroupName",
        "resourceName",
        "vmSize",
    ),
    "azure-native:authorization:RoleAssignment": ("principalId", "scope"),
    "azure-native:network:VirtualNetwork": ("location",),
    "azure-native:resources:ResourceGroup": ("location",),
}
# What AKS refuses to change on a pool that is there, beyond the above: such a change must be another pool. A cluster's
# own list takes no other one later on, and must not go on naming one that is gone (pulumi-azure-native, issues 579 and
# 2719).
FIXED_ON_A_POOL = (
    "availabilityZones",
    "enableEncryptionAtHost",
    "name",
    "osDiskSizeGB",
    "osDiskType",
    "scaleSetEvictionPolicy",
    "scaleSetPriority",
    "spotMaxPrice",
    "vmSize",
    "vnetSubnetID",
)
