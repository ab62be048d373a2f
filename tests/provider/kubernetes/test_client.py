"""The API's answers as errors, and kubeconfigs, without a server; one that does not answer."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from anytier.errors import AnytierError, ConfigError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.kubernetes import client
from anytier.provider.kubernetes.client import Api, parsed, refused

PATH = "/apis/apps/v1/namespaces/shop/deployments/web"


def kubeconfig(server: str = "https://127.0.0.1:1", **user: Any) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", **({"user": "u"} if user else {})}}],
            "current-context": "x",
            "users": [{"name": "u", "user": user}] if user else [],
        }
    )


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (404, 'deployments.apps "web" not found', NotFound),
        (401, "Unauthorized", Denied),
        (403, "no right", Denied),
        (403, 'pods "web-1" is forbidden: exceeded quota: small', NoSpace),
        (409, "the object has been modified", Conflict),
        (422, "spec.replicas: Invalid value: -1", Rejected),
        (400, "bad", Rejected),
        (500, "etcd is away", Unreachable),
        (503, "not yet", Unreachable),
        (429, "too many", Unreachable),
    ],
)
def test_an_answers_code_says_what_kind_of_error_it_is(code: int, message: str, kind: type[AnytierError]) -> None:
    error = refused(code, {"message": message}, PATH, "cluster https://x")
    assert type(error) is kind
    assert error.path == ("cluster https://x" if kind is Unreachable or code == 401 else "deployments/web")


def test_an_answer_without_a_body_is_told_by_its_code() -> None:
    assert refused(400, {}, "/api/v1/namespaces/shop").what == "answered 400"
    assert refused(404, {}, "/api/v1/namespaces/shop").path == "namespaces/shop"


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "a: [", "current-context: x", json.dumps({"clusters": [], "contexts": []})]
)
def test_what_is_no_kubeconfig_is_told_without_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match="kubeconfig"):
        parsed(text)


def test_a_secret_in_a_broken_kubeconfig_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed("users: [{name: u, user: {token: hunter2}}\n x: [")
    assert "hunter2" not in str(caught.value)


def test_a_user_and_a_newer_exec_plugin_are_no_obstacle() -> None:
    assert parsed(kubeconfig()).user is not None
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}
    user = parsed(kubeconfig(exec=plugin)).user
    assert user is not None and user.exec is not None and user.exec.apiVersion.endswith("/v1beta1")


async def test_a_server_that_does_not_answer_is_unreachable_and_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.01)
    there = Api(kubeconfig())
    try:
        for call in (there.find(PATH), there.items("/api/v1/pods"), there.delete(PATH)):
            with pytest.raises(Unreachable, match=r"cluster https://127\.0\.0\.1:1: does not answer"):
                await call
    finally:
        await there.close()


async def test_one_that_takes_the_connection_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.01)
    monkeypatch.setattr(client, "ANSWER", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))  # the system takes connections, and nobody reads them
    port = silent.getsockname()[1]
    there, began = Api(kubeconfig(f"http://127.0.0.1:{port}")), time.monotonic()
    try:
        with pytest.raises(Unreachable, match="in time"):
            await there.find(PATH)
        assert time.monotonic() - began < 5
    finally:
        await there.close()
        silent.close()


async def test_a_login_command_that_fails_is_no_silence() -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "false"}
    there = Api(kubeconfig("http://127.0.0.1:1", exec=plugin))
    try:
        with pytest.raises(Denied, match="no login"):
            await there.delete(PATH)
    finally:
        await there.close()
