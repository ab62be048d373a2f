"""The base of every model: frozen, strict about unknown keys, camelCase outside and snake_case inside."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Frozen(BaseModel):
    """An immutable record. `wire()` is its JSON form: camelCase, unset and None fields left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def wire(self) -> dict[str, Any]:
        """JSON-ready camelCase dict without None values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
