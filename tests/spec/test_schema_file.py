"""The JSON Schema that editors load: fresh, described, as strict as a schema can be, never stricter than the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from anytier.spec import schema
from anytier.spec.container import Node
from anytier.spec.load import diagnose_bytes

PROJECT = Path(__file__).parents[2]
APPS = sorted((PROJECT / "apps").glob("*/app.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(schema.schema())


def test_the_committed_file_is_fresh() -> None:
    assert schema.FILE.read_text() == schema.text(), "run: python -m anytier.spec.schema"


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.FILE.read_text()))


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.parent.name)
def test_every_example_passes(app: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(app.read_text()))


def test_every_field_of_every_model_is_described() -> None:
    models = {name: kind for name, kind in schema._models() if kind is not Node}
    assert len(models) > 30
    parts = schema.schema() | {"App": schema.schema()}
    for name, kind in models.items():
        part = parts["App"] if name == "App" else parts["$defs"].get(name)
        if part is None:
            continue  # a base of others that no field names
        assert part.get("description"), name
        for field, info in kind.model_fields.items():
            assert part["properties"][info.alias or field].get("description"), f"{name}.{field}"


def test_every_mapping_with_fields_refuses_what_it_does_not_know() -> None:
    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                assert part["additionalProperties"] is False
            for below in part.values():
                walk(below)
        elif isinstance(part, list):
            for below in part:
                walk(below)

    walk(schema.schema())


def _app(**more: Any) -> dict[str, Any]:
    workload = {"containers": {"web": {"image": "nginx"}}}
    return {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "shop"},
        "workloads": {"web": workload},
        **more,
    }


def _web(**more: Any) -> dict[str, Any]:
    return _app(workloads={"web": {"containers": {"web": {"image": "nginx"}}, **more}})


def _container(**more: Any) -> dict[str, Any]:
    return _app(workloads={"web": {"containers": {"web": {"image": "nginx", **more}}}})


BAD: dict[str, dict[str, Any]] = {
    "unknown key": _app(workload={}),
    "unknown key of a workload": _web(replica=2),
    "no metadata": {key: value for key, value in _app().items() if key != "metadata"},
    "no name": _app(metadata={}),
    "nothing that runs": {key: value for key, value in _app().items() if key != "workloads"},
    "wrong version": _app(apiVersion="anytier.dev/v2"),
    "upper-case name": _app(metadata={"name": "Shop"}),
    "long name": _app(metadata={"name": "a" * 64}),
    "name with _": _app(workloads={"a_b": {"containers": {"web": {"image": "nginx"}}}}),
    "image and build": _container(build={"context": "."}),
    "neither image nor build": _app(workloads={"web": {"containers": {"web": {"args": ["x"]}}}}),
    "empty image": _container(image=""),
    "command as one text": _container(command="sleep 1"),
    "variable as a number": _container(variables={"A": 1}),
    "variable as a boolean": _container(variables={"A": False}),
    "variable 1A": _container(variables={"1A": "x"}),
    "variable with =": _container(variables={"A=B": "x"}),
    "relative file": _container(files={"etc/app.conf": {"content": "x"}}),
    "file with two contents": _container(files={"/a": {"content": "x", "source": "y"}}),
    "file without content": _container(files={"/a": {"mode": "0644"}}),
    "mode as a number": _container(files={"/a": {"content": "x", "mode": 420}}),
    "volume without source": _container(volumes={"/data": {"readOnly": True}}),
    "memory without a unit": _container(resources={"limits": {"memory": 128}}),
    "memory without a unit, as text": _container(resources={"limits": {"memory": "128"}}),
    "negative CPU": _container(resources={"limits": {"cpu": -1}}),
    "CPU of no amount": _container(resources={"limits": {"cpu": "NaN"}}),
    "probe of two kinds": _container(livenessProbe={"exec": {"command": ["a"]}, "tcpSocket": {"port": 80}}),
    "probe of no kind": _container(livenessProbe={"periodSeconds": 3}),
    "probe of period 0": _container(livenessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 0}),
    "probe path without /": _container(livenessProbe={"httpGet": {"port": 80, "path": "healthz"}}),
    "probe of no port": _container(livenessProbe={"httpGet": {"path": "/"}}),
    "signal without SIG": _container(stopSignal="TERM"),
    "capability in lower case": _container(securityContext={"capAdd": ["net_admin"]}),
    "hook of two kinds": _container(lifecycle={"preStop": {"exec": {"command": ["a"]}, "sleep": {"seconds": 1}}}),
    "port 0": _web(service={"ports": {"http": {"port": 0}}}),
    "port 65536": _web(service={"ports": {"http": {"port": 65536}}}),
    "port as text": _web(service={"ports": {"http": {"port": "80abc"}}}),
    "unknown protocol": _web(service={"ports": {"http": {"port": 80, "protocol": "SCTP"}}}),
    "replicas -1": _web(scale={"replicas": -1}),
    "replicas 1.5": _web(scale={"replicas": 1.5}),
    "replicas 10^9": _web(scale={"replicas": 10**9}),
    "metric of two kinds": _web(scale={"max": 2, "metrics": [{"cpu": 50, "memory": 50}]}),
    "unknown strategy": _web(update={"strategy": "bigbang"}),
    "duration without sense": _web(update={"healthyDeadline": "soon"}),
    "share over 100%": _web(update={"maxParallel": "101%"}),
    "unknown condition": _web(dependsOn={"db": {"condition": "ready"}}),
    "empty host command": _web(host={"command": []}),
    "unknown cloud": _web(identity={"cloudRoles": {"oracle": "x"}}),
    "resource without a type": _app(resources={"data": {}}),
    "route without a workload": _app(routes=[{"port": 80}]),
    "routes as a mapping": _app(routes={"path": "/"}),
    "unknown trigger": _app(jobs={"j": {"host": {"command": ["a"]}, "trigger": "sometimes"}}),
    "unknown source of a secret": _app(secrets={"token": {"from": "literal"}}),
    "unknown tier": _app(overrides={"dokcer": {}}),
}


@pytest.mark.parametrize("spec", BAD.values(), ids=BAD.keys())
def test_what_the_model_refuses_by_form_the_schema_refuses_too(spec: dict[str, Any]) -> None:
    app, found = diagnose_bytes(json.dumps(spec).encode(), "spec")
    assert app is None and found, "the loader takes this: not a bad example"
    assert not VALIDATOR.is_valid(spec)


def test_null_is_the_same_as_leaving_out_in_both() -> None:
    spec = _container(build=None, args=None, livenessProbe=None)
    app, found = diagnose_bytes(json.dumps(spec).encode(), "spec")
    assert app is not None and not found
    VALIDATOR.validate(spec)


def test_jobs_alone_are_an_app_in_both() -> None:
    spec = {key: value for key, value in _app().items() if key != "workloads"}
    spec["jobs"] = {"once": {"host": {"command": ["true"]}}}
    assert diagnose_bytes(json.dumps(spec).encode(), "spec")[0] is not None
    VALIDATOR.validate(spec)
