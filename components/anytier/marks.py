"""What a property may be beside data: a secret, or a value that is not known yet; and how the engine writes both. Pure.

The plugin, the policy pack and recordings speak of properties in these words. In a *tree*, JSON-like Python, any node
may be wrapped in `Secret` or be `UNKNOWN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# The engine has one sentinel for each type it can guess; they all mean the same to us.
UNKNOWN_STRINGS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class Unknown:
    """A value that only the real run will know. There is one: `UNKNOWN`. Code that takes it for data trips over it."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, memo: Any) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must never be shown. Its repr does not either."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


def is_sealed(value: Any) -> bool:
    """Whether a value, as a state or a message in JSON has it, is marked as a secret."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET
