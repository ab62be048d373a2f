"""Google Cloud's answers: zones, the project, and of a cluster what leads to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from anytier.recording.packages import Asked

_CLUSTER = "gcp:container/cluster:Cluster"
_NUMBER = "000000000000"


def resource(asked: Asked, config: Mapping[str, str]) -> dict[str, Any]:
    project = _project(config)
    given = asked.inputs.get("name")
    name = given if isinstance(given, str) else asked.name
    outputs: dict[str, Any] = {
        "name": name,
        "project": project,
        "selfLink": asked.text("selfLink"),
        "uniqueId": asked.text("uniqueId"),
    }
    if asked.type == "gcp:serviceaccount/account:Account":
        account = asked.inputs.get("accountId") or asked.name
        email = f"{account}@{project}.iam.gserviceaccount.com"
        outputs |= {"email": email, "member": f"serviceAccount:{email}"}
    if asked.type == _CLUSTER:
        authority = base64.b64encode(asked.text("clusterCaCertificate").encode()).decode()
        outputs |= {"endpoint": f"{asked.name}.gke.invalid", "masterAuth": {"clusterCaCertificate": authority}}
    return outputs


def function(token: str, args: Mapping[str, Any], config: Mapping[str, str]) -> dict[str, Any] | None:
    region, project = config.get("gcp:region") or "region", _project(config)
    known: dict[str, dict[str, Any]] = {
        "getZones": {"id": region, "names": [f"{region}-{letter}" for letter in "abc"], "project": project},
        "getProject": {"id": project, "projectId": project, "number": _NUMBER, "name": project},
        "getClientConfig": {
            "id": project,
            "project": project,
            "region": region,
            "zone": f"{region}-a",
            "accessToken": "<plan>",
        },
        "getClientOpenIdUserInfo": {"id": "plan", "email": "plan@example.invalid"},
    }
    found = known.get(token.rpartition(":")[2])
    return None if found is None else {**args, **found}


def _project(config: Mapping[str, str]) -> str:
    return config.get("gcp:project") or "project"
