"""Requests about a resource: each is read, handed to the resource, and answered.

Everything that all resources share is here, once: unknowns, secrets, previews, partial failures, cancellation. What is
particular to one kind of thing is in its resource.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2
from pydantic_core import to_jsonable_python

from anytier.errors import NotFound, Unreachable
from anytier.frozen import Frozen
from anytier.marks import UNKNOWN
from anytier.names import UP_ENV
from anytier.provider import failure, values
from anytier.provider.check import check, completed, near, parse, partial, remark, secrets_in, wire
from anytier.provider.diff import Change, by_path, diff, drift, forced, ignored_paths, top_level
from anytier.provider.engine import EngineSink
from anytier.provider.fields import fields
from anytier.provider.operation import Operations, Outcome
from anytier.provider.redaction import redactor
from anytier.provider.registry import Registry
from anytier.provider.resource import AnyResource, Context
from anytier.provider.settled import INCOMPLETE, SETTLED
from anytier.provider.values import has_unknown, parse_path, plain

Tree = dict[str, Any]
Rpc = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Subject:
    """What a request is about."""

    urn: str
    name: str
    resource: AnyResource

    def inputs(self, tree: Tree) -> Any:
        """A tree of inputs as the resource's model; not validated where something is unknown."""
        bare = plain(tree)
        kind = self.resource.inputs
        return partial(kind, bare) if has_unknown(bare) else parse(kind, bare)

    def state(self, tree: Tree) -> Any:
        return parse(self.resource.outputs, _visible(plain(tree)))

    def outputs(self, outputs: Frozen | Mapping[str, Any], *origins: Tree) -> Tree:
        """Outputs for the engine, secret wherever an origin is."""
        bare = wire(outputs) if isinstance(outputs, Frozen) else dict(outputs)
        marked: Tree = remark(self.resource.outputs, bare, *origins)
        return marked


class Handler:
    """All that needs to know the resources' models."""

    def __init__(self, registry: Registry, sink: EngineSink, operations: Operations, version: str) -> None:
        self.operations = operations
        self._registry = registry
        self._sink = sink
        self._version = version

    # Pure: no remote call

    async def check(self, request: provider_pb2.CheckRequest, context: Rpc) -> provider_pb2.CheckResponse:
        subject = await self._subject(request, context)
        inputs = values.read(request.news)
        try:
            tree, failures = check(subject.resource.inputs, inputs, subject.resource.check)
        except Exception as error:  # a resource's bug must reach the user as one line
            await _abort(context, self._failed(subject, error, inputs))
        if failures:
            # With a property the engine prints its value, secret or not: the path goes into the reason instead.
            found = [provider_pb2.CheckFailure(reason=str(item)) for item in failures]
            return provider_pb2.CheckResponse(inputs=request.news, failures=found)
        return provider_pb2.CheckResponse(inputs=values.write(tree))

    async def diff(self, request: provider_pb2.DiffRequest, context: Rpc) -> provider_pb2.DiffResponse:
        subject = await self._subject(request, context)
        old, new, state = values.read(request.old_inputs), values.read(request.news), values.read(request.olds)
        try:
            changes = _changes(subject, old, new, state, request.ignoreChanges)
        except Exception as error:  # as above
            await _abort(context, self._failed(subject, error, old, new, state))
        return _diff_response(changes, unfinished=INCOMPLETE in state)

    # Effects

    async def create(self, request: provider_pb2.CreateRequest, context: Rpc) -> provider_pb2.CreateResponse:
        subject = await self._subject(request, context)
        inputs = values.read(request.properties)
        if request.preview:
            planned = await self._planned(subject, context, None, inputs)
            return provider_pb2.CreateResponse(properties=values.write(planned))
        ctx, wanted = self._context(subject, inputs), subject.inputs(inputs)
        work = self._perform(subject.resource.create, ctx, wanted)
        id, outputs = await self._finish(subject, context, ctx, work, request.timeout, "create", inputs)
        state = self._state(subject, outputs, wanted, inputs)
        return provider_pb2.CreateResponse(id=id, properties=values.write(state))

    async def update(self, request: provider_pb2.UpdateRequest, context: Rpc) -> provider_pb2.UpdateResponse:
        subject = await self._subject(request, context)
        old, inputs, state = values.read(request.old_inputs), values.read(request.news), values.read(request.olds)
        if request.preview:
            planned = await self._planned(subject, context, state, inputs)
            await self._foretell(subject, old, state, inputs)
            return provider_pb2.UpdateResponse(properties=values.write(planned))
        ctx, wanted = self._context(subject, inputs, old, state), subject.inputs(inputs)
        given = (request.id, subject.inputs(old), subject.state(state), wanted)
        work = self._perform(subject.resource.update, ctx, *given)
        outputs = await self._finish(subject, context, ctx, work, request.timeout, "update", inputs, old, state)
        new = self._state(subject, outputs, wanted, inputs, state)
        return provider_pb2.UpdateResponse(properties=values.write(new))

    async def read(self, request: provider_pb2.ReadRequest, context: Rpc) -> provider_pb2.ReadResponse:
        subject = await self._subject(request, context)
        old, state = values.read(request.inputs), values.read(request.properties)
        ctx = self._context(subject, old, state)
        given = (request.id, subject.inputs(old) if old else None, subject.state(state) if state else None)
        work = _unless_gone(self._perform(subject.resource.read, ctx, *given))
        if state and os.environ.get(UP_ENV):
            work = _unless_silent(work)
        found = await self._finish(subject, context, ctx, work, request.timeout, "read", old, state)
        if isinstance(found, Unreachable):
            # The update that follows sees to it: it starts what is silent, lets go of what is not wanted, or fails.
            unseen = values.write({**state, INCOMPLETE: True})
            return provider_pb2.ReadResponse(id=request.id, properties=unseen, inputs=request.inputs)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = found
        seen = _seen(subject, old, inputs)
        unfinished = {key: value for key, value in state.items() if key == INCOMPLETE}
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=values.write({**self._state(subject, outputs, inputs, seen, old, state), **unfinished}),
            inputs=values.write(seen),
        )

    async def delete(self, request: provider_pb2.DeleteRequest, context: Rpc) -> Empty:
        subject = await self._subject(request, context)
        inputs, state = values.read(request.old_inputs), values.read(request.properties)
        ctx = self._context(subject, inputs, state)
        given = (request.id, subject.inputs(inputs), subject.state(state))
        work = _unless_gone(self._perform(subject.resource.delete, ctx, *given))
        await self._finish(subject, context, ctx, work, request.timeout, "delete", inputs, state, keeps=False)
        return Empty()

    # Shared steps

    async def _subject(self, request: Any, context: Rpc) -> Subject:
        """The resource a request is about. A child's type is the chain of its parents' types, joined by `$`."""
        chain = request.type or request.urn.split("::")[2]
        token = chain.rpartition("$")[2]
        kind = self._registry.load(token)
        if kind is None:
            text = f"anytier has no resource {token}{near(token, self._registry.tokens())}"
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
        return Subject(request.urn, request.name or request.urn.rpartition("::")[2], kind())

    def _context(self, subject: Subject, *trees: Tree) -> Context:
        return Context(subject.urn, subject.name, self._sink, redactor(_secrets(subject, trees)))

    async def _perform(self, step: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        return await step(*given)

    async def _planned(self, subject: Subject, context: Rpc, state: Tree | None, inputs: Tree) -> Tree:
        """The outputs of a preview: what the resource knows beforehand, and otherwise unknown."""
        old = subject.state(state) if state else None
        known: Mapping[str, Any] = {}
        try:
            known = subject.resource.planned(old, subject.inputs(inputs))
        except Exception as error:  # it may have tripped over an unknown value
            if not has_unknown(inputs):
                await _abort(context, self._failed(subject, error, inputs))
        known = {**known, **await self._foreseen(subject, context, old, state or {}, inputs)}
        outputs = dict.fromkeys(fields(subject.resource.outputs), UNKNOWN) | {
            name: _bare(value) for name, value in known.items()
        }
        return subject.outputs(outputs, inputs, state or {})

    async def _foreseen(self, subject: Subject, context: Rpc, old: Any, state: Tree, inputs: Tree) -> Mapping[str, Any]:
        """What the resource reads beforehand; nothing where it would have to be guessed of what."""
        if has_unknown(inputs):
            return {}
        ctx = self._context(subject, inputs, state)
        work = self._perform(subject.resource.foreseen, ctx, old, subject.inputs(inputs))
        found: Mapping[str, Any] = await self._finish(
            subject, context, ctx, work, 0, "preview", inputs, state, keeps=False
        )
        return found

    async def _foretell(self, subject: Subject, old: Tree, state: Tree, inputs: Tree) -> None:
        """What a preview should say beyond the diff; nothing where it would have to be guessed."""
        if has_unknown(inputs) or has_unknown(old):
            return
        ctx = self._context(subject, inputs, old, state)
        for line in subject.resource.foretold(subject.inputs(old), subject.state(state), subject.inputs(inputs)):
            ctx.info(line)
        await self._sink.flush()

    async def _finish(
        self,
        subject: Subject,
        context: Rpc,
        ctx: Context,
        work: Any,
        timeout: float,
        what: str,
        inputs: Tree,
        *olds: Tree,
        keeps: bool = True,
    ) -> Any:
        """The work's result; or the request ends here, with what was made so far recorded."""
        outcome: Outcome[Any] = await self.operations.run(work, timeout, what)
        self._sink.forget(subject.urn)
        await self._sink.flush()
        if outcome.error is None:
            return outcome.value
        failed = self._failed(subject, outcome.error, inputs, *olds)
        if keeps and ctx.last_made is not None:
            made = subject.outputs(ctx.last_made.outputs, inputs, *olds)
            failed = failure.partial(failed.details, ctx.last_made.id, made, inputs)
        await _abort(context, failed)

    def _state(self, subject: Subject, outputs: Frozen, inputs: Frozen, *origins: Tree) -> Tree:
        """What the engine keeps of a resource, with the mark that it is as its inputs want it."""
        drifted = subject.resource.drifted(inputs, outputs)
        return subject.outputs(outputs, *origins) | ({} if drifted else {SETTLED: self._version})

    def _failed(self, subject: Subject, error: BaseException, *trees: Tree) -> failure.Status:
        hide = redactor(_secrets(subject, trees))
        failure.note(error, hide)
        return failure.status(error, hide)


async def _abort(context: Rpc, status: failure.Status) -> NoReturn:
    await context.abort(status.code, status.details, status.metadata)
    raise AssertionError("abort returned")


async def _unless_gone(work: Awaitable[Any]) -> Any:
    """The place answered that it is not there: that is an answer, not an error."""
    try:
        return await work
    except NotFound:
        return None


async def _unless_silent(work: Awaitable[Any]) -> Any:
    """The silence of a place as a value: here it stops nothing."""
    try:
        return await work
    except Unreachable as silence:
        return silence


def _changes(subject: Subject, old: Tree, new: Tree, state: Tree, ignore: Iterable[str]) -> list[Change]:
    resource, ignored = subject.resource, ignored_paths(ignore)
    changes = diff(
        resource.inputs, completed(resource.inputs, plain(old)), completed(resource.inputs, plain(new)), ignored
    )
    if has_unknown(new):
        return changes
    wanted = subject.inputs(new)
    if changes:
        changes = forced(changes, map(parse_path, resource.replaces(subject.inputs(old), wanted)))
    return drift(changes, map(parse_path, resource.drifted(wanted, subject.state(state))))


def _diff_response(changes: list[Change], unfinished: bool) -> provider_pb2.DiffResponse:
    some = bool(changes) or unfinished
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if some else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=top_level(changes),
        replaces=top_level(change for change in changes if change.replaces),
        deleteBeforeReplace=any(change.replaces and change.delete_first for change in changes),
        hasDetailedDiff=True,
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(change.name), inputDiff=True)
            for path, change in by_path(changes).items()
        },
    )


def _seen(subject: Subject, old: Tree, inputs: Frozen) -> Tree:
    """The inputs that a read found: those on record where nothing differs, so that a spelling never shows as drift."""
    kind, found = subject.resource.inputs, wire(inputs)
    if old and not diff(kind, completed(kind, plain(old)), found):
        return old
    marked: Tree = remark(kind, found, old)
    return marked


def _secrets(subject: Subject, trees: Iterable[Tree]) -> frozenset[str]:
    return frozenset(text for tree in trees for text in secrets_in(subject.resource.inputs, tree))


def _visible(tree: Tree) -> Tree:
    """State without the marks that are the servicer's own."""
    return {key: value for key, value in tree.items() if not key.startswith("__")}


def _bare(value: Any) -> Any:
    """What `planned` may hold: JSON, models, UNKNOWN."""
    if isinstance(value, Frozen):
        return wire(value)
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value if value is UNKNOWN else to_jsonable_python(value)
