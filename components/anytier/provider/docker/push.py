"""`anytier:docker:Push`: an image of a daemon in a registry's repository, and what it is called there by its digest.

The repository is somebody else's, who also takes it away with all that is in it. A kept revision may name an image of
long ago, so none is removed here.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import errors
from anytier.provider.docker.client import Daemon, Endpoint, daemon
from anytier.provider.fields import ignored, replaces, secret
from anytier.provider.oci import credentials
from anytier.provider.oci.reference import parse
from anytier.provider.resource import Context, Resource

_TAG = 16  # digits of the image's id in a tag


class PushInputs(Frozen):
    """`image` is on the daemon; `repository` such as `registry.example.org/shop/web`; `login` is `user:password`."""

    endpoint: Annotated[Endpoint, ignored] = Endpoint()
    image: str
    repository: Annotated[str, replaces]
    login: Annotated[str, secret, ignored]


class PushOutputs(Frozen):
    """`ref` is the image by its digest: it means the same for ever."""

    ref: str = ""


class PushResource(Resource[PushInputs, PushOutputs]):
    inputs = PushInputs
    outputs = PushOutputs

    def check(self, inputs: PushInputs) -> list[AnytierError]:
        try:
            parse(inputs.repository, "repository")
        except AnytierError as error:
            return [error]
        return []

    async def create(self, ctx: Context, inputs: PushInputs) -> tuple[str, PushOutputs]:
        return inputs.repository, await pushed(await daemon(inputs.endpoint), ctx, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: PushInputs | None, state: PushOutputs | None
    ) -> tuple[PushInputs, PushOutputs] | None:
        """What was pushed is named by its digest, and nodes say so where it is gone."""
        if inputs is None:
            raise Rejected(id, "what was pushed is not imported", "let `pulumi up` push it")
        return inputs, state or PushOutputs()

    async def update(
        self, ctx: Context, id: str, old_inputs: PushInputs, state: PushOutputs, inputs: PushInputs
    ) -> PushOutputs:
        return await pushed(await daemon(inputs.endpoint), ctx, inputs)

    async def delete(self, ctx: Context, id: str, inputs: PushInputs, state: PushOutputs) -> None:
        """It goes with its repository."""


async def pushed(there: Daemon, ctx: Context, inputs: PushInputs) -> PushOutputs:
    """Under a tag that is used once, since a registry may forbid to use one again; the tag here is taken off again."""
    bare = inputs.image.rpartition(":")[2][:_TAG]
    tag, about = f"{bare}-{secrets.token_hex(4)}", f"image {inputs.repository}"
    name = f"{inputs.repository}:{tag}"
    await there.post(f"images/{inputs.image}/tag", about=about, repo=inputs.repository, tag=tag)
    try:
        ctx.status(f"pushing {name}")
        digest = None
        query = there.stream(
            "POST", f"images/{inputs.repository}/push", None, about, explain=errors.of_registry,
            headers=credentials.as_header(login_of(inputs.login)), tag=tag,
        )  # fmt: skip
        async with query as messages:
            async for message in messages:
                digest = digest_in(message) or digest
    finally:
        await there.delete(f"images/{name}", about, noprune="true")
    if digest is None:
        raise Rejected(about, "was pushed, and the registry told no digest", "run again")
    return PushOutputs(ref=f"{inputs.repository}@{digest}")


def login_of(text: str) -> dict[str, str]:
    """`user:password` as the daemon takes it; the password may hold colons."""
    user, _, password = text.partition(":")
    return {"username": user, "password": password}


def digest_in(message: Mapping[str, Any]) -> str | None:
    """The last message of a push tells it."""
    found = (message.get("aux") or {}).get("Digest")
    return str(found) if found else None
