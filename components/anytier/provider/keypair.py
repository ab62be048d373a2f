"""`anytier:index:KeyPair`: an SSH key pair made once and kept, its private half as a secret, in the stack's state."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from anytier.errors import Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, secret
from anytier.provider.resource import Context, Resource


class KeyPairInputs(Frozen):
    """`comment`: what stands behind the public key, for whoever reads it on a machine."""

    comment: Annotated[str, ignored] = "anytier"


class KeyPairOutputs(Frozen):
    """Both in OpenSSH's format, ed25519."""

    public_key: str
    private_key: Annotated[str, secret]


class KeyPairResource(Resource[KeyPairInputs, KeyPairOutputs]):
    """Lives in the state only: nothing to find again, nothing to delete."""

    inputs = KeyPairInputs
    outputs = KeyPairOutputs

    def planned(self, old: KeyPairOutputs | None, inputs: KeyPairInputs) -> Mapping[str, Any]:
        return {"publicKey": old.public_key, "privateKey": old.private_key} if old else {}

    async def create(self, ctx: Context, inputs: KeyPairInputs) -> tuple[str, KeyPairOutputs]:
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519", comment=inputs.comment)
        public, private = key.export_public_key().decode().strip(), key.export_private_key().decode()
        return secrets.token_hex(8), KeyPairOutputs(public_key=public, private_key=private)

    async def read(
        self, ctx: Context, id: str, inputs: KeyPairInputs | None, state: KeyPairOutputs | None
    ) -> tuple[KeyPairInputs, KeyPairOutputs] | None:
        if inputs is None or state is None:
            do = "let a new one be made, or use a key file of your own"
            raise Rejected(id, "a generated key pair lives in the state only, and cannot be imported", do)
        return inputs, state

    async def update(
        self, ctx: Context, id: str, old_inputs: KeyPairInputs, state: KeyPairOutputs, inputs: KeyPairInputs
    ) -> KeyPairOutputs:
        return state

    async def delete(self, ctx: Context, id: str, inputs: KeyPairInputs, state: KeyPairOutputs) -> None:
        return None
