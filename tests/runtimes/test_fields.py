"""No silent loss: every field of the spec changes what a tier registers, or the capability table says why not.

For each field of the model a small app is written twice, with two values of that one field, and what is registered
must differ. Where it does not, the table must refuse the field on that tier, or say that it is only kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.apps import PLACES, registered

import pulumi
from anytier import capabilities
from anytier.errors import CapabilityError
from anytier.spec import App as Spec
from anytier.spec.walk import all_fields

BODY = {"containers": {"main": {"image": "x"}}, "host": {"command": ["run"]}}
SERVICE = {"ports": {"http": {"port": 80, "targetPort": 8080}}}
BASE: dict[str, Any] = {
    "apiVersion": "anytier.dev/v1",
    "kind": "App",
    "metadata": {"name": "shop"},
    "workloads": {"web": {**BODY, "service": SERVICE}, "api": {**BODY, "service": SERVICE}},
    "jobs": {"job": {**BODY, "trigger": "preDeploy"}},
    "routes": [{"workload": "web", "port": "http"}],
    "resources": {"data": {"type": "volume"}, "more": {"type": "volume"}},
    "secrets": {"one": {"from": "config"}, "two": {"from": "config"}},
}
# What stands for `*`, by the step before it.
NAMES: Mapping[str, str | int] = {
    "workloads": "web", "containers": "main", "files": "/etc/f", "volumes": "/data", "ports": "http", "before": "side",
    "dependsOn": "api", "jobs": "job", "resources": "data", "secrets": "one", "httpHeaders": 0, "metrics": 0,
    "envFrom": 0, "routes": 0,
}  # fmt: skip
# What must stand beside a field for it to be valid, unless the field is itself one of `Node.exactly_one`.
BESIDE: Mapping[str, dict[str, Any]] = {
    r"Probe$": {"httpGet": {"port": 8080}},
    r"httpGet$": {"port": 8080},
    r"grpc$": {"port": 8080},
    r"httpHeaders\.0$": {"name": "X-A", "value": "b"},
    r"files\./etc/f$": {"content": "text ${metadata.name}"},
    r"volumes\./data$": {"source": "data"},
    r"tls\.secretRef$": {"certificate": "one", "key": "two"},
    r"service\.ports\.http$": {"port": 80, "targetPort": 8080},
}
EXCLUSIVE = {"httpGet", "exec", "tcpSocket", "grpc", "content", "source", "binaryContent"}
# Two values of each field, by the end of its path; the longest end counts.
VALUES: Mapping[str, tuple[Any, Any]] = {
    "annotations": ({"a": "b"}, {"a": "c"}),
    "appProtocol": ("http", "redis"),
    "args": (["a"], ["b"]),
    "autoPromote": (False, True),
    "autoRollback": (True, False),
    "backoffLimit": (1, 3),
    "before.side.ready": ("started", "complete"),
    "binaryContent": ("AAAA", "AAAB"),
    "build.args": ({"A": "b"}, {"A": "c"}),
    "canary": (1, 2),
    "capAdd": (["CHOWN"], ["KILL"]),
    "capDrop": (["CHOWN"], ["KILL"]),
    "charset": ("hex", "ascii"),
    "class": ("fast", "slow"),
    "cloudRoles": ({"aws": "a"}, {"aws": "b"}),
    "command": (["echo", "a"], ["echo", "b"]),
    "concurrencyPolicy": ("Allow", "Replace"),
    "condition": ("started", "completed"),
    "configMapRef.name": ("a", "b"),
    "content": ("a", "b"),
    "context": ("one", "two"),
    "controller": ("Deployment", "StatefulSet"),
    "cpu": (0.5, 1),
    "dockerfile": ("Dockerfile", "Other"),
    "drainTimeout": (20, 30),
    "ephemeralStorage": ("1Gi", "2Gi"),
    "expose": ("host", "public"),
    "failureThreshold": (4, 5),
    "from": ("config", "generate"),
    "gpu": (1, 2),
    "healthyDeadline": (20, 30),
    "host": ("a.test", "b.test"),
    "hosts": (["a"], ["b"]),
    "httpHeaders.0.name": ("X-B", "X-C"),
    "id": ("a", "b"),
    "image": ("x", "y"),
    "initialDelaySeconds": (1, 2),
    "key": ("one", "two"),
    "labels": ({"a": "b"}, {"a": "c"}),
    "length": (20, 30),
    "max": (4, 5),
    "maxParallel": (2, 3),
    "memory": ("64Mi", "128Mi"),
    "metadata.extra": ({"a": 1}, {"a": 2}),
    "metadata.name": ("shop", "other"),
    "resources.data.metadata": ({"a": 1}, {"a": 2}),
    "min": (1, 2),
    "metrics.0.cpu": (50, 60),
    "metrics.0.memory": (50, 60),
    "minAvailable": (1, 2),
    "minHealthyTime": (2, 3),
    "mode": ("0600", "0640"),
    "noExpand": (False, True),
    "objects": ([{"kind": "A"}], [{"kind": "B"}]),
    "order": ("start-first", "stop-first"),
    "overrides": ({}, {"eks": {"workloads": {}}}),
    "owner": ("10001", "10002"),
    "packages": (["nginx"], ["nginx=1.22.*"]),
    "params": ({"a": 1}, {"a": 2}),
    "path": ("/a", "/b"),
    "periodSeconds": (3, 4),
    "platforms": (["linux/amd64"], ["linux/arm64"]),
    "port": (81, 82),
    "prefix": ("A_", "B_"),
    "progressDeadline": (200, 300),
    "project": ("a", "b"),
    "protocol": ("TCP", "UDP"),
    "readOnly": (False, True),
    "readOnlyRootFilesystem": (False, True),
    "redirect": (True, False),
    "region": ("a", "b"),
    "replicas": (2, 3),
    "retain": (3, 4),
    "routes.0.port": ("http", "admin"),
    "routes.0.timeout": (20, 30),
    "routes.0.workload": ("web", "api"),
    "runAsNonRoot": (False, True),
    "scale.mode": ("replicated", "global"),
    "schedule": ("0 1 * * *", "0 2 * * *"),
    "scheme": ("HTTP", "HTTPS"),
    "secretRef.certificate": ("one", "two"),
    "secretRef.key": ("one", "two"),
    "secretRef.name": ("one", "two"),
    "secrets": ({"A": "one"}, {"A": "two"}),
    "secrets.one.path": ("one/file", "two/file"),
    "seconds": (1, 2),
    "files./etc/f.source": ("one/file", "two/file"),
    "volumes./data.source": ("data", "more"),
    "placement.labels": ({"a": "b"}, {"a": "c"}),
    "spread": ("host", "zone"),
    "grpc.service": ("a", "b"),
    "stopGracePeriod": (20, 30),
    "stopSignal": ("SIGINT", "SIGUSR1"),
    "strategy": ("rolling", "recreate"),
    "stripPrefix": (False, True),
    "subPath": ("a", "b"),
    "successThreshold": (2, 3),
    "target": ("a", "b"),
    "targetPort": (8080, 8081),
    "timeZone": ("Europe/Berlin", "Europe/Paris"),
    "timeout": (20, 30),
    "timeoutSeconds": (2, 3),
    "trigger": ("preDeploy", "postDeploy"),
    "type": ("volume", "postgres"),
    "user": ("10001", "10002"),
    "value": ("a", "b"),
    "variables": ({"A": "x"}, {"A": "y"}),
    "vault": ("a", "b"),
    "version": ("1", "2"),
    "workingDir": ("/one", "/two"),
}
# Not a matter of what is registered: read by the loader, or on the way to a secret's value.
ELSEWHERE = {
    "apiVersion": "there is one",
    "kind": "there is one",
    "overrides": "merged into the spec by the loader (tests/spec)",
    "routes.*.tls.auto": "true is what no secretRef means, and false is an error (tests/spec)",
    "secrets.*.timeout": "how long a secret's command may run (tests/spec)",
}
# What the table may say of a field that is accepted and changes nothing.
ONLY_KEPT = re.compile(
    r"recorded|kept in the spec|describes the (app|container|machine)|not needed|names a resource|one kind of volume"
)


def steps(field: str) -> Iterator[str | int]:
    before = ""
    for step in field.split("."):
        yield NAMES[before] if step == "*" else step
        before = step


def values_of(path: str) -> tuple[Any, Any]:
    ends = [end for end in VALUES if path == end or path.endswith(f".{end}")]
    assert ends, f"no two values for {path}: add them to VALUES"
    return VALUES[max(ends, key=len)]


def written(field: str, value: Any) -> Spec:
    """The base app with `value` at `field`, and beside it what it needs."""
    data = json.loads(json.dumps(BASE))  # a deep copy that shares nothing
    here: Any = data
    path = list(steps(field))
    for count, step in enumerate(path[:-1], start=1):
        if isinstance(step, int):
            here.extend({} for _ in range(step + 1 - len(here)))
        elif step not in here:
            here[step] = [] if isinstance(path[count], int) else {}
        here = here[step]
        if isinstance(here, dict) and path[count] not in EXCLUSIVE:
            for pattern, beside in BESIDE.items():
                if re.search(pattern, ".".join(map(str, path[:count]))):
                    here.update({key: item for key, item in beside.items() if key not in here})
    here[path[-1]] = value
    _complete(data, field)
    return Spec.model_validate({key: item for key, item in data.items() if item is not None})


def _complete(data: dict[str, Any], field: str) -> None:
    """What a field needs that is not beside it."""
    body = data["jobs"]["job"] if field.startswith("jobs") else data["workloads"]["web"]
    if ".build." in field:
        del body["containers"]["main"]["image"]
        body["containers"]["main"]["build"].setdefault("context", "one")
    if ".before." in field:
        body["containers"]["side"] = {"image": "x"}
    if field == "routes.*.port":
        data["workloads"]["web"]["service"]["ports"]["admin"] = {"port": 81}
    if field.endswith("scale.mode"):
        body["scale"]["replicas"] = 3
    if field == "routes.*.stripPrefix":
        data["routes"][0]["path"] = "/a"
    if ".tls." in field:
        data["routes"][0]["host"] = "a.test"
    if field.endswith("noExpand"):
        container = body["host" if ".host." in field else "containers"]
        (container if ".host." in field else container["main"])["files"]["/etc/f"]["content"] = "$${x}"
    sources = {"path": "file", "command": "command", "length": "generate", "charset": "generate"}
    stores = dict.fromkeys(("id", "version", "region", "project", "vault"), "aws-sm")
    if field.startswith("secrets.*."):
        source = {**sources, **stores}.get(field.rpartition(".")[2])
        data["secrets"]["one"]["from"] = source or data["secrets"]["one"]["from"]
        data["workloads"]["web"]["containers"]["main"]["secrets"] = {"A": "one"}


def outcome(app: Spec, place: str, folder: Path) -> tuple[list[str], Any]:
    """(fields that the table refuses, what is registered)"""
    try:
        found = registered(
            app,
            place,
            after=lambda made: [pulumi.export(key, item) for key, item in made.exports.items()],
            app_dir=folder,
            secret_config=lambda key: f"value of {key}",
        )
    except ExceptionGroup as group:
        assert all(isinstance(error, CapabilityError) for error in group.exceptions), group.exceptions
        return [error.path for error in group.exceptions], None  # type: ignore[attr-defined]
    said = [(item.type, item.name, item.parent, item.depends, item.inputs) for item in found.resources]
    return [], (sorted(map(repr, said)), found.exports)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("app")
    for name in ("one", "two"):
        (path / name).mkdir()
        (path / name / "file").write_text(f"content of {name}")
        for dockerfile in ("Dockerfile", "Other"):
            (path / name / dockerfile).write_text(f"FROM scratch # {name} {dockerfile}\n")
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("field", [field for field in all_fields() if field not in ELSEWHERE])
def test_no_field_is_lost_in_silence(field: str, place: str, folder: Path) -> None:
    path = ".".join(map(str, steps(field)))
    first, second = (written(field, value) for value in values_of(path))
    refused, one = outcome(first, place, folder)
    refused_too, two = outcome(second, place, folder)
    if refused or refused_too:
        strange = [item for item in (*refused, *refused_too) if not _about(item, path)]
        assert not strange, f"refused for something else: {strange}"
    elif one == two:
        cell = capabilities.lookup(path, place, PLACES[place].mode)
        assert cell.status == "emulated" and ONLY_KEPT.search(cell.note), f"{path} changes nothing, and is {cell}"


def _about(refused: str, path: str) -> bool:
    """Whether a refusal is about the field, something it stands in, or something that stands beside it."""
    plain = re.sub(r"\[(\d+)\]", r".\1", refused)
    around = path.split(".")[:5]  # such as jobs.job.containers.main.livenessProbe
    return path.startswith(plain) or plain.startswith(".".join(around if path != ".".join(around) else around[:-1]))


def test_the_exceptions_are_fields() -> None:
    assert set(ELSEWHERE) <= set(all_fields())
