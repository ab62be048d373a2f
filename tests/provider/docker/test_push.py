"""An image in a registry: under a tag that is used once, by its digest afterwards, and nothing left on the daemon."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import NotFound, Rejected
from anytier.provider.docker import push
from anytier.provider.docker.push import PushInputs, PushResource, digest_in, login_of
from anytier.provider.resource import Context

DIGEST = "sha256:" + "ab" * 32
GIVEN = PushInputs(image="sha256:0123456789abcdef0123", repository="registry.example.org/shop/web", login="AWS:a:b")


class Daemon:
    """Takes a tag, a push and the tag's end; `says` is what a push is answered."""

    def __init__(self, says: list[dict[str, Any]]) -> None:
        self.says, self.asked = says, list[tuple[str, dict[str, Any]]]()

    async def post(self, path: str, about: str = "", **params: Any) -> None:
        self.asked.append((path, params))

    async def delete(self, path: str, about: str = "", **params: Any) -> None:
        self.asked.append((path, params))

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, data: Any, about: str, **params: Any) -> AsyncIterator[Any]:
        self.asked.append((path, params))

        async def told() -> AsyncIterator[dict[str, Any]]:
            for message in self.says:
                if "error" in message:
                    raise params["explain"](about, 404, message["error"])
                yield message

        yield told()


class Quiet:
    def status(self, urn: str, text: str) -> None: ...

    def info(self, urn: str, text: str) -> None: ...

    def warn(self, urn: str, text: str) -> None: ...


def ctx() -> Context:
    return Context("urn", "web", Quiet())


async def test_a_push_ends_with_the_images_digest_and_leaves_no_tag_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Daemon([{"status": "Preparing"}, {"aux": {"Tag": "x", "Digest": DIGEST, "Size": 1}}])

    async def found(endpoint: Any) -> Daemon:
        return there

    monkeypatch.setattr(push, "daemon", found)
    id, made = await PushResource().create(ctx(), GIVEN)
    assert (id, made.ref) == (GIVEN.repository, f"{GIVEN.repository}@{DIGEST}")
    (tagging, tag), (pushing, sent), (last, _) = there.asked
    assert tagging == f"images/{GIVEN.image}/tag" and tag["tag"].startswith("0123456789abcdef-")
    assert pushing == f"images/{GIVEN.repository}/push" and sent["tag"] == tag["tag"]
    login = json.loads(base64.urlsafe_b64decode(sent["headers"]["X-Registry-Auth"]))
    assert login == {"username": "AWS", "password": "a:b"}
    assert last == f"images/{GIVEN.repository}:{tag['tag']}"
    again = await PushResource().update(ctx(), id, GIVEN, made, GIVEN)
    assert again == made and there.asked[3][1]["tag"] != tag["tag"]  # a registry may forbid to use a tag again


@pytest.mark.parametrize(("says", "error"), [([{"error": "no such repository"}], NotFound), ([{}], Rejected)])
async def test_a_push_that_fails_says_so_and_leaves_no_tag_behind(says: list[dict[str, Any]], error: Any) -> None:
    there = Daemon(says)
    with pytest.raises(error, match=r"image registry\.example\.org/shop/web"):
        await push.pushed(there, ctx(), GIVEN)  # type: ignore[arg-type]
    assert there.asked[-1][0].startswith(f"images/{GIVEN.repository}:0123456789abcdef-")


def test_a_repository_that_is_none_is_refused() -> None:
    assert PushResource().check(GIVEN) == []
    assert PushResource().check(GIVEN.model_copy(update={"repository": "Registry/UPPER case"}))


@given(st.text(st.characters(exclude_characters=":")), st.text())
def test_a_password_keeps_its_colons(user: str, password: str) -> None:
    assert login_of(f"{user}:{password}") == {"username": user, "password": password}


@given(st.dictionaries(st.sampled_from(["status", "progress", "id"]), st.text()))
def test_only_the_last_message_tells_a_digest(message: dict[str, str]) -> None:
    assert digest_in(message) is None and digest_in({"aux": {"Digest": DIGEST}}) == DIGEST
