"""What a resource's author sees: `Resource`, its `Context`, and nothing of gRPC, Struct or the engine.

A resource is one file with two models and four short coroutines; the servicer does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from anytier.errors import AnytierError
from anytier.frozen import Frozen
from anytier.provider.diff import diff

InputsT = TypeVar("InputsT", bound=Frozen)
OutputsT = TypeVar("OutputsT", bound=Frozen)


class Sink(Protocol):
    """Where messages to the user go. Never blocks, never fails."""

    def status(self, urn: str, text: str) -> None: ...

    def info(self, urn: str, text: str) -> None: ...

    def warn(self, urn: str, text: str) -> None: ...


@dataclass(frozen=True)
class Made:
    """What exists already, should the rest of the operation fail."""

    id: str
    outputs: Frozen


class Context:
    """One operation on one resource."""

    def __init__(self, urn: str, name: str, sink: Sink, redact: Callable[[str], str] = str) -> None:
        self.urn = urn
        self.name = name
        self.last_made: Made | None = None
        self._sink = sink
        self._redact = redact

    def status(self, text: str) -> None:
        """A passing line beside the resource in the engine's display."""
        self._sink.status(self.urn, self._redact(text))

    def info(self, text: str) -> None:
        """A line that stays after the run."""
        self._sink.info(self.urn, self._redact(text))

    def warn(self, text: str) -> None:
        self._sink.warn(self.urn, self._redact(text))

    def left_alone(self, what: str) -> None:
        """Said of something that has the name of what is to be deleted, and is not what we made."""
        self.warn(f"the {what} is another one by now, made by somebody else: it stays")

    def made(self, id: str, outputs: Frozen) -> None:
        """From now on a failure or a cancellation is recorded as partial, with this id and these outputs.

        Call it as soon as anything exists that a later run must find again, and again whenever more is known.
        """
        self.last_made = Made(id, outputs)


class Resource(Generic[InputsT, OutputsT]):
    """One kind of thing. A fresh instance serves each operation. Coroutines must be idempotent and must not block."""

    inputs: type[InputsT]
    outputs: type[OutputsT]

    # Pure: no remote call. Inputs may hold `UNKNOWN` in a preview; what trips over it is left out.

    def check(self, inputs: InputsT) -> list[AnytierError]:
        """Errors beyond the types; `path` is the property's path on the wire (`template.ports[0].port`)."""
        return []

    def replaces(self, old: InputsT, new: InputsT) -> list[str]:
        """Paths of the inputs whose change forces a replacement this time. An AnytierError refuses the change before
        anything is done, in a preview too."""
        return []

    def drifted(self, inputs: InputsT, state: OutputsT) -> list[str]:
        """Paths of the inputs that the recorded state does not meet, so that the next `up` repairs it."""
        return []

    def planned(self, old: OutputsT | None, inputs: InputsT) -> Mapping[str, Any]:
        """Outputs (wire names) that are known before anything is done; the others are unknown in a preview."""
        return {}

    def foretold(self, old_inputs: InputsT, state: OutputsT, inputs: InputsT) -> list[str]:
        """What the user should know of this update before it is done, and a diff does not show: a restart."""
        return []

    def changed(self, old: InputsT, new: InputsT) -> bool:
        """Whether an update has another reason than that the last one failed, or that a look was not possible."""
        return bool(diff(self.inputs, old.wire(), new.wire()))

    async def foreseen(self, ctx: Context, old: OutputsT | None, inputs: InputsT) -> Mapping[str, Any]:
        """Outputs (wire names) that a preview of a create or an update reads from what is there already. The only thing
        in a preview that may ask anybody: it changes nothing, keeps nothing, ends soon, and bears with silence. Never
        called with unknown inputs. An AnytierError is one that the `up` would end with, too."""
        return {}

    # Effects.

    async def create(self, ctx: Context, inputs: InputsT) -> tuple[str, OutputsT]:
        raise NotImplementedError

    async def read(
        self, ctx: Context, id: str, inputs: InputsT | None, state: OutputsT | None
    ) -> tuple[InputsT, OutputsT] | None:
        """What is there now; None: gone, never: no answer. An import has neither inputs nor state."""
        raise NotImplementedError

    async def update(self, ctx: Context, id: str, old_inputs: InputsT, state: OutputsT, inputs: InputsT) -> OutputsT:
        raise NotImplementedError

    async def delete(self, ctx: Context, id: str, inputs: InputsT, state: OutputsT) -> None:
        """`NotFound` counts as done."""
        raise NotImplementedError


AnyResource = Resource[Any, Any]
