"""What Azure would answer where a program is only recorded: what its provider adds to what it was given."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

TENANT, SUBSCRIPTION, DEPLOYER = (f"00000000-0000-0000-0000-00000000000{digit}" for digit in "abc")
_HANDED = {
    "clusters": [
        {"name": "dev", "cluster": {"server": "https://dev.hcp.azmk8s.io:443", "certificate-authority-data": "Q0E="}}
    ],
    "users": [{"name": "dev", "user": {"token": "what is handed out is not kept"}}],
}
KUBECONFIG = base64.b64encode(json.dumps(_HANDED).encode()).decode()

ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "azure-native:authorization:getClientConfig": {
        "clientId": "client",
        "objectId": DEPLOYER,
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
    },
    "azure-native:containerservice:listManagedClusterUserCredentials": {
        "kubeconfigs": [{"name": "clusterUser", "value": KUBECONFIG}]
    },
    "azure-native:managedidentity:getUserAssignedIdentity": {"clientId": "11111111-2222-3333-4444-555555555555"},
    "azure-native:resources:ResourceGroup": {"name": "anytier-dev0a1b2c3d"},
    "azure-native:keyvault:Vault": {"name": "anytier-kms0a1b2c3d"},
    "azure-native:keyvault:Key": {"keyUriWithVersion": "https://anytier-kms0a1b2c3d.vault.azure.net/keys/etcd/1"},
    "azure-native:managedidentity:UserAssignedIdentity": {"name": "cluster0a1b2c3d", "principalId": "principal"},
    "azure-native:containerregistry:Registry": {"name": "anytier0a1b2c3d", "loginServer": "anytier0a1b2c3d.azurecr.io"},
    "azure-native:network:PublicIPAddress": {"ipAddress": "203.0.113.80"},
    "azure-native:containerservice:ManagedCluster": {
        "name": "aks-dev4e5f6a7b",
        "nodeResourceGroup": "MC_anytier-dev0a1b2c3d_aks-dev4e5f6a7b_westeurope",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {}},
        "identityProfile": {"kubeletidentity": {"objectId": "kubelet"}},
        "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://oidc.example.org/dev"},
    },
}
