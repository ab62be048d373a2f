"""`anytier:kubernetes:Rollout`: watches a rollout that Kubernetes does, says why it fails, and takes it back.

pulumi-kubernetes has put the workload there and does not wait for it. Here the wait is: until everything is of the
wanted template, available, and what was before has gone. A template that fails goes back to the one that served last,
whose ReplicaSet (or ControllerRevision) is still there. pulumi-kubernetes then believes that the new template is there:
so the next run compares what is there with what is wanted by its hash, and puts it there again from where it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, RolloutFailed, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces, secret
from anytier.provider.kubernetes import scaler
from anytier.provider.kubernetes.client import api
from anytier.provider.kubernetes.going import Going
from anytier.provider.kubernetes.kinds import Kind, Revision
from anytier.provider.kubernetes.patience import Patience, Verdict
from anytier.provider.kubernetes.workload import Look, Workload
from anytier.provider.resource import Context, Resource
from anytier.render.template import UpdatePolicy

SOON, LATER = 0.25, 1.0  # seconds between two looks, at first and after a while
ATTEMPTS = 4  # looks that may fail in a row before the cluster is called unreachable
EMPTYING = 60.0  # seconds for the pods of a first revision that failed to go


class ClusterInputs(Frozen):
    """Which cluster: `cluster` tells one from another, by more than its address."""

    kubeconfig: Annotated[str, secret, ignored]
    cluster: Annotated[str, replaces] = ""
    ns: Annotated[str, replaces]


class RolloutInputs(ClusterInputs):
    """`kind` and `name` say what is watched, `hash` which template is wanted. `replicas` None: an autoscaler, or the
    number of nodes, decides. `rollback_to` pins a kept revision."""

    kind: Annotated[Kind, replaces] = "Deployment"
    name: Annotated[str, replaces]
    hash: str
    replicas: int | None = Field(default=None, ge=0)
    update: UpdatePolicy = UpdatePolicy()
    rollback_to: int | None = None


class KeptRevision(Frozen):
    """`served`: a rollout to it once ended well. `created_at` in seconds since 1970."""

    revision: int
    hash: str
    created_at: float
    served: bool


class RolloutOutputs(Frozen):
    """`holder` is the ReplicaSet or ControllerRevision of the template; `pending`: begun, and not ended well yet."""

    revision: int = 0
    hash: str = ""
    replicas: int = 0
    ready: int = 0
    pending: bool = False
    holder: str = ""
    history: list[KeptRevision] = Field(default_factory=list)


class RolloutResource(Resource[RolloutInputs, RolloutOutputs]):
    inputs = RolloutInputs
    outputs = RolloutOutputs

    def drifted(self, inputs: RolloutInputs, state: RolloutOutputs) -> list[str]:
        if state.pending:
            return ["hash"]
        wanted = state.replicas if inputs.replicas is None else inputs.replicas
        return ["replicas"] if state.ready < wanted or state.replicas != wanted else []

    def planned(self, old: RolloutOutputs | None, inputs: RolloutInputs) -> Mapping[str, Any]:
        return {} if inputs.replicas is None else {"replicas": inputs.replicas}

    async def create(self, ctx: Context, inputs: RolloutInputs) -> tuple[str, RolloutOutputs]:
        id = f"{inputs.ns}/{inputs.kind}/{inputs.name}"
        return id, await _Run(ctx, id, inputs, RolloutOutputs()).deploy()

    async def update(
        self, ctx: Context, id: str, old_inputs: RolloutInputs, state: RolloutOutputs, inputs: RolloutInputs
    ) -> RolloutOutputs:
        run = _Run(ctx, id, inputs, state)
        if inputs.kind != "DaemonSet":
            await run.scale()
        return await run.deploy()

    async def read(
        self, ctx: Context, id: str, inputs: RolloutInputs | None, state: RolloutOutputs | None
    ) -> tuple[RolloutInputs, RolloutOutputs] | None:
        if inputs is None or state is None:
            raise Rejected(id, "a rollout is not imported", "let `pulumi up` watch it")
        look = await Workload(api(inputs.kubeconfig), inputs.kind, inputs.ns, inputs.name).find()
        if look is None:
            return None
        found = outputs(look)
        moved = bool(found.holder) and found.holder != state.holder
        return inputs, found.model_copy(update={"pending": state.pending or moved})

    async def delete(self, ctx: Context, id: str, inputs: RolloutInputs, state: RolloutOutputs) -> None:
        """The workload is another resource's, and what belongs to it goes with it: see `Workload.keep`."""


class _Run:
    """One operation: look, put there what is wanted, wait, and on failure go back."""

    def __init__(self, ctx: Context, id: str, inputs: RolloutInputs, state: RolloutOutputs) -> None:
        self.ctx, self.id, self.inputs, self.state = ctx, id, inputs, state
        self.where = f"workloads.{inputs.name}"
        self.work = Workload(api(inputs.kubeconfig), inputs.kind, inputs.ns, inputs.name)
        self.began = time.monotonic()
        self.scaled = False  # an autoscaler that the spec no longer has is there, held at the spec's number

    async def scale(self) -> None:
        """Who decides how many there are, from now on: the spec, or an autoscaler."""
        live, number = (await self.work.look()).live, self.inputs.replicas
        if number is None:
            await scaler.release(self.work.there, self.work.ns, live)
        else:
            self.scaled = await scaler.hold(self.work.there, self.work.ns, live, number)

    async def deploy(self) -> RolloutOutputs:
        look = await self.work.look()
        before = self.state.replicas  # what was promised before this operation, to go back to
        self.ctx.made(self.id, self.recorded(look))
        wanted = self.wanted(look)
        goal = wanted.hash if wanted else self.inputs.hash
        await self.bring(look, wanted)
        if self.scaled:
            # Should this run fail, the next spec may say no number again, with a Handover that the state has already.
            with contextlib.suppress(Conflict):  # it is not ours alone then
                await self.work.hand_over()
        verdict = await self.reach(goal, look)
        look = await self.work.look()
        if verdict is not None:
            error = await self.failed(verdict, goal, look, before)
            if self.scaled:
                with contextlib.suppress(AnytierError):  # else the next run does it
                    await scaler.release(self.work.there, self.work.ns, look.live)
            raise error
        reached = look.current
        await self.work.note(look, reached)
        await self.work.keep(look)
        done = outputs(await self.drained(goal))
        return done.model_copy(update={"pending": False, "ready": done.replicas})

    def recorded(self, look: Look) -> RolloutOutputs:
        """What the state says while this is under way: what was reached before, and what is kept by now."""
        kept = {"pending": True, "history": history(look.revisions)}
        return self.state.model_copy(update=kept)

    # what is wanted

    def wanted(self, look: Look) -> Revision | None:
        """The kept revision that has to be put there; None: the wanted template is there already."""
        pin = self.inputs.rollback_to
        if pin is not None:
            for item in look.revisions:
                if item.number == pin:
                    return item if look.current is None or look.current.name != item.name else None
            choice = ", ".join(str(item.number) for item in look.revisions) or "none"
            raise NotFound("rollbackTo", f"revision {pin} is not kept", f"choose one of: {choice}")
        known = [item for item in look.revisions if item.hash == self.inputs.hash]
        recorded = next((item for item in known if item.name == self.state.holder), None)
        if look.hash == self.inputs.hash:
            edited = recorded is not None and look.current is not None and look.current.name != recorded.name
            return recorded if edited else None
        if not known:
            what = "has another template than was put there, and the one that is wanted is not kept"
            raise NotFound(f"{self.inputs.kind} {self.inputs.ns}/{self.inputs.name}", what, "`pulumi up --refresh`")
        return recorded or max(known, key=lambda item: item.number)

    async def bring(self, look: Look, wanted: Revision | None) -> None:
        """A first revision that failed was scaled to none: an autoscaler does nothing until there is one again."""
        now = (look.live.get("spec") or {}).get("replicas")
        number = self.inputs.replicas
        if self.inputs.kind == "DaemonSet" or number == now:
            number = None
        elif number is None and now == 0:
            number = 1
        if wanted is not None or number is not None:
            await self.work.put(look, wanted.template if wanted else None, number)

    # the wait

    async def reach(self, goal: str, first: Look, back: str = "") -> Verdict | None:
        """None once it is there. `back`: the hash of what is gone back from."""
        policy = self.inputs.update
        patience = Patience(policy.healthy_deadline, policy.progress_deadline, time.monotonic())
        started, pause, numbers = time.monotonic(), SOON, _Numbers(first)
        while True:
            look = await self.look_again()
            numbers.learn(look)
            self.tell(look, goal, numbers, bool(back))
            if look.hash != goal:
                raise Conflict(self.where, "was given another template meanwhile, not by this run", "run it again")
            if look.seen.settled and look.current is not None and look.current.hash == goal:
                return None
            verdict = patience.judge(look.seen, look.of(goal), look.others(goal), time.monotonic())
            if verdict is not None:
                return verdict
            if back:
                await self.work.unblock(look, back)
            await asyncio.sleep(pause)
            pause = SOON if time.monotonic() - started < 10 else LATER

    async def look_again(self) -> Look:
        """A look of many: one or a few that fail say nothing yet."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(Unreachable):
                return await self.work.look()
            await asyncio.sleep(LATER)
        return await self.work.look()

    async def drained(self, goal: str) -> Look:
        """Once no pod of another template serves on. Kubernetes calls a rollout done while old pods still drain, and
        they answer whoever has a connection to them."""
        going = Going()
        while True:
            look = await self.look_again()
            left = going.left(look.going(goal), time.monotonic())
            if not left:
                return look
            self.ctx.status(f"draining  {len(left)} of before  {time.monotonic() - self.began:.0f} s")
            await asyncio.sleep(LATER)

    def tell(self, look: Look, goal: str, numbers: _Numbers, back: bool) -> None:
        seen, here = look.seen, numbers.of(goal)
        there = numbers.before(goal)
        verb = "rolling back" if back else "rolling" if there else "scaling" if self.state.revision else "starting"
        way = f"r{there} -> r{here}" if there and not back else f"r{here}"
        text = f"{verb} {min(look.serving(goal), seen.wanted)}/{seen.wanted}  {way}"
        self.ctx.status(f"{text}  {time.monotonic() - self.began:.0f} s")

    # failure

    async def failed(self, verdict: Verdict, goal: str, look: Look, before: int) -> AnytierError:
        """The error to raise, after what was before serves again."""
        with contextlib.suppress(AnytierError):
            await self.work.note(look)
        reason = f"{verdict.reason}: {await self.work.why(verdict.pods or look.of(goal), look)}"
        if not self.inputs.update.auto_rollback:
            return self.error(f"{reason}; nothing was rolled back (autoRollback: false)", look, None)
        previous = served_before(look, goal)
        if previous is None and self.state.hash == goal and before:
            previous = next((item for item in look.revisions if item.hash == goal), None)
        if previous is None:
            return await self.emptied(reason, goal, look)
        number = before if before and self.inputs.replicas is not None else None
        if self.inputs.kind == "DaemonSet" or self.scaled:  # the autoscaler goes on from the number that is there
            number = None
        try:
            await self.work.put(look, previous.template, number)
            again = await self.reach(previous.hash, look, back=goal)
            look = await self.work.look()
            if again is not None:
                why = await self.work.why(again.pods, look)
                reason = f"{reason}; and the way back failed: {again.reason}: {why}"
        except AnytierError as error:
            reason = f"{reason}; and the way back failed: {error}"
        self.ctx.made(self.id, self.recorded(look).model_copy(update={"revision": previous.number}))
        return self.error(reason, look, previous)

    async def emptied(self, reason: str, goal: str, look: Look) -> AnytierError:
        """Nothing served before: as on other places, nothing of what failed stays."""
        if self.inputs.kind == "DaemonSet":
            return self.error(f"{reason}; its pods stay as they are, since a DaemonSet knows no number", look, None)
        await self.work.put(look, replicas=0)
        limit = time.monotonic() + EMPTYING
        while look.of(goal) and time.monotonic() < limit:
            self.ctx.status(f"removing  {len(look.of(goal))} left")
            await asyncio.sleep(SOON)
            look = await self.work.look()
        return self.error(reason, look, None)

    def error(self, reason: str, look: Look, previous: Revision | None) -> RolloutFailed:
        return RolloutFailed(self.where, reason, f"{serves(look, previous)}; mend it and run `pulumi up` again")


class _Numbers:
    """Numbers of revisions as they become known; the next one until then."""

    def __init__(self, look: Look) -> None:
        self.known: dict[str, int] = {}
        self.first = served_before(look, "")
        self.learn(look)

    def learn(self, look: Look) -> None:
        self.known |= {item.hash: item.number for item in look.revisions}

    def of(self, hash: str) -> int:
        return self.known.get(hash) or max(self.known.values(), default=0) + 1

    def before(self, goal: str) -> int:
        return self.first.number if self.first is not None and self.first.hash != goal else 0


def served_before(look: Look, goal: str) -> Revision | None:
    """What was reached last, other than `goal`."""
    served = [item for item in look.revisions if item.served and item.hash != goal]
    return max(served, key=lambda item: item.served, default=None)


def serves(look: Look, previous: Revision | None) -> str:
    """Such as `r7 keeps serving on 2 of 2 replicas`."""
    if previous is not None:
        return f"r{previous.number} keeps serving on {look.serving(previous.hash)} of {look.seen.wanted} replicas"
    counts = {item.number: look.serving(item.hash) for item in look.revisions}
    said = [f"r{number} serves on {count}" for number, count in counts.items() if count]
    return ", ".join(said) or "it was the first revision: nothing serves"


def history(revisions: list[Revision]) -> list[KeptRevision]:
    return [
        KeptRevision(revision=item.number, hash=item.hash, created_at=item.created, served=bool(item.served))
        for item in revisions
    ]


def outputs(look: Look) -> RolloutOutputs:
    """What is there now, changing nothing."""
    current = look.current
    return RolloutOutputs(
        revision=current.number if current else 0,
        hash=current.hash if current else look.hash,
        replicas=look.seen.wanted,
        ready=look.serving(current.hash) if current else 0,
        holder=current.name if current else "",
        history=history(look.revisions),
    )


__all__ = ["ClusterInputs", "RolloutInputs", "RolloutOutputs", "RolloutResource"]
