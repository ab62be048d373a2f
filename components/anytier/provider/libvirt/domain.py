"""`anytier:libvirt:Domain`: a virtual machine. It changes in place; it restarts only for what needs it, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.hypervisors.uri import driver, identity, lacks
from anytier.provider.fields import delete_first, replaces
from anytier.provider.libvirt import errors, power
from anytier.provider.libvirt.connection import Hypervisor, There, library, located, there, uuid_for, wrong_host
from anytier.provider.libvirt.console import Console, Line
from anytier.provider.libvirt.naming import not_ours, wrong_name, wrong_path, wrong_text
from anytier.provider.libvirt.power import Wait
from anytier.provider.resource import Context, Resource
from anytier.render.libvirt import dialect, xml
from anytier.render.libvirt import domain as parts
from anytier.render.libvirt import machine as form
from anytier.render.libvirt.domain import Domain, Placed
from anytier.render.libvirt.plan import Plan, plan

_IDE = 4  # disks: two channels of two
_UNPLUG = 20.0  # seconds that a guest has to let go of a device
_OWN = {"host", "generation", "autostart", "running", "restart", "stop_timeout", "wait"}


class DomainInputs(Domain):
    """`restart`: whether a running machine may be restarted for a change that needs it; if not, the change waits for
    the next start. `stopTimeout`: seconds that a guest has to shut down before it is switched off. `generation`:
    which installation this is, in any words; another one is another machine in its place."""

    host: Annotated[Hypervisor, replaces] = Hypervisor()
    name: Annotated[str, replaces]
    generation: Annotated[str | None, delete_first] = None
    autostart: bool = False
    running: bool = True
    restart: Literal["allow", "never"] = "allow"
    stop_timeout: float = Field(default=60, ge=0, le=3600)
    wait: Wait = Wait()

    def domain(self) -> Domain:
        return Domain.model_validate(self.model_dump(exclude=_OWN))


class DomainOutputs(Frozen):
    """`targets`: what the guest's disks are called; `pending`: changes that wait for the next start."""

    uuid: str
    targets: list[str] = Field(default_factory=list)
    macs: list[str] = Field(default_factory=list)
    addresses: list[str] = Field(default_factory=list)
    pending: list[str] = Field(default_factory=list)
    defined: bool = False


@dataclass(frozen=True)
class Found:
    """A domain that is there. `lasting` is what it starts with next time, `live` what runs now, if it does."""

    uuid: str
    lasting: Element
    live: Element | None
    autostart: bool


class DomainResource(Resource[DomainInputs, DomainOutputs]):
    inputs = DomainInputs
    outputs = DomainOutputs

    # Pure

    def check(self, inputs: DomainInputs) -> list[AnytierError]:
        return [
            *wrong_host(inputs.host),
            *wrong_name(inputs.name),
            *wrong_text(inputs.description, "description"),
            *_wrong_size(inputs),
            *_wrong_kind(inputs),
            *_wrong_disks(inputs),
            *_wrong_buses(inputs),
            *_wrong_nics(inputs),
            *_wrong_order(inputs),
        ]

    def replaces(self, old: DomainInputs, new: DomainInputs) -> list[str]:
        """Nothing beyond the fields' own; but where a machine cannot be changed at all a preview says so."""
        unable = lacks(new.host.uri, "update")
        same = (old.host, old.name, old.generation) == (new.host, new.name, new.generation)
        if unable is not None and same and old.domain() != new.domain():
            raise Rejected(f"machine {new.name}", *unable)
        return []

    def drifted(self, inputs: DomainInputs, state: DomainOutputs) -> list[str]:
        waiting = bool(state.pending) and inputs.restart == "allow"
        return ["name"] if waiting or not state.defined else []

    def planned(self, old: DomainOutputs | None, inputs: DomainInputs) -> Mapping[str, Any]:
        if old is None:
            return {"pending": [], "defined": True}
        return {"uuid": old.uuid, "macs": _macs(inputs, old.uuid), "defined": True}

    def foretold(self, old_inputs: DomainInputs, state: DomainOutputs, inputs: DomainInputs) -> list[str]:
        if not old_inputs.running or not inputs.running:
            return []
        able = driver(inputs.host.uri)
        hotplug = able is None or "hotplug" in able.abilities
        reasons = plan(_guess(old_inputs, state), _guess(inputs, state), hotplug).restart
        if not reasons:
            return []
        what = "restarts" if inputs.restart == "allow" else "does not restart (restart: never), so these wait for it"
        return [f"the machine {inputs.name} {what}: {'; '.join(reasons)}"]

    # Effects

    async def create(self, ctx: Context, inputs: DomainInputs) -> tuple[str, DomainOutputs]:
        return inputs.name, await self._ensure(ctx, inputs, uuid_for(ctx.urn, inputs.host, inputs.name))

    async def read(
        self, ctx: Context, id: str, inputs: DomainInputs | None, state: DomainOutputs | None
    ) -> tuple[DomainInputs, DomainOutputs] | None:
        host, name = (inputs.host, inputs.name) if inputs else located(id)
        place = await there(host)
        found = await find(place, name)
        if found is None:
            return None
        have, placed = form.parse(found.lasting)
        known = _as_asked(inputs, have, host, found)
        pending = _pending(found, "hotplug" in place.abilities, state.pending if state else [])
        kept = state.addresses if state else []
        if found.live is not None and known.wait.until != "running":
            kept = await power.addresses(place, found.uuid, f"machine {name}") or kept
        order = [disk.path for disk in known.disks]
        targets = dict(zip((disk.path for disk in have.disks), placed.targets, strict=True))
        macs = sorted(placed.macs, key=lambda mac: _place(mac, _macs(known, found.uuid)))
        placed = placed.model_copy(update={"targets": [targets[path] for path in order], "macs": macs})
        return known, _outputs(placed, kept, pending)

    async def update(
        self, ctx: Context, id: str, old_inputs: DomainInputs, state: DomainOutputs, inputs: DomainInputs
    ) -> DomainOutputs:
        return await self._ensure(ctx, inputs, state.uuid, state.addresses)

    async def delete(self, ctx: Context, id: str, inputs: DomainInputs, state: DomainOutputs) -> None:
        place, path = await there(inputs.host), f"machine {inputs.name}"
        found = await find(place, inputs.name)
        if found is None:
            return
        if found.uuid != state.uuid:
            ctx.left_alone(f"machine {inputs.name}")
            return
        # No start by the host from here on, and none while we wait for it to stop.
        await power.stop(ctx, place, found.uuid, path, inputs.stop_timeout)
        await place.call(path, lambda raw: _undefine(raw, found.uuid))

    # Steps

    async def _ensure(
        self, ctx: Context, inputs: DomainInputs, uuid: str, addresses: Iterable[str] = ()
    ) -> DomainOutputs:
        place, path = await there(inputs.host), f"machine {inputs.name}"
        _require(place, inputs, path)
        found = await find(place, inputs.name)
        if found is not None and found.uuid != uuid:
            raise not_ours(path, "undefine", "Domain", inputs.name)
        wanted, placed = await _placed(place, inputs, uuid, found)
        outputs = _outputs(placed, list(addresses), [])
        ctx.made(inputs.name, outputs.model_copy(update={"defined": found is not None}))
        made = await self._define(place, path, wanted, placed, found)
        uuid = str(made.findtext("uuid"))  # Hyper-V picks one itself
        outputs = outputs.model_copy(update={"uuid": uuid})
        ctx.made(inputs.name, outputs)
        await place.call(path, lambda raw: _autostart(raw, uuid, inputs.autostart), 60)
        if not inputs.running:
            await power.stop(ctx, place, uuid, path, inputs.stop_timeout)
            return outputs
        pending: list[str] = []
        if found is not None and found.live is not None:
            pending = await self._change(ctx, place, inputs, made, found.live)
        local = urlsplit(inputs.host.uri).hostname is None
        line = Line(inputs.host, inputs.name) if inputs.wait.until != "running" else None
        async with Console(wanted.console_log, local, line) as console:
            console.mark()
            ctx.made(inputs.name, outputs.model_copy(update={"pending": pending}))
            await power.start(place, uuid, path)
            seen = await power.up(ctx, place, uuid, path, inputs.wait, console)
        return outputs.model_copy(update={"addresses": seen or list(addresses), "pending": pending})

    async def _define(self, place: There, path: str, wanted: Domain, placed: Placed, found: Found | None) -> Element:
        """What is defined then, as libvirt completed it. What cannot be changed there stays as it was made."""
        if found is not None and "update" not in place.abilities:
            return found.lasting
        try:
            root = form.render(wanted, placed)
        except ValueError as error:
            raise Rejected(path, str(error), "leave control characters out") from error
        root = form.with_spare_ports(root) if found is None else form.merged(root, found.lasting)
        text = xml.written(root)

        def define(raw: Any) -> Element:
            machine = raw.defineXML(text)
            return xml.read(machine.XMLDesc(_lasting()))

        return await place.call(path, define)

    async def _change(
        self, ctx: Context, place: There, inputs: DomainInputs, made: Element, live: Element
    ) -> list[str]:
        """Brings what runs to what is defined. The answer is what waits for the next start."""
        uuid, path = str(made.findtext("uuid")), f"machine {inputs.name}"
        steps = plan(form.parse(live), form.parse(made), "hotplug" in place.abilities)
        if steps == Plan():
            return []
        if steps.restart and inputs.restart == "allow":
            ctx.status(f"restarting: {steps.restart[0]}")
            await power.stop(ctx, place, uuid, path, inputs.stop_timeout)
            return []
        left = await _plug(place, uuid, path, steps, made, live)
        reasons = [*steps.restart, *left]
        if left and inputs.restart == "allow":
            ctx.status(f"restarting: {left[0]}")
            await power.stop(ctx, place, uuid, path, inputs.stop_timeout)
            return []
        if reasons:
            ctx.warn(f"the machine {inputs.name} needs a restart, which it may not get: {'; '.join(reasons)}")
        return reasons


async def find(place: There, name: str) -> Found | None:
    def look(raw: Any) -> Found:
        machine = raw.lookupByName(name)
        lasting = xml.read(machine.XMLDesc(_lasting()))
        live = xml.read(machine.XMLDesc(0)) if machine.isActive() else None
        return Found(str(machine.UUIDString()), lasting, live, _starts_itself(machine))

    try:
        return await place.call(f"machine {name}", look)
    except NotFound:
        return None


async def _placed(place: There, inputs: DomainInputs, uuid: str, found: Found | None) -> tuple[Domain, Placed]:
    """The machine with what is left open decided, the same way each time; what is there stays what it is."""
    wanted = inputs.domain()
    kind = None if found is None else str(found.lasting.get("type"))
    known: dict[str, str] = {}
    if found is not None:
        have, old = form.parse(found.lasting)
        known = {disk.path: name for disk, name in zip(have.disks, old.targets, strict=True)}
    if place.driver.name == "QEMU" and wanted.machine is None and wanted.arch == "x86_64":
        wanted = wanted.model_copy(update={"machine": "q35"})
    if wanted.accelerator != "auto" or kind is None:
        kind = await _type(place, wanted)
    wanted = dialect.spoken(wanted, kind)
    targets = parts.targets(wanted.disks, wanted.machine, known)
    return wanted, Placed(uuid=uuid, type=kind, targets=targets, macs=_macs(inputs, uuid))


def _macs(inputs: DomainInputs, uuid: str) -> list[str]:
    """By the machine's UUID. One that the hypervisor picks comes later than the cards: there by place and name."""
    known = driver(inputs.host.uri)
    own = known is not None and known.picks_uuids
    return parts.macs(inputs.nics, f"{identity(inputs.host.uri)}\n{inputs.name}" if own else uuid)


async def _type(place: There, wanted: Domain) -> str:
    types = place.driver.types
    if "kvm" not in types:
        return types[0]
    if wanted.accelerator != "auto":
        return {"kvm": "kvm", "tcg": "qemu"}[wanted.accelerator]

    def ask(raw: Any) -> str:
        try:
            raw.getDomainCapabilities(None, wanted.arch, wanted.machine, "kvm", 0)
        except library().libvirtError as error:
            if error.get_error_code() not in (errors.INVALID_ARG, 67, 3):
                raise
            return "qemu"
        return "kvm"

    return await place.call(f"machine {wanted.name}", ask)


async def _plug(place: There, uuid: str, path: str, steps: Plan, made: Element, live: Element) -> list[str]:
    """What goes while it runs: first out, then in, as what comes may take a slot that is let go of. The answer is
    what did not go."""
    flags = library().VIR_DOMAIN_AFFECT_LIVE
    gone = [form.device(live, disk=item) for item in steps.unplug_disks]
    gone += [form.device(live, mac=item) for item in steps.unplug_nics]
    come = {f"disk {item}": form.device(made, disk=item) for item in steps.plug_disks}
    come |= {f"network card {item}": form.device(made, mac=item) for item in steps.plug_nics}

    def amounts_and_out(raw: Any) -> None:
        machine = raw.lookupByUUIDString(uuid)
        if steps.memory is not None:
            machine.setMemoryFlags(steps.memory * 1024, flags)
        if steps.vcpus is not None:
            machine.setVcpusFlags(steps.vcpus, flags)
        for item in filter(None, gone):
            machine.detachDeviceFlags(xml.written(item), flags)

    await place.call(path, amounts_and_out)
    left = await _unplugged(place, uuid, path, steps)
    if left:
        return [*left, *(f"{name}: waits for that" for name in come)]
    for name, item in come.items():
        try:
            await place.call(path, partial(_attach, uuid=uuid, device=item, flags=flags))
        except Rejected as error:  # no slot left, or a guest that has no say in it yet
            left.append(f"{name}: {error.what}")
    return left


def _attach(raw: Any, uuid: str, device: Element | None, flags: int) -> None:
    if device is not None:
        raw.lookupByUUIDString(uuid).attachDeviceFlags(xml.written(device), flags)


async def _unplugged(place: There, uuid: str, path: str, steps: Plan) -> list[str]:
    """Unplugging is a question to the guest; one that boots, or hangs, does not answer it."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + _UNPLUG
    while steps.unplug_disks or steps.unplug_nics:
        root = await place.call(path, lambda raw: xml.read(raw.lookupByUUIDString(uuid).XMLDesc(0)))
        disks = [item for item in steps.unplug_disks if form.device(root, disk=item) is not None]
        nics = [item for item in steps.unplug_nics if form.device(root, mac=item) is not None]
        left = _kept(Plan(unplug_disks=disks, unplug_nics=nics))
        if not left or loop.time() >= limit:
            return left
        await asyncio.sleep(0.5)
    return []


def _lasting() -> int:
    libvirt = library()
    return int(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)


def _starts_itself(machine: Any) -> bool:
    try:
        return bool(machine.autostart())
    except library().libvirtError as error:
        if error.get_error_code() != errors.NO_SUPPORT:
            raise
        return False


def _autostart(raw: Any, uuid: str, wanted: bool) -> None:
    machine = raw.lookupByUUIDString(uuid)
    if _starts_itself(machine) != wanted:
        machine.setAutostart(int(wanted))


def _undefine(raw: Any, uuid: str) -> None:
    """With its saved state, its snapshots' and checkpoints' records and its NVRAM, as far as the driver has them."""
    libvirt = library()
    machine = raw.lookupByUUIDString(uuid)
    records = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    more = records | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    for flags in (more, records):
        try:
            machine.undefineFlags(flags)
            return
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (errors.INVALID_ARG, errors.NO_SUPPORT):
                raise
    machine.undefine()


def _require(place: There, inputs: DomainInputs, path: str) -> None:
    if inputs.firmware == "uefi":
        place.require("firmware", path)
    if inputs.console_log is not None:
        place.require("console", path)
    if inputs.autostart:
        place.require("autostart", path)


def _outputs(placed: Placed, addresses: list[str], pending: list[str]) -> DomainOutputs:
    return DomainOutputs(
        uuid=placed.uuid,
        targets=placed.targets,
        macs=placed.macs,
        addresses=addresses,
        pending=pending,
        defined=True,
    )


def _pending(found: Found, hotplug: bool, known: list[str]) -> list[str]:
    """What is defined but does not run yet. What runs beyond that waits to go only if it did before (`known`): somebody
    else may have plugged it in for a while."""
    if found.live is None:
        return []
    steps = plan(form.parse(found.live), form.parse(found.lasting), hotplug)
    absent = [f"disk {item}: is not plugged in" for item in steps.plug_disks]
    absent += [f"network card {item}: is not plugged in" for item in steps.plug_nics]
    return [*steps.restart, *absent, *(line for line in _kept(steps) if line in known)]


def _kept(steps: Plan) -> list[str]:
    disks = [f"disk {item}: the guest keeps it" for item in steps.unplug_disks]
    return disks + [f"network card {item}: the guest keeps it" for item in steps.unplug_nics]


def _guess(inputs: DomainInputs, state: DomainOutputs) -> tuple[Domain, Placed]:
    """Without asking anybody."""
    domain = inputs.domain()
    targets = parts.targets(domain.disks, domain.machine)
    return domain, Placed(uuid=state.uuid, type="", targets=targets, macs=_macs(inputs, state.uuid))


def _as_asked(asked: DomainInputs | None, have: Domain, host: Hypervisor, found: Found) -> DomainInputs:
    """What is there, in the words in which it was asked for: what was left open is no difference."""
    if not dialect.of(str(found.lasting.get("type"))).emulated:
        have = have.model_copy(update={"disks": _with_formats(asked, have, host)})
    if asked is None:
        return DomainInputs(**dict(have), host=host, autostart=found.autostart, running=found.live is not None)
    left_open = {
        name: getattr(asked, name)
        for name in ("machine", "cpu", "max_memory", "max_vcpus", "console_log", "description")
        if getattr(asked, name) is None
    }
    if asked.machine is not None and _is_alias(asked.machine, have.machine):
        left_open["machine"] = asked.machine
    for name, real in (("max_memory", have.memory), ("max_vcpus", have.vcpus)):
        # The most is the same as the now: libvirt does not say it twice.
        if getattr(asked, name) == real and getattr(have, name) is None:
            left_open[name] = real
    if asked.accelerator == "auto" or have.accelerator == "auto":
        left_open["accelerator"] = asked.accelerator
    if found.lasting.get("type") not in ("kvm", "qemu"):
        left_open["guest_agent"] = asked.guest_agent
    known = {disk.path: disk for disk in asked.disks}
    disks = [_disk_as_asked(known.get(item.path), item) for item in have.disks]
    macs = dict(zip(_macs(asked, found.uuid), asked.nics, strict=True))
    nics = [item if item.mac not in macs else _nic_as_asked(macs[item.mac], item) for item in have.nics]
    # libvirt sorts its devices; strangers come last
    disks.sort(key=lambda item: _place(item.path, known))
    nics = [item for _, item in sorted(zip(have.nics, nics, strict=True), key=lambda pair: _place(pair[0].mac, macs))]
    seen = have.model_copy(update={**left_open, "disks": disks, "nics": nics})
    own = {name: getattr(asked, name) for name in _OWN}
    own |= {"autostart": found.autostart, "running": found.live is not None}
    return DomainInputs(**{**dict(seen), **own})


def _with_formats(asked: DomainInputs | None, have: Domain, host: Hypervisor) -> list[parts.Disk]:
    """Only QEMU is told a disk's format; elsewhere it is the one that was asked for, or the hypervisor's own."""
    known = driver(host.uri)
    own = known.formats[0] if known is not None else "qcow2"
    said = {item.path: item.format for item in asked.disks} if asked is not None else {}
    return [item.model_copy(update={"format": said.get(item.path, own)}) for item in have.disks]


def _disk_as_asked(asked: parts.Disk | None, have: parts.Disk) -> parts.Disk:
    if asked is None:
        return have
    update: dict[str, Any] = {"bus": None} if asked.bus is None else {}
    if asked.kind == "cdrom":
        update["read_only"] = asked.read_only
    return have.model_copy(update=update)


def _place(name: str | None, order: Iterable[str]) -> int:
    names = list(order)
    return names.index(name) if name in names else len(names)


def _nic_as_asked(asked: parts.Nic, have: parts.Nic) -> parts.Nic:
    left_open = {name: None for name in ("mac", "model") if getattr(asked, name) is None}
    return have.model_copy(update=left_open)


def _is_alias(asked: str, have: str | None) -> bool:
    return (asked == "q35" and parts.is_q35(have)) or (asked == "pc" and have is not None and parts.is_pc(have))


# Checks


def _wrong_size(inputs: DomainInputs) -> Iterator[AnytierError]:
    for name, most, now in (
        ("maxMemory", inputs.max_memory, inputs.memory),
        ("maxVcpus", inputs.max_vcpus, inputs.vcpus),
    ):
        if most is not None and most < now:
            yield Rejected(name, f"{most} is less than it starts with ({now})", f"at least {now}")


def _wrong_kind(inputs: DomainInputs) -> Iterator[AnytierError]:
    known = driver(inputs.host.uri)
    if known is not None and inputs.accelerator != "auto" and "kvm" not in known.types:
        yield Rejected("accelerator", f"{known.name} has none to choose", "leave it out")
    for ability, field, asked in (
        ("firmware", "firmware", inputs.firmware == "uefi"),
        ("console", "consoleLog", inputs.console_log is not None),
        ("autostart", "autostart", inputs.autostart),
    ):
        if asked and known is not None and ability not in known.abilities:
            yield Rejected(field, f"{known.name} does not do that by libvirt", "leave it out")
    if inputs.secure_boot and inputs.firmware != "uefi":
        yield Rejected("secureBoot", "needs UEFI", "firmware: uefi")
    if inputs.secure_boot and inputs.machine is not None and parts.is_pc(inputs.machine):
        yield Rejected("secureBoot", f"machine {inputs.machine} cannot do it", "machine: q35")
    for field, value in (("machine", inputs.machine), ("arch", inputs.arch)):
        if value is not None:
            yield from wrong_name(value, field)
    if inputs.console_log is not None:
        yield from wrong_path(inputs.console_log, "consoleLog")
    if inputs.kernel is not None:
        yield from wrong_path(inputs.kernel.path, "kernel.path")
        if inputs.kernel.initrd is not None:
            yield from wrong_path(inputs.kernel.initrd, "kernel.initrd")
        yield from wrong_text(inputs.kernel.arguments, "kernel.arguments")


def _wrong_disks(inputs: DomainInputs) -> Iterator[AnytierError]:
    known = driver(inputs.host.uri)
    paths = [item.path for item in inputs.disks]
    for index, item in enumerate(inputs.disks):
        path = f"disks[{index}].path"
        if item.path in paths[:index]:
            yield Rejected(path, "is given twice", "each disk once")
        if known is not None and "kvm" in known.types:
            yield from wrong_path(item.path, path)
        elif not item.path:
            yield Rejected(path, "is empty", "a file of the host, or one in a datastore: `[store] name.vmdk`")
        yield from wrong_text(item.path, path)
        yield from wrong_text(item.serial, f"disks[{index}].serial")
        if item.serial is not None and not 0 < len(item.serial) <= 20:
            yield Rejected(f"disks[{index}].serial", "has no more than 20 characters in a guest", "a shorter one")


def _wrong_buses(inputs: DomainInputs) -> Iterator[AnytierError]:
    known = driver(inputs.host.uri)
    wanted = inputs.domain() if known is None else dialect.spoken(inputs.domain(), known.types[0])
    on_ide = [index for index, item in enumerate(wanted.disks) if parts.bus(item, wanted.machine) == "ide"]
    for index in on_ide[_IDE:]:
        yield Rejected(f"disks[{index}].bus", f"is ide, which takes {_IDE}", "bus: scsi for what it does not boot from")


def _wrong_nics(inputs: DomainInputs) -> Iterator[AnytierError]:
    known = driver(inputs.host.uri)
    named = known is None or known.types[0] in ("kvm", "test")  # others call theirs what they like: `VM Network`
    macs = [item.mac for item in inputs.nics]
    ports = [(one.protocol, one.address, one.port) for item in inputs.nics for one in item.forwards]
    for index, item in enumerate(inputs.nics):
        path = f"nics[{index}]"
        if item.network is not None and item.bridge is not None:
            yield Rejected(path, "is on a network and on a bridge", "one of the two")
        if item.forwards and (item.network is not None or item.bridge is not None):
            yield Rejected(f"{path}.forwards", "are for a card on neither network nor bridge", "leave them out")
        if item.mac is not None and item.mac in macs[:index]:
            yield Rejected(f"{path}.mac", f"{item.mac} is given twice", "each once, or leave it out")
        if item.mac is not None and item.mac.startswith("fe:"):
            yield Rejected(f"{path}.mac", "begins with fe, which libvirt keeps for itself", "52:54:00:...")
        for name in ("network", "bridge", "model"):
            value = getattr(item, name)
            if value is not None:
                yield from (wrong_name if named or name == "model" else wrong_text)(value, f"{path}.{name}")
        for place, one in enumerate(item.forwards):
            if ports.count((one.protocol, one.address, one.port)) > 1:
                yield Rejected(f"{path}.forwards[{place}].port", f"{one.port} is given twice", "each once")


def _wrong_order(inputs: DomainInputs) -> Iterator[AnytierError]:
    seen: set[int] = set()
    devices = [(f"disks[{index}]", item.boot) for index, item in enumerate(inputs.disks)]
    devices += [(f"nics[{index}]", item.boot) for index, item in enumerate(inputs.nics)]
    for path, order in devices:
        if order is not None and order in seen:
            yield Rejected(f"{path}.boot", f"{order} is given twice", "each place in the order once")
        seen |= {order} if order is not None else set()
