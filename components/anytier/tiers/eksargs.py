"""What a stack may say of an EKS cluster: the config of tier `eks`, typed; and what is known of AWS as data.

Nothing is decided here; only what is wrong in one value by itself is refused.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.tiers import managed
from anytier.tiers.gateways import GatewayArgs
from anytier.tiers.managed import Access, Arch, Credentials, Minor, Nodes, Types, Versions

KEY = "anytier:eks"
EXAMPLE_REGION = "eu-central-1"
EXAMPLE_TYPE = "m7g.xlarge"

Mode = Literal["standard", "auto"]
# What CloudWatch keeps logs for, in days.
Days = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]

VERSIONS = Versions(
    cloud="EKS",
    minors={
        "1.33": Minor(datetime.date(2026, 7, 29), datetime.date(2027, 7, 29)),
        "1.34": Minor(datetime.date(2026, 12, 2), datetime.date(2027, 12, 2)),
        "1.35": Minor(datetime.date(2027, 3, 27), datetime.date(2028, 3, 27)),
    },
    default="1.35",
    asof=datetime.date(2026, 4, 24),
    source="https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
)

# Minor -> add-on -> version, as AWS offered them when they were written down here. `addons` in the config overrides.
# `aws eks describe-addon-versions --kubernetes-version 1.35` has what there is today.
ADDONS: Mapping[str, Mapping[str, str]] = {
    "1.33": {
        "vpc-cni": "v1.21.1-eksbuild.1",
        "kube-proxy": "v1.33.7-eksbuild.2",
        "coredns": "v1.13.1-eksbuild.1",
        "aws-ebs-csi-driver": "v1.54.0-eksbuild.1",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.2",
        "metrics-server": "v0.8.0-eksbuild.5",
    },
    "1.34": {
        "vpc-cni": "v1.21.1-eksbuild.1",
        "kube-proxy": "v1.34.1-eksbuild.2",
        "coredns": "v1.13.1-eksbuild.1",
        "aws-ebs-csi-driver": "v1.54.0-eksbuild.1",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.2",
        "metrics-server": "v0.8.0-eksbuild.5",
    },
    "1.35": {
        "vpc-cni": "v1.22.3-eksbuild.1",
        "kube-proxy": "v1.35.3-eksbuild.17",
        "coredns": "v1.13.2-eksbuild.11",
        "aws-ebs-csi-driver": "v1.63.1-eksbuild.1",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
        "metrics-server": "v0.9.0-eksbuild.5",
    },
}

# Region -> the prefix of its zones' ids, which are the same in every account, and the numbers of those used here. EKS
# takes no control plane in use1-az3, usw1-az2 and cac1-az3.
REGIONS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "af-south-1": ("afs1", (1, 2, 3)),
    "ap-east-1": ("ape1", (1, 2, 3)),
    "ap-northeast-1": ("apne1", (1, 2, 4)),
    "ap-northeast-2": ("apne2", (1, 2, 3)),
    "ap-northeast-3": ("apne3", (1, 2, 3)),
    "ap-south-1": ("aps1", (1, 2, 3)),
    "ap-south-2": ("aps2", (1, 2, 3)),
    "ap-southeast-1": ("apse1", (1, 2, 3)),
    "ap-southeast-2": ("apse2", (1, 2, 3)),
    "ap-southeast-3": ("apse3", (1, 2, 3)),
    "ap-southeast-4": ("apse4", (1, 2, 3)),
    "ca-central-1": ("cac1", (1, 2, 4)),
    "ca-west-1": ("caw1", (1, 2, 3)),
    "eu-central-1": ("euc1", (1, 2, 3)),
    "eu-central-2": ("euc2", (1, 2, 3)),
    "eu-north-1": ("eun1", (1, 2, 3)),
    "eu-south-1": ("eus1", (1, 2, 3)),
    "eu-south-2": ("eus2", (1, 2, 3)),
    "eu-west-1": ("euw1", (1, 2, 3)),
    "eu-west-2": ("euw2", (1, 2, 3)),
    "eu-west-3": ("euw3", (1, 2, 3)),
    "il-central-1": ("ilc1", (1, 2, 3)),
    "me-central-1": ("mec1", (1, 2, 3)),
    "me-south-1": ("mes1", (1, 2, 3)),
    "sa-east-1": ("sae1", (1, 2, 3)),
    "us-east-1": ("use1", (1, 2, 4)),
    "us-east-2": ("use2", (1, 2, 3)),
    "us-west-1": ("usw1", (1, 3)),
    "us-west-2": ("usw2", (1, 2, 3)),
}

TYPES: Types = {
    "small": {"amd64": "t3.medium", "arm64": "t4g.medium"},
    "medium": {"amd64": "m6i.large", "arm64": "m6g.large"},
    "large": {"amd64": "m6i.xlarge", "arm64": "m6g.xlarge"},
}
# What a pool of spot machines takes besides: with one type it would stand empty whenever that one is short.
SPOT: Mapping[str, tuple[str, ...]] = {
    "t3.medium": ("t3a.medium",),
    "t4g.medium": ("c6g.large",),
    "m6i.large": ("m5.large", "m6a.large", "m7i.large"),
    "m6g.large": ("m7g.large",),
    "m6i.xlarge": ("m5.xlarge", "m6a.xlarge", "m7i.xlarge"),
    "m6g.xlarge": ("m7g.xlarge",),
}

CREDENTIALS = Credentials(
    cloud="AWS",
    login="`aws sso login` (or `aws configure`), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    variables=(
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE",),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
    ),
    files=(".aws/credentials", ".aws/config", "$AWS_SHARED_CREDENTIALS_FILE", "$AWS_CONFIG_FILE"),
    # The last one says that this is a machine of AWS' own, with a role.
    config=(
        "aws:profile",
        "aws:accessKey",
        "aws:assumeRoles",
        "aws:assumeRoleWithWebIdentity",
        "aws:skipMetadataApiCheck",
    ),
)

_TYPE = re.compile(
    r"([a-z]{1,4})([0-9]{1,2})([a-z0-9-]{0,8})\.(medium|large|xlarge|[1-9][0-9]{0,2}xlarge|metal(-[0-9]+xl)?)"
)
_ZONE = re.compile(r"[a-z]{3,5}[0-9]-az[0-9]")
_PRINCIPAL = re.compile(r"arn:aws:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]{1,512}")
_ROLE = re.compile(r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}")
_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+")
_FAMILIES = "acdfghimprtuvxz"


def arch_of(text: str) -> Arch | None:
    """The processor of an exact type: Graviton has a `g` behind the generation (m7g, c7gn), as has a1."""
    found = _TYPE.fullmatch(text)
    # Nothing here runs on Macs.
    if found is None or found[1][0] not in _FAMILIES or found[1] == "mac":
        return None
    return "arm64" if "g" in found[3] or found[1] == "a" else "amd64"


def has_nvidia(text: str) -> bool:
    """Whether an exact type brings GPUs that want an image with their drivers."""
    return re.match(r"(p[0-9]|g4dn|g5|g6|g7|gr6)", text) is not None


def is_role(text: str) -> bool:
    return _ROLE.fullmatch(text) is not None


# Keys of the config by which Pulumi's provider is somebody whom `aws eks get-token` can never be told of.
_PROVIDERS_OWN = ("aws:accessKey", "aws:assumeRoleWithWebIdentity")
_ROLES = "aws:assumeRoles"


def wrong_login(given: Mapping[str, str]) -> Iterator[ConfigError]:
    """What a stack's whole config says of a login that would make a cluster and not get into it."""
    for key in _PROVIDERS_OWN:
        if given.get(key):
            what = (
                "is for Pulumi's provider alone: `aws eks get-token`, which gets into the cluster, does not look at it"
            )
            yield ConfigError(key, what, "take it out, and set AWS_PROFILE, or the keys, in the environment")
    roles = _roles(given.get(_ROLES))
    if len(roles) > 1 or any(role.get("externalId") for role in roles):
        what = "has more than one role, or an external id, and `aws eks get-token` takes one role's ARN"
        do = (
            "take it out, and name a profile in AWS_PROFILE (or aws:profile) that has `role_arn` and what belongs to it"
        )
        yield ConfigError(_ROLES, what, do)


def assumed(text: str | None) -> str | None:
    """The role that Pulumi's provider becomes, by the text of `aws:assumeRoles`; None for none."""
    roles = _roles(text)
    return str(roles[0].get("roleArn") or "") or None if roles else None


def _roles(text: str | None) -> list[dict[str, Any]]:
    """What is no list of roles is told by the provider itself."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _principal(text: str) -> str:
    if not _PRINCIPAL.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no role or user: such as arn:aws:iam::123456789012:role/admin")
    return text


def _zone(text: str) -> str:
    if not _ZONE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no zone's id, which is the same in every account: such as euc1-az1")
    return text


def _addon(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no version of an add-on: such as v1.22.3-eksbuild.1")
    return text


def _tag(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", text) or text.lower().startswith("aws:"):
        raise ValueError(
            f"{text[:80]!r} is no tag's key: letters, digits, spaces and _.:/=+@-, not beginning with aws:"
        )
    return text


def _network(text: str) -> str:
    return managed.network(text, 16, 20, "10.20.0.0/16")


def _services(text: str) -> str:
    """Of 100.64.0.0/10 AWS takes none, though a VPC may have it."""
    found = managed.network(text, 12, 24, "172.20.0.0/16")
    if found.startswith("100."):
        raise ValueError(f"{found} is not of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, and AWS takes no other")
    return found


Addon = Literal["vpc-cni", "kube-proxy", "coredns", "aws-ebs-csi-driver", "eks-pod-identity-agent", "metrics-server"]


class EksArgs(Frozen):
    """Stack config `anytier:eks`. Everything has a default; docs/eks.md has every option."""

    version: Annotated[str, BeforeValidator(managed.as_text), AfterValidator(VERSIONS.known)] = VERSIONS.default
    mode: Mode = "standard"
    nodes: list[Nodes] | None = None
    os: Literal["bottlerocket", "al2023"] = "bottlerocket"
    network: Annotated[str, AfterValidator(_network)] = "10.20.0.0/16"
    services: Annotated[str, AfterValidator(_services)] = "172.20.0.0/16"
    zones: list[Annotated[str, AfterValidator(_zone)]] | None = Field(default=None, min_length=2, max_length=3)
    nat: Literal["one", "each", "none"] = "one"
    endpoints: bool | None = None
    access: Access = Field(default_factory=list, max_length=40)
    admins: list[Annotated[str, AfterValidator(_principal)]] = Field(default_factory=list)
    load_balancer: Literal["public", "internal"] = "public"
    load_balancer_controller: Literal["aws", "none"] | None = None
    load_balancer_image: str | None = None
    gateway: GatewayArgs | None = None
    addons: dict[Addon, Annotated[str, AfterValidator(_addon)]] = Field(default_factory=dict)
    support: Literal["standard", "extended"] = "extended"
    log_days: Days = 90
    protect: bool = False
    tags: dict[
        Annotated[str, AfterValidator(_tag)],
        Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/=+@-]{0,256}$")],
    ] = Field(default_factory=dict)
    builder: Annotated[str, AfterValidator(managed.daemon)] | None = None
    caddy_image: str | None = None
