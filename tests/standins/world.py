"""What a stood-in cloud holds, how it is told to misbehave, and what it was asked: files in one folder.

    <folder>/control.json        what a test wants (see Control)
    <folder>/journal.jsonl       one line for each thing that happened, in order
    <folder>/things/<hash>.json  a thing that exists; a test may change or remove it behind the engine's back

The folder stands for the cloud, not for the engine: secrets lie in it as they were given. Its files are for their
owner only.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "ANYTIER_STANDINS"  # the variable that names the folder


@dataclass
class Thing:
    """A resource as the cloud holds it. `whole`: its creation or update came to its end. `buried`: deleted, but its
    name stays taken, as that of a key ring."""

    token: str
    name: str
    urn: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    whole: bool = True
    buried: bool = False


@dataclass(frozen=True)
class Fault:
    """What happens to some requests. `type` and `name` are patterns for a resource's token and its name in the program.

    `times`: how many requests it concerns, 0 for all. `delay`: seconds that pass first. `error`: the request fails with
    this text. `partial`: the thing is made (or changed) nevertheless, and the failure reports it.
    """

    phase: str
    type: str = "*"
    name: str = "*"
    times: int = 1
    delay: float = 0.0
    error: str | None = None
    partial: bool = False

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def concerns(self, phase: str, token: str, name: str) -> bool:
        return self.phase == phase and fnmatch.fnmatchcase(token, self.type) and fnmatch.fnmatchcase(name, self.name)


class World:
    """One folder. Each of the three plugins opens it for itself; things of one cloud are one plugin's only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._things = folder / "things"
        self._journal = folder / "journal.jsonl"
        self._control = folder / "control.json"
        self._things.mkdir(parents=True, exist_ok=True, mode=0o700)

    # what a test says

    def control(self) -> dict[str, Any]:
        """`faults`: list of faults; `credentials`: false for none; `clusters`: name pattern -> what is handed out;
        `address`: the public one that is handed out, where a cloud reserves one; `credential`: see credential.py."""
        try:
            said = json.loads(self._control.read_text())
        except FileNotFoundError:
            return {}
        return dict(said)

    def tell(self, *, faults: list[Fault] | None = None, **more: Any) -> None:
        """Says anew what is wanted; without arguments nothing is."""
        text = json.dumps({"faults": [asdict(item) for item in faults or ()], **more})
        draft = self._control.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self._control)

    def fault(self, phase: str, token: str, name: str) -> Fault | None:
        """The first that concerns a request and has not happened often enough. It counts as happened now."""
        for said in self.control().get("faults", ()):
            fault = Fault(**said)
            if fault.concerns(phase, token, name):
                happened = sum(line["event"] == "fault" and line["fault"] == fault.key for line in self.journal())
                if not fault.times or happened < fault.times:
                    self.note("fault", phase, token, name, fault=fault.key)
                    return fault
        return None

    # what happened

    def note(self, event: str, phase: str, token: str, name: str, **more: Any) -> None:
        line = json.dumps({"at": time.time(), "event": event, "phase": phase, "type": token, "name": name, **more})
        number = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(number, (line + "\n").encode())  # one write, so that lines of several plugins do not mix
        finally:
            os.close(number)

    def journal(self) -> list[dict[str, Any]]:
        """Every line. `event`: begin, done, failed, fault or cancelled; `phase`: create, update or delete."""
        if not self._journal.exists():
            return []
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    def done(self, phase: str) -> list[str]:
        """The names, in the program, of what came to its end in this phase, in order."""
        return [line["name"] for line in self.journal() if (line["event"], line["phase"]) == ("done", phase)]

    def forget(self) -> None:
        """Begins the journal anew."""
        self._journal.unlink(missing_ok=True)

    # what exists

    def things(self) -> list[Thing]:
        return [thing for thing in self._all() if not thing.buried]

    def get(self, token: str, id: str, buried: bool = False) -> Thing | None:
        thing = _read(self._file(token, id))
        return None if thing is None or thing.buried != buried else thing

    def named(self, name: str) -> Thing:
        """The one thing of this name in the program."""
        (thing,) = (thing for thing in self.things() if thing.name == name)
        return thing

    def put(self, thing: Thing) -> None:
        file = self._file(thing.token, thing.id)
        draft = file.with_suffix(f".{os.getpid()}")
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(number, "w", encoding="utf-8") as out:
            json.dump(asdict(thing), out)
        draft.replace(file)

    def remove(self, thing: Thing) -> None:
        self._file(thing.token, thing.id).unlink(missing_ok=True)

    def _all(self) -> Iterator[Thing]:
        for file in sorted(self._things.glob("*.json")):
            thing = _read(file)
            if thing is not None:
                yield thing

    def _file(self, token: str, id: str) -> Path:
        return self._things / f"{hashlib.sha256(f'{token} {id}'.encode()).hexdigest()[:24]}.json"


def _read(file: Path) -> Thing | None:
    try:
        return Thing(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
