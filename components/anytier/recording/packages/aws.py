"""AWS's answers: zones, the account, ARNs, and of a cluster what leads to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from anytier.recording.packages import Asked

ACCOUNT = "000000000000"  # AWS gives it to nobody
_CLUSTER = "aws:eks/cluster:Cluster"


def resource(asked: Asked, config: Mapping[str, str]) -> dict[str, Any]:
    service = asked.type.split(":")[1].partition("/")[0] if asked.type.count(":") == 2 else "aws"
    outputs: dict[str, Any] = {
        "arn": f"arn:aws:{service}:{_region(config)}:{ACCOUNT}:{asked.text('arn')}",
        "name": asked.name,
    }
    if asked.type == _CLUSTER:
        authority = base64.b64encode(asked.text("certificateAuthority").encode()).decode()
        outputs |= {
            "id": asked.inputs.get("name") or asked.name,
            "endpoint": f"https://{asked.name}.eks.invalid",
            "certificateAuthority": {"data": authority},
            "identities": [{"oidcs": [{"issuer": f"https://oidc.{asked.name}.eks.invalid"}]}],
        }
    return outputs


def function(token: str, args: Mapping[str, Any], config: Mapping[str, str]) -> dict[str, Any] | None:
    region = _region(config)
    known: dict[str, dict[str, Any]] = {
        "getAvailabilityZones": {
            "id": region,
            "names": [f"{region}{letter}" for letter in "abc"],
            "zoneIds": [f"{region}-az{number}" for number in (1, 2, 3)],
            "groupNames": [region],
        },
        "getCallerIdentity": {
            "id": ACCOUNT,
            "accountId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:user/plan",
            "userId": "PLAN",
        },
        "getPartition": {
            "id": "aws",
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
        },
        "getSessionContext": {
            "id": args.get("arn") or "plan",
            "issuerArn": args.get("arn") or f"arn:aws:iam::{ACCOUNT}:user/plan",
            "issuerId": "PLAN",
            "issuerName": "plan",
            "sessionName": "",
        },
        "getAuthorizationToken": {
            "id": region,
            "userName": "AWS",
            "password": "[secret]",  # the SDK seals it
            "authorizationToken": "[secret]",
            "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{region}.invalid",
            "expiresAt": "",
        },
        "getRegion": {"id": region, "name": region, "region": region, "description": region},
    }
    found = known.get(token.rpartition(":")[2])
    return None if found is None else {**args, **found}


def _region(config: Mapping[str, str]) -> str:
    return config.get("aws:region") or "region"
