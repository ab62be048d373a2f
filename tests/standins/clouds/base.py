"""The rules that the three clouds share, and what each must say for itself."""

from __future__ import annotations

import base64
import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tests.standins.invent import digest
from tests.standins.shapes import Shape
from tests.standins.world import Thing

Tree = dict[str, Any]
FACTS = Path(__file__).parents[1] / "facts"
# Of a certificate authority that nobody has the key of.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBjDCCATOgAwIBAgIUeIH5QmqsR48ecwcyFmiPeLCFt04wCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQc3Rvb2QtaW4gY2x1c3RlcjAgFw0yNjExMjgxODE5NDBaGA8y
MTI2MTEwNDE4MTk0MFowGzEZMBcGA1UEAwwQc3Rvb2QtaW4gY2x1c3RlcjBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABKrbccmzxccTatIlSsqC+Jgnxrvch6vY2vln
dKHBbLS6x6Y67rBuHvCRVMmmgqVneuwEanIJ/WoO98CAi8iWMtqjUzBRMB0GA1Ud
DgQWBBQfPTRwfPOQG4VB0z3XLXdlXUwU1jAfBgNVHSMEGDAWgBQfPTRwfPOQG4VB
0z3XLXdlXUwU1jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAsj
I+0ZFeKnoPEUwPhCGgxjl50RlhNiiYFtyVpHSgODAiAeon83sH5KsenewDpseQjm
ClQU5zcCMRaRD9yJasS70g==
-----END CERTIFICATE-----
"""


class Refused(Exception):
    """What the cloud would not do, in its words."""


@dataclass(frozen=True)
class Holder:
    """Things of `type` whose property at `path` names a thing keep that thing from being deleted."""

    type: str
    path: str


@dataclass
class Scene:
    """What a request may look at: the provider's configuration, what there is, what the test said."""

    config: Tree
    things: list[Thing] = field(default_factory=list)
    control: Tree = field(default_factory=dict)

    def cluster(self, name: str) -> Tree:
        """What the test says of a cluster: `endpoint` (with scheme), `ca` (base64), `kubeconfig`."""
        said = self.control.get("clusters", {})
        return next((dict(about) for pattern, about in said.items() if fnmatch.fnmatchcase(name, pattern)), {})

    def made(self, token: str, **inputs: str) -> Thing | None:
        """The one thing of a type with these inputs."""
        return next(
            (
                thing
                for thing in self.things
                if thing.token == token and all(thing.inputs.get(key) == value for key, value in inputs.items())
            ),
            None,
        )


Answer = Callable[[Tree, Scene], Tree]


class Cloud:
    """One provider. `holders`: type -> what keeps its things from being deleted."""

    name: str
    package: str
    holders: ClassVar[Mapping[str, tuple[Holder, ...]]] = {}

    def __init__(self) -> None:
        self.facts: Tree = json.loads((FACTS / f"{self.name}.json").read_text())["resources"]

    # said by each cloud

    def name_property(self, token: str, shape: Shape) -> str | None:
        """The input that the provider makes up where it is not given."""
        return "name" if shape.inputs.get("name", {}).get("kind") == "string" else None

    def made_up_name(self, token: str, name: str, suffix: str) -> str:
        return f"{name}-{suffix}"

    def defaults(self, shape: Shape, inputs: Tree, scene: Scene) -> Tree:
        """Inputs that the provider fills in from its configuration."""
        return inputs

    def flags(self, made_up: bool) -> Tree:
        """What the provider notes beside the inputs of a thing whose name it made up."""
        return {"__defaults": []}

    def deletes_first(self, token: str, old: Tree, new: Tree, name: str | None) -> bool:
        """Whether a replacement deletes before it creates."""
        raise NotImplementedError

    def identify(self, token: str, inputs: Tree, scene: Scene, seed: str) -> str:
        """The thing's id; the same inputs give the same id only if the cloud takes such a thing but once."""
        raise NotImplementedError

    def said(self, token: str, id: str, inputs: Tree, scene: Scene, seed: str) -> Tree:
        """Outputs that need more than a word."""
        return {}

    def word(self, token: str, id: str, inputs: Tree, scene: Scene, prop: str) -> str | None:
        """What an output of this name says, where it is a string that nobody gave."""
        return None

    def configured(self, config: Tree, control: Tree) -> list[str]:
        """What is wrong with the provider's configuration."""
        return []

    def may_create(self, token: str, inputs: Tree, scene: Scene) -> None:
        """Refused: the cloud does not take it."""

    def may_update(self, thing: Thing, inputs: Tree, scene: Scene) -> None:
        """Refused: the cloud does not change it to this in place, and its provider does not know."""

    def may_delete(self, thing: Thing, scene: Scene) -> None:
        """Refused: something else still needs it."""
        held = next(self._held(thing, scene), None)
        if held is not None:
            raise Refused(f"{thing.id} cannot be deleted: {held.token} {held.id} still uses it")

    def takes_along(self, thing: Thing, scene: Scene) -> Iterable[Thing]:
        """What goes with a thing that is deleted."""
        return ()

    def stays(self, token: str) -> bool:
        """Whether the name of a deleted thing stays taken."""
        return False

    def answers(self) -> Mapping[str, Answer]:
        """Function -> its answer."""
        return {}

    # shared

    def names(self, thing: Thing) -> set[str]:
        """By which words other things may name this one."""
        found = {thing.id, thing.inputs.get("name"), thing.outputs.get("name")}
        found |= {thing.outputs.get(key) for key in ("arn", "selfLink")}
        return {str(name).lower() for name in found if name}

    def _held(self, thing: Thing, scene: Scene) -> Iterator[Thing]:
        names = self.names(thing)
        for holder in self.holders.get(thing.token, ()):
            for other in scene.things:
                if other.token == holder.type and names & {text.lower() for text in texts(other.inputs, holder.path)}:
                    yield other


def texts(tree: Any, path: str) -> Iterable[str]:
    """The strings at a path of property names; lists on the way are gone through."""
    if isinstance(tree, list):
        for item in tree:
            yield from texts(item, path)
    elif not path:
        if isinstance(tree, str):
            yield tree
    elif isinstance(tree, Mapping):
        first, _, rest = path.partition(".")
        if first in tree:
            yield from texts(tree[first], rest)


def certificate(about: Tree) -> str:
    """A cluster's certificate authority, base64."""
    return str(about.get("ca") or base64.b64encode(CERTIFICATE.encode()).decode())


def endpoint(about: Tree, host: str) -> str:
    """A cluster's address with its scheme."""
    return str(about.get("endpoint") or f"https://{host}")


def short(token: str) -> str:
    """`aws:ec2/vpc:Vpc` -> `ec2/Vpc`, `azure-native:network:Subnet` -> `network/Subnet`."""
    _, module, name = token.split(":")
    return f"{module.partition('/')[0]}/{name}"


def dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower()


def address(seed: str, of: str = "203.0.113") -> str:
    """An address of a range that is set aside for documentation."""
    return f"{of}.{int(digest(seed, length=4), 16) % 253 + 1}"
