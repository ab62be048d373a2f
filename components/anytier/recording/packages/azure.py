"""Azure's answers: the caller, resources' names and ids, and of a cluster what leads to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from anytier.marks import Secret
from anytier.recording.packages import Asked

_NOBODY = "00000000-0000-0000-0000-000000000000"
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: plan
clusters: [{name: plan, cluster: {server: "https://aks.invalid", certificate-authority-data: PGNhPg==}}]
contexts: [{name: plan, context: {cluster: plan, user: plan}}]
users: [{name: plan, user: {}}]
"""


def resource(asked: Asked, config: Mapping[str, str]) -> dict[str, Any]:
    kind = asked.type.split(":")[-1]
    found: dict[str, Any] = {
        "id": f"/subscriptions/{_NOBODY}/{kind}/{asked.name}",
        "name": next((value for value in _names(asked, kind) if isinstance(value, str)), asked.name),
    }
    if kind == "ManagedCluster":
        identity = {"clientId": _NOBODY, "objectId": _NOBODY, "resourceId": f"<{asked.name}.kubelet>"}
        found |= {
            "fqdn": f"{asked.name}.aks.invalid",
            "nodeResourceGroup": f"MC_{asked.name}",
            "identityProfile": {"kubeletidentity": identity},
            "oidcIssuerProfile": {"enabled": True, "issuerURL": f"https://oidc.{asked.name}.aks.invalid"},
        }
    if kind == "UserAssignedIdentity":
        found |= {"clientId": _NOBODY, "principalId": _NOBODY, "tenantId": _NOBODY}
    if kind == "Vault":
        found |= {"properties": {"vaultUri": f"https://{asked.name}.vault.invalid/"}}
    if kind == "Key":
        found |= {"keyUri": f"https://vault.invalid/keys/{asked.name}", "keyUriWithVersion": asked.text("version")}
    return found


def echoed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Only what has no parts: a list that goes in, of identities say, may come back as a map."""
    return {name: value for name, value in inputs.items() if not isinstance(value, Mapping | list | Secret)}


def _names(asked: Asked, kind: str) -> list[Any]:
    """Inputs that may hold the name: `resourceName`, or `subnetName` of a Subnet."""
    return [asked.inputs.get("resourceName"), asked.inputs.get(f"{kind[:1].lower()}{kind[1:]}Name")]


def function(token: str, args: Mapping[str, Any], config: Mapping[str, str]) -> dict[str, Any] | None:
    encoded = base64.b64encode(_KUBECONFIG.encode()).decode()
    credentials = {"kubeconfigs": [{"name": "plan", "value": Secret(encoded)}]}
    known: dict[str, dict[str, Any]] = {
        "getClientConfig": {
            "clientId": _NOBODY,
            "objectId": _NOBODY,
            "subscriptionId": _NOBODY,
            "tenantId": _NOBODY,
        },
        "getUserAssignedIdentity": {
            "id": str(args.get("resourceName") or "identity"),
            "name": str(args.get("resourceName") or "identity"),
            "clientId": _NOBODY,
            "principalId": _NOBODY,
            "tenantId": _NOBODY,
            "location": config.get("azure-native:location") or "location",
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
        },
        "listManagedClusterUserCredentials": credentials,
        "listManagedClusterAdminCredentials": credentials,
    }
    return known.get(token.rpartition(":")[2])
