"""What stands before a claim: what would cost its data is refused, and what is not known is not compared."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2
from tests.provider.sink import Sink

from anytier.errors import AnytierError, Denied, NotFound, Rejected
from anytier.marks import UNKNOWN
from anytier.provider import values
from anytier.provider.engine import EngineSink
from anytier.provider.kubernetes import volume
from anytier.provider.kubernetes.client import MANAGER
from anytier.provider.kubernetes.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.provider.registry import Registry
from anytier.provider.resource import Context
from anytier.provider.servicer import Servicer

GIVEN = VolumeInputs(
    kubeconfig="x", cluster="c", ns="anytier-dev-shop", at="resources.data", name="data", access=["ReadWriteOnce"],
    storage_class="fast", size="10Gi",
)  # fmt: skip
PATH = "/api/v1/namespaces/anytier-dev-shop/persistentvolumeclaims/data"


def but(**more: Any) -> VolumeInputs:
    return GIVEN.model_copy(update=more)


class Api:
    """Has one claim, or none; `says` answers a patch."""

    def __init__(self, claim: Any = None, says: AnytierError | None = None) -> None:
        self.claim, self.says = claim, says
        self.asked: list[Any] = []

    async def find(self, path: str) -> Any:
        assert path == PATH
        return self.claim

    async def patch(self, path: str, body: Any, dry: bool = False) -> Any:
        assert path == PATH and dry, "nothing is changed here"
        self.asked.append(body)
        if self.says is not None:
            raise self.says


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(claim: Any = None, says: AnytierError | None = None) -> Api:
        made = Api(claim, says)
        monkeypatch.setattr(volume, "api", lambda kubeconfig: made)
        return made

    return make


def claim(*fields: str, manager: str = MANAGER, storage_class: str = "fast", phase: str = "Bound") -> dict[str, Any]:
    """`fields` of its spec are the manager's."""
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class}
    return {"metadata": {"name": "data", "managedFields": [entry]}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("change", "path", "what"),
    [
        ({"storage_class": "slow"}, "resources.data.class", "cannot become slow: the claim has fast, and would be del"),
        ({"storage_class": None}, "resources.data.class", "cannot become the cluster's default: the claim has fast"),
        ({"access": ["ReadWriteMany"]}, "resources.data.params.access", "cannot become ReadWriteMany: the claim has"),
        ({"size": "9Gi"}, "resources.data.params.size", "cannot become 9Gi: the claim has 10Gi, and Kubernetes makes"),
        ({"size": "10000000000"}, "resources.data.params.size", "cannot become 10000000000: the claim has 10Gi"),
    ],
)
def test_what_a_claim_cannot_become_is_refused_with_another_way(change: dict[str, Any], path: str, what: str) -> None:
    with pytest.raises(Rejected) as caught:
        VolumeResource().replaces(GIVEN, but(**change))
    assert caught.value.path == path and caught.value.what.startswith(what)
    assert "give a new volume another name, and move the data there" in caught.value.do
    assert caught.value.do.endswith("if it never was bound: `kubectl delete pvc` it, then `pulumi up --refresh`")


def test_what_it_can_become_or_is_another_claim_is_not() -> None:
    other = {"storage_class": "slow", "access": ["ReadWriteMany"], "size": "1Gi"}
    for change in ({}, {"size": "20Gi"}, {"size": "10240Mi"}, {"cluster": "d", **other}, {"ns": "b", **other}):
        assert VolumeResource().replaces(GIVEN, but(**change)) == []


def test_a_second_writer_of_another_kind_is_refused_until_the_first_is_at_rest() -> None:
    had, wanted = but(writers={"db": "StatefulSet"}), but(writers={"db": "Deployment"})
    with pytest.raises(Rejected) as caught:
        VolumeResource().replaces(had, wanted)
    assert caught.value.path == "workloads.db.controller" and "`anytier scale db=0`" in caught.value.do
    for old, new in (
        (had, had),
        (but(writers={}), wanted),
        (had, but(writers={})),
        (had, but(writers={"web": "Deployment"})),
    ):
        assert VolumeResource().replaces(old, new) == []


async def test_where_nothing_is_known_of_it_the_claim_itself_says_what_it_is(there: Any) -> None:
    """The first run of this version on what an earlier one has made."""
    ctx = Context("urn", "volume/data", Sink())
    there(claim("accessModes", "storageClassName"))
    assert await VolumeResource().create(ctx, GIVEN) == ("anytier-dev-shop/data", VolumeOutputs())
    for change in ({"storage_class": None}, {"storage_class": "slow"}, {"access": ["ReadWriteMany"]}):
        with pytest.raises(Rejected, match="would be deleted with its data"):
            await VolumeResource().create(ctx, but(**change))


async def test_after_a_refresh_a_claim_that_is_gone_may_become_what_it_likes(there: Any) -> None:
    """Such as one that never was bound, for a typo in its class, and was taken away."""
    there(None)
    assert await VolumeResource().read(Context("urn", "volume/data", Sink()), "id", GIVEN, VolumeOutputs()) is None
    await VolumeResource().create(Context("urn", "volume/data", Sink()), but(storage_class="slow"))


async def test_one_that_waits_for_its_volume_is_no_drift(there: Any) -> None:
    there(claim("accessModes", "storageClassName", phase="Pending"))
    found = await VolumeResource().read(Context("urn", "volume/data", Sink()), "id", GIVEN, VolumeOutputs())
    assert found == (GIVEN, VolumeOutputs())
    await VolumeResource().create(Context("urn", "volume/data", Sink()), but(storage_class="slow"))


async def test_a_bound_one_is_stood_before_after_a_refresh_too(there: Any) -> None:
    there(claim("accessModes"))
    found = await VolumeResource().read(Context("urn", "volume/data", Sink()), "id", GIVEN, VolumeOutputs())
    assert found == (GIVEN, VolumeOutputs())


async def test_the_default_class_that_the_server_puts_in_is_none_that_was_asked_for(there: Any) -> None:
    ctx = Context("urn", "volume/data", Sink())
    there(claim("accessModes"))
    await VolumeResource().create(ctx, but(storage_class=None))
    with pytest.raises(Rejected, match="cannot become fast: the claim has the cluster's default"):
        await VolumeResource().create(ctx, GIVEN)


@pytest.mark.parametrize("found", [None, claim("accessModes", manager="kubectl")], ids=["none", "somebody else's"])
async def test_without_a_claim_of_ours_nothing_is_compared(there: Any, found: Any) -> None:
    there(found)
    await VolumeResource().create(Context("urn", "volume/data", Sink()), but(storage_class="slow"))


async def test_a_size_that_it_cannot_grow_to_fails_before_it_is_on_record(there: Any) -> None:
    """Else going back to the size that it still has would be to make it smaller."""
    ctx, bigger = Context("urn", "volume/data", Sink()), but(size="20Gi")
    asked = there(says=Denied("persistentvolumeclaims/data", "only dynamically provisioned pvc can be resized"))
    with pytest.raises(Rejected, match="cannot become 20Gi: only dynamically provisioned pvc can be resized") as caught:
        await VolumeResource().update(ctx, "id", GIVEN, VolumeOutputs(), bigger)
    assert caught.value.path == "resources.data.params.size" and ctx.last_made is None
    assert asked.asked == [{"spec": {"resources": {"requests": {"storage": "20Gi"}}}}]

    there(says=NotFound("persistentvolumeclaims/data", "not found"))
    await VolumeResource().update(ctx, "id", GIVEN, VolumeOutputs(), bigger)
    asked = there()
    await VolumeResource().update(ctx, "id", GIVEN, VolumeOutputs(), but(storage_class="slow"))
    assert asked.asked == []


# as the engine asks


class Refused(Exception):
    """What a request ended with."""


class Rpc:
    async def abort(self, code: grpc.StatusCode, details: str, metadata: Any = ()) -> NoReturn:
        raise Refused(details)


async def asked(**change: Any) -> provider_pb2.DiffResponse:
    old = GIVEN.wire()
    new = {key: value for key, value in {**old, **change}.items() if value is not None}
    request = provider_pb2.DiffRequest(
        urn="urn:pulumi:dev::p::anytier:kubernetes:Volume::volume/data",
        old_inputs=values.write(old),
        news=values.write(new),
        olds=values.write({}),
    )
    servicer = Servicer(Registry(), EngineSink(), "1")
    response: provider_pb2.DiffResponse = await servicer.Diff(request, Rpc())  # type: ignore[arg-type]
    return response


async def test_a_preview_fails_and_says_why() -> None:
    with pytest.raises(Refused, match=r"resources\.data\.class: cannot become slow.* -> put it back as it was"):
        await asked(storageClass="slow")


async def test_a_preview_does_not_fail_for_what_nobody_knows_yet() -> None:
    assert list((await asked(storageClass="slow", cluster=UNKNOWN)).replaces) == ["cluster"]
    assert not (await asked(size="11Gi")).replaces
