"""`anytier:index:KeyPair`: an SSH key pair made once and kept, its private half as a secret, in the stack's state."""

from __future__ import annotations

import secrets
from typing import Annotated

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, secret
from anytier.provider.resource import Context
from anytier.provider.stateonly import StateOnly


class KeyPairInputs(Frozen):
    """`comment`: what stands behind the public key, for whoever reads it on a machine."""

    comment: Annotated[str, ignored] = "anytier"


class KeyPairOutputs(Frozen):
    """Both in OpenSSH's format, ed25519."""

    public_key: str
    private_key: Annotated[str, secret]


class KeyPairResource(StateOnly[KeyPairInputs, KeyPairOutputs]):
    inputs = KeyPairInputs
    outputs = KeyPairOutputs

    async def create(self, ctx: Context, inputs: KeyPairInputs) -> tuple[str, KeyPairOutputs]:
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519", comment=inputs.comment)
        public, private = key.export_public_key().decode().strip(), key.export_private_key().decode()
        return secrets.token_hex(8), KeyPairOutputs(public_key=public, private_key=private)

    def unknown(self, id: str) -> AnytierError:
        do = "let a new one be made, or use a key file of your own"
        return Rejected(id, "a generated key pair lives in the state only, and cannot be imported", do)
