"""The address of a load balancer or a Gateway: waited for, named when it does not come, gone when what has it is."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import NotFound, RolloutFailed
from anytier.provider.kubernetes import address
from anytier.provider.kubernetes.address import AddressInputs, AddressOutputs, AddressResource, address_in
from anytier.provider.resource import Context

GIVEN = AddressInputs(kubeconfig="x", ns="anytier-dev-shop", service="anytier-router")
GATEWAY = AddressInputs(kubeconfig="x", ns="anytier-dev-shop", gateway="gateway")


def service(*entries: dict[str, str]) -> dict[str, Any]:
    return {"status": {"loadBalancer": {"ingress": [*entries]}}}


def gateway(*addresses: str, **conditions: str) -> dict[str, Any]:
    """`conditions`: what each says that is not so; an empty text is one that holds."""
    said = [{"type": kind, "status": "False" if text else "True", "message": text} for kind, text in conditions.items()]
    listed = [{"type": "IPAddress", "value": text} for text in addresses]
    return {"status": {"addresses": listed, "conditions": said}}


class Api:
    def __init__(
        self, *answers: Any, path: str = "/api/v1/namespaces/anytier-dev-shop/services/anytier-router"
    ) -> None:
        self.answers, self.path = list(answers), path

    async def find(self, path: str) -> Any:
        assert path == self.path
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Sink:
    def __init__(self) -> None:
        self.told: list[str] = []

    def status(self, urn: str, text: str) -> None:
        self.told.append(text)

    def info(self, urn: str, text: str) -> None: ...

    def warn(self, urn: str, text: str) -> None: ...


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PAUSE", 0)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, None),
        (service(), None),
        (service({}), None),
        (service({"hostname": "a.elb.amazonaws.com"}), "a.elb.amazonaws.com"),
        (service({"ip": "203.0.113.7"}), "203.0.113.7"),
        (service({}, {"ip": "203.0.113.8"}), "203.0.113.8"),
        ({"status": {"loadBalancer": None}}, None),
        (gateway(), None),
        (gateway("203.0.113.9"), "203.0.113.9"),
    ],
)
def test_the_status_tells_it(found: dict[str, Any], told: str | None) -> None:
    assert address_in(found) == told


async def test_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Api(service(), {}, service({"hostname": "lb"}))
    monkeypatch.setattr(address, "api", lambda kubeconfig: there)
    sink = Sink()
    id, made = await AddressResource().create(Context("urn", "x", sink), GIVEN)
    assert (id, made.address) == ("anytier-dev-shop/anytier-router", "lb") and len(sink.told) == 2


async def test_one_that_never_comes_is_told_with_where_to_look() -> None:
    ctx = Context("urn", "x", Sink())
    with pytest.raises(RolloutFailed, match="kubectl -n anytier-dev-shop describe service anytier-router"):
        await address.awaited(Api(service()), ctx, GIVEN, patience=0)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await address.awaited(Api(None), ctx, GIVEN)  # type: ignore[arg-type]


async def test_a_gateway_is_waited_for_until_it_serves_and_its_controllers_word_is_told() -> None:
    ctx, path = (
        Context("urn", "x", Sink()),
        "/apis/gateway.networking.k8s.io/v1/namespaces/anytier-dev-shop/gateways/gateway",
    )
    late = [gateway(), gateway("1.2.3.4", Programmed="soon"), gateway("1.2.3.4", Accepted="", Programmed="", Odd="x")]
    assert await address.awaited(Api(*late, path=path), ctx, GATEWAY) == "1.2.3.4"  # type: ignore[arg-type]
    for found, why in ((gateway(Accepted="", Programmed="no quota"), "no quota"), (gateway(), "it has no address")):
        with pytest.raises(RolloutFailed, match=f"does not serve after 0 s: {why}") as caught:
            await address.awaited(Api(found, path=path), ctx, GATEWAY, patience=0)  # type: ignore[arg-type]
        assert "describe gateway gateway" in caught.value.do


async def test_another_address_is_seen_and_a_service_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = Context("urn", "x", Sink())
    for found, now in ((service({"ip": "2"}), (GIVEN, AddressOutputs(address="2"))), (service(), None), (None, None)):
        monkeypatch.setattr(address, "api", lambda kubeconfig, found=found: Api(found))
        assert await AddressResource().read(ctx, "id", GIVEN, AddressOutputs(address="1")) == now
