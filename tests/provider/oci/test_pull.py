"""Pulling from a registry: once, every byte checked, a login only where it belongs, clear errors."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.provider.oci import store
from anytier.provider.oci.pull import Pulled, pull, resolve
from anytier.provider.oci.reference import parse
from anytier.provider.oci.registry import Registry, address, is_local, parameters

from .fake import LOGIN, Fake


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as made:
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path


def log_in(home: Path, name: str, **entry: str) -> None:
    (home / "docker").mkdir()
    (home / "docker" / "config.json").write_text(json.dumps({"auths": {name: entry or {"auth": LOGIN}}}))


async def pulled(fake: Fake, version: str = ":1", machine: str = "x86_64") -> Pulled:
    reference = parse(f"{fake.name}/a/b{version}", "image")
    return await pull(reference, await resolve(reference), machine, lambda done, total: None)


async def test_an_image_is_pulled_once_for_all(fake: Fake) -> None:
    wanted = fake.image("1")
    found = await pulled(fake)
    assert found.digest == wanted and found.config.cmd == ["run"] and len(found.layers) == 1
    assert found.layers[0].file.read_bytes() == fake.blobs[found.layers[0].digest]
    assert await pulled(fake, f"@{wanted}") == found
    count = len(fake.asked)
    assert await pulled(fake, f"@{wanted}") == found and len(fake.asked) == count  # not even asked


async def test_a_tag_of_many_platforms_gives_the_machines_own_and_means_the_index(fake: Fake) -> None:
    index = fake.index("1", {"amd64": fake.image("a"), "arm64": fake.image("b", "arm64", "other")})
    one, other = await pulled(fake), await pulled(fake, machine="aarch64")
    assert one.digest == other.digest == index and one.layers != other.layers


async def test_an_image_of_another_machine_is_refused(fake: Fake) -> None:
    fake.image("1", "arm64")
    with pytest.raises(Rejected, match="is for arm64, and the machine is amd64"):
        await pulled(fake)


async def test_what_is_not_what_its_digest_says_is_never_kept(fake: Fake) -> None:
    fake.image("1")
    kept = dict(fake.blobs)
    for name, data in kept.items():
        for spoilt in (data[:-1], data + b"x", b"?" * len(data)):
            shutil.rmtree(store.folder(), ignore_errors=True)
            fake.blobs = {**kept, name: spoilt}
            with pytest.raises(Rejected, match="is not sha256:"):
                await pulled(fake)
            assert not store.path(name).exists()
    fake.blobs = kept
    await pulled(fake)
    assert not list(store.folder().glob(".new-*"))


async def test_what_a_disk_has_spoilt_is_pulled_again(fake: Fake) -> None:
    fake.image("1")
    for name, data in fake.blobs.items():
        await pulled(fake)
        store.path(name).write_bytes(b"?" * len(data))
        await pulled(fake)
        assert store.path(name).read_bytes() == data


async def test_a_manifest_that_is_another_one_is_refused(fake: Fake) -> None:
    wanted = fake.image("1")
    fake.documents[wanted] = ("x", b"{}")
    with pytest.raises(Rejected, match="is not sha256:"):
        await pulled(fake, f"@{wanted}")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_a_login_goes_to_the_registry_and_its_token_server_only(home: Path, auth: str) -> None:
    with Fake(auth) as fake:
        fake.image("1")
        with pytest.raises(Denied, match="without a login -> `docker login 127"):
            await pulled(fake)
        log_in(home, fake.name)
        await pulled(fake)
        elsewhere = [said for path, said in fake.asked if path.startswith("/elsewhere/")]
        assert len(elsewhere) == 2 and set(elsewhere) == {""}
        with pytest.raises(AnytierError) as refused:
            fake.auth = "bearer" if auth == "basic" else "basic"
            fake.broken = {"manifests/1": 403}
            await pulled(fake)
        assert "with the login of this machine" in str(refused.value) and "secret" not in str(refused.value)


async def test_an_identity_token_is_changed_for_one_of_the_repository(home: Path) -> None:
    with Fake("bearer") as fake:
        fake.image("1")
        log_in(home, fake.name, identitytoken="identity")
        assert (await pulled(fake)).config.cmd == ["run"]


@pytest.mark.parametrize(
    ("trouble", "kind", "what"),
    [
        (404, NotFound, "does not have it"),
        (403, Denied, "does not give it out"),
        (429, Rejected, "fewer requests"),
        (500, Unreachable, "status 500"),
        (418, Rejected, "status 418"),
        ("http://example.test/x", Unreachable, "no TLS"),
        ("file:///etc/passwd", Rejected, "status 307"),
    ],
)
async def test_what_a_registry_answers_is_told_by_its_status(
    fake: Fake, trouble: object, kind: type, what: str
) -> None:
    fake.image("1")
    fake.broken = {"manifests/1": trouble}
    with pytest.raises(kind, match=what):
        await pulled(fake)


async def test_a_registry_that_is_not_there_is_unreachable() -> None:
    reference = parse("127.0.0.1:1/a/b:1", "image")
    with pytest.raises(Unreachable, match="does not answer: Connection refused"):
        await resolve(reference)


async def test_a_cancelled_pull_leaves_nothing_half_made(fake: Fake) -> None:
    fake.image("1")
    reference = parse(f"{fake.name}/a/b:1", "image")
    digest = await resolve(reference)
    task = asyncio.create_task(pull(reference, digest, "x86_64", lambda done, total: None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)
    assert not list(store.folder().glob(".new-*"))


def test_a_disk_that_is_full_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(Rejected, match=r"Not a directory.* -> free some space there"):
        store.keep("sha256:" + "a" * 64, b"x")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("python:3.13", ("registry-1.docker.io", "library/python")),
        ("me/app", ("registry-1.docker.io", "me/app")),
        ("docker.io/me/app", ("registry-1.docker.io", "me/app")),
        ("ghcr.io/a/b:1", ("ghcr.io", "a/b")),
        ("localhost:5000/x", ("localhost:5000", "x")),
    ],
)
def test_where_an_image_is_asked_for(text: str, wanted: tuple[str, str]) -> None:
    assert address(parse(text, "image")) == wanted


def test_only_this_machine_may_do_without_tls() -> None:
    assert all(is_local(host) for host in ("localhost", "localhost:1", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"))
    assert not any(
        is_local(host) for host in ("localhost.evil.test", "127.0.0.1.evil.test", "10.0.0.1", "evil", "x@127.0.0.1.y")
    )
    assert Registry(parse("r.test/x", "image"), None)._base == "https://r.test/v2/x"


def test_challenges_are_read() -> None:
    said = 'realm="https://a/b?c=\\"d\\"",service=x, Scope="repository:a:pull,push"'
    assert parameters(said) == {"realm": 'https://a/b?c="d"', "service": "x", "scope": "repository:a:pull,push"}
