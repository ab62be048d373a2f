"""Images pushed to a registry, against a daemon that is made up: it speaks Docker's API and refuses likewise.

It cannot tell whether a real registry takes them: only what is asked of the daemon, in which order, by whom.
"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given as given_any
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.provider.sink import Sink

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.provider.docker.client import Endpoint, close_all
from anytier.provider.docker.push import (
    Login,
    PushInputs,
    PushOutputs,
    PushResource,
    name_of,
    of_push,
    said_of,
    tag_of,
    token_of,
)
from anytier.provider.docker.tar import unpack
from anytier.provider.oci.reference import parse
from anytier.provider.resource import Context

IMAGE = "sha256:" + "a1" * 32
OTHER = "sha256:" + "b2" * 32
DIGEST = "sha256:" + "c3" * 32
NAME = "europe-docker.pkg.dev/my-project/anytier-prod/shop-web"
resource = PushResource()


@dataclass
class Fake:
    """What the daemon was asked, and the names that it has. `fails`: the message with which a push ends."""

    endpoint: Endpoint
    asked: list[str] = field(default_factory=list)
    logins: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    fails: str = ""
    built: bytes = b""

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.44"})

    async def build(self, request: web.Request) -> web.Response:
        (self.built,) = unpack(await request.read()).values()
        self.asked.append("POST build")
        self.names[request.query["t"]] = f"derived of {IMAGE}"
        return web.json_response({"aux": {"ID": OTHER}})

    async def info(self, request: web.Request) -> web.Response:
        return web.json_response({"OperatingSystem": "made up"})

    async def images(self, request: web.Request) -> web.StreamResponse:
        path = request.path.partition("/images/")[2]
        self.asked.append(f"{request.method} {path}")
        if request.method == "DELETE":
            gone = self.names.pop(path, None)
            return web.json_response([{"Untagged": path}], status=200 if gone else 404)
        name, _, verb = path.rpartition("/")
        if verb == "tag":
            if name not in (IMAGE, OTHER):
                return web.json_response({"message": f"No such image: {name}"}, status=404)
            self.names[f"{request.query['repo']}:{request.query['tag']}"] = name
            return web.Response(status=201)
        if "X-Registry-Auth" not in request.headers:
            return web.json_response({"message": "Bad parameters and missing X-Registry-Auth"}, status=400)
        self.logins.append(json.loads(base64.urlsafe_b64decode(request.headers["X-Registry-Auth"])))
        if f"{name}:{request.query['tag']}" not in self.names:
            return web.json_response({"message": f"An image does not exist locally with the tag: {name}"}, status=404)
        answer = web.StreamResponse()
        await answer.prepare(request)
        told = [{"status": "Pushing", "progressDetail": {"current": 1, "total": 2}}]
        told += [{"error": self.fails}] if self.fails else [{"aux": {"Tag": "x", "Digest": DIGEST, "Size": 1}}]
        for message in told:
            await answer.write(json.dumps(message).encode() + b"\r\n")
        return answer


@pytest.fixture
async def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fake]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    made = Fake(Endpoint(host=f"unix://{tmp_path}/docker.sock"))
    app = web.Application()
    app.router.add_get("/{v:v[0-9.]+}/version", made.version)
    app.router.add_get("/version", made.version)
    app.router.add_get("/{v:v[0-9.]+}/info", made.info)
    app.router.add_get("/info", made.info)
    app.router.add_post("/{v:v[0-9.]+}/build", made.build)
    app.router.add_post("/build", made.build)
    for base in ("/{v:v[0-9.]+}/images/{rest:.*}", "/images/{rest:.*}"):
        app.router.add_route("*", base, made.images)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, f"{tmp_path}/docker.sock").start()
    yield made
    await close_all()
    await runner.cleanup()


def context() -> Context:
    return Context("urn:pulumi:t::t::t::t", "t", Sink())


def script(folder: Path, text: str) -> str:
    file = folder / "login"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def given(fake: Fake, **more: Any) -> PushInputs:
    return PushInputs.model_validate({"endpoint": fake.endpoint, "image": IMAGE, "repository": NAME, **more})


async def test_what_pods_name_is_the_registrys_own_digest(fake: Fake) -> None:
    id, made = await resource.create(context(), given(fake))
    assert (id, made.ref) == (NAME, f"{NAME}@{DIGEST}")
    assert made.tag == f"{NAME}:{'a1' * 8}" and fake.names == {made.tag: IMAGE}
    assert fake.asked == [f"POST {IMAGE}/tag", f"POST {NAME}/push"]
    assert fake.logins == [{}]  # nobody is logged in, and the daemon is told so


async def test_a_signal_to_stop_is_put_into_what_is_pushed(fake: Fake) -> None:
    wanted = given(fake, stop_signal="SIGQUIT")
    _, made = await resource.create(context(), wanted)
    assert fake.built.decode().splitlines() == [f"FROM {'a1' * 32}", "STOPSIGNAL SIGQUIT"]
    assert made.tag == f"{NAME}:{'a1' * 8}-sigquit" and list(fake.names) == [made.tag]
    assert fake.asked == ["POST build", f"POST {NAME}/push"]
    await resource.update(context(), NAME, wanted, made, given(fake))
    assert list(fake.names) == [f"{NAME}:{'a1' * 8}"]


@given_any(st.sampled_from(["SIGTERM", "QUIT", "SIGRTMIN+3", "RTMAX-2", "9"]))
def test_any_signal_makes_a_tag(name: str) -> None:
    wanted = PushInputs(image=IMAGE, repository=NAME, stop_signal=name)
    assert parse(name_of(wanted), "tag").tag == tag_of(IMAGE, wanted.stop_signal)


@pytest.mark.parametrize("wrong", ["", "TERM\nRUN id", "SIG TERM", "${X}"])
def test_what_is_no_signal_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        PushInputs(image=IMAGE, repository=NAME, stop_signal=wrong)


async def test_a_token_comes_of_the_command_that_kubectl_runs_too(fake: Fake, tmp_path: Path) -> None:
    said = json.dumps({"kind": "ExecCredential", "status": {"token": "s3cret"}})
    login = {"user": "oauth2accesstoken", "command": [script(tmp_path, f"echo '{said}'")]}
    await resource.create(context(), given(fake, login=login))
    server = "europe-docker.pkg.dev"
    assert fake.logins == [{"username": "oauth2accesstoken", "password": "s3cret", "serveraddress": server}]


async def test_a_password_may_be_given_and_keeps_its_colons(fake: Fake) -> None:
    await resource.create(
        context(), given(fake, password="AWS:a:b", login={"user": "u", "command": ["/does/not/exist"]})
    )
    server = "europe-docker.pkg.dev"
    assert fake.logins == [{"username": "AWS", "password": "a:b", "serveraddress": server}]


async def test_who_is_logged_in_by_docker_counts_first(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = base64.b64encode(b"me:mine").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"europe-docker.pkg.dev": {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    await resource.create(context(), given(fake, login={"user": "u", "command": ["/does/not/exist"]}))
    assert [login["username"] for login in fake.logins] == ["me"]


async def test_another_image_is_another_tag_and_the_old_one_is_let_go(fake: Fake) -> None:
    _, before = await resource.create(context(), given(fake))
    wanted = given(fake, image=OTHER)
    after = await resource.update(context(), NAME, given(fake), before, wanted)
    assert list(fake.names.values()) == [OTHER] and after.tag != before.tag
    await resource.delete(context(), NAME, wanted, after)
    assert fake.names == {}
    await resource.delete(context(), NAME, wanted, after)  # gone already is fine


async def test_a_push_that_fails_is_gone_on_with_by_the_next_run(fake: Fake) -> None:
    fake.fails = "denied: Permission 'artifactregistry.repositories.uploadArtifacts' denied"
    ctx = context()
    with pytest.raises(Denied, match="an account that may write"):
        await resource.create(ctx, given(fake))
    assert ctx.last_made is not None and ctx.last_made.id == NAME
    left = ctx.last_made.outputs
    assert isinstance(left, PushOutputs) and resource.drifted(given(fake), left) == ["image"]
    fake.fails = ""
    made = await resource.update(context(), NAME, given(fake), left, given(fake))
    assert made.ref and resource.drifted(given(fake), made) == []


async def test_an_image_that_the_daemon_has_not_is_an_error(fake: Fake) -> None:
    with pytest.raises(NotFound):
        await resource.create(context(), given(fake, image="sha256:" + "d4" * 32))


async def test_a_daemon_that_is_gone_lets_the_resource_go(tmp_path: Path) -> None:
    ctx = context()
    inputs = PushInputs(endpoint=Endpoint(host=f"unix://{tmp_path}/none.sock"), image=IMAGE, repository=NAME)
    await resource.delete(ctx, NAME, inputs, PushOutputs(ref=f"{NAME}@{DIGEST}", tag=f"{NAME}:x"))
    await close_all()


@pytest.mark.parametrize(
    ("does", "error", "said"),
    [
        ("echo oops >&2; exit 1", Denied, "oops"),
        ("echo '{}'", Rejected, "prints no token"),
        ("echo not json", Rejected, "prints no token"),
    ],
)
async def test_a_command_that_gives_no_token_is_told_in_one_line(
    tmp_path: Path, does: str, error: type[AnytierError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        await token_of(Login(user="u", command=[script(tmp_path, does)]), "r.example.org")
    assert "docker login r.example.org" in caught.value.do and "\n" not in str(caught.value)


async def test_a_command_that_is_not_there_is_not_there() -> None:
    with pytest.raises(NotFound, match="cannot be run"):
        await token_of(Login(user="u", command=["/does/not/exist"]), "r.example.org")


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": "web:latest"},
        {"image": ""},
        {"repository": "web"},
        {"repository": f"{NAME}:1"},
        {"repository": f"{NAME}@{DIGEST}"},
        {"repository": "user:pw@r.example.org/web"},
        {"repository": "https://r.example.org/web"},
        {"repository": "r.example.org/Web"},
    ],
)
def test_what_is_no_image_or_no_repository_is_refused(wrong: dict[str, str]) -> None:
    found = resource.check(PushInputs.model_validate({"image": IMAGE, "repository": NAME, **wrong}))
    assert [error.path for error in found] == list(wrong) and all(error.do for error in found)
    assert resource.check(PushInputs(image=IMAGE, repository=NAME)) == []


def test_errors_of_a_registry_say_what_is_missing_for_writing() -> None:
    assert isinstance(of_push("image x", 500, "name unknown: repository not found"), NotFound)
    assert isinstance(of_push("image x", 500, 'Get "https://r.example.org/v2/": dial tcp: timeout'), Unreachable)
    assert tag_of(IMAGE) == "a1" * 8
    assert said_of({"progressDetail": {"current": 1e6, "total": 2e6}}) == "1 of 2 MB of a layer"
    assert said_of({"status": "Preparing"}) == "Preparing"
