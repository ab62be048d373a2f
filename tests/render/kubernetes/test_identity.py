"""Who a workload is to a cloud: each cloud's own mark on the account and the pods, one address opened, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.render.kubernetes.samples import TARGET, objects, rendered, spec, workload

from anytier.errors import CapabilityError
from anytier.render.kubernetes.identity import WAYS
from anytier.render.kubernetes.target import Cloud
from anytier.tiers import places

ROLES = {"aws": "arn:aws:iam::123456789012:role/web", "gcp": "web@p.iam.gserviceaccount.com", "azure": "1-2-3"}


def seen(cloud: Any, roles: dict[str, str] | None) -> dict[str, Any]:
    identity = {"identity": {"cloudRoles": roles}} if roles else {}
    return objects(spec({"web": workload(**identity), "other": workload()}), replace(TARGET, cloud=cloud))


def test_every_cloud_of_the_spec_has_its_way() -> None:
    assert set(WAYS) == set(get_args(Cloud)) == set(get_args(places.Cloud))


@pytest.mark.parametrize("cloud", WAYS)
def test_a_workload_with_a_role_is_marked_and_no_other(cloud: Any) -> None:
    plain, found = seen(cloud, None), seen(cloud, ROLES)
    way, account = WAYS[cloud], found["web.account"]["metadata"].get("annotations", {})
    called = "value of identities.web" if way.called else ROLES[cloud]
    assert (account.get(way.note) if way.note else called) == called
    assert way.marks.items() <= found["web"]["spec"]["template"]["metadata"]["labels"].items()
    assert found["web"]["spec"]["selector"] == plain["web"]["spec"]["selector"]
    for key in ("other", "other.account", "policy/default"):
        assert found[key] == plain[key]
    assert not found["web.account"]["automountServiceAccountToken"]


@pytest.mark.parametrize("cloud", WAYS)
def test_only_the_desk_of_credentials_is_opened(cloud: Any) -> None:
    found = seen(cloud, ROLES)
    opened = found.get("web.policy", {}).get("spec", {}).get("egress", [])
    blocks = [each["ipBlock"]["cidr"] for rule in opened for each in rule["to"]]
    assert tuple(blocks) == WAYS[cloud].desk[0]
    assert "web.policy" not in seen(cloud, None) and "other.policy" not in found


def test_the_role_comes_with_the_workload_and_without_a_cloud_there_is_none() -> None:
    app = spec({"web": workload(identity={"cloudRoles": ROLES})})
    assert rendered(app, replace(TARGET, cloud="aws"))["web"].role == ROLES["aws"]
    assert rendered(app)["web"].role is None


def test_a_role_in_another_cloud_only_is_refused() -> None:
    with pytest.raises(CapabilityError) as caught:
        seen("aws", {"gcp": ROLES["gcp"]})
    assert caught.value.path == "workloads.web.identity.cloudRoles" and "aws" in caught.value.what
