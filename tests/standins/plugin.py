"""The generic provider: one servicer for all three clouds, speaking Pulumi's protocol.

Names, types and what is required come from the SDK (`shapes`), what replaces a resource from facts/*.json, what is
particular to a cloud from `clouds`, and what there is, and what goes wrong, from the folder (`world`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from tests.standins import invent
from tests.standins.changes import Change, changes, replacing
from tests.standins.check import check, fits, near
from tests.standins.clouds.base import Cloud, Refused, Scene
from tests.standins.shapes import Sdk, Shape
from tests.standins.world import FOLDER, Fault, Thing, World

from anytier.marks import UNKNOWN
from anytier.provider.values import path_text, plain, read, write

CLOUDS = {
    "aws": "tests.standins.clouds.aws:Aws",
    "gcp": "tests.standins.clouds.gcp:Gcp",
    "azure-native": "tests.standins.clouds.azure:Azure",
}
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# What a cloud says of all its things, also of those that have no room for it.
EVERYWHERE = {"region", "project", "tagsAll", "effectiveLabels", "pulumiLabels"}
OF_ENGINE = ("version", "pluginDownloadURL", "__internal")  # what a provider's configuration holds besides
Rpc = grpc.aio.ServicerContext[Any, Any]
Tree = dict[str, Any]
Diff = provider_pb2.DiffResponse


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """One process of one provider. What goes wrong is an error of code UNKNOWN, as from the real providers."""

    def __init__(self, cloud: Cloud, world: World) -> None:
        self._cloud = cloud
        self._world = world
        self._sdk = Sdk(cloud.package)
        self._config: Tree = {}
        self.cancelled = asyncio.Event()

    # the provider itself

    async def GetPluginInfo(self, request: Empty, context: Rpc) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._sdk.version)

    async def GetSchema(self, request: Any, context: Rpc) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self._cloud.name, "version": self._sdk.version})
        )

    async def CheckConfig(self, request: provider_pb2.CheckRequest, context: Rpc) -> provider_pb2.CheckResponse:
        given = plain(read(request.news))
        known = self._sdk.provider().inputs
        strange = [key for key in given if key not in known and key not in OF_ENGINE]
        wrong = [f"{key}: is not known to the SDK{near(key, known)}" for key in strange]
        if not any(value is UNKNOWN for value in given.values()):
            wrong += self._cloud.configured(_unpacked(given), self._world.control())
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(wrong))

    async def DiffConfig(self, request: provider_pb2.DiffRequest, context: Rpc) -> Diff:
        return Diff(changes=Diff.DIFF_NONE)

    async def Configure(self, request: provider_pb2.ConfigureRequest, context: Rpc) -> provider_pb2.ConfigureResponse:
        """Secrets are the engine's to keep track of: what it gives secret and finds at the same place stays so."""
        self._config = _unpacked(plain(read(request.args)))
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    async def Cancel(self, request: Empty, context: Rpc) -> Empty:
        self.cancelled.set()
        return Empty()

    async def Invoke(self, request: provider_pb2.InvokeRequest, context: Rpc) -> provider_pb2.InvokeResponse:
        shape = self._sdk.function(request.tok)
        if shape is None:
            await _abort(context, f"the SDK has no function {request.tok}")
        args = {key: value for key, value in plain(read(request.args)).items() if value is not None}
        wrong = check(shape, args)
        if wrong:
            return provider_pb2.InvokeResponse(failures=_failures(wrong))
        answer = self._cloud.answers().get(request.tok)
        if answer is None:
            await _abort(
                context, f"{request.tok}: this stand-in has no answer; tests/standins/clouds is where to give one"
            )
        try:
            said = answer(args, self._scene())
        except Refused as refused:
            await _abort(context, str(refused))
        strange = sorted(set(said) - set(shape.outputs) - set(args))
        assert not strange, f"{request.tok} answers what the SDK does not know: {strange}"
        result = {key: said.get(key) for key in shape.outputs}
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(write(result))  # a keyword of Python's
        return response

    # resources: what a preview asks too

    async def Check(self, request: provider_pb2.CheckRequest, context: Rpc) -> provider_pb2.CheckResponse:
        token = _token(request)
        shape = self._sdk.resource(token)
        if shape is None:
            return _refusal(request, [f"the SDK has no resource {token}"])
        if token not in self._cloud.facts:
            return _refusal(request, [f"{token}: the stand-in has no facts about it; add it to tests/standins/facts"])
        old, news = plain(read(request.olds)), plain(read(request.news))
        given = {key: value for key, value in news.items() if value is not None}
        given = self._cloud.defaults(shape, given, self._scene())
        wrong = check(shape, given)
        if wrong:
            return _refusal(request, wrong)
        return provider_pb2.CheckResponse(inputs=write(self._named(token, shape, old, given, request)))

    def _named(self, token: str, shape: Shape, old: Tree, given: Tree, request: provider_pb2.CheckRequest) -> Tree:
        """With a name, if the provider would make one up: the one of before, or a new one."""
        prop = self._cloud.name_property(token, shape)
        if prop is None or given.get(prop) is not None:
            return {**given, **self._cloud.flags(made_up=False)}
        flags = self._cloud.flags(made_up=True)
        if "__defaults" in flags:
            flags["__defaults"] = [prop]
        kept = old.get(prop) if all(old.get(key) == value for key, value in flags.items()) else None
        name = request.urn.rpartition("::")[2]
        suffix = invent.digest(request.randomSeed.hex() or request.urn, length=7)
        return {**given, prop: kept or self._cloud.made_up_name(token, name, suffix), **flags}

    async def Diff(self, request: provider_pb2.DiffRequest, context: Rpc) -> Diff:
        token = _token(request)
        facts = self._cloud.facts[token]
        old, new = plain(read(request.old_inputs)), plain(read(request.news))
        found = changes(old, new)
        anew = [change for change in found if replacing(change, facts)]
        prop = self._cloud.name_property(token, self._shape(token))
        return Diff(
            changes=Diff.DIFF_SOME if found else Diff.DIFF_NONE,
            diffs=_tops(found),
            replaces=_tops(anew),
            deleteBeforeReplace=bool(anew) and self._cloud.deletes_first(token, old, new, prop),
            hasDetailedDiff=True,
            detailedDiff={path_text(item.path): _property_diff(item, item in anew) for item in found},
        )

    # resources: what really happens

    async def Create(self, request: provider_pb2.CreateRequest, context: Rpc) -> provider_pb2.CreateResponse:
        token, name, inputs = _token(request), request.urn.rpartition("::")[2], plain(read(request.properties))
        shape = self._shape(token)
        if request.preview:
            return provider_pb2.CreateResponse(properties=write(self._planned(shape, inputs, {})))
        self._world.note("begin", "create", token, name)
        fault = self._world.fault("create", token, name)
        if fault and fault.error and not fault.partial:
            await self._pause(fault)
            await self._fail(context, "create", token, name, fault.error)
        try:
            thing = self._make(token, request.urn, name, inputs)
        except Refused as refused:
            await self._fail(context, "create", token, name, str(refused))
        await self._finish(context, "create", thing, fault)
        return provider_pb2.CreateResponse(id=thing.id, properties=write(thing.outputs))

    async def Update(self, request: provider_pb2.UpdateRequest, context: Rpc) -> provider_pb2.UpdateResponse:
        token, name, inputs = _token(request), request.urn.rpartition("::")[2], plain(read(request.news))
        shape = self._shape(token)
        if request.preview:
            planned = self._planned(shape, inputs, plain(read(request.olds)))
            return provider_pb2.UpdateResponse(properties=write(planned))
        self._world.note("begin", "update", token, name, id=request.id)
        thing = self._world.get(token, request.id)
        if thing is None:
            await self._fail(context, "update", token, name, f"{token} {request.id} does not exist")
        fault = self._world.fault("update", token, name)
        if fault and fault.error and not fault.partial:
            await self._pause(fault)
            await self._fail(context, "update", token, name, fault.error)
        try:
            self._cloud.may_update(thing, inputs, self._scene())
        except Refused as refused:
            await self._fail(context, "update", token, name, str(refused))
        thing = replace(thing, inputs=inputs, outputs=self._outputs(token, thing.id, inputs, request.urn), whole=False)
        self._world.put(thing)
        await self._finish(context, "update", thing, fault)
        return provider_pb2.UpdateResponse(properties=write(thing.outputs))

    async def Read(self, request: provider_pb2.ReadRequest, context: Rpc) -> provider_pb2.ReadResponse:
        thing = self._world.get(_token(request), request.id)
        if thing is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=thing.id, properties=write(thing.outputs), inputs=write(thing.inputs))

    async def Delete(self, request: provider_pb2.DeleteRequest, context: Rpc) -> Empty:
        token, name = _token(request), request.urn.rpartition("::")[2]
        self._world.note("begin", "delete", token, name, id=request.id)
        fault = self._world.fault("delete", token, name)
        if fault:
            stopped = await self._pause(fault)
            if fault.error or stopped:
                await self._fail(context, "delete", token, name, fault.error or "the deletion was cancelled")
        thing = self._world.get(token, request.id)
        if thing is not None:  # gone already is gone
            scene = self._scene()
            try:
                self._cloud.may_delete(thing, scene)
            except Refused as refused:
                await self._fail(context, "delete", token, name, str(refused))
            for other in (*self._cloud.takes_along(thing, scene), thing):
                self._world.put(replace(other, buried=True)) if self._cloud.stays(token) else self._world.remove(other)
        self._world.note("done", "delete", token, name, id=request.id)
        return Empty()

    # steps

    def _shape(self, token: str) -> Shape:
        shape = self._sdk.resource(token)
        assert shape is not None, f"{token} was checked before"
        return shape

    def _scene(self) -> Scene:
        return Scene(self._config, self._world.things(), self._world.control())

    def _make(self, token: str, urn: str, name: str, inputs: Tree) -> Thing:
        """The thing as it is put into the cloud, not yet whole. Refused: it is not taken."""
        scene = self._scene()
        self._cloud.may_create(token, inputs, scene)
        ids = (self._cloud.identify(token, inputs, scene, f"{urn}#{number}") for number in range(1000))
        first = id = next(ids)
        while self._world.get(token, id) or self._world.get(token, id, buried=True):
            id = next(ids)
            if id == first:
                raise Refused(f"{id} already exists")
        thing = Thing(token, name, urn, id, inputs, self._outputs(token, id, inputs, urn), whole=False)
        self._world.put(thing)
        return thing

    def _outputs(self, token: str, id: str, inputs: Tree, urn: str) -> Tree:
        scene = self._scene()
        said = self._cloud.said(token, id, inputs, scene, urn)
        shape = self._shape(token)
        strange = sorted(set(said) - set(shape.outputs) - EVERYWHERE)
        assert not strange, f"{token} is given what the SDK does not know: {strange}"
        known = {key: value for key, value in said.items() if key in shape.outputs}
        return invent.outputs(shape, inputs, known, lambda prop: self._cloud.word(token, id, inputs, scene, prop))

    def _planned(self, shape: Shape, inputs: Tree, state: Tree) -> Tree:
        """Outputs of a preview: what is given, what was there before, else unknown."""
        return {
            name: inputs[name] if name in inputs and fits(shape, kind, inputs[name]) else state.get(name, UNKNOWN)
            for name, kind in shape.outputs.items()
        }

    async def _finish(self, context: Rpc, phase: str, thing: Thing, fault: Fault | None) -> None:
        """Waits as long as it takes, and says that the thing is whole; or records what there is of it."""
        stopped = fault is not None and await self._pause(fault)
        error = (fault and fault.error) or (f"the {phase} was cancelled" if stopped else None)
        if error is not None:
            self._world.note("cancelled" if stopped else "failed", phase, thing.token, thing.name, id=thing.id)
            await _abort_partly(context, error, thing)
        self._world.put(replace(thing, whole=True))
        self._world.note("done", phase, thing.token, thing.name, id=thing.id)

    async def _pause(self, fault: Fault) -> bool:
        """Waits; whether the engine cancelled meanwhile."""
        if fault.delay:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.cancelled.wait(), fault.delay)
        return self.cancelled.is_set()

    async def _fail(self, context: Rpc, phase: str, token: str, name: str, reason: str) -> NoReturn:
        self._world.note("failed", phase, token, name, reason=reason)
        await _abort(context, reason)


def _token(request: Any) -> str:
    """The type a request is about: the last of the chain of its parents' types."""
    return str(request.urn.split("::")[2].rpartition("$")[2])


def _unpacked(config: Mapping[str, Any]) -> Tree:
    """A provider's configuration: what is no string comes as JSON in one."""

    def value(text: Any) -> Any:
        if isinstance(text, str) and (text[:1] in ("{", "[", '"') or text in ("true", "false")):
            with suppress(ValueError):
                return json.loads(text)
        return text

    return {key: value(item) for key, item in config.items() if key not in OF_ENGINE}


def _failures(wrong: list[str]) -> list[provider_pb2.CheckFailure]:
    """With a property the engine would print its value, secret or not: the path is in the reason instead."""
    return [provider_pb2.CheckFailure(reason=line) for line in wrong]


def _refusal(request: provider_pb2.CheckRequest, wrong: list[str]) -> provider_pb2.CheckResponse:
    return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(wrong))


def _tops(found: list[Change]) -> list[str]:
    return sorted({str(change.path[0]) for change in found})


def _property_diff(change: Change, anew: bool) -> provider_pb2.PropertyDiff:
    kind = f"{change.kind}_REPLACE" if anew else change.kind
    return provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True)


async def _abort(context: Rpc, reason: str) -> NoReturn:
    await context.abort(grpc.StatusCode.UNKNOWN, reason)
    raise AssertionError("abort returned")


async def _abort_partly(context: Rpc, reason: str, thing: Thing) -> NoReturn:
    """The failure of an operation that left something: the engine records it with its id."""
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=thing.id, properties=write(thing.outputs), inputs=write(thing.inputs), reasons=[reason]
        )
    )
    code = grpc.StatusCode.UNKNOWN
    packed = status_pb2.Status(code=code.value[0], message=reason, details=[detail])
    await context.abort(code, reason, (("grpc-status-details-bin", packed.SerializeToString()),))
    raise AssertionError("abort returned")


# the process


def cloud(name: str) -> Cloud:
    module, _, attribute = CLOUDS[name].partition(":")
    made: Cloud = getattr(import_module(module), attribute)()
    return made


async def serve(name: str) -> None:
    """Prints the port, and serves until whoever started it is gone, or interrupts it after a Cancel, which is how the
    engine ends a plugin: it waits 5 s for one that stays. Before that an interrupt was meant for the engine."""
    parent, over = os.getppid(), asyncio.Event()
    server = grpc.aio.server(options=OPTIONS)
    plugin = Plugin(cloud(name), World(Path(os.environ[FOLDER])))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: over.set() if plugin.cancelled.is_set() else None)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    os.dup2(2, 1)
    while os.getppid() == parent and not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.5)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
