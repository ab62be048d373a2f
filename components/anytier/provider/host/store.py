"""The records of a workload on the machine: what is deployed, its kept revisions, and its instances."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anytier.provider.host.layout import parse_instance
from anytier.provider.host.models import InstanceRecord, Revision, WorkloadRecord
from anytier.provider.host.place import Place
from anytier.provider.host.program import json_bytes
from anytier.provider.host.transport import File
from anytier.render.template import Template


@dataclass(frozen=True)
class Kept:
    """A revision with its secrets: all that is needed to run it again."""

    revision: Revision
    secrets: Mapping[str, str]

    def is_(self, digest: str) -> bool:
        return self.revision.hash == digest

    @property
    def release(self) -> str | None:
        process = self.revision.template.process
        return process.release if process else None


class Store:
    """One workload's records. Nothing is cached: the machine is the truth."""

    def __init__(self, place: Place, workload: str) -> None:
        self.place, self.workload = place, workload
        self.folder = place.layout.workload(workload)

    async def record(self) -> WorkloadRecord | None:
        path = f"{self.folder}/workload.json"
        data = (await self.place.machine.read([path])).get(path)
        return WorkloadRecord.model_validate_json(data) if data else None

    async def save(self, record: WorkloadRecord) -> None:
        await self.place.machine.put([File(f"{self.folder}/workload.json", json_bytes(record.wire()), 0o600)])

    async def revisions(self) -> dict[int, Kept]:
        names = await self.place.machine.list(self.folder)
        numbers = [
            name[1:-5] for name in names if name.startswith("r") and name[1:-5].isdigit() and name.endswith(".json")
        ]
        paths = [f"{self.folder}/r{number}{kind}.json" for number in numbers for kind in ("", ".secret")]
        found = await self.place.machine.read(paths)
        kept = {}
        for number in numbers:
            data = found.get(f"{self.folder}/r{number}.json")
            if data:
                secrets = json.loads(found.get(f"{self.folder}/r{number}.secret.json", b"{}"))
                kept[int(number)] = Kept(Revision.model_validate_json(data), secrets)
        return dict(sorted(kept.items()))

    async def keep(self, revisions: Iterable[Kept]) -> None:
        """Secrets first: a revision that is there is complete."""
        files = [File(self.folder, None, self.place.site.folder_mode)]
        for item in revisions:
            number = item.revision.revision
            files += [
                File(f"{self.folder}/r{number}.secret.json", json_bytes(dict(item.secrets)), 0o600),
                File(f"{self.folder}/r{number}.json", json_bytes(item.revision.wire()), 0o600),
            ]
        await self.place.machine.put(files)

    async def served(self, kept: Kept) -> None:
        """A rollout of this revision ended well: from now on it is one to go back to."""
        revision = kept.revision.model_copy(update={"served": True})
        path = f"{self.folder}/r{revision.revision}.json"
        await self.place.machine.put([File(path, json_bytes(revision.wire()), 0o600)])

    async def prune(self, current: int, retain: int) -> None:
        """Keeps the newest `retain` revisions, the current one always."""
        numbers = sorted(await self.revisions(), reverse=True)
        keep = {current, *[n for n in numbers if n != current][: max(0, retain - 1)]}
        gone = [number for number in numbers if number not in keep]
        await self.place.machine.remove(
            [f"{self.folder}/r{number}{kind}.json" for number in gone for kind in ("", ".secret")]
        )

    async def instances(self) -> list[InstanceRecord]:
        """All instances on disk, half-made ones included: their folder alone says who they are."""
        layout = self.place.layout
        parsed = [parse_instance(name) for name in await self.place.machine.list(layout.instances)]
        mine = sorted(item[1:] for item in parsed if item and item[0] == self.workload)
        units = [layout.unit(self.workload, *pair) for pair in mine]
        paths = {unit: f"{layout.instance(unit)}/instance.json" for unit in units}
        found = await self.place.machine.read(list(paths.values()))
        return [
            InstanceRecord.model_validate_json(found[paths[unit]])
            if found.get(paths[unit])
            else InstanceRecord(unit=unit, workload=self.workload, revision=revision, index=index, created_at=0)
            for unit, (revision, index) in zip(units, mine, strict=True)
        ]

    async def forget(self) -> None:
        await self.place.machine.remove([self.folder])


def next_number(kept: Mapping[int, Kept], instances: Iterable[InstanceRecord]) -> int:
    return max([0, *kept, *(record.revision for record in instances)]) + 1


def made_now(number: int, digest: str, template: Template, secrets: Mapping[str, str]) -> Kept:
    made = Revision(revision=number, hash=digest, template=template, created_at=round(time.time(), 3))
    return Kept(made, secrets)


def content_hash(key: bytes, template: Template, secrets: Mapping[str, str]) -> str:
    """Equal exactly when what runs is equal. Keyed, so that a secret cannot be guessed from it."""
    content = json.dumps([template.wire(), dict(secrets)], sort_keys=True)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:16]
