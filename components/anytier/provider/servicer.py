"""The provider's gRPC service: the plugin itself, and the way to the handler of its resources.

The handler is imported when something has changed that it must look at: see `settled`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from anytier.names import READY
from anytier.provider import settled
from anytier.provider.engine import EngineSink
from anytier.provider.operation import Operations
from anytier.provider.registry import Registry

if TYPE_CHECKING:
    from anytier.provider.handler import Handler

Rpc = grpc.aio.ServicerContext[Any, Any]


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One plugin process: one engine, one event loop, many operations at a time."""

    def __init__(self, registry: Registry, sink: EngineSink, version: str) -> None:
        self.operations = Operations()
        self._registry = registry
        self._sink = sink
        self._version = version
        self._importing = asyncio.Lock()
        self._handler: Handler | None = None

    # The plugin itself

    async def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Rpc
    ) -> provider_pb2.ProviderHandshakeResponse:
        self._sink.address = request.engine_address or self._sink.address
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    async def Attach(self, request: plugin_pb2.PluginAttach, context: Rpc) -> Empty:
        self._sink.address = request.address
        return Empty()

    async def GetPluginInfo(self, request: Empty, context: Rpc) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._version)

    async def GetSchema(self, request: provider_pb2.GetSchemaRequest, context: Rpc) -> provider_pb2.GetSchemaResponse:
        from anytier.provider.schema import schema_text

        return provider_pb2.GetSchemaResponse(schema=schema_text(self._registry, self._version))

    async def Cancel(self, request: Empty, context: Rpc) -> Empty:
        self.operations.cancel()
        return Empty()

    # Its configuration: there is none, so that nothing in it can ever replace a resource

    async def CheckConfig(self, request: provider_pb2.CheckRequest, context: Rpc) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: provider_pb2.DiffRequest, context: Rpc) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    async def Configure(self, request: provider_pb2.ConfigureRequest, context: Rpc) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Invoke(self, request: provider_pb2.InvokeRequest, context: Rpc) -> provider_pb2.InvokeResponse:
        """The one function, READY: that it is answered is all there is to it."""
        if request.tok != READY:
            await _unimplemented(context, f"function {request.tok}")
        return provider_pb2.InvokeResponse()

    # Its resources

    async def Check(self, request: provider_pb2.CheckRequest, context: Rpc) -> provider_pb2.CheckResponse:
        if settled.checked(request):
            return provider_pb2.CheckResponse(inputs=request.olds)
        return await (await self._handle()).check(request, context)

    async def Diff(self, request: provider_pb2.DiffRequest, context: Rpc) -> provider_pb2.DiffResponse:
        if settled.unchanged(request, self._version):
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
        return await (await self._handle()).diff(request, context)

    async def Create(self, request: provider_pb2.CreateRequest, context: Rpc) -> provider_pb2.CreateResponse:
        return await (await self._handle()).create(request, context)

    async def Update(self, request: provider_pb2.UpdateRequest, context: Rpc) -> provider_pb2.UpdateResponse:
        return await (await self._handle()).update(request, context)

    async def Read(self, request: provider_pb2.ReadRequest, context: Rpc) -> provider_pb2.ReadResponse:
        return await (await self._handle()).read(request, context)

    async def Delete(self, request: provider_pb2.DeleteRequest, context: Rpc) -> Empty:
        return await (await self._handle()).delete(request, context)

    async def _handle(self) -> Handler:
        async with self._importing:
            if self._handler is None:
                self._handler = await asyncio.to_thread(self._import)
            return self._handler

    def _import(self) -> Handler:
        from anytier.provider.handler import Handler

        return Handler(self._registry, self._sink, self.operations, self._version)

    # What this provider does not have

    async def Parameterize(self, request: Any, context: Rpc) -> NoReturn:
        await _unimplemented(context, "parameters")

    async def Call(self, request: Any, context: Rpc) -> NoReturn:
        await _unimplemented(context, "methods")

    async def Construct(self, request: Any, context: Rpc) -> NoReturn:
        await _unimplemented(context, "remote components")

    async def List(self, request: Any, context: Rpc) -> AsyncIterator[Any]:
        yield await _unimplemented(context, "lists of resources")

    async def GetMapping(self, request: Any, context: Rpc) -> NoReturn:
        await _unimplemented(context, "mappings")

    async def GetMappings(self, request: Any, context: Rpc) -> NoReturn:
        await _unimplemented(context, "mappings")


async def _unimplemented(context: Rpc, what: str) -> NoReturn:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"anytier has no {what}")
    raise AssertionError("abort returned")
