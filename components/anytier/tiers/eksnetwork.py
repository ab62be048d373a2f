"""The network of an EKS cluster: a VPC over the zones, machines in private subnets, a way out, endpoints of AWS'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_aws import ec2

import pulumi
from anytier.tiers.eksplan import Plan

ANYWHERE = "0.0.0.0/0"


class Network(pulumi.ComponentResource):
    """`private`: the machines' subnets. `ready`: what a machine needs to reach anything; it goes after the machine."""

    def __init__(self, plan: Plan, opts: pulumi.ResourceOptions) -> None:
        super().__init__("anytier:eks:Network", "network", {}, opts)
        self.plan = plan
        keep = pulumi.ResourceOptions(parent=self, protect=plan.args.protect)
        self.vpc = ec2.Vpc(
            "vpc",
            cidr_block=plan.args.network,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(plan.prefix),
            opts=keep,
        )
        # It cannot be removed; without a rule nobody uses it by accident.
        ec2.DefaultSecurityGroup(
            "unused", vpc_id=self.vpc.id, tags=self._tags(f"{plan.prefix}-unused"), opts=self._own()
        )
        self.public = self._public()
        self.private = {zone.id: self._subnet("private", zone.id, zone.private) for zone in plan.zones}
        tables = self._tables()
        self.ready: list[pulumi.Resource] = [*self._ways_out(tables), *self._endpoints(tables)]
        self.ready += [
            ec2.RouteTableAssociation(
                f"private-{zone}-in-table", subnet_id=subnet.id, route_table_id=tables[zone].id, opts=self._own()
            )
            for zone, subnet in self.private.items()
        ]
        self.register_outputs({"vpc": self.vpc.id})

    def _public(self) -> dict[str, ec2.Subnet]:
        """Where NAT gateways and public load balancers are."""
        gateway = ec2.InternetGateway(
            "internet", vpc_id=self.vpc.id, tags=self._tags(self.plan.prefix), opts=self._own()
        )
        table = self._table("public")
        way = ec2.Route(
            "out",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._own(),
        )
        made = {zone.id: self._subnet("public", zone.id, zone.public) for zone in self.plan.zones}
        self.outside: list[pulumi.Resource] = [way]
        self.outside += [
            ec2.RouteTableAssociation(
                f"public-{zone}-in-table", subnet_id=subnet.id, route_table_id=table.id, opts=self._own()
            )
            for zone, subnet in made.items()
        ]
        return made

    def _subnet(self, kind: str, zone: str, network: str) -> ec2.Subnet:
        """The role's tag is how load balancers find their subnets."""
        role = "kubernetes.io/role/elb" if kind == "public" else "kubernetes.io/role/internal-elb"
        return ec2.Subnet(
            f"{kind}-{zone}",
            vpc_id=self.vpc.id,
            cidr_block=network,
            availability_zone_id=zone,
            map_public_ip_on_launch=False,
            tags={**self._tags(f"{self.plan.prefix}-{kind}-{zone}"), role: "1"},
            opts=self._own(),
        )

    def _table(self, name: str) -> ec2.RouteTable:
        tags = self._tags(f"{self.plan.prefix}-{name}")
        return ec2.RouteTable(f"{name}-table", vpc_id=self.vpc.id, tags=tags, opts=self._own())

    def _tables(self) -> dict[str, ec2.RouteTable]:
        """One for each zone, however many gateways there are: another number of them only changes routes."""
        return {zone: self._table(f"private-{zone}") for zone in self.private}

    def _ways_out(self, tables: Mapping[str, ec2.RouteTable]) -> list[pulumi.Resource]:
        zones = list(self.public)[: self.plan.gateways]
        if not zones:
            return []
        gateways = {zone: self._gateway(zone) for zone in zones}
        return [
            ec2.Route(
                f"out-{zone}",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways.get(zone, gateways[zones[0]]).id,
                opts=self._own(),
            )
            for zone, table in tables.items()
        ]

    def _gateway(self, zone: str) -> ec2.NatGateway:
        tags = self._tags(f"{self.plan.prefix}-nat-{zone}")
        after = pulumi.ResourceOptions(parent=self, depends_on=self.outside)
        address = ec2.Eip(f"address-{zone}", domain="vpc", tags=tags, opts=after)
        return ec2.NatGateway(
            f"nat-{zone}", allocation_id=address.id, subnet_id=self.public[zone].id, tags=tags, opts=after
        )

    def _endpoints(self, tables: Mapping[str, ec2.RouteTable]) -> list[pulumi.Resource]:
        """S3 costs nothing and carries the images' layers. The others are for machines without another way out."""
        region = self.plan.region
        made: list[pulumi.Resource] = [
            ec2.VpcEndpoint(
                "s3",
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{region}.s3",
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables.values()],
                tags=self._tags(f"{self.plan.prefix}-s3"),
                opts=self._own(),
            )
        ]
        if not self.plan.endpoints:
            return made
        door = ec2.SecurityGroup(
            "endpoints",
            vpc_id=self.vpc.id,
            description="AWS' services for the machines of this network",
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_blocks=[self.plan.args.network],
                    description="HTTPS from this network",
                )
            ],
            tags=self._tags(f"{self.plan.prefix}-endpoints"),
            opts=self._own(),
        )
        for name in self.plan.endpoints:
            made.append(
                ec2.VpcEndpoint(
                    name,
                    vpc_id=self.vpc.id,
                    service_name=f"com.amazonaws.{region}.{name}",
                    vpc_endpoint_type="Interface",
                    private_dns_enabled=True,
                    security_group_ids=[door.id],
                    subnet_ids=[subnet.id for subnet in self.private.values()],
                    tags=self._tags(f"{self.plan.prefix}-{name}"),
                    opts=self._own(),
                )
            )
        return made

    def _own(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _tags(self, name: str) -> dict[str, Any]:
        return {**self.plan.tags, "Name": name}
