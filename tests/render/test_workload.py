"""A workload of the spec as a template: for containers, and for the native process that stands for it on a host."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import CapabilityError, SpecError
from anytier.render.template import File, HttpGet, Limits, Mount, Port, Probe
from anytier.render.tokens import substitute
from anytier.render.workload import (
    Release,
    absolute,
    for_docker,
    for_host,
    has_fixed_ports,
    main_container,
    secrets_of,
    update_policy,
    volume_name,
)
from anytier.spec import App


def app(web: dict[str, Any], **more: Any) -> App:
    data = {"metadata": {"name": "shop", "labels": {"team": "a", "tier": "x"}}, "workloads": {"web": web}, **more}
    return App.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


def docker(made: App, folder: Path = Path("/app")) -> Any:
    return for_docker(made, "web", made.workloads["web"], folder)


def host(made: App, folder: Path = Path("/app"), release: Release | None = None) -> Any:
    return for_host(made, "web", made.workloads["web"], folder, release)


FULL: dict[str, Any] = {
    "image": "x",
    "command": ["a"],
    "args": ["b"],
    "workingDir": "/srv",
    "user": "10001:10002",
    "variables": {"A": "b"},
    "secrets": {"TOKEN": "token"},
    "files": {"/etc/f": {"content": "text", "mode": "0600", "owner": "10001"}, "/etc/b": {"binaryContent": "AAAA"}},
    "volumes": {"/data": {"source": "${resources.data}", "readOnly": True}},
    "resources": {"limits": {"cpu": 0.5, "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "1Mi"}},
    "livenessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 3},
    "readinessProbe": {
        "httpGet": {"path": "/r", "port": 8080, "host": "a.test", "httpHeaders": [{"name": "X-A", "value": "b"}]},
        "periodSeconds": 2,
        "timeoutSeconds": 1,
        "failureThreshold": 4,
        "successThreshold": 2,
    },
    "startupProbe": {"tcpSocket": {"port": 8080}},
    "stopSignal": "SIGINT",
    "stopGracePeriod": "20s",
    "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}, "postStart": {"exec": {"command": ["hello"]}}},
    "securityContext": {
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capAdd": ["CHOWN"],
        "capDrop": ["ALL"],
    },
}


def test_everything_that_a_container_says_is_in_its_template() -> None:
    (made,) = docker(app({"containers": {"web": FULL}})).containers
    assert (made.name, made.image, made.command, made.args) == ("web", "x", ["a"], ["b"])
    assert (made.working_dir, made.user, made.stop_signal, made.stop_grace) == ("/srv", "10001:10002", "SIGINT", 20)
    assert (made.env, made.secret_env) == ({"A": "b"}, {"TOKEN": "token"})
    assert made.files == [
        File(target="/etc/f", content="text", mode="0600", owner="10001"),
        File(target="/etc/b", binary="AAAA"),
    ]
    assert made.mounts == [Mount(target="/data", volume="data", read_only=True)]
    assert made.limits == Limits(cpu=0.5, memory=2**26, cpu_request=0.25, memory_request=2**20)
    assert made.liveness == Probe(exec=["true"], initial_delay=3)
    assert made.readiness == Probe(
        http_get=HttpGet(path="/r", port=8080, headers={"Host": "a.test", "X-A": "b"}),
        period=2,
        timeout=1,
        failure_threshold=4,
        success_threshold=2,
    )
    assert made.startup == Probe(tcp_port=8080)
    assert (made.pre_stop, made.post_start) == (["bye"], ["hello"])
    assert (made.read_only_root, made.run_as_non_root, made.cap_add, made.cap_drop) == (True, True, ["CHOWN"], ["ALL"])


def test_a_workloads_labels_stand_beside_the_apps_and_win() -> None:
    made = app({"containers": {"web": {"image": "x"}}, "metadata": {"labels": {"tier": "front"}}})
    assert docker(made).labels == {"team": "a", "tier": "front"}


def test_ports_say_where_the_app_itself_listens_and_whether_they_are_balanced() -> None:
    ports = {"http": {"port": 80, "targetPort": 8080, "expose": "host"}, "dns": {"port": 53, "protocol": "UDP"}}
    assert docker(app({"containers": {"web": {"image": "x"}}, "service": {"ports": ports}})).ports == [
        Port(name="http", port=80, target=8080, http=True, expose="host"),
        Port(name="dns", port=53, target=53, protocol="UDP", http=False),
    ]


def test_init_containers_come_first_then_sidecars_then_the_rest() -> None:
    containers = {
        "web": {"image": "x"},
        "proxy": {"image": "x", "before": {"web": {"ready": "healthy"}}},
        "migrate": {"image": "x", "before": {"web": {"ready": "complete"}, "proxy": {"ready": "complete"}}},
    }
    made = docker(app({"containers": containers})).containers
    assert [(item.name, item.role) for item in made] == [("migrate", "init"), ("proxy", "sidecar"), ("web", "main")]
    assert made[2].after == {"proxy": "healthy", "migrate": "complete"} and made[1].after == {"migrate": "complete"}


# hosts


def test_on_a_host_the_native_command_runs_with_what_the_container_says_of_the_rest() -> None:
    native = {"command": ["run"], "variables": {"A": "native", "C": "d"}, "files": {"/etc/f": {"content": "native"}}}
    made = host(app({"containers": {"web": FULL}, "host": native})).process
    assert made.command == ["run"] and made.user is None and made.working_dir == "/app"
    assert made.env == {"A": "native", "C": "d"} and made.secret_env == {"TOKEN": "token"}
    assert {item.target: item.content or item.binary for item in made.files} == {"/etc/f": "native", "/etc/b": "AAAA"}
    assert made.readiness.http_get.port == 8080 and made.liveness.exec == ["true"] and made.startup.tcp_port == 8080
    assert made.limits.memory == 2**26 and made.stop_grace == 20 and made.pre_stop == ["bye"]


def test_on_a_host_a_program_runs_from_the_snapshot_of_its_sources() -> None:
    made = app({"containers": {"web": {"image": "x"}}, "host": {"command": ["run"], "workingDir": "./web/../web"}})
    process = host(made, release=Release("0123", {"web": "/app/web"})).process
    assert process.release == "0123" and process.working_dir == "web"
    assert host(made).process.working_dir == "/app/web"


def test_on_a_host_nothing_is_built_and_the_way_out_is_told() -> None:
    with pytest.raises(CapabilityError, match=r"workloads\.web\.host: .* -> add a host: section"):
        host(app({"containers": {"web": {"build": {}}}}))


def test_on_a_host_an_image_alone_is_what_runs() -> None:
    security = {"readOnlyRootFilesystem": True, "runAsNonRoot": True, "capAdd": ["NET_RAW"], "capDrop": ["ALL"]}
    container = {
        "image": "registry/x:1", "command": ["c"], "args": ["a"], "user": "5", "workingDir": "/w",
        "variables": {"A": "b"}, "securityContext": security,
    }  # fmt: skip
    made = host(app({"containers": {"web": container}}))
    process = made.process
    assert process.command == [] and process.release is None and (process.user, process.working_dir) == ("5", "/w")
    assert process.env == {"A": "b"}
    assert process.image.wire() == {
        "digest": "registry/x:1", "command": ["c"], "args": ["a"], "readOnlyRoot": True, "runAsNonRoot": True,
        "capAdd": ["NET_RAW"], "capDrop": ["ALL"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "replicas", "fixed"),
    [
        ({}, 1, False),
        ({"update": {"order": "stop-first"}}, 1, True),
        ({"update": {"strategy": "recreate"}}, 1, True),
        ({"update": {"order": "stop-first"}}, 2, False),
        ({"update": {"order": "stop-first"}, "host": {"command": ["x"]}}, 1, False),
    ],
)
def test_an_image_has_its_own_ports_only_where_it_never_runs_twice(body: Any, replicas: int, fixed: bool) -> None:
    made = app({"containers": {"web": {"image": "x"}}, "service": {"ports": {"http": {"port": 80}}}, **body})
    assert has_fixed_ports(made, "web", replicas) is fixed
    ports = for_host(made, "web", made.workloads["web"], Path("/app"), None, fixed).ports
    assert [port.fixed for port in ports] == [True if fixed else None]


@pytest.mark.parametrize(
    ("containers", "name"),
    [
        ({"web": {}, "other": {}}, "web"),
        ({"setup": {"before": {"app": {"ready": "complete"}}}, "app": {}}, "app"),
        ({}, ""),
    ],
)
def test_the_container_of_the_workloads_name_stands_for_it_else_the_first_that_stays(
    containers: Any, name: str
) -> None:
    made = app(
        {"containers": {key: {"image": "x", **item} for key, item in containers.items()}, "host": {"command": ["r"]}}
    )
    assert main_container("web", made.workloads["web"])[0] == name


# files


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_text_that_is_not_to_be_expanded_arrives_as_it_is(text: str) -> None:
    container = {"image": "x", "files": {"/f": {"content": text, "noExpand": True}}}
    (file,) = docker(app({"containers": {"web": container}})).containers[0].files
    assert substitute(file.content, {}) == text


@given(st.binary(max_size=64))
def test_a_file_of_the_apps_folder_arrives_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("app")
    (folder / "f").write_bytes(data)
    (file,) = (
        docker(app({"containers": {"web": {"image": "x", "files": {"/f": {"source": "f"}}}}}), folder)
        .containers[0]
        .files
    )
    assert base64.b64decode(file.binary) == data and file.content is None


def test_a_file_that_is_not_there_is_named_with_its_field(tmp_path: Path) -> None:
    made = app({"containers": {"web": {"image": "x", "files": {"/etc/f": {"source": "gone"}}}}})
    with pytest.raises(SpecError, match=r"web\.containers\.web\.files\./etc/f: cannot read gone: No such file"):
        docker(made, tmp_path)


def test_the_secrets_of_a_template_are_all_that_it_names() -> None:
    container = {
        "image": "x",
        "variables": {"URL": "http://u:${secrets.one}@h", "PLAIN": "$${secrets.no}"},
        "secrets": {"T": "two"},
        "files": {"/f": {"content": "${secrets.three}"}, "/n": {"content": "${secrets.no}", "noExpand": True}},
    }
    secrets = {name: {"from": "config"} for name in ("one", "two", "three", "no", "other")}
    assert secrets_of(docker(app({"containers": {"web": container}}, secrets=secrets))) == {"one", "two", "three"}


@pytest.mark.parametrize(("source", "name"), [("${resources.data}", "data"), ("data", "data")])
def test_a_volume_may_be_named_either_way(source: str, name: str) -> None:
    assert volume_name(source) == name


# updates


def test_an_update_has_the_specs_words_and_its_defaults() -> None:
    update = {"maxParallel": 2, "minHealthyTime": "2s", "healthyDeadline": "90s", "drainTimeout": "3s", "retain": 7}
    made = app({"containers": {"web": {"image": "x"}}, "update": {**update, "autoRollback": False}})
    policy = update_policy(made, "web", 4)
    assert (policy.strategy, policy.order, policy.max_parallel, policy.retain) == ("rolling", "start-first", 2, 7)
    assert (policy.min_healthy_time, policy.healthy_deadline, policy.progress_deadline) == (2, 90, 180)
    assert policy.auto_rollback is False and policy.drain_timeout == 3


@pytest.mark.parametrize(
    ("web", "order"),
    [
        ({"containers": {"web": {"image": "x", "volumes": {"/d": {"source": "data"}}}}}, "stop-first"),
        (
            {"containers": {"web": {"image": "x", "volumes": {"/d": {"source": "data", "readOnly": True}}}}},
            "start-first",
        ),
        ({"containers": {"web": {"image": "x"}}, "service": {"ports": {"sql": {"port": 5432}}}}, "stop-first"),
        ({"containers": {"web": {"image": "x"}}, "service": {"ports": {"http": {"port": 80}}}}, "start-first"),
    ],
)
def test_where_two_copies_cannot_coexist_the_old_one_stops_first(web: dict[str, Any], order: str) -> None:
    assert update_policy(app(web, resources={"data": {"type": "volume"}}), "web", 1).order == order


@given(st.integers(0, 1000), st.integers(1, 100))
def test_a_percentage_is_rounded_up_and_at_least_one(replicas: int, percent: int) -> None:
    count = absolute(f"{percent}%", replicas)
    assert count >= 1 and count * 100 >= replicas * percent and (count == 1 or (count - 1) * 100 < replicas * percent)
    assert absolute(3, replicas) == 3
