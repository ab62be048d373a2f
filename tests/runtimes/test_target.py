"""What a cluster offers is what its objects are rendered for, in a run and by `anytier render`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anytier.acme import Acme
from anytier.cli import render
from anytier.config import Settings
from anytier.frozen import Frozen
from anytier.runtimes.target import target_of
from anytier.spec import App
from anytier.tiers.places import Cluster

SAID: dict[str, Any] = {
    "version": "1.33",
    "port": 81,
    "tls_port": 444,
    "offers": frozenset({"storage"}),
    "reserved": frozenset({6443}),
    "entrance": {"a": "b"},
    "storage_class": "gp3",
    "ingress_class": "traefik",
    "gateway": "infra/web",
    "gateway_class": "gke-l7",
    "gateway_address": "web",
    "cloud": "aws",
    "tolerations": ({"key": "spot"},),
    "balancer": {"c": "d"},
    "balancer_class": "service.k8s.aws/nlb",
    "processors": ("arm64",),
    "dns_domain": "inside.example",
    "caddy_image": "caddy:1",
}
PLACE = Cluster(kubeconfig="", addresses=("10.0.0.1", object()), **SAID)


def test_all_that_a_place_says_is_handed_on() -> None:
    made = target_of(PLACE, "ns", ["${addresses.0}"], scale={"web": 2})
    assert {name: getattr(made, name) for name in SAID} == SAID
    assert (made.namespace, made.addresses, made.scale) == ("ns", ("${addresses.0}",), {"web": 2})
    assert target_of(Cluster("", "1.34", 80, 443), "ns", ()).caddy_image != ""


def test_what_is_shown_is_for_the_same_cluster() -> None:
    app = App.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "shop"}})
    acme = Acme(directory="https://ca.example.org/dir")
    settings = Settings("eks", None, Frozen(), Path("app.yaml"), 81, 444, {"web": 2}, acme)
    made = render.target_of(PLACE, app, settings, "dev")
    assert {name: getattr(made, name) for name in SAID} == SAID
    assert made.addresses == ("10.0.0.1", "${addresses.1}") and made.acme == acme and made.scale == {"web": 2}
