"""A stack's Gateway is the same option on every tier that makes a cluster, and what the app may count on follows."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from tests.tiers.test_kubeadm import THREE

from anytier.errors import AnytierError, leaves
from anytier.tiers import gkeplan
from anytier.tiers.places import BALANCER, Cluster
from anytier.tiers.registry import tier_class

TIERS = ("kubeadm", "eks", "gke", "aks")
TODAY = datetime.date(2026, 11, 28)
THERE = {"name": "web", "namespace": "infra"}


def offered(tier: str, **options: Any) -> Cluster:
    component = tier_class(tier)
    given = {**({"machines": THREE} if tier == "kubeadm" else {}), **options}
    made: Cluster = component.offered(component.args_type.model_validate(given), port=80, tls_port=443, stack="dev")
    return made


def refused(tier: str, **options: Any) -> dict[str, AnytierError]:
    with pytest.raises(ExceptionGroup) as caught:
        offered(tier, **options)
    return {item.path: item for item in leaves(caught.value) if isinstance(item, AnytierError)}


@pytest.mark.parametrize("tier", TIERS)
def test_a_gateway_that_is_there_takes_the_routes(tier: str) -> None:
    made = offered(tier, gateway={**THERE, "className": "eg"})
    assert "gateway" in made.offers and (made.gateway, made.gateway_class) == ("infra/web", "eg")
    assert "gateway" not in offered(tier).offers


@pytest.mark.parametrize("tier", TIERS)
def test_an_app_may_have_a_gateway_of_its_own_of_any_class(tier: str) -> None:
    made = offered(tier, gateway={"className": "eg"})
    assert "gateway" in made.offers and (made.gateway, made.gateway_class) == (None, "eg")


@pytest.mark.parametrize("tier", ["kubeadm", "eks", "aks"])
def test_where_it_is_reached_the_gateway_tells_unless_the_stack_does(tier: str) -> None:
    assert offered(tier, gateway=THERE).address == BALANCER
    if tier != "eks":
        assert offered(tier, gateway=THERE, address="shop.example.org").address == "shop.example.org"


@pytest.mark.parametrize(
    ("tier", "other"), [("kubeadm", {"ingressController": "traefik"}), ("aks", {"ingress": "app-routing"})]
)
def test_routes_go_by_one_door(tier: str, other: dict[str, Any]) -> None:
    error = refused(tier, gateway=THERE, **other)[f"anytier:{tier}.gateway"]
    assert "which of them takes the app's routes?" in error.what and error.do == "keep one of the two"


def test_on_automatic_a_gateway_needs_no_address_of_the_stack() -> None:
    assert offered("aks", mode="automatic", access=["203.0.113.7/32"], gateway=THERE).address == BALANCER


def test_a_gateway_that_nobody_says_the_class_of_is_googles_at_google() -> None:
    assert offered("gke", gateway=THERE).gateway_class == gkeplan.GATEWAY
    assert offered("gke", gateway={**THERE, "className": "istio"}).gateway_class == "istio"


@pytest.mark.parametrize("name", ["gke-l7-rilb", "gke-l7-regional-external-managed", "gke-l7-gxlb"])
def test_a_class_that_wants_a_network_of_its_own_is_refused_for_an_own_gateway(name: str) -> None:
    args = tier_class("gke").args_type

    def decided(**gateway: str) -> gkeplan.Plan:
        given = args.model_validate({"gateway": gateway})
        return gkeplan.decide(given, "my-project", "europe-west3", "prod", "shop", TODAY)

    with pytest.raises(ExceptionGroup) as caught:
        decided(className=name)
    [error] = leaves(caught.value)
    assert isinstance(error, AnytierError) and error.path == "anytier:gke.gateway.className"
    assert name in error.what and gkeplan.GATEWAY in error.do
    assert not decided(**THERE, className=name).own_gateway
    assert decided(className=gkeplan.GATEWAY).own_gateway
    assert not decided(className="istio").own_gateway
