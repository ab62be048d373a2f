"""A resource for tests: things in a folder (`ANYTIER_TEST_PLACE`), with every behaviour a field can have.

Like a real place it refuses what a real one refuses: making a thing twice, changing one that is not there. Faults are
asked for in the place itself (`fault` holds their names), so that a test can turn them off without changing inputs.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import delete_first, ignored, normalise, replaces, secret
from anytier.provider.registry import RESOURCES, Registry
from anytier.provider.resource import Context, Resource


class Part(Frozen):
    """A nested model."""

    name: str
    size: int = Field(default=1, ge=0)
    serial: Annotated[str | None, replaces] = None


class ThingInputs(Frozen):
    name: Annotated[str, replaces]
    port: Annotated[int, delete_first] = 0
    size: int = Field(default=1, ge=0, le=100)
    tags: dict[str, str] = Field(default_factory=dict)
    parts: list[Part] = Field(default_factory=list)
    case: Annotated[str, normalise(str.lower)] = "a"
    owner: Annotated[str, ignored] = ""
    password: Annotated[str | None, secret] = None
    settings: dict[str, str] = Field(default_factory=dict)


class ThingOutputs(Frozen):
    name: str
    size: int
    url: str
    generation: int
    settings: dict[str, str] = Field(default_factory=dict)
    banner: str = ""


class ThingResource(Resource[ThingInputs, ThingOutputs]):
    """A thing in the place."""

    inputs = ThingInputs
    outputs = ThingOutputs

    def check(self, inputs: ThingInputs) -> list[AnytierError]:
        if inputs.size == 13:
            return [Rejected("size", "13 brings bad luck", "take 12")]
        return []

    def replaces(self, old: ThingInputs, new: ThingInputs) -> list[str]:
        if old.settings.get("kept") != new.settings.get("kept"):
            raise Rejected("settings.kept", "cannot change", "put it back")
        return []

    def planned(self, old: ThingOutputs | None, inputs: ThingInputs) -> dict[str, Any]:
        return {"name": inputs.name, "size": inputs.size}

    def drifted(self, inputs: ThingInputs, state: ThingOutputs) -> list[str]:
        return ["size"] if state.size != inputs.size else []

    def foretold(self, old_inputs: ThingInputs, state: ThingOutputs, inputs: ThingInputs) -> list[str]:
        return [f"{inputs.name} restarts to grow"] if inputs.size > old_inputs.size else []

    async def create(self, ctx: Context, inputs: ThingInputs) -> tuple[str, ThingOutputs]:
        place = Place()
        place.journal(f"create {inputs.name}")
        place.fail("create-unreachable", Unreachable("place", "does not answer", "start it"))
        if place.has("create-bug"):
            raise KeyError(inputs.password or "oops")
        if place.get(inputs.name) is None:
            place.take_port(inputs)
            place.put(inputs, generation=1)
        elif place.get(inputs.name).get("finished"):
            raise Conflict(inputs.name, "exists already", "import it")
        found = outputs(place.get(inputs.name))
        ctx.made(inputs.name, found)
        ctx.status(f"waiting for {inputs.name}")
        await place.slow()
        place.fail("create-half", Rejected(inputs.name, f"would not start with {inputs.password}", "look at its log"))
        place.put(inputs, generation=1, finished=True)
        return inputs.name, outputs(place.get(inputs.name))

    async def read(
        self, ctx: Context, id: str, inputs: ThingInputs | None, state: ThingOutputs | None
    ) -> tuple[ThingInputs, ThingOutputs] | None:
        place = Place()
        place.journal(f"read {id}")
        silent = Unreachable("place", "does not answer", "start it")
        place.fail("read-unreachable", silent)
        place.fail(f"read-unreachable-{id}", silent)
        thing = place.get(id)
        if thing is None:
            return None
        return ThingInputs.model_validate(thing["inputs"]), outputs(thing)

    async def update(
        self, ctx: Context, id: str, old_inputs: ThingInputs, state: ThingOutputs, inputs: ThingInputs
    ) -> ThingOutputs:
        place = Place()
        place.journal(f"update {id}")
        thing = place.get(id)
        if thing is None:
            raise NotFound(id, "is gone", "run with --refresh")
        place.fail("update-unreachable", Unreachable("place", "does not answer", "start it"))
        place.fail("update-refused", Rejected(id, "will not change"))
        place.put(inputs, generation=thing["generation"] + 1)
        ctx.made(id, outputs(place.get(id)))
        await place.slow()
        place.fail("update-half", Rejected(id, "changed but is not well"))
        place.put(inputs, generation=thing["generation"] + 1, finished=True)
        return outputs(place.get(id))

    async def delete(self, ctx: Context, id: str, inputs: ThingInputs, state: ThingOutputs) -> None:
        place = Place()
        place.journal(f"delete {id}")
        place.fail("delete-unreachable", Unreachable("place", "does not answer", "start it"))
        if place.get(id) is None:
            raise NotFound(id, "is not there")
        place.remove(id)


def outputs(thing: dict[str, Any]) -> ThingOutputs:
    inputs = ThingInputs.model_validate(thing["inputs"])
    return ThingOutputs(
        name=inputs.name,
        size=inputs.size,
        url=f"thing://{inputs.name}:{inputs.port}",
        generation=thing["generation"],
        settings=inputs.settings,
        banner=f"login {inputs.password}" if inputs.password else "",
    )


class Place:
    """The folder behind all things."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ["ANYTIER_TEST_PLACE"])
        self.root.mkdir(parents=True, exist_ok=True)

    def get(self, id: str) -> Any:
        file = self.root / f"{id}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def put(self, inputs: ThingInputs, generation: int, finished: bool = False) -> None:
        thing = {"inputs": inputs.wire(), "generation": generation, "finished": finished}
        (self.root / f"{inputs.name}.json").write_text(json.dumps(thing))

    def remove(self, id: str) -> None:
        (self.root / f"{id}.json").unlink()

    def names(self) -> list[str]:
        return sorted(file.stem for file in self.root.glob("*.json"))

    def take_port(self, inputs: ThingInputs) -> None:
        taken = {self.get(name)["inputs"]["port"] for name in self.names()}
        if inputs.port and inputs.port in taken:
            raise Conflict(f"port {inputs.port}", "is taken", "free it")

    def journal(self, line: str) -> None:
        with (self.root / "journal").open("a") as out:
            out.write(line + "\n")

    def history(self) -> list[str]:
        """What was done since the last look."""
        file = self.root / "journal"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def faults(self, *names: str) -> None:
        (self.root / "fault").write_text(" ".join(names))

    def has(self, fault: str) -> bool:
        file = self.root / "fault"
        return file.exists() and fault in file.read_text().split()

    def fail(self, fault: str, error: AnytierError) -> None:
        if self.has(fault):
            raise error

    async def slow(self) -> None:
        while self.has("slow"):
            await asyncio.sleep(0.05)


DOMAIN = "anytier:libvirt:Domain"
REGISTRY = Registry({"anytier:test:Thing": "tests.provider.inmemory:ThingResource", DOMAIN: RESOURCES[DOMAIN]})
