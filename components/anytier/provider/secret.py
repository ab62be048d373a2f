"""`anytier:index:Secret`: a value generated once and kept, as a secret, in the stack's state."""

from __future__ import annotations

import secrets
import string
from typing import Annotated

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces, secret
from anytier.provider.resource import Context
from anytier.provider.stateonly import StateOnly

DEFAULT_CHARSET = string.ascii_letters + string.digits


class SecretInputs(Frozen):
    """`length` characters, drawn from `charset`. A change of either makes a new value."""

    length: Annotated[int, replaces] = Field(default=32, ge=8, le=4096)
    charset: Annotated[str, replaces] = Field(default=DEFAULT_CHARSET, min_length=2)


class SecretOutputs(Frozen):
    value: Annotated[str, secret]


class SecretResource(StateOnly[SecretInputs, SecretOutputs]):
    inputs = SecretInputs
    outputs = SecretOutputs

    def check(self, inputs: SecretInputs) -> list[AnytierError]:
        if len(set(inputs.charset)) < 2:
            return [
                Rejected("charset", "has fewer than two different characters", "leave it out for letters and digits")
            ]
        return []

    async def create(self, ctx: Context, inputs: SecretInputs) -> tuple[str, SecretOutputs]:
        value = "".join(secrets.choice(inputs.charset) for _ in range(inputs.length))
        return secrets.token_hex(8), SecretOutputs(value=value)

    def unknown(self, id: str) -> AnytierError:
        return Rejected(
            id, "a generated secret lives in the state only", "it cannot be imported: give it another source"
        )
