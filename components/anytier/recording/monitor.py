"""The recording monitor: takes registrations off the wire, answers them, and keeps them as nodes of a graph."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from anytier.errors import AnytierError
from anytier.marks import SIGNATURE, UNKNOWN, Secret
from anytier.provider import values
from anytier.recording.packages import Asked, Packages
from anytier.report.plan.graph import REDACTED, UNKNOWN_TEXT, Graph, Node, graph_of
from anytier.report.plan.graph import Path as Steps

_STACK = "pulumi:pulumi:Stack"
_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"  # how the protocol marks a value that is a resource


class _NoMocks(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"functions are answered by the monitor: {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise AssertionError(f"resources are answered by the monitor: {args.name}")


class Monitor(mocks.MockMonitor):
    """Answers on the wire's own form: Pulumi's own would open an event loop in each of its threads.

    Requests come from several threads, in any order; the graph is the same whatever order that was.
    """

    def __init__(self, stack: str, project: str, config: Mapping[str, str], folder: Path | None) -> None:
        super().__init__(_NoMocks())
        self.stack, self.project = stack, project
        self._packages = Packages(config)
        self._folder = str(folder) if folder else None
        self._nodes: list[Node] = []
        self._exports: dict[str, Any] = {}
        self._lock = threading.Lock()

    def graph(self) -> Graph:
        """What was registered so far. What a node waits for that was only read is no resource of the stack."""
        known = {node.key for node in self._nodes}
        nodes = [node.model_copy(update={"depends": tuple(sorted(known & {*node.depends}))}) for node in self._nodes]
        return graph_of(self.project, self.stack, nodes, *self._shown(self._exports))

    # the protocol

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine does: with the types of all above it but the stack's. Pulumi's mocks keep one of them."""
        above = parent.split("::")[2] if parent else _STACK
        chain = type_ if above == _STACK else f"{above}${type_}"
        return f"urn:pulumi:{self.stack}::{self.project}::{chain}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == _STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        given = values.read(request.object)
        with self._lock:
            self._nodes.append(self._node(urn, request, given))
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        id, outputs = self._packages.resource(Asked(request.type, request.name, values.plain(given)))
        echoed = self._packages.echoed(request.type, given)
        sealed = set(request.additionalSecretOutputs)
        whole = {key: Secret(item) if key in sealed else item for key, item in {**outputs, **echoed}.items()}
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=values.write(whole))

    def ReadResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        asked = Asked(request.type, request.name, values.plain(values.read(request.properties)))
        _, outputs = self._packages.resource(asked)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=values.write(outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if _STACK in request.urn.split("::")[2]:
            self._exports = values.read(request.outputs)
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        found = self._packages.function(request.tok, values.plain(values.read(request.args)))
        if found is None:
            what = f"the program asks for {request.tok}, and a plan has nothing to answer"
            raise AnytierError("plan", what, "a stand-in for it belongs into anytier/recording/packages")
        answer: Any = {"return": values.write(found)}  # a word of Python's
        return resource_pb2.ResourceInvokeResponse(**answer)

    # nodes

    def _node(self, urn: str, request: Any, given: Mapping[str, Any]) -> Node:
        inputs, secrets, unknown = self._shown(given)
        return Node(
            key=key_of(urn) or "",
            type=request.type,
            name=request.name,
            parent=key_of(request.parent),
            component=not request.custom,
            inputs=inputs,
            secrets=secrets,
            unknown=unknown,
            depends=_keys(request.dependencies),
            reads={
                name: keys
                for name, found in sorted(request.propertyDependencies.items())
                if (keys := _keys(found.urns)) and name in inputs
            },
            provider=key_of(request.provider.rpartition("::")[0]),
            deleted_with=key_of(request.deletedWith),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            version=request.version,
        )

    def _shown(self, tree: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Steps, ...], tuple[Steps, ...]]:
        """The tree as JSON without a secret in it, and where secrets and unknown values stand."""
        secrets: list[Steps] = []
        unknown: list[Steps] = []

        def show(value: Any, path: Steps) -> Any:
            if isinstance(value, Secret):
                secrets.append(path)
                return REDACTED
            if value is UNKNOWN:
                unknown.append(path)
                return UNKNOWN_TEXT
            if isinstance(value, Mapping):
                if value.get(SIGNATURE) == _REFERENCE:
                    return f"<{str(value.get('urn', '')).rpartition('::')[2]}>"
                return {key: show(value[key], (*path, key)) for key in sorted(value)}  # the wire has no order
            if isinstance(value, list):
                return [show(item, (*path, index)) for index, item in enumerate(value)]
            return self._anywhere(value) if isinstance(value, str) else value

        return show(tree, ()), tuple(secrets), tuple(unknown)

    def _anywhere(self, text: str) -> str:
        """Without the folder in which this clone lies."""
        here = self._folder
        if here is None or here not in text:
            return text
        parts = text.split(here)
        whole = parts[0]
        for part in parts[1:]:
            whole += (here if part[:1] not in ("", "/", "'", '"', " ", ":") else "<project>") + part
        return whole


def key_of(urn: str) -> str | None:
    """A resource's key: its URN without project and stack. None for the stack itself, and for nothing."""
    parts = urn.split("::", 3)
    if len(parts) < 4 or parts[2] == _STACK:
        return None
    return f"{parts[2]}::{parts[3]}"


def _keys(urns: Any) -> tuple[str, ...]:
    return tuple(sorted({key for urn in urns if (key := key_of(urn)) is not None}))
