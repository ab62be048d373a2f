"""One workload on a cluster, looked at and changed: what the rollout does by hand. Holds no decision."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from anytier.errors import NotFound
from anytier.provider.kubernetes import kinds
from anytier.provider.kubernetes.client import MANAGER, Api
from anytier.provider.kubernetes.evidence import explained
from anytier.provider.kubernetes.kinds import HASH, NUMBER, SERVED, Json, Kind, Revision, Seen

# On configs that stay for as long as a kept revision names them; whose they are is told by the labels of its pods.
KEPT_FOR = "anytier.dev/kept-for"
HOLDER = "anytier-handover"  # who has a workload's number where the object does not say it and no autoscaler has yet


@dataclass(frozen=True)
class Look:
    """A workload as it was at one moment. `sets` are what keeps its templates, `pods` what it has made."""

    kind: Kind
    live: Json
    revisions: list[Revision]
    sets: list[Json] = field(default_factory=list)
    pods: list[Json] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """Of the template that it wants now."""
        return kinds.template_hash(self.live)

    @property
    def current(self) -> Revision | None:
        return kinds.current(self.kind, self.live, self.revisions)

    @property
    def seen(self) -> Seen:
        return kinds.seen(self.kind, self.live)

    def of(self, hash: str) -> list[Json]:
        """The pods of a template that are not being stopped."""
        return [pod for pod in self.pods if kinds.note(pod, HASH) == hash and not kinds.going(pod)]

    def going(self, hash: str) -> list[Json]:
        """The pods of other templates that are being stopped."""
        return [pod for pod in self.pods if kinds.note(pod, HASH) != hash and kinds.going(pod)]

    def others(self, hash: str) -> int:
        return len([pod for pod in self.pods if kinds.note(pod, HASH) != hash])

    def serving(self, hash: str) -> int:
        return sum(kinds.ready(pod) for pod in self.of(hash))


class Workload:
    """A Deployment, StatefulSet or DaemonSet by its name."""

    def __init__(self, there: Api, kind: Kind, ns: str, name: str) -> None:
        self.there, self.kind, self.ns, self.name = there, kind, ns, name
        self.path = kinds.path(kind, ns, name)

    async def find(self) -> Look | None:
        """None: the server says that there is none."""
        live = await self.there.find(self.path)
        if live is None:
            return None
        wanted = kinds.selector(live)
        sets, pods = await asyncio.gather(
            self.there.items(kinds.keepers(self.kind, self.ns), labelSelector=wanted),
            self.there.items(kinds.pods(self.ns), labelSelector=wanted),
        )
        mine = kinds.owned_by(sets, live)
        made = kinds.owned_by(pods, live) + [pod for item in mine for pod in kinds.owned_by(pods, item)]
        return Look(self.kind, live, kinds.numbered(map(kinds.revision, mine)), mine, made)

    async def look(self) -> Look:
        found = await self.find()
        if found is None:
            do = "`pulumi up --refresh` makes it again"
            raise NotFound(f"{self.kind} {self.ns}/{self.name}", "is gone: somebody deleted it", do)
        return found

    async def put(self, look: Look, template: Json | None = None, replicas: int | None = None) -> None:
        """Another template or number. As the manager that pulumi-kubernetes is for us, so that both speak as one."""
        body = kinds.applied(look.live, MANAGER, template, replicas)
        await self.there.patch(self.path, body, "apply", force=True)

    async def note(self, look: Look, reached: Revision | None = None) -> None:
        """Numbers onto revisions that have none, and onto one when it was reached."""
        written = {item["metadata"]["name"]: kinds.note(item, NUMBER) for item in look.sets}
        for item in look.revisions:
            notes = {} if written.get(item.name) else {NUMBER: str(item.number)}
            if reached is not None and item.name == reached.name:
                notes[SERVED] = f"{time.time():.3f}"
            if notes:
                with contextlib.suppress(NotFound):  # the controller keeps only so many
                    where = f"{kinds.keepers(self.kind, self.ns)}/{item.name}"
                    await self.there.patch(where, {"metadata": {"annotations": notes}})

    async def unblock(self, look: Look, bad: str) -> None:
        """A StatefulSet waits for a broken pod to become ready, also when it goes back: such pods are taken away."""
        if self.kind == "StatefulSet":
            for pod in look.of(bad):
                if not kinds.ready(pod):
                    await self.there.delete(f"{kinds.pods(self.ns)}/{kinds.meta(pod)['name']}")

    async def hand_over(self) -> None:
        """Gives the number that is there to HOLDER, too: it stays when the object no longer says one. Nothing is done
        where there is no such workload, or the number is not ours. Conflict where it changes at this very moment."""
        live = await self.there.find(self.path)
        if live is not None and (body := handed(live)) is not None:
            await self.there.patch(self.path, body, "apply", manager=HOLDER)

    async def why(self, pods: Iterable[Json], look: Look) -> str:
        return await explained(self.there, self.ns, list(pods), [look.live, *look.sets])

    async def keep(self, look: Look) -> None:
        """Configs of revisions that are kept stay with the workload, and go with it; the others go now."""
        users = [*(item.template for item in look.revisions), look.live]
        await keep(self.there, self.ns, kinds.selector(look.live), look.live, users)


async def keep(there: Api, ns: str, selector: str, owner: Json, users: Iterable[Any]) -> None:
    """Of the kept configs that have these labels: those that none of `users` names are removed, the others are the
    owner's, so that the cluster removes them with it."""
    named = {text for user in users for text in strings(user)}
    owners = [
        {key: owner[key] for key in ("apiVersion", "kind")} | {key: owner["metadata"][key] for key in ("name", "uid")}
    ]
    for kind in ("configmaps", "secrets"):
        where = f"/api/v1/namespaces/{ns}/{kind}"
        for item in await there.items(where, labelSelector=f"{selector},{KEPT_FOR}"):
            one = f"{where}/{item['metadata']['name']}"
            if item["metadata"]["name"] not in named:
                await there.delete(one)
            elif not kinds.owned_by([item], owner):
                with contextlib.suppress(NotFound):
                    await there.patch(one, {"metadata": {"ownerReferences": owners}})


def handed(live: Json) -> dict[str, Any] | None:
    """What HOLDER applies; None where the number is not ours to hand over. Pure."""
    number = (live.get("spec") or {}).get("replicas")
    if number is None or not kinds.owns(live, MANAGER, "f:spec", "f:replicas"):
        return None
    head = {key: kinds.meta(live)[key] for key in ("name", "namespace", "uid")}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": head, "spec": {"replicas": number}}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


__all__ = ["HOLDER", "KEPT_FOR", "Look", "Workload", "handed", "keep"]
