"""The machines of an EKS cluster in standard mode: a launch template and a managed node group for each pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pulumi_aws import ec2, eks

import pulumi
from anytier.tiers.eksplan import Plan, Pool


def group(
    plan: Plan,
    pool: Pool,
    *,
    cluster: Any,
    role: Any,
    subnets: Sequence[Any],
    after: Iterable[pulumi.Resource],
    parent: pulumi.Resource,
) -> eks.NodeGroup:
    """What changes in place rolls machine by machine; what does not has another name, so the new group is there before
    the old one is drained. It begins with its least number of machines, and that is what a change of it means, too."""
    own = pulumi.ResourceOptions(parent=parent)
    made = template(plan, pool, own)
    return eks.NodeGroup(
        f"nodes-{pool.name}",
        cluster_name=cluster,
        node_group_name=pool.group,
        node_role_arn=role,
        subnet_ids=list(subnets),
        version=plan.args.version,
        ami_type=pool.ami,
        capacity_type="SPOT" if pool.nodes.spot else "ON_DEMAND",
        instance_types=list(pool.types),
        labels=dict(pool.nodes.labels),
        launch_template=eks.NodeGroupLaunchTemplateArgs(
            id=made.id, version=made.latest_version.apply(lambda number: str(number))
        ),
        scaling_config=eks.NodeGroupScalingConfigArgs(
            min_size=pool.nodes.min, max_size=pool.nodes.most, desired_size=pool.nodes.min
        ),
        update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
        node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        tags=dict(plan.tags),
        # The provider takes a name that is given for one that both would have; ours is another one for another group.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), delete_before_replace=False),
    )


def template(plan: Plan, pool: Pool, own: pulumi.ResourceOptions) -> ec2.LaunchTemplate:
    """Metadata by session only, and not for pods, which are one hop further; every disk encrypted; no key to log in."""
    tags = {**plan.tags, "Name": f"{plan.prefix}-{pool.name}"}
    return ec2.LaunchTemplate(
        f"template-{pool.name}",
        update_default_version=True,
        metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=1,
            instance_metadata_tags="disabled",
        ),
        block_device_mappings=[_disk(device, pool) for device in dict.fromkeys(("/dev/xvda", pool.disk))],
        monitoring=ec2.LaunchTemplateMonitoringArgs(enabled=True),
        tag_specifications=[
            ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags) for kind in ("instance", "volume")
        ],
        tags=dict(plan.tags),
        opts=own,
    )


def _disk(device: str, pool: Pool) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    """The one without a size is as large as its image."""
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            encrypted="true",
            delete_on_termination="true",
            volume_type="gp3",
            volume_size=pool.nodes.disk if device == pool.disk else None,
        ),
    )
