"""`anytier:index:Identity`: a token in the stack's state, by which a place knows again whose deployment is on it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from anytier.errors import Rejected
from anytier.frozen import Frozen
from anytier.provider.resource import Context, Resource


class IdentityInputs(Frozen):
    pass


class IdentityOutputs(Frozen):
    """`token`: 32 hex digits. No secret: it opens nothing, and lies in labels and files of the place."""

    token: str


class IdentityResource(Resource[IdentityInputs, IdentityOutputs]):
    """Lives in the state only: nothing to find again, nothing to delete."""

    inputs = IdentityInputs
    outputs = IdentityOutputs

    def planned(self, old: IdentityOutputs | None, inputs: IdentityInputs) -> Mapping[str, Any]:
        return {"token": old.token} if old else {}

    async def create(self, ctx: Context, inputs: IdentityInputs) -> tuple[str, IdentityOutputs]:
        token = secrets.token_hex(16)
        return token, IdentityOutputs(token=token)

    async def read(
        self, ctx: Context, id: str, inputs: IdentityInputs | None, state: IdentityOutputs | None
    ) -> tuple[IdentityInputs, IdentityOutputs] | None:
        """Imported by its token alone, where a state was lost and what it has deployed is to be its successor's."""
        if state is not None:
            return inputs or IdentityInputs(), state
        if len(id) != 32 or not set(id) <= set("0123456789abcdef"):
            do = "use the 32 hex digits after the `#` of the owner that is recorded at the place"
            raise Rejected(id, "is not the token of a deployment", do)
        return IdentityInputs(), IdentityOutputs(token=id)

    async def update(
        self, ctx: Context, id: str, old_inputs: IdentityInputs, state: IdentityOutputs, inputs: IdentityInputs
    ) -> IdentityOutputs:
        return state

    async def delete(self, ctx: Context, id: str, inputs: IdentityInputs, state: IdentityOutputs) -> None:
        return None
