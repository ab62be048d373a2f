"""`App(...)` in any Pulumi program: secrets, scale, rollback, names, exports, and what a place cannot carry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.apps import PLACES, registered, spec, workload
from tests.runtimes.record import ANSWERS, Recording, Secret, record

import pulumi
from anytier.app import App
from anytier.errors import CapabilityError, SpecError

both = pytest.mark.parametrize("place", PLACES)
HTTP = {"ports": {"http": {"port": 80, "targetPort": 8080}}}


def with_secrets(*names: str, **more: Any) -> dict[str, Any]:
    container = {"image": "x", "secrets": {name.upper(): name for name in names}, **more}
    return workload() | {"containers": {"main": container}}


# secrets


@both
def test_every_secret_without_a_value_is_told_at_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_THING", raising=False)
    secrets = {
        "made": {"from": "generate"},
        "one": {"from": "config"},
        "two": {"from": "env", "key": "NO_SUCH_THING"},
        "three": {"from": "file", "path": "missing"},
        "four": {"from": "command", "command": ["false"]},
    }
    made = Recording()
    with pytest.raises(ExceptionGroup) as group:
        registered(spec({"web": with_secrets("one")}, secrets=secrets), place, app_dir=tmp_path, into=made)
    assert made.of("index:Secret") == []
    errors = group.value.exceptions
    assert all(isinstance(error, SpecError) and error.do for error in errors)
    assert [re.sub(r"\.(path|command)$", "", error.path) for error in errors] == [  # type: ignore[attr-defined]
        "secrets.one",
        "secrets.two",
        "secrets.three",
        "secrets.four",
    ]


@both
def test_a_workload_gets_the_secrets_it_names_and_they_are_secret_on_the_wire(place: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    files = {"/etc/x": {"content": "${secrets.cert}"}}
    app = spec(
        {"web": with_secrets("token", files=files), "api": workload()},
        secrets={"token": {"from": "file", "path": "token"}, "cert": {"from": "config"}, "other": {"from": "config"}},
    )
    values = {"cert": "from config $${x}", "other": "not asked for"}
    found = registered(app, place, app_dir=tmp_path, secret_config=values.get)
    assert found["web"].inputs["secrets"] == Secret({"token": "from a file", "cert": "from config $${x}"})
    assert found["api"].inputs["secrets"] == Secret({})
    assert "from a file" not in str(found["web"].inputs["template"])


@both
def test_a_generated_secret_is_a_resource_that_keeps_it(place: str) -> None:
    secrets = {"made": {"from": "generate", "length": 24, "charset": "hex"}}
    found = registered(spec({"web": with_secrets("made")}, secrets=secrets), place)
    assert found["secret-made"].inputs == {"length": 24, "charset": "0123456789abcdef"}
    assert found["web"].inputs["secrets"] == Secret({"made": "generated"})
    assert "secret-made" in found.after("web")


@both
def test_a_certificate_goes_to_the_proxy_as_a_secret(place: str) -> None:
    pair = {"certificate": "crt", "key": "key"}
    route = {"workload": "web", "port": "http", "host": "a.test", "tls": {"secretRef": pair}}
    app = spec(
        {"web": workload(service=HTTP)},
        routes=[route],
        secrets={"crt": {"from": "config"}, "key": {"from": "config"}},
    )
    found = registered(app, place, secret_config=lambda name: f"PEM {name}")
    expected = Secret({"crt": {"certificate": "PEM crt", "key": "PEM key"}})
    assert found["anytier-dev-shop-proxy"].inputs["certificates"] == expected
    assert found["web"].inputs["secrets"] == Secret({})


# scale, rollback, names


@both
def test_a_stack_may_scale_and_the_spec_says_how_many_otherwise(place: str) -> None:
    app = spec({"web": workload(scale={"replicas": 2}), "api": workload(scale={"replicas": 3})})
    found = registered(app, place, scale={"web": 5})
    assert [found[name].inputs["replicas"] for name in ("web", "api")] == [5, 3]
    assert registered(app, place, scale={"web": 0})["web"].inputs["replicas"] == 0


@both
def test_a_percentage_of_max_parallel_is_of_the_stacks_own_number(place: str) -> None:
    app = spec({"web": workload(scale={"replicas": 2}, update={"maxParallel": "50%"})})
    assert registered(app, place)["web"].inputs["update"]["maxParallel"] == 1
    assert registered(app, place, scale={"web": 9})["web"].inputs["update"]["maxParallel"] == 5


@both
def test_a_global_workload_is_one_on_one_machine(place: str) -> None:
    app = spec({"web": workload(scale={"mode": "global", "replicas": 4})})
    assert registered(app, place)["web"].inputs["replicas"] == 1


@both
def test_a_rollback_pins_one_workload_for_this_run(place: str) -> None:
    app = spec({"web": workload(), "api": workload()})
    found = registered(app, place, rollback={"web": 7})
    assert found["web"].inputs["rollbackTo"] == 7 and "rollbackTo" not in found["api"].inputs


@both
def test_the_stack_and_the_app_name_everything_at_the_place(place: str) -> None:
    assert registered(spec(), place)["web"].inputs["ns"] == "anytier-dev-shop"
    assert registered(spec(), place, ns="other")["web"].inputs["ns"] == "other"


# as a library


@both
def test_a_program_of_somebody_elses_uses_it_as_a_component(place: str, tmp_path: Path) -> None:
    """Beside their own resources, from a file, with its outputs at hand."""
    (tmp_path / "page.html").write_text("hello")
    (tmp_path / "app.yaml").write_text(
        "apiVersion: anytier.dev/v1\n"
        "kind: App\n"
        "metadata: {name: shop}\n"
        "workloads:\n"
        "  web:\n"
        "    containers: {web: {image: x, files: {/srv/page: {source: page.html}}}}\n"
        "    host: {command: [run]}\n"
        "    service: {ports: {http: {port: 80}}}\n"
        "routes: [{workload: web, port: http}]\n"
    )

    def theirs() -> None:
        class Theirs(pulumi.ComponentResource):
            pass

        above = Theirs("theirs:index:Platform", "platform")
        made = App("front", spec=tmp_path / "app.yaml", place=PLACES[place], opts=pulumi.ResourceOptions(parent=above))
        pulumi.export("where", made.exports["url"])
        pulumi.export("revision", made.exports["workloads"]["web"]["revision"])

    found = record(theirs, stack="prod")
    assert found.exports == {"where": "http://localhost:8080/", "revision": 3}
    assert found["web"].inputs["ns"] == "anytier-prod-shop"
    assert found["web"].inputs["owner"] == f"{tmp_path}#{ANSWERS['anytier:index:Identity']['token']}"
    template = found["web"].inputs["template"]
    (file,) = (template.get("process") or template["containers"][0])["files"]
    assert file["binary"] == "aGVsbG8=" and found.of("index:App")[0].parent == "platform"


@both
def test_the_overrides_of_the_places_tier_count_in_a_library_too(place: str, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(
        "apiVersion: anytier.dev/v1\n"
        "kind: App\n"
        "metadata: {name: shop}\n"
        "workloads: {web: {containers: {web: {image: x}}, host: {command: [run]}}}\n"
        f"overrides: {{{place}: {{workloads: {{web: {{scale: {{replicas: 4}}}}}}}}}}\n"
    )
    assert registered(tmp_path / "app.yaml", place)["web"].inputs["replicas"] == 4


@both
def test_what_the_place_cannot_carry_is_said_all_at_once_and_nothing_is_left_out_in_silence(place: str) -> None:
    app = spec(
        {"web": workload(placement={"hosts": ["a"]}, scale={"min": 1, "max": 2})}, objects=[{"kind": "ConfigMap"}]
    )
    with pytest.raises(ExceptionGroup) as group:
        registered(app, place)
    errors = group.value.exceptions
    assert all(isinstance(error, CapabilityError) for error in errors)
    assert {error.path for error in errors} == {  # type: ignore[attr-defined]
        "workloads.web.placement.hosts",
        "workloads.web.scale.min",
        "workloads.web.scale.max",
        "objects",
    }


# what a stack exports


@both
def test_urls_are_as_a_person_would_type_them_the_most_general_first(place: str) -> None:
    route = {"workload": "web", "port": "http"}
    routes = [
        {**route, "path": "/shop"},
        {**route, "host": "a.test"},
        {**route, "host": "b.test", "tls": {"auto": True}},
        route,
    ]
    found = registered(
        spec({"web": workload(service=HTTP)}, routes=routes),
        place,
        after=lambda made: [pulumi.export(key, value) for key, value in made.exports.items()],
    )
    assert found.exports["url"] == "http://localhost:8080/"
    assert found.exports["urls"] == [
        "http://localhost:8080/",
        "http://a.test:8080/",
        "https://b.test:8443/",
        "http://localhost:8080/shop",
    ]
