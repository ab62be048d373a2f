"""The servicer without the engine: what it answers to one request, where an engine's run would say no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2
from tests.standins.installed import needs_sdks
from tests.standins.plugin import Plugin, cloud
from tests.standins.world import Fault, World

from anytier.marks import UNKNOWN
from anytier.provider.values import plain, read, write

pytestmark = needs_sdks
VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"


class Aborted(Exception):
    pass


class Rpc:
    """The end of a request, as far as the servicer needs one."""

    async def abort(self, code: grpc.StatusCode, details: str, metadata: Any = ()) -> None:
        raise Aborted(details)


class Client:
    """The engine's part, for one cloud."""

    def __init__(self, name: str, folder: Path) -> None:
        self.world = World(folder)
        self.plugin = Plugin(cloud(name), self.world)
        self.rpc: Any = Rpc()

    async def configure(self, **config: Any) -> list[str]:
        news = write(config)
        checked = await self.plugin.CheckConfig(provider_pb2.CheckRequest(news=news), self.rpc)
        await self.plugin.Configure(provider_pb2.ConfigureRequest(args=news), self.rpc)
        return [item.reason for item in checked.failures]

    async def check(self, token: str, name: str, news: Any, olds: Any = None, seed: bytes = b"1") -> Any:
        request = provider_pb2.CheckRequest(
            urn=urn(token, name), news=write(news), olds=write(olds or {}), randomSeed=seed
        )
        found = await self.plugin.Check(request, self.rpc)
        return [item.reason for item in found.failures] or plain(read(found.inputs))

    async def diff(self, token: str, old: Any, new: Any) -> Any:
        request = provider_pb2.DiffRequest(urn=urn(token, "x"), old_inputs=write(old), news=write(new))
        return await self.plugin.Diff(request, self.rpc)

    async def create(self, token: str, name: str, inputs: Any, preview: bool = False) -> Any:
        request = provider_pb2.CreateRequest(urn=urn(token, name), properties=write(inputs), preview=preview)
        return await self.plugin.Create(request, self.rpc)

    async def update(self, token: str, name: str, inputs: Any) -> Any:
        request = provider_pb2.UpdateRequest(urn=urn(token, name), id=self.world.named(name).id, news=write(inputs))
        return await self.plugin.Update(request, self.rpc)

    async def delete(self, token: str, name: str) -> None:
        request = provider_pb2.DeleteRequest(urn=urn(token, name), id=self.world.named(name).id)
        await self.plugin.Delete(request, self.rpc)

    async def read(self, token: str, id: str) -> Any:
        return await self.plugin.Read(provider_pb2.ReadRequest(urn=urn(token, "x"), id=id), self.rpc)

    async def invoke(self, token: str, **args: Any) -> Any:
        answer = await self.plugin.Invoke(provider_pb2.InvokeRequest(tok=token, args=write(args)), self.rpc)
        return [item.reason for item in answer.failures] or plain(read(getattr(answer, "return")))


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::test::anytier:tier:Eks${token}::{name}"


@pytest.fixture
async def aws(tmp_path: Path) -> Client:
    client = Client("aws", tmp_path)
    assert await client.configure(region="eu-central-1", version="7.0.0") == []
    return client


async def test_configuration_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    client = Client("aws", tmp_path)
    assert await client.configure() == ["missing region configuration: set aws:region"]
    assert await client.configure(region="r", regoin="s") == ["regoin: is not known to the SDK; did you mean region?"]
    client.world.tell(credentials=False)
    assert "credential" in (await client.configure(region="r"))[0]


async def test_what_nobody_knows_is_refused(aws: Client) -> None:
    assert await aws.check("aws:ec2/vcp:Vcp", "x", {}) == ["the SDK has no resource aws:ec2/vcp:Vcp"]
    (said,) = await aws.check("aws:s3/bucket:Bucket", "x", {})
    assert "no facts" in said
    with pytest.raises(Aborted, match="no function"):
        await aws.invoke("aws:ec2/getNothing:getNothing")
    with pytest.raises(Aborted, match="no answer"):
        await aws.invoke("aws:ec2/getAmi:getAmi")
    assert await aws.invoke("aws:eks/getAddonVersion:getAddonVersion", addonName="coredns") == [
        "kubernetesVersion: is required"
    ]


async def test_a_name_is_made_up_once_and_then_kept(aws: Client) -> None:
    token = "aws:eks/cluster:Cluster"
    given = {"roleArn": "r", "vpcConfig": {"subnetIds": ["s"]}}
    first = await aws.check(token, "c", given)
    assert first["name"].startswith("c-") and first["__defaults"] == ["name"]
    assert await aws.check(token, "c", {**given, "version": "1.34"}, olds=first, seed=b"2") == {
        **first,
        "version": "1.34",
    }
    named = await aws.check(token, "c", {**given, "name": "mine"}, olds=first)
    assert (named["name"], named["__defaults"]) == ("mine", [])


async def test_which_of_two_comes_first(aws: Client) -> None:
    token = "aws:eks/cluster:Cluster"
    made_up = {"name": "c-1", "roleArn": "r", "__defaults": ["name"]}
    given = {**made_up, "__defaults": []}
    assert not (await aws.diff(token, made_up, {**made_up, "roleArn": "s"})).deleteBeforeReplace
    answer = await aws.diff(token, given, {**given, "roleArn": "s"})
    assert answer.deleteBeforeReplace and list(answer.replaces) == ["roleArn"]
    assert not (await aws.diff(token, given, {**given, "version": "1.34"})).replaces
    attachment = {"role": "r", "policyArn": "p"}
    answer = await aws.diff(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", attachment, {**attachment, "role": "s"}
    )
    assert answer.deleteBeforeReplace


async def test_a_preview_knows_what_was_given_and_makes_nothing(aws: Client) -> None:
    planned = await aws.create(VPC, "net", {"cidrBlock": "10.0.0.0/16"}, preview=True)
    outputs = read(planned.properties)
    assert (outputs["cidrBlock"], outputs["arn"]) == ("10.0.0.0/16", UNKNOWN)
    assert (aws.world.things(), aws.world.journal()) == ([], [])


async def test_order_is_kept_by_the_cloud(aws: Client) -> None:
    with pytest.raises(Aborted, match="does not exist"):
        await aws.create(SUBNET, "sub", {"vpcId": "vpc-0", "cidrBlock": "10.0.0.0/24"})
    made = await aws.create(VPC, "net", {"cidrBlock": "10.0.0.0/16"})
    assert made.id.startswith("vpc-") and read(made.properties)["arn"].endswith(made.id)
    await aws.create(SUBNET, "sub", {"vpcId": made.id, "cidrBlock": "10.0.0.0/24"})
    with pytest.raises(Aborted, match="still uses it"):
        await aws.delete(VPC, "net")
    await aws.delete(SUBNET, "sub")
    await aws.delete(VPC, "net")
    assert (aws.world.things(), aws.world.done("delete")) == ([], ["sub", "net"])


async def test_a_name_is_had_but_once(aws: Client) -> None:
    role = {"name": "r", "assumeRolePolicy": "{}"}
    await aws.create("aws:iam/role:Role", "one", role)
    with pytest.raises(Aborted, match="r already exists"):
        await aws.create("aws:iam/role:Role", "two", role)
    ids = {(await aws.create(VPC, "net", {})).id for _ in range(2)}
    assert len(ids) == 2


async def test_what_is_gone_is_read_as_gone(aws: Client) -> None:
    made = await aws.create(VPC, "net", {"cidrBlock": "10.0.0.0/16"})
    found = await aws.read(VPC, made.id)
    assert read(found.inputs) == {"cidrBlock": "10.0.0.0/16"}
    aws.world.remove(aws.world.named("net"))
    assert (await aws.read(VPC, made.id)).id == ""


async def test_a_failure_half_way_leaves_the_thing(aws: Client) -> None:
    aws.world.tell(faults=[Fault("create", error="no", partial=True)])
    with pytest.raises(Aborted, match="no"):
        await aws.create(VPC, "net", {})
    assert not aws.world.named("net").whole


async def test_a_key_ring_is_never_gone(tmp_path: Path) -> None:
    gcp, token = Client("gcp", tmp_path), "gcp:kms/keyRing:KeyRing"
    await gcp.configure(project="p", region="r")
    await gcp.create(token, "ring", {"name": "ring", "location": "r"})
    await gcp.delete(token, "ring")
    with pytest.raises(Aborted, match="already exists"):
        await gcp.create(token, "ring", {"name": "ring", "location": "r"})


async def test_what_is_in_the_group_of_a_clusters_nodes_comes_after_it_and_goes_with_it(tmp_path: Path) -> None:
    azure, address = Client("azure-native", tmp_path), "azure-native:network:PublicIPAddress"
    await azure.configure(location="westeurope")
    await azure.create("azure-native:resources:ResourceGroup", "g", {"resourceGroupName": "g", "location": "l"})
    given = {"resourceGroupName": "MC_g_c_l", "publicIpAddressName": "entrance"}
    with pytest.raises(Aborted, match="ResourceGroupNotFound"):
        await azure.create(address, "entrance", given)
    pool = {"name": "first", "mode": "System"}
    cluster = {"resourceGroupName": "g", "resourceName": "c", "location": "l", "agentPoolProfiles": [pool]}
    await azure.create("azure-native:containerservice:ManagedCluster", "c", cluster)
    await azure.create(address, "entrance", given)
    await azure.delete("azure-native:containerservice:ManagedCluster", "c")
    assert [thing.name for thing in azure.world.things()] == ["g"]


async def test_azure_wants_the_group_and_takes_along_what_is_in_it(tmp_path: Path) -> None:
    azure, identity = Client("azure-native", tmp_path), "azure-native:managedidentity:UserAssignedIdentity"
    await azure.configure(location="westeurope")
    with pytest.raises(Aborted, match="ResourceGroupNotFound"):
        await azure.create(identity, "who", {"resourceGroupName": "g", "resourceName": "who"})
    group = await azure.check("azure-native:resources:ResourceGroup", "g", {"resourceGroupName": "g"})
    assert group["location"] == "westeurope"
    await azure.create("azure-native:resources:ResourceGroup", "g", group)
    made = await azure.create(identity, "who", {"resourceGroupName": "g", "resourceName": "who"})
    assert made.id.endswith("/userAssignedIdentities/who") and len(read(made.properties)["principalId"]) == 36
    await azure.delete("azure-native:resources:ResourceGroup", "g")
    assert azure.world.things() == []


@pytest.mark.parametrize(
    ("name", "token", "args"),
    [
        ("aws", "aws:index/getAvailabilityZones:getAvailabilityZones", {}),
        ("aws", "aws:index/getCallerIdentity:getCallerIdentity", {}),
        ("aws", "aws:index/getRegion:getRegion", {}),
        ("aws", "aws:index/getPartition:getPartition", {}),
        ("aws", "aws:iam/getSessionContext:getSessionContext", {"arn": "arn:aws:iam::1:user/a"}),
        (
            "aws",
            "aws:iam/getPolicyDocument:getPolicyDocument",
            {"statements": [{"actions": ["s3:*"], "resources": ["*"]}]},
        ),
        ("aws", "aws:ecr/getAuthorizationToken:getAuthorizationToken", {}),
        ("aws", "aws:eks/getAddonVersion:getAddonVersion", {"addonName": "coredns", "kubernetesVersion": "1.34"}),
        ("aws", "aws:eks/getClusterVersions:getClusterVersions", {}),
        ("aws", "aws:eks/getClusterAuth:getClusterAuth", {"name": "c"}),
        ("aws", "aws:ssm/getParameter:getParameter", {"name": "/aws/service/eks/x/image_id"}),
        ("aws", "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", {}),
        ("gcp", "gcp:organizations/getClientConfig:getClientConfig", {}),
        ("gcp", "gcp:organizations/getProject:getProject", {}),
        ("gcp", "gcp:compute/getZones:getZones", {}),
        ("gcp", "gcp:container/getEngineVersions:getEngineVersions", {"location": "r"}),
        ("gcp", "gcp:compute/getDefaultServiceAccount:getDefaultServiceAccount", {}),
        ("azure-native", "azure-native:authorization:getClientConfig", {}),
        ("azure-native", "azure-native:authorization:getClientToken", {}),
        (
            "azure-native",
            "azure-native:managedidentity:getUserAssignedIdentity",
            {"resourceGroupName": "g", "resourceName": "r"},
        ),
    ],
)
async def test_functions_answer_what_the_sdk_expects(
    name: str, token: str, args: dict[str, Any], tmp_path: Path
) -> None:
    client = Client(name, tmp_path)
    await client.configure(region="r", project="p") if name != "azure-native" else await client.configure(location="l")
    answer = await client.invoke(token, **args)
    assert isinstance(answer, dict) and any(answer.values())


async def test_every_type_can_be_made_with_its_required_inputs(tmp_path: Path) -> None:
    """Whatever the facts know has an id and outputs; inputs are made up by their kinds."""
    for name in ("aws", "gcp", "azure-native"):
        client = Client(name, tmp_path / name)
        await client.configure(**({"location": "l"} if name == "azure-native" else {"region": "r", "project": "p"}))
        for token in client.plugin._cloud.facts:
            shape = client.plugin._shape(token)
            given = {key: _sample(shape, about["kind"]) for key, about in shape.inputs.items() if about["required"]}
            inputs = await client.check(token, "x", given)
            assert isinstance(inputs, dict), (token, inputs)
            outputs = client.plugin._outputs(token, "id", inputs, urn(token, "x"))
            assert not [key for key in outputs if key not in shape.outputs], token


def _sample(shape: Any, kind: Any) -> Any:
    if isinstance(kind, str):
        return {"string": "text", "integer": 1, "number": 1, "boolean": True}.get(kind, "text")
    word, inner = kind
    if word == "enum":
        return inner[0]
    if word == "union":
        return _sample(shape, inner[0])
    if word == "list":
        return [_sample(shape, inner)]
    if word == "map":
        return {}
    return {key: _sample(shape, about["kind"]) for key, about in shape.objects[inner].items() if about["required"]}
