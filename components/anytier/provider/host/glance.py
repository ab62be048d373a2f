"""A preview's look at a machine: facts are read, nothing is changed, and nothing of it is kept.

What would stop an `up` stops the preview: another host key, a machine that does not do. Silence does not, nor a login
that only others have: whoever runs the `up` may stand elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anytier.errors import AnytierError, Unreachable
from anytier.provider.host.dial import HostKeys, known_keys, learn, path_of, with_keys
from anytier.provider.host.sshref import SshLogin, SshRef
from anytier.provider.ssh import NoLogin

STEP = 5.0  # seconds for TCP and for the login of each hop; less where the stack says less
WHOLE = 10.0  # seconds for all of it


async def glance(ref: SshRef, say: Callable[[str], None], warn: Callable[[str], None]) -> dict[str, Any] | None:
    """What the machine is (`agent.facts`), by a connection that ends here; None where it did not say, which is told.

    Host keys that are given, or in `known_hosts`, are verified. One that is known nowhere is believed for these facts
    alone: it is told, and the `up` learns for itself what it then sees. Raises what an `up` would end with, too.
    """
    try:
        async with asyncio.timeout(WHOLE):
            keys, about = await _look(ref.model_copy(update={"connect_timeout": min(ref.connect_timeout, STEP)}))
    except TimeoutError:
        warn(unseen(Unreachable(path_of(ref), f"no answer within {WHOLE:g} s")))
        return None
    except (Unreachable, NoLogin) as error:
        warn(unseen(error))
        return None
    for hop, key in strangers(ref, keys):
        say(f"{path_of(hop)} shows the host key {key}, which is known nowhere yet: `up` will learn it")
    return about


def unseen(error: AnytierError) -> str:
    return f"not looked at: {error.path}: {error.what}. Whether it does, and its memory suffices, the `up` will tell"


def strangers(ref: SshRef, keys: HostKeys) -> list[tuple[SshLogin, str | None]]:
    """The hops whose key nobody has vouched for, with what they show."""
    hops = [*([(ref.jump, keys.jump)] if ref.jump else []), (ref, keys.machine)]
    return [(hop, key) for hop, key in hops if hop.host_key is None and not known_keys(hop)]


async def _look(ref: SshRef) -> tuple[HostKeys, dict[str, Any]]:
    from anytier.provider.host.ssh import SshMachine

    keys = await learn(ref)
    machine = SshMachine(with_keys(ref, keys))
    try:
        return keys, await machine.about()
    finally:
        await machine.close()
