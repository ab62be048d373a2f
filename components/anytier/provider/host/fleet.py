"""The machines of a deployment: which there are, which come and go, and what a workload remembers on all of them.

Every machine holds the records of its own instances, and all of the workload's revisions, so that each can start any.
A machine that does not answer is Unreachable and stops the run; one that was taken out of the list and is down is let
go with a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from anytier.errors import AnytierError, Unreachable
from anytier.provider.host.models import HostInputs, Member, Revision, WorkloadRecord, same_machine
from anytier.provider.host.place import Place, of, revision_key, share_key
from anytier.provider.host.store import Kept, Store, content_hash, made_now, next_number
from anytier.provider.waiting import all_of
from anytier.render.template import Template


@dataclass(frozen=True)
class Spot:
    """A machine of the fleet and the app's corner there."""

    member: Member
    place: Place


def members_of(inputs: HostInputs) -> list[Member]:
    """The machines; the only one has no name."""
    return list(inputs.machines) if inputs.machines else [Member(name="", machine=inputs.machine)]


def gone_from(before: Iterable[Member], now: Sequence[Member]) -> list[Member]:
    """Those of `before` that are not among `now`, each by a name that none of those has."""
    taken = {item.name for item in now}
    gone = []
    for item in before:
        if not any(same_machine(item.machine, other.machine) for other in now):
            name = item.name if item.name and item.name not in taken else f"{item.machine} (leaves)"
            gone.append(item.model_copy(update={"name": name}))
    return gone


async def spots_of(inputs: HostInputs, members: Sequence[Member]) -> list[Spot]:
    places = await all_of(of(on_member(inputs, member)) for member in members)
    return [Spot(member, place) for member, place in zip(members, places, strict=True)]


def on_member(inputs: HostInputs, member: Member) -> HostInputs:
    """The inputs as if that machine were the only one."""
    return inputs.model_copy(update={"machine": member.machine, "machines": None})


async def reached(inputs: HostInputs, members: Sequence[Member]) -> tuple[list[Spot], list[AnytierError]]:
    """The machines that answer, and what the others' silence is."""
    found = await asyncio.gather(*(_answering(inputs, member) for member in members), return_exceptions=True)
    for item in found:
        if isinstance(item, BaseException) and not isinstance(item, Unreachable):
            raise item
    spots = [item for item in found if isinstance(item, Spot)]
    return spots, [item for item in found if isinstance(item, Unreachable)]


async def _answering(inputs: HostInputs, member: Member) -> Spot:
    (spot,) = await spots_of(inputs, [member])
    await spot.place.machine.list(spot.place.layout.root)  # a place that is known already may be away by now
    return spot


async def leaving(warn: Callable[[str], None], inputs: HostInputs, gone: Sequence[Member]) -> list[Spot]:
    """Machines that were taken out of the list and can still be emptied. One that is down is let go."""
    spots, away = await reached(inputs, gone)
    for error in away:
        warn(f"{error.path} is no longer in the list and does not answer: it is let go, and what is on it stays there")
    return spots


class Ledger:
    """A workload's records over all of its machines. Nothing is cached: the machines are the truth."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = list(stores)

    async def record(self) -> WorkloadRecord | None:
        """The first in the order of the machines: they say the same, unless a run was killed between two of them."""
        found = await all_of(store.record() for store in self.stores)
        return next((record for record in found if record is not None), None)

    async def save(self, record: WorkloadRecord) -> None:
        await all_of(store.save(record) for store in self.stores)

    async def revisions(self) -> dict[int, Kept]:
        kept: dict[int, Kept] = {}
        for found in await all_of(store.revisions() for store in self.stores):
            kept = {**found, **kept}
        return dict(sorted(kept.items()))

    async def revise(self, template: Template, secrets: Mapping[str, str]) -> tuple[Kept, dict[int, Kept]]:
        """The revision for this content, new or known, and all that are kept; afterwards every machine has them.

        The same content as the newest or the current one is that revision: a run that was killed half way finds its
        own again. What an older one had gets a number of its own again, so that numbers tell what came after what.
        """
        by_store = await all_of(store.revisions() for store in self.stores)
        kept: dict[int, Kept] = {}
        for found in by_store:
            kept = {**found, **kept}
        digest = content_hash(await self._key(), template, secrets)
        record = await self.record()
        current = record.revision if record else 0
        wanted = next((kept[n] for n in (current, max(kept, default=0)) if n in kept and kept[n].is_(digest)), None)
        if wanted is None:
            there = await all_of(store.instances() for store in self.stores)
            number = next_number(kept, [item for items in there for item in items])
            wanted = made_now(number, digest, template, secrets)
            kept[number] = wanted
        lacks = [
            (store, [item for number, item in kept.items() if number not in found])
            for store, found in zip(self.stores, by_store, strict=True)
        ]
        await all_of(store.keep(items) for store, items in lacks if items)
        return wanted, dict(sorted(kept.items()))

    async def served(self, kept: Kept) -> None:
        await all_of(store.served(kept) for store in self.stores)

    async def prune(self, current: int, retain: int) -> None:
        await all_of(store.prune(current, retain) for store in self.stores)

    async def forget(self) -> None:
        await all_of(store.forget() for store in self.stores)

    async def _key(self) -> bytes:
        """One key for all machines: that of the first one that has one."""
        if len(self.stores) == 1:
            return await revision_key(self.stores[0].place)
        return await share_key([store.place for store in self.stores])


async def foreign(known: Ledger, store: Store) -> bool:
    """Whether what a machine that comes back remembers is not what its fellows do: it was away while they moved on."""
    theirs: dict[int, str] = {n: item.revision.hash for n, item in (await known.revisions()).items()}
    mine: dict[int, Revision] = {n: item.revision for n, item in (await store.revisions()).items()}
    return bool(theirs) and any(theirs.get(number) != item.hash for number, item in mine.items())
