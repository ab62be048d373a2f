"""The key pair that is made once: a real one, and its private half a secret wherever it goes."""

from __future__ import annotations

import asyncssh
import pytest
from tests.provider.sink import Sink

from anytier.errors import Rejected
from anytier.provider.check import remark, wire
from anytier.provider.fields import behaviour
from anytier.provider.host.models import HostInputs
from anytier.provider.host.sshref import SshRef
from anytier.provider.keypair import KeyPairInputs, KeyPairOutputs, KeyPairResource
from anytier.provider.resource import Context
from anytier.provider.values import secret_paths

resource = KeyPairResource()


def context() -> Context:
    return Context("urn:pulumi:t::t::t::t", "t", Sink())


async def test_it_is_a_pair_and_stays_what_it_is() -> None:
    given = KeyPairInputs(comment='web "1"')
    id, made = await resource.create(context(), given)
    key = asyncssh.import_private_key(made.private_key)
    assert key.export_public_key().decode().split()[:2] == made.public_key.split()[:2]
    assert made.public_key.startswith("ssh-ed25519 ")
    assert await resource.update(context(), id, given, made, KeyPairInputs()) == made
    assert await resource.read(context(), id, given, made) == (given, made)
    assert resource.planned(made, given) == {"publicKey": made.public_key, "privateKey": made.private_key}
    assert (await resource.create(context(), given))[1] != made


async def test_it_cannot_be_imported() -> None:
    with pytest.raises(Rejected, match="lives in the state only"):
        await resource.read(context(), "x", None, None)


def test_the_private_half_is_a_secret_in_every_place() -> None:
    assert behaviour(KeyPairOutputs, ("privateKey",)).secret and not behaviour(KeyPairOutputs, ("publicKey",)).secret
    ref = SshRef(address="web1", private_key="the key", user="deploy")
    inputs = HostInputs(machine=ref, root="/r", supervisor="systemd-system", ns="n")
    assert ("machine", "privateKey") in set(secret_paths(remark(HostInputs, wire(inputs))))
    # it is the way to a machine, no part of what is there, and nothing that may lie there
    assert behaviour(HostInputs, ("machine", "privateKey")).ignored
    assert "the key" not in str(inputs.recorded()) and inputs.recorded()["machine"]["user"] == "deploy"
    assert "ns" not in inputs.recorded("ns")
