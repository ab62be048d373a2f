"""Which balanced ports the proxy checks, and how."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.health import pool_health
from anytier.render.proxy import HealthCheck
from anytier.render.template import Container, HostProcess, HttpGet, Port, Probe, Template

HTTP = Port(name="http", port=80, target=8080)
ADMIN = Port(name="admin", port=81, target=8081)


def ready(port: int = 8080, **more: Any) -> Probe:
    return Probe(http_get=HttpGet(path="/ready?full=1", port=port, **more), period=2, timeout=0.5, failure_threshold=4)


def on_docker(probe: Probe | None, *ports: Port) -> Template:
    side = Container(name="side", image="x")
    return Template(containers=[side, Container(name="web", image="x", readiness=probe)], ports=list(ports or [HTTP]))


def test_a_readiness_probe_by_http_becomes_the_check_of_its_port_and_of_no_other() -> None:
    check = HealthCheck(path="/ready?full=1", interval=2, timeout=0.5, fails=4)
    assert pool_health(on_docker(ready(), HTTP, ADMIN)) == {"http": check}
    host = Template(process=HostProcess(command=["x"], readiness=ready()), ports=[HTTP, ADMIN])
    assert pool_health(host) == {"http": check}


@pytest.mark.parametrize(
    "probe",
    [
        None,
        Probe(exec=["true"]),
        Probe(tcp_port=8080),
        ready(8081),
        ready(scheme="HTTPS"),  # the proxy talks HTTP to its upstreams
    ],
)
def test_what_the_proxy_cannot_ask_is_not_checked(probe: Probe | None) -> None:
    assert pool_health(on_docker(probe)) == {}


def test_a_port_that_is_not_balanced_is_not_checked() -> None:
    assert pool_health(on_docker(ready(), HTTP.model_copy(update={"http": False}))) == {}


def test_liveness_and_startup_are_no_reason_to_take_traffic_away() -> None:
    web = Container(name="web", image="x", liveness=ready(), startup=ready())
    assert pool_health(Template(containers=[web], ports=[HTTP])) == {}


@given(st.floats(0.1, 3600))
def test_the_dead_are_found_within_five_seconds(period: float) -> None:
    probe = ready().model_copy(update={"period": period})
    assert pool_health(on_docker(probe))["http"].interval == min(period, 5)
