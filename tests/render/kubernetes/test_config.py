"""Files and secret variables: which object holds them, how it is called, what is mounted where."""

from __future__ import annotations

import base64

import pytest
from tests.render.kubernetes.samples import container, finished, objects, pod, rendered, spec, workload

from anytier.errors import CapabilityError, SpecError
from anytier.render.kubernetes import secrets_in

SECRET = {"secrets": {"one": {"from": "config"}, "two": {"from": "config"}}}


def test_what_holds_no_secret_is_a_config_map_and_the_rest_a_secret() -> None:
    files = {"/a": {"content": "plain"}, "/b": {"content": "${secrets.one}"}, "/c": {"binaryContent": "AAEC"}}
    made = objects(spec({"web": workload({"files": files, "secrets": {"T": "two"}})}, **SECRET))
    assert made["web.config"]["data"] == {"main.0.a": "plain"}
    assert made["web.config"]["binaryData"] == {"main.2.c": "AAEC"}
    data = {key: base64.b64decode(value).decode() for key, value in made["web.secret"]["data"].items()}
    assert data == {"main.T": "value of secrets.two", "main.1.b": "value of secrets.one"}
    assert made["web.config"]["immutable"] and made["web.secret"]["immutable"]


def test_the_pod_refers_to_them_by_the_names_that_they_get() -> None:
    app = spec({"web": workload({"files": {"/b": {"content": "${secrets.one}"}}, "secrets": {"T": "one"}})}, **SECRET)
    made = objects(app)
    name = made["web.secret"]["metadata"]["name"]
    [variable] = container(made["web"])["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": name, "key": "main.T"}
    assert pod(made["web"])["volumes"][0]["secret"]["secretName"] == name


def test_another_value_is_another_object_and_another_revision() -> None:
    app = spec({"web": workload({"secrets": {"T": "one"}}), "other": workload({"secrets": {"T": "two"}})}, **SECRET)
    found = rendered(app)
    before, after = (
        {k: finished(found[k].object, **{"secrets.one": v}) for k in ("web.secret", "web")} for v in ("1", "2")
    )
    assert before["web.secret"]["metadata"]["name"] != after["web.secret"]["metadata"]["name"]
    assert before["web"]["spec"]["template"] != after["web"]["spec"]["template"]
    assert secrets_in(found["other"].object) == {"two"}, "another workload's secret does not roll it"


def test_a_variable_with_a_secret_in_it_is_a_secret_as_a_whole() -> None:
    app = spec({"web": workload({"variables": {"URL": "http://u:${secrets.one}@h", "PLAIN": "x"}})}, **SECRET)
    made = objects(app)
    assert base64.b64decode(made["web.secret"]["data"]["main.URL"]) == b"http://u:value of secrets.one@h"
    assert [each["name"] for each in container(made["web"])["env"]] == ["PLAIN", "URL"]


def test_files_keep_their_modes_and_paths() -> None:
    made = objects(spec({"web": workload({"files": {"/etc/a b": {"content": "x", "mode": "0640"}}})}))
    [mount] = container(made["web"])["volumeMounts"]
    assert mount == {"name": "config-0", "mountPath": "/etc/a b", "subPath": "main.0.a_b", "readOnly": True}
    assert pod(made["web"])["volumes"][0]["configMap"]["items"] == [
        {"key": "main.0.a_b", "path": "main.0.a_b", "mode": 0o640}
    ]


def test_more_than_one_object_holds_is_several() -> None:
    files = {f"/{number}": {"content": "x" * 700_000} for number in range(3)}
    made = objects(spec({"web": workload({"files": files})}))
    assert [key for key in made if key.startswith("web.config")] == ["web.config", "web.config.1", "web.config.2"]
    mounts = [mount["name"] for mount in container(made["web"])["volumeMounts"]]
    assert mounts == ["config-0", "config-1", "config-2"]


def test_what_no_object_holds_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        rendered(spec({"web": workload({"files": {"/a": {"source": "large"}}})}), folder=tmp_path)


def test_an_owner_is_refused() -> None:
    with pytest.raises(CapabilityError, match="readable for the pod's group"):
        rendered(spec({"web": workload({"files": {"/a": {"content": "x", "owner": "1000"}}})}))
