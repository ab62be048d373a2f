"""The network of a cluster at Google Cloud: a VPC of its own, one subnet with ranges for pods and Services, a way out.

Nodes have no public addresses; what they and their pods ask of the internet goes through Cloud NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_gcp.compute import (
    Address,
    GlobalAddress,
    Network,
    Router,
    RouterNat,
    RouterNatLogConfigArgs,
    Subnetwork,
    SubnetworkLogConfigArgs,
    SubnetworkSecondaryIpRangeArgs,
)

import pulumi
from anytier.tiers.gkeplan import PODS, SERVICES, Plan


@dataclass(frozen=True)
class Nets:
    network: Network
    subnet: Subnetwork
    nat: RouterNat
    address: Address | GlobalAddress | None


def make(plan: Plan, parent: pulumi.Resource, after: Sequence[pulumi.Resource]) -> Nets:
    network = Network(
        "network",
        name=plan.name,
        project=plan.project,
        auto_create_subnetworks=False,
        routing_mode="REGIONAL",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
    subnet = Subnetwork(
        "subnet",
        name=plan.subnet,
        project=plan.project,
        region=plan.region,
        network=network.id,
        ip_cidr_range=plan.args.network,
        secondary_ip_ranges=[
            SubnetworkSecondaryIpRangeArgs(range_name=PODS, ip_cidr_range=plan.args.pods),
            SubnetworkSecondaryIpRangeArgs(range_name=SERVICES, ip_cidr_range=plan.args.services),
        ],
        private_ip_google_access=True,
        log_config=_flow_logs() if plan.args.flow_logs else None,
        # Another one has the same addresses: there is no room for both.
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
    router = Router(
        "router",
        name=plan.name,
        project=plan.project,
        region=plan.region,
        network=network.id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return Nets(network, subnet, _way_out(plan, parent, router), _address(plan, parent, after))


def _address(plan: Plan, parent: pulumi.Resource, after: Sequence[pulumi.Resource]) -> Address | GlobalAddress | None:
    """Of the app's routes; a Gateway that is not the app's, or of nobody knows what class, has an address itself."""
    said: dict[str, Any] = {
        "name": plan.name,
        "project": plan.project,
        "address_type": "EXTERNAL",
        "description": "of the routes of the app",
        "labels": dict(plan.labels),
        "opts": pulumi.ResourceOptions(parent=parent, depends_on=list(after), protect=plan.args.protect or None),
    }
    if plan.own_gateway:
        return GlobalAddress("address", **said)
    return Address("address", region=plan.region, network_tier="PREMIUM", **said) if plan.own_router else None


def _flow_logs() -> SubnetworkLogConfigArgs:
    return SubnetworkLogConfigArgs(
        aggregation_interval="INTERVAL_10_MIN", flow_sampling=0.5, metadata="INCLUDE_ALL_METADATA"
    )


def _way_out(plan: Plan, parent: pulumi.Resource, router: Router) -> RouterNat:
    """A machine has ports for as many connections as its pods need, not for the few that are usual."""
    return RouterNat(
        "nat",
        name=plan.name,
        project=plan.project,
        region=plan.region,
        router=router.name,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
        enable_dynamic_port_allocation=True,
        enable_endpoint_independent_mapping=False,
        min_ports_per_vm=64,
        max_ports_per_vm=8192,
        log_config=RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
