"""What the monitor keeps of a program: names, needs, options, secrets' places; and what it answers for each package."""

from __future__ import annotations

from typing import Any

import pytest

import pulumi
from anytier import planning
from anytier.errors import AnytierError
from anytier.marks import Secret
from anytier.recording import Recording, record
from anytier.recording.packages import PACKAGES, Asked, Packages
from anytier.report.plan.graph import Graph
from anytier.resources import Resource


class Part(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Part", name, {}, opts)


def planned(program: Any, **config: str) -> Recording:
    return record(program, stack="dev", project="shop", config={key.replace("_", ":"): v for key, v in config.items()})


def graph(program: Any, **config: str) -> Graph:
    return planned(program, **config).graph


def test_a_key_is_the_engines_urn_without_the_stack() -> None:
    def program() -> None:
        inner = Part("inner", pulumi.ResourceOptions(parent=Part("outer")))
        pulumi.CustomResource("a:b:C", "x", {}, pulumi.ResourceOptions(parent=inner))

    keys = [node.key for node in graph(program).resources]
    assert keys == [
        "test:index:Part::outer",
        "test:index:Part$test:index:Part::inner",
        "test:index:Part$test:index:Part$a:b:C::x",
    ]


def test_needs_reads_and_options_are_kept() -> None:
    def program() -> None:
        first = Resource("docker:Image", "image", {"name": "n"}, ("ref",))
        opts = pulumi.ResourceOptions(
            depends_on=[first],
            deleted_with=first,
            protect=True,
            retain_on_delete=True,
            delete_before_replace=True,
            ignore_changes=["a.b"],
            replace_on_changes=["c"],
            version="1.2.3",
        )
        pulumi.CustomResource("a:b:C", "x", {"image": first.output("ref"), "plain": 1}, opts)

    node = graph(program).nodes["a:b:C::x"]
    assert node.inputs == {"image": "<image.ref>", "plain": 1}
    assert node.depends == ("anytier:docker:Image::image",) == (node.deleted_with,)
    assert node.reads == {"image": ("anytier:docker:Image::image",)}
    assert (node.protect, node.retain_on_delete, node.delete_before_replace) == (True, True, True)
    assert (node.ignore_changes, node.replace_on_changes, node.version) == (("a.b",), ("c",), "1.2.3")


def test_a_secret_is_a_place_and_no_value() -> None:
    def program() -> None:
        made = Resource("index:Secret", "s", {"length": 8}, ("value",))
        inputs = {
            "given": pulumi.Output.secret("Canary-1"),
            "below": [{"x": pulumi.Output.secret({"y": "Canary-2"})}],
            "made": pulumi.Output.concat("https://", made.output("value")),
            "looks": "[secret]",
        }
        pulumi.CustomResource("a:b:C", "x", inputs)
        pulumi.export("all", inputs)

    whole = graph(program)
    node = whole.nodes["a:b:C::x"]
    assert node.secrets == (("below", 0, "x"), ("given",), ("made",))
    assert node.inputs["given"] == node.inputs["made"] == node.inputs["looks"] == "[secret]"
    assert ("all", "given") in whole.export_secrets
    assert "Canary" not in whole.text() and "<s.value>" not in whole.text()


def test_what_only_a_run_knows_is_unknown_as_in_a_preview() -> None:
    seen: list[Any] = []

    def program() -> None:
        made = Resource("docker:Workload", "web", {"replicas": 2}, ("revision", "replicas"))
        made.output("revision").apply(seen.append)
        pulumi.CustomResource("a:b:C", "x", {"list": [made.output("revision"), made.output("replicas")]})
        assert pulumi.runtime.is_dry_run()

    node = graph(program).nodes["a:b:C::x"]
    assert node.inputs == {"list": ["[unknown]", 2]} and node.unknown == (("list", 0),)
    assert seen == []


def test_outputs_that_the_program_calls_secret_are() -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(additional_secret_outputs=["metadata"])
        first = pulumi.CustomResource("kubernetes:core/v1:Secret", "s", {"metadata": {"name": "n"}}, opts)
        pulumi.CustomResource("a:b:C", "x", {"name": pulumi.Output.from_input(pulumi.get(first, "metadata"))})

    assert graph(program).nodes["a:b:C::x"].secrets == (("name",),)


def test_the_programs_warnings_and_errors_come_out() -> None:
    assert planned(lambda: pulumi.log.warn("mind the gap")).warnings == ("mind the gap",)

    def broken() -> None:
        raise AnytierError("path", "is wrong", "mend it")

    with pytest.raises(AnytierError, match="path: is wrong -> mend it"):
        planned(broken)
    assert graph(lambda: None).resources == ()


def test_a_program_that_does_not_end_is_told() -> None:
    def endless() -> None:
        import asyncio

        async def for_what_never_comes() -> None:
            await asyncio.get_running_loop().create_future()

        pulumi.Output.from_input(for_what_never_comes())

    with pytest.raises(AnytierError, match="did not end within"):
        record(endless, stack="dev", longest=0.3)


def test_only_what_is_recorded_plans() -> None:
    seen: list[bool] = []

    def program() -> None:
        seen.append(planning.active())
        made = Resource("docker:Image", "image", {}, ("ref",))
        made.output("ref").apply(lambda _: seen.append(planning.active()))

    graph(program)
    assert seen == [True, True] and not planning.active()


def test_a_program_that_fails_leaves_no_task_behind(capfd: pytest.CaptureFixture[str]) -> None:
    import gc

    def broken() -> None:
        made = Resource("docker:Image", "image", {}, ("ref",))
        made.output("ref").apply(lambda _: 1 / 0)
        Resource("docker:Image", "other", {"x": made.output("ref")}, ("ref",))

    with pytest.raises(ZeroDivisionError):
        graph(broken)
    gc.collect()
    assert "destroyed" not in capfd.readouterr().err


# packages


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_answers_nothing_that_it_does_not_know(package: str) -> None:
    made = Packages({})
    assert made.function(f"{package}:index:neverHeardOf", {}) is None
    id, outputs = made.resource(Asked(f"{package}:some/thing:Thing", "x", {}))
    assert id and "x" in id + str(outputs) and "id" not in outputs


def test_a_function_that_nobody_answers_is_told_by_its_name() -> None:
    with pytest.raises(Exception, match="a:b:c, and a plan has nothing to answer"):
        graph(lambda: pulumi.runtime.invoke("a:b:c", {}))


def test_aws_has_zones_an_account_and_a_cluster_to_reach() -> None:
    found: dict[str, Any] = {}

    def program() -> None:
        zones = pulumi.runtime.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
        found["zones"] = zones.value["names"]
        caller = pulumi.runtime.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
        found["account"] = caller.value["accountId"]

    graph(program, aws_region="eu-central-1")
    assert found["zones"] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"] and len(found["account"]) == 12
    _, cluster = Packages({}).resource(Asked("aws:eks/cluster:Cluster", "c", {"name": "prod"}))
    assert cluster["endpoint"].startswith("https://") and cluster["certificateAuthority"]["data"]
    _, vpc = Packages({"aws:region": "eu-west-1"}).resource(Asked("aws:ec2/vpc:Vpc", "net", {}))
    assert vpc["arn"].startswith("arn:aws:ec2:eu-west-1:000000000000:")


def test_gcp_has_zones_accounts_and_a_cluster_to_reach() -> None:
    made = Packages({"gcp:project": "shop", "gcp:region": "europe-west3"})
    zones = made.function("gcp:compute/getZones:getZones", {})
    assert zones is not None and zones["names"][0] == "europe-west3-a"
    _, account = made.resource(Asked("gcp:serviceaccount/account:Account", "a", {"accountId": "nodes"}))
    assert account["email"] == "nodes@shop.iam.gserviceaccount.com"
    _, cluster = made.resource(Asked("gcp:container/cluster:Cluster", "c", {}))
    assert cluster["endpoint"] and cluster["masterAuth"]["clusterCaCertificate"]


def test_what_azure_takes_in_parts_may_come_back_in_another_form() -> None:
    given = {"location": "westeurope", "identity": {"userAssignedIdentities": ["a"]}, "list": []}
    assert Packages({}).echoed("azure-native:containerservice:ManagedCluster", given) == {"location": "westeurope"}
    assert Packages({}).echoed("aws:eks/cluster:Cluster", given) == given


def test_azure_has_a_caller_names_and_credentials_that_are_secret() -> None:
    import base64

    import yaml

    made = Packages({})
    _, subnet = made.resource(Asked("azure-native:network:Subnet", "s", {"subnetName": "nodes"}))
    assert subnet["name"] == "nodes"
    found = made.function("azure-native:containerservice:listManagedClusterUserCredentials", {})
    assert found is not None
    sealed = found["kubeconfigs"][0]["value"]
    assert isinstance(sealed, Secret)
    assert yaml.safe_load(base64.b64decode(sealed.value))["current-context"] == "plan"
