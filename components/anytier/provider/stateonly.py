"""What is made once and lives in the state only: nothing to find again, nothing to change, nothing to delete."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from anytier.errors import AnytierError
from anytier.provider.resource import Context, InputsT, OutputsT, Resource


class StateOnly(Resource[InputsT, OutputsT]):
    """`create` makes it; `unknown` says, of an id to import, why there is nothing."""

    @abstractmethod
    def unknown(self, id: str) -> AnytierError: ...

    def planned(self, old: OutputsT | None, inputs: InputsT) -> Mapping[str, Any]:
        return old.wire() if old else {}

    async def read(
        self, ctx: Context, id: str, inputs: InputsT | None, state: OutputsT | None
    ) -> tuple[InputsT, OutputsT] | None:
        if inputs is None or state is None:
            raise self.unknown(id)
        return inputs, state

    async def update(self, ctx: Context, id: str, old_inputs: InputsT, state: OutputsT, inputs: InputsT) -> OutputsT:
        return state

    async def delete(self, ctx: Context, id: str, inputs: InputsT, state: OutputsT) -> None:
        return None
