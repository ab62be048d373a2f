"""Placeholders: what they may name, what they become, how a literal `${` is written, and what a wrong one is told."""

from __future__ import annotations

import pytest

from anytier.errors import SpecError
from anytier.spec import App, diagnose_bytes, load, references, resolve
from anytier.spec.placeholders import Literal, Ref, escape, parse, substitute, unparse

APP = r"""
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop, labels: {team: books, example.org/tier: gold}, annotations: {note: "a b"}}
workloads:
  web:
    containers:
      web:
        image: nginx:${metadata.labels.team}
        command: ["run", "${metadata.name}"]
        args: ["$HOME", "$${HOME}", "5 $$"]
        workingDir: /srv/${metadata.name}
        variables:
          STORE: http://${workloads.store.host}:${workloads.store.ports.http}/x?a=$${b}
          TOKEN: "Bearer ${secrets.token}"
          TIER: ${metadata.labels.example\.org/tier}
        files:
          /etc/a.conf: {content: "name=${metadata.name} key=${secrets.token} $${x}"}
          /etc/raw.conf: {content: "${anything} $${x}", noExpand: true}
        volumes: {/data: {source: "${resources.data}"}}
        readinessProbe: {httpGet: {port: 80, path: "/${metadata.name}", host: "${metadata.name}.example.org"}}
        livenessProbe: {exec: {command: [check, "${metadata.name}"]}}
        lifecycle: {preStop: {exec: {command: ["bye", "${metadata.name}"]}}}
    host: {command: [web, "--name=${metadata.name}"], variables: {DIR: "${resources.data}"}}
    service: {ports: {http: {port: 80}}}
    identity: {cloudRoles: {aws: "role-${metadata.name}"}}
  store:
    containers: {store: {build: {args: {NAME: "${metadata.name}"}}}}
    service: {ports: {http: {port: 81}}}
resources:
  data: {type: volume}
  db: {type: postgres, params: {name: "${metadata.name}", deep: [{a: "${metadata.labels.team}"}]}}
routes: [{workload: web, port: http, host: "${metadata.name}.example.org", path: "/${metadata.labels.team}"}]
secrets: {token: {from: env}}
"""
CONTEXT = {
    "workloads.store.host": "store",
    "workloads.store.ports.http": "81",
    "resources.data": "shop-data",
    "secrets.token": "s3cret ${x}",
}


def app(text: str = APP) -> App:
    return load(text)


def test_every_placeholder_is_found_with_its_field() -> None:
    found = {".".join(map(str, path)): ref.key for path, ref in references(app())}
    assert found["workloads.web.containers.web.image"] == "metadata.labels.team"
    assert found["workloads.web.containers.web.volumes./data.source"] == "resources.data"
    assert found["resources.db.params.deep.0.a"] == "metadata.labels.team"
    assert found["routes.0.host"] == "metadata.name"
    assert found["workloads.web.identity.cloudRoles.aws"] == "metadata.name"
    assert "workloads.web.containers.web.files./etc/raw.conf.content" not in found
    assert "workloads.web.containers.web.args.0" not in found


def test_all_of_them_resolve() -> None:
    made = resolve(app(), CONTEXT, keep_secrets=False)
    web = made.workloads["web"].containers["web"]
    assert web.image == "nginx:books"
    assert web.command == ["run", "shop"] and web.args == ["$HOME", "${HOME}", "5 $$"]
    assert web.working_dir == "/srv/shop"
    assert web.variables == {
        "STORE": "http://store:81/x?a=${b}",
        "TOKEN": "Bearer s3cret ${x}",
        "TIER": "gold",
    }
    assert web.files["/etc/a.conf"].content == "name=shop key=s3cret ${x} ${x}"
    assert web.files["/etc/raw.conf"].content == "${anything} $${x}"
    assert web.volumes["/data"].source == "shop-data"
    assert web.readiness_probe and web.readiness_probe.http_get
    assert (web.readiness_probe.http_get.path, web.readiness_probe.http_get.host) == ("/shop", "shop.example.org")
    assert web.lifecycle and web.lifecycle.pre_stop and web.lifecycle.pre_stop.exec
    assert web.lifecycle.pre_stop.exec.command == ["bye", "shop"]
    assert made.workloads["web"].host and made.workloads["web"].host.command == ["web", "--name=shop"]
    assert made.workloads["web"].identity and made.workloads["web"].identity.cloud_roles == {"aws": "role-shop"}
    build = made.workloads["store"].containers["store"].build
    assert build and build.args == {"NAME": "shop"}
    assert made.resources["db"].params == {"name": "shop", "deep": [{"a": "books"}]}
    assert (made.routes[0].host, made.routes[0].path) == ("shop.example.org", "/books")


def test_secrets_stay_until_the_last_moment() -> None:
    """What goes into the state holds their names; every text that may hold one is in one form, escapes kept."""
    web = resolve(app(), CONTEXT).workloads["web"].containers["web"]
    assert web.variables["TOKEN"] == "Bearer ${secrets.token}"
    assert web.variables["STORE"] == "http://store:81/x?a=$${b}"
    assert web.files["/etc/a.conf"].content == "name=shop key=${secrets.token} $${x}"
    raw = web.files["/etc/raw.conf"].content or ""
    assert not web.files["/etc/raw.conf"].no_expand and raw == "$${anything} $$$${x}"
    last = substitute(raw, lambda ref: None, keep_secrets=False, escaped=False)
    assert last == "${anything} $${x}"


def test_a_value_that_looks_like_a_placeholder_stays_text() -> None:
    made = resolve(app(), CONTEXT | {"workloads.store.host": "${secrets.token}"})
    text = made.workloads["web"].containers["web"].variables["STORE"]
    assert [part for part in parse(text) if isinstance(part, Ref)] == []
    assert substitute(text, CONTEXT.get, keep_secrets=False, escaped=False).startswith("http://${secrets.token}:81")  # type: ignore[arg-type]


def test_one_without_a_value_fails_with_its_path() -> None:
    with pytest.raises(SpecError) as error:
        resolve(app(), {key: value for key, value in CONTEXT.items() if key != "workloads.store.host"})
    assert error.value.path == "workloads.web.containers.web.variables.STORE"
    assert "${workloads.store.host} has no value here" in error.value.what


def test_what_a_value_must_not_make_of_a_field_is_told_with_its_path_and_without_a_login() -> None:
    text = APP.replace("nginx:${metadata.labels.team}", "${metadata.annotations.image}")
    text = text.replace('note: "a b"', "image: 'me:hunter2@example.org/x'")
    with pytest.raises(ExceptionGroup) as group:
        resolve(app(text), CONTEXT)
    (error,) = group.value.exceptions
    assert isinstance(error, SpecError) and error.path == "workloads.web.containers.web.image"
    assert "holds credentials" in error.what and "hunter2" not in str(error)


WRONG = {
    "${metadata.nam}": "did you mean 'name'?",
    "${metadata.labels.taem}": "did you mean 'labels.team'?",
    "${metadata.labels}": "names nothing",
    "${metadata}": "names nothing",
    "${resources.dta}": "did you mean 'data'?",
    "${resources}": "names no resource",
    "${workloads.stroe.host}": "did you mean 'store'?",
    "${workloads.store.hots}": "did you mean 'host'?",
    "${workloads.store.ports.htp}": "did you mean 'ports.http'?",
    "${workloads.store}": "names nothing of that workload",
    "${workloads.store.ports}": "names nothing of that workload",
    "${secrets.tokne}": "did you mean 'token'?",
    "${secrets.token.x}": "names no secret",
    "${secrets}": "names no secret",
    "${secret.token}": "did you mean 'secrets'?",
    "${HOME}": "names nothing that any tier knows",
    "${}": "is not a placeholder",
    "${ metadata.name }": "is not a placeholder",
    "${metadata.name": "is not a placeholder",
    "${metadata..name}": "is not a placeholder",
    "$$${HOME}": "names nothing",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items())
def test_a_wrong_one_is_told_with_its_field_and_what_was_meant(text: str, said: str) -> None:
    spec = APP.replace('TOKEN: "Bearer ${secrets.token}"', f"TOKEN: 'a {text}'")
    found = diagnose_bytes(spec.encode(), "app.yaml")[1]
    assert [(item.path, item.line, item.column) for item in found] == [
        ("workloads.web.containers.web.variables.TOKEN", 15, 18)
    ]
    assert said in found[0].what and found[0].do


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('args: ["$HOME", ', 'args: ["x ${secrets.token}", '),
        ("image: nginx:${metadata.labels.team}", "image: nginx:${secrets.token}"),
        ("workingDir: /srv/${metadata.name}", "workingDir: /srv/${secrets.token}"),
        ('path: "/${metadata.name}"', 'path: "/${secrets.token}"'),
        ('{NAME: "${metadata.name}"}', '{NAME: "${secrets.token}"}'),
    ],
)
def test_a_secret_is_refused_where_everybody_could_read_it(before: str, after: str) -> None:
    assert APP.count(before) == 1
    app, [error] = diagnose_bytes(APP.replace(before, after).encode(), "app.yaml")
    assert app is None and "where everybody can read it" in error.what


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a $ b $$ c", [Literal("a $ b $$ c")]),
        ("$${a}", [Literal("${a}")]),
        ("$$$${a}", [Literal("$${a}")]),
        ("${a.b}", [Ref("a.b", ("a", "b"))]),
        ("$$${a.b}", [Literal("$"), Ref("a.b", ("a", "b"))]),
        ("x${a}${b}y", [Literal("x"), Ref("a", ("a",)), Ref("b", ("b",)), Literal("y")]),
        (r"${a.b\.c}", [Ref(r"a.b\.c", ("a", "b.c"))]),
        ("${a", [Ref("a", ())]),
        ("$${a ${b}", [Literal("${a "), Ref("b", ("b",))]),
    ],
)
def test_a_text_in_parts(text: str, parts: list[object]) -> None:
    assert parse(text) == parts


def test_escaping_and_parsing_undo_each_other() -> None:
    for text in ("${a}", "$${a}", "$$${", "$", "$$", "a$b{c}", "${", "${a} $ ${b}"):
        assert unparse(parse(escape(text))) == escape(text)
        assert "".join(part.text for part in parse(escape(text))) == text
