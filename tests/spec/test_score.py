"""An unmodified score.dev/v1b1 file is an app: samples of ours use every field of Score's published schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from anytier.capabilities import BUILT, check
from anytier.spec import App, Container, Diagnostic, diagnose, diagnose_bytes
from anytier.spec.placeholders import Ref, parse, resolve
from anytier.spec.score import dollars
from anytier.spec.walk import used_fields

SAMPLES = Path(__file__).with_name("samples")
NAMES = sorted(path.name for path in SAMPLES.glob("score-*.yaml"))

# Every field that a score.dev/v1b1 file may have; `*` is a name. `[]` is an entry of a list (the older form of some).
_PROBE = ("exec.command", *(f"httpGet.{key}" for key in ("host", "scheme", "path", "port")))
_CONTAINER = (
    *("image", "command", "args", "variables.*", "before.*.ready"),
    *(f"files.*.{key}" for key in ("content", "source", "binaryContent", "mode", "noExpand")),
    *(f"files[].{key}" for key in ("target", "content", "source", "binaryContent", "mode", "noExpand")),
    *(f"volumes.*.{key}" for key in ("source", "path", "readOnly")),
    *(f"volumes[].{key}" for key in ("target", "source", "path", "readOnly")),
    *(f"resources.{kind}.{key}" for kind in ("requests", "limits") for key in ("cpu", "memory")),
    *(f"{probe}Probe.{key}" for probe in ("liveness", "readiness") for key in _PROBE),
    *(f"{probe}Probe.httpGet.httpHeaders[].{key}" for probe in ("liveness", "readiness") for key in ("name", "value")),
)
FIELDS = {
    *("apiVersion", "metadata.name", "metadata.annotations.*"),
    *(f"containers.*.{key}" for key in _CONTAINER),
    *(f"service.ports.*.{key}" for key in ("port", "targetPort", "protocol")),
    *(f"resources.*.{key}" for key in ("type", "class", "id", "metadata.annotations.*", "params")),
}


def _read(name: str) -> tuple[App, list[Diagnostic]]:
    app, found = diagnose(SAMPLES / name)
    assert app is not None, found
    return app, found


def _main(app: App) -> Container:
    [workload] = app.workloads.values()
    return list(workload.containers.values())[-1]


def _score(container: str, rest: str = "") -> tuple[App | None, list[Diagnostic]]:
    text = f"apiVersion: score.dev/v1b1\nmetadata: {{name: hello}}\ncontainers:\n  main: {{{container}}}\n{rest}"
    return diagnose_bytes(text.encode(), "score.yaml")


def _fields(value: Any, path: str = "") -> Iterator[str]:
    """The paths of a plain file in the words of FIELDS."""
    if path in FIELDS:
        yield path
    elif isinstance(value, list):
        for item in value:
            yield from _fields(item, f"{path}[]")
    elif isinstance(value, dict):
        for key, item in value.items():
            for step in (key, "*"):
                yield from _fields(item, f"{path}.{step}" if path else step)


def test_the_samples_use_every_field_of_the_schema() -> None:
    plain = [yaml.safe_load((SAMPLES / name).read_text()) for name in NAMES]
    assert {field for data in plain for field in _fields(data)} == FIELDS


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_loads_unmodified(name: str) -> None:
    app, found = diagnose(SAMPLES / name)
    assert app is not None
    assert not [item for item in found if item.severity == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_score_file_becomes_is_an_app_that_loads_again(name: str) -> None:
    app, _ = _read(name)
    again, found = diagnose_bytes(yaml.safe_dump(app.dump()).encode(), "app.yaml")
    assert again == app and not found


@pytest.mark.parametrize("tier", BUILT)
def test_a_tier_says_which_field_of_it_it_cannot_carry(tier: str) -> None:
    app, _ = _read("score-full.yaml")
    refused = {".".join(map(str, finding.path)) for finding in check(used_fields(app), tier)}
    assert {"resources.orders.type", "resources.dns.type"} <= refused


def test_it_is_one_workload_of_the_name_of_the_app() -> None:
    app, found = _read("score-full.yaml")
    assert not found
    assert list(app.workloads) == ["bookshop"] and app.metadata.name == "bookshop"
    assert list(app.workloads["bookshop"].containers) == ["migrate", "cache", "log", "shop"]
    ports = app.workloads["bookshop"].service.ports  # type: ignore[union-attr]
    assert (ports["web"].port, ports["web"].target_port) == (443, 8443)
    assert (ports["news"].target_port, ports["news"].protocol) == (5353, "UDP")
    assert app.resources["orders"].params["backups"] == {"every": "6h", "keep": 3, "off-site": True}


def test_its_placeholders_resolve() -> None:
    app, _ = _read("score-full.yaml")
    db = {"username": "books", "host": "db", "port": "5432", "name": "orders"}
    context = {f"resources.orders.{key}": value for key, value in db.items()}
    context |= {"resources.dns.host": "books.example.org", "resources.data": "data"}
    shop = _main(resolve(app, context, keep_secrets=False))
    assert shop.variables == {
        "NAME": "bookshop",
        "VERSION": "v3.2",
        "FLOOR": "4",
        "TEAM": "books",
        "OWNER": "the book team",
        "DSN": "postgres://books@db:5432/orders",
        "DNS": "books.example.org",
        "PRICE": "5 $ or 5$",
        "SHELL_WORD": "${HOME}",
        "lower_case": "yes",
        "EMPTY": "",
    }
    # Score knows no placeholders in a command, in arguments or in a probe
    assert shop.args == ['exec shop --name "$NAME" ${NOT_SCORE}']
    assert shop.liveness_probe and shop.liveness_probe.exec
    assert shop.liveness_probe.exec.command == ["/bin/tool", "ping", "${not.score}"]


def test_its_files_are_expanded_as_score_says() -> None:
    app, _ = _read("score-full.yaml")
    context = {f"resources.orders.{key}": "x" for key in ("username", "host", "port", "name")}
    context |= {"resources.dns.host": "x", "resources.data": "data"}
    files = _main(resolve(app, context, keep_secrets=False)).files
    assert files["/etc/shop/shop.ini"].content == "[shop]\nname = bookshop\nhome = ${HOME}\n"
    assert files["/etc/shop/shop.ini"].mode == "0640"
    assert files["/etc/shop/seal.bin"].binary_content == "AAECA/8="
    # a source is expanded too, unless it says noExpand: then it stays a file that is taken byte for byte
    assert files["/etc/shop/theme.css"].content == "body { color: #223; }\n/* of bookshop, at 5 $ */\n"
    assert files["/etc/shop/mail.tmpl"].source == "files/mail.tmpl"


def test_content_that_must_not_be_expanded_stays_as_it_is() -> None:
    app, _ = _read("score-full.yaml")
    raw = _main(app).files["/etc/shop/raw.tmpl"]
    assert raw.no_expand and raw.content == "Hello ${visitor}, $$5"


def test_lists_with_targets_are_maps_by_target() -> None:
    app, found = _read("score-lists.yaml")
    main = _main(app)
    assert list(main.files) == ["/etc/batch.conf", "/etc/theme.css", "/etc/bin"]
    assert main.volumes["/scratch"].sub_path is None and main.volumes["/shared"].read_only
    assert main.resources.requests and main.resources.requests.memory == 1048576
    assert main.resources.limits and main.resources.limits.memory == 3 * 2**29
    assert {(item.severity, item.path) for item in found} == {
        ("warning", "containers.main.image"),
        ("warning", "containers.main.livenessProbe.httpGet"),
        ("warning", "containers.main.volumes[0].source"),
    }


def test_content_as_lines_is_read_as_scores_first_releases_did() -> None:
    app, found = _score("image: nginx, files: [{target: /a, content: [a = 1, 'b = ${metadata.name}']}]")
    assert app and not found
    assert _main(app).files["/a"].content == "a = 1\nb = ${metadata.name}"


def test_an_image_of_a_dot_is_built_from_its_folder() -> None:
    app, _ = _read("score-lists.yaml")
    main = _main(app)
    assert main.image is None and main.build and main.build.context == "."


def test_exec_is_preferred_where_a_probe_has_both_ways() -> None:
    probe = _main(_read("score-lists.yaml")[0]).liveness_probe
    assert probe and probe.exec and probe.http_get is None


def test_a_request_above_its_limit_is_lowered_and_said() -> None:
    app, found = _read("score-odd.yaml")
    compute = _main(app).resources
    assert compute.requests == compute.limits
    assert [(item.line, item.severity, item.path) for item in found] == [
        (14, "warning", "containers.main.resources.requests.cpu"),
        (14, "warning", "containers.main.resources.requests.memory"),
    ]


def test_a_volume_that_nothing_declares_is_declared_and_said() -> None:
    app, found = _score("image: nginx, volumes: {/data: {source: data}}")
    assert app and app.resources["data"].type == "volume"
    assert [item.severity for item in found] == ["warning"]


@pytest.mark.parametrize(
    ("container", "path", "said"),
    [
        ("image: nginx, replicas: 2", "containers.main.replicas", "is not a field here"),
        ("image: nginx, variables: {1A: x}", "containers.main.variables.1A", "not the name of an environment variable"),
        ("image: nginx, variables: {A: 1}", "containers.main.variables.A", "read by YAML as a number"),
        ("image: Nginx", "containers.main.image", "upper-case"),
        ("image: nginx, files: [{content: x}]", "containers.main.files[0]", "has no target"),
        ("image: nginx, files: [{target: a, content: x}]", "containers.main.files[0]", "not an absolute path"),
        (
            "image: nginx, files: [{target: /a, content: x}, {target: /a, content: y}]",
            "containers.main.files[1].target",
            "the target of another entry",
        ),
        ("image: nginx, files: [{target: /a, content: x, mode: '9'}]", "containers.main.files[0].mode", "file mode"),
        ("image: nginx, volumes: [{target: /a, source: x, path: ../y}]", "containers.main.volumes[0].path", "leaves"),
        ("image: nginx, resources: {limits: {cpu: '0'}}", "containers.main.resources.limits.cpu", "amount of CPU"),
        ("image: nginx, variables: {A: '${resources.db.host}'}", "containers.main.variables.A", "names no resource"),
        ("image: nginx, variables: {A: '${env.HOME}'}", "containers.main.variables.A", "any tier knows"),
        (
            "image: nginx, readinessProbe: {httpGet: {port: 1, path: x}}",
            "containers.main.readinessProbe.httpGet.path",
            "/",
        ),
    ],
)
def test_what_no_tier_can_carry_is_told_in_the_words_of_the_file(container: str, path: str, said: str) -> None:
    app, found = _score(container)
    assert app is None
    [error] = [item for item in found if item.severity == "error"]
    assert error.path == path and said in error.what and error.do
    assert error.line == 4 and error.column > 1


def test_the_version_is_checked_where_it_stands() -> None:
    app, [error] = diagnose_bytes(
        b"apiVersion: score.dev/v2\nmetadata: {name: hello}\ncontainers: {main: {image: nginx}}\n", "score.yaml"
    )
    assert app is None and (error.line, error.column, error.path) == (1, 13, "apiVersion")


def test_what_an_app_has_and_score_has_not_is_refused_by_name() -> None:
    app, [error] = _score("image: nginx", "routes: []\n")
    assert app is None and error.path == "routes" and "not a field of a Score file" in error.what


def test_a_file_that_is_not_there_is_only_worth_a_warning(tmp_path: Path) -> None:
    spec = tmp_path / "score.yaml"
    spec.write_text((SAMPLES / "score-full.yaml").read_text())
    app, found = diagnose(spec)
    assert app is not None
    assert {item.path for item in found} == {
        'containers.shop.files["/etc/shop/theme.css"].source',
        'containers.shop.files["/etc/shop/mail.tmpl"].source',
    }


@pytest.mark.parametrize(
    ("theirs", "literal"),
    [
        ("5$", "5$"),
        ("5 $$", "5 $"),
        ("$$$", "$$"),
        ("$$${a", "$${a"),
        ("${a", "${a"),
        ("$${a}", "${a}"),
        ("$$$${a}", "$${a}"),
        ("a $$ b $${c} $ d", "a $ b ${c} $ d"),
    ],
)
def test_dollars_mean_what_they_mean_in_score(theirs: str, literal: str) -> None:
    parts = parse(dollars(theirs))
    assert not any(isinstance(part, Ref) for part in parts)
    assert "".join(part.text for part in parts) == literal


def test_a_placeholder_is_one_in_score_and_here() -> None:
    assert [part.text for part in parse(dollars("$$ ${metadata.name} $$$${x}"))] == ["$ ", "metadata.name", " $${x}"]
