"""What Azure says of an AKS cluster's pools: which it makes, which it changes, which it lets go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.standins.installed import needs_sdks
from tests.standins.test_plugin import Aborted, Client

pytestmark = needs_sdks
CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
FIRST = {"name": "first", "mode": "System", "vmSize": "Standard_D2s_v5", "osDiskSizeGB": 50}
GIVEN = {"resourceGroupName": "g", "resourceName": "c", "location": "l", "agentPoolProfiles": [FIRST]}
OTHER = {"resourceGroupName": "g", "resourceName": "c", "agentPoolName": "other", "mode": "System"}
FIXED = [{"vmSize": "Standard_D4s_v5"}, {"osDiskSizeGB": 100}, {"availabilityZones": ["1"]}, {"vnetSubnetID": "/s"}]


@pytest.fixture
async def azure(tmp_path: Path) -> Client:
    """With a cluster whose first pool came with it."""
    client = Client("azure-native", tmp_path)
    await client.configure(location="l")
    await client.create("azure-native:resources:ResourceGroup", "g", {"resourceGroupName": "g", "location": "l"})
    await client.create(CLUSTER, "c", GIVEN)
    return client


async def test_a_cluster_comes_with_a_pool_for_its_own_pods(azure: Client) -> None:
    for pools in ([], [{**FIRST, "mode": "User"}]):
        with pytest.raises(Aborted, match="at least one system pool"):
            await azure.create(CLUSTER, "d", {**GIVEN, "resourceName": "d", "agentPoolProfiles": pools})
    automatic = {**GIVEN, "resourceName": "d", "agentPoolProfiles": None, "sku": {"name": "Automatic"}}
    await azure.create(CLUSTER, "d", automatic)


@pytest.mark.parametrize("change", FIXED, ids=lambda change: next(iter(change)))
async def test_what_is_fixed_on_a_pool_is_refused_of_one_that_came_with_its_cluster(
    change: dict[str, Any], azure: Client
) -> None:
    with pytest.raises(Aborted, match=f"PropertyChangeNotAllowed.*{next(iter(change))}"):
        await azure.update(CLUSTER, "c", {**GIVEN, "agentPoolProfiles": [FIRST | change]})
    await azure.update(CLUSTER, "c", {**GIVEN, "agentPoolProfiles": [{**FIRST, "count": 2}]})


@pytest.mark.parametrize("change", FIXED, ids=lambda change: next(iter(change)))
async def test_what_is_fixed_on_a_pool_is_refused_of_any_other(change: dict[str, Any], azure: Client) -> None:
    await azure.create(POOL, "other", OTHER)
    with pytest.raises(Aborted, match=f"PropertyChangeNotAllowed.*{next(iter(change))}"):
        await azure.update(POOL, "other", OTHER | change)
    await azure.update(POOL, "other", {**OTHER, "minCount": 3})


async def test_a_cluster_that_is_there_gets_pools_by_themselves_only(azure: Client) -> None:
    with pytest.raises(Aborted, match="A new agent pool was introduced"):
        await azure.update(CLUSTER, "c", {**GIVEN, "agentPoolProfiles": [FIRST, {**FIRST, "name": "other"}]})
    with pytest.raises(Aborted, match="already exists"):
        await azure.create(POOL, "first", {**OTHER, "agentPoolName": "first"})
    with pytest.raises(Aborted, match="could not be found"):
        await azure.create(POOL, "other", {**OTHER, "resourceName": "elsewhere"})
    await azure.create(POOL, "other", OTHER)
    await azure.update(CLUSTER, "c", {**GIVEN, "agentPoolProfiles": [FIRST, {"name": "other"}]})


async def test_the_last_pool_for_its_own_pods_does_not_go_alone(azure: Client) -> None:
    automatic = {**GIVEN, "resourceName": "d", "agentPoolProfiles": None, "sku": {"name": "Automatic"}}
    await azure.create(CLUSTER, "d", automatic)
    for cluster in ("c", "d"):
        await azure.create(POOL, f"of-{cluster}", {**OTHER, "resourceName": cluster})
    await azure.delete(POOL, "of-c")
    with pytest.raises(Aborted, match="at least one system pool"):
        await azure.delete(POOL, "of-d")
    await azure.delete(CLUSTER, "d")
