"""What a plan invents in a provider's place: one file for each package, with the outputs that programs read on in.

A file has `resource(asked, config)`, the outputs beside the inputs (`id` among them, if the usual `<name.id>` does not
do), and `function(token, args, config)`, None for one that it does not know. `echoed(inputs)`, where it is, are those
inputs that come back as they are; elsewhere all do. What no file invents is unknown.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anytier.planning import stand_in

# Package -> its module: strings, so that a plan of one cloud loads nothing of another.
PACKAGES: dict[str, str] = {
    "anytier": "anytier.recording.packages.own",
    "aws": "anytier.recording.packages.aws",
    "azure-native": "anytier.recording.packages.azure",
    "gcp": "anytier.recording.packages.gcp",
}


@dataclass(frozen=True)
class Asked:
    """A registration. `inputs` are plain, with `UNKNOWN` for what is not known and secrets' stand-ins in the open."""

    type: str
    name: str
    inputs: Mapping[str, Any]

    @property
    def package(self) -> str:
        return self.type.partition(":")[0]

    def text(self, output: str) -> str:
        return stand_in(self.name, output)


class Packages:
    """All packages, each loaded with its first resource. `config` is the stack's."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._config = config

    def resource(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        """The id and the outputs that are invented."""
        module = _module(asked.package)
        outputs = dict(module.resource(asked, self._config)) if module else {}
        return str(outputs.pop("id", asked.text("id"))), outputs

    def echoed(self, type: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the inputs those that are outputs, too."""
        chosen = getattr(_module(type.partition(":")[0]), "echoed", None)
        found: Mapping[str, Any] = given if chosen is None else chosen(given)
        return found

    def function(self, token: str, args: Mapping[str, Any]) -> Mapping[str, Any] | None:
        module = _module(token.partition(":")[0])
        found: Mapping[str, Any] | None = module.function(token, args, self._config) if module else None
        return found


def _module(package: str) -> Any:
    name = PACKAGES.get(package)
    return importlib.import_module(name) if name else None
