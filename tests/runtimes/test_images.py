"""An app of images on machines: what is registered, and which ports an image may have for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.apps import PLACES, registered, spec
from tests.runtimes.record import record
from tests.runtimes.test_goldens import text_of

from anytier.app import App
from anytier.errors import CapabilityError, SpecError
from anytier.tiers.places import Hosts

GOLDEN = Path(__file__).parent / "golden" / "images-baremetal.yaml"
MACHINE = {"kind": "ssh", "address": "192.0.2.7", "port": 22, "user": "root", "sudo": False, "connectTimeout": 15}
BAREMETAL = Hosts(
    machine=MACHINE, state_dir="/var/lib/anytier", supervisor="systemd-system", port=80, tls_port=443, tier="baremetal"
)
CONTAINER: dict[str, Any] = {
    "image": "registry.example/shop/web:1.2",
    "args": ["--color", "${metadata.name}"],
    "user": "app",
    "variables": {"STORE": "http://${workloads.store.host}:${workloads.store.ports.http}"},
    "secrets": {"TOKEN": "token"},
    "files": {"/etc/shop.conf": {"content": "x"}},
    "resources": {"limits": {"memory": "64Mi", "cpu": 0.5}},
    "securityContext": {"readOnlyRootFilesystem": True, "capDrop": ["ALL"]},
    "readinessProbe": {"httpGet": {"port": 8080}},
}
STORE = {"image": "registry.example/shop/store@sha256:" + "ab" * 32, "volumes": {"/data": {"source": "data"}}}


def service(port: int) -> dict[str, Any]:
    return {"ports": {"http": {"port": 80, "targetPort": port}}}


def test_an_app_of_images_registers_each_once(request: pytest.FixtureRequest) -> None:
    app = spec(
        {
            "web": {"containers": {"web": CONTAINER}, "service": service(8080), "scale": {"replicas": 2}},
            "store": {"containers": {"store": STORE}, "service": service(9000)},
        },
        jobs={"migrate": {"containers": {"migrate": {"image": CONTAINER["image"]}}, "trigger": "preDeploy"}},
        resources={"data": {"type": "volume"}},
        secrets={"token": {"from": "config"}},
        routes=[{"workload": "web", "port": "http"}],
    )
    given: dict[str, Any] = {"app_dir": Path("/app"), "owner": "me", "secret_config": lambda key: f"value of {key}"}
    found = record(lambda: App("shop", spec=app, place=BAREMETAL, **given))
    assert [item.name for item in found.of("host:Image")] == sorted([CONTAINER["image"], STORE["image"]])
    assert CONTAINER["image"] in found.after("web") and CONTAINER["image"] in found.after("job-migrate")
    text = text_of(found)
    if request.config.getoption("--accept"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "changed: if that is meant, run pytest tests/runtimes --accept"


def image(**more: Any) -> dict[str, Any]:
    return {"containers": {"main": {"image": "x"}}, **more}


def ports_of(found: Any, name: str) -> list[bool | None]:
    return [port.get("fixed") for port in found[name].inputs["template"]["ports"]]


def test_an_image_that_runs_once_and_stops_first_has_its_own_port() -> None:
    first = {"update": {"order": "stop-first"}}
    app = spec({"web": image(service=service(9000), **first), "api": image(service=service(9000))})
    found = registered(app, "local")
    assert (ports_of(found, "web"), ports_of(found, "api")) == ([True], [None])
    assert ports_of(registered(app, "local", scale={"web": 2}), "web") == [None]


@pytest.mark.parametrize(("port", "other", "whose"), [(9000, 9000, "workload "), (8080, 9000, "the stack's `port`")])
def test_a_port_that_somebody_else_has_is_told_at_preview(port: int, other: int, whose: str) -> None:
    first = {"update": {"strategy": "recreate"}}
    app = spec(
        {"web": image(service=service(port), **first), "api": image(service=service(other), **first)},
        routes=[{"workload": "web", "port": "http"}],
    )
    with pytest.raises(SpecError, match=f"targetPort: is {port}, which {whose}.* -> use another port"):
        registered(app, "local")


@pytest.mark.parametrize("supervisor", ["systemd-user", "supervisord"])
def test_without_roots_systemd_an_image_is_refused_with_the_way_out(supervisor: Any) -> None:
    place = Hosts(machine={"kind": "local"}, state_dir="/s", supervisor=supervisor, port=80, tls_port=443)
    with pytest.raises(ExceptionGroup) as group:
        record(lambda: App("shop", spec=spec({"web": image()}), place=place, app_dir=Path("/app")))
    (error,) = group.value.exceptions
    assert isinstance(error, CapabilityError) and error.path == "workloads.web.host"
    assert "root's own systemd" in error.what and "`host:`" in error.do


def test_what_is_built_needs_a_host_section() -> None:
    app = spec({"web": {"containers": {"main": {"build": {"context": "web"}}}}})
    with pytest.raises(ExceptionGroup) as group:
        registered(app, "local")
    assert "nothing is built" in str(group.value.exceptions[0]) and PLACES["local"].mode == "systemd"
