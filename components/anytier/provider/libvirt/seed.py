"""`anytier:libvirt:SeedIso`: what a guest's cloud-init reads at its first boot, as a small image beside its disk.

Give it to the machine as a read-only disk: kernels made for clouds have no driver for a SATA CD-ROM. The guest's host
key is made here, so that the first SSH to it is verified already.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import Field

from anytier.errors import AnytierError, Conflict, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces, secret
from anytier.provider.libvirt import store
from anytier.provider.libvirt.connection import Hypervisor, located, there, wrong_host
from anytier.provider.libvirt.naming import wrong_name
from anytier.provider.resource import Context, Resource
from anytier.render.libvirt import iso
from anytier.render.libvirt import seed as form
from anytier.render.libvirt.seed import Ethernet, GuestFile, HostKey, Seed, User
from anytier.render.libvirt.storage import Volume

_HOSTNAME_MOST = 63


class SecretUser(User):
    password_hash: Annotated[str | None, secret] = None


class SecretFile(GuestFile):
    content: Annotated[str, secret]


class SecretHostKey(HostKey):
    private: Annotated[str, secret]


class SeedIsoInputs(Frozen):
    """`instanceId`: cloud-init runs once for each; the hostname if not said, so that a changed seed alone reruns
    nothing. `hostKey`: made and kept in the state if not given."""

    host: Annotated[Hypervisor, replaces] = Hypervisor()
    pool: Annotated[str, replaces]
    name: Annotated[str, replaces]
    hostname: str
    instance_id: str | None = None
    users: list[SecretUser] = Field(default_factory=list)
    host_key: SecretHostKey | None = None
    packages: list[str] = Field(default_factory=list)
    files: list[SecretFile] = Field(default_factory=list)
    commands: list[list[str]] = Field(default_factory=list)
    ethernets: dict[str, Ethernet] | None = None
    extra: Annotated[dict[str, Any], secret] = Field(default_factory=dict)


class SeedIsoOutputs(Frozen):
    """`hostPublicKey`: by which the guest is known. `digest`: of what is in the image; empty while it is not."""

    path: str = ""
    host_public_key: str = ""
    host_private_key: Annotated[str, secret] = ""
    digest: str = ""


class SeedIsoResource(Resource[SeedIsoInputs, SeedIsoOutputs]):
    inputs = SeedIsoInputs
    outputs = SeedIsoOutputs

    def check(self, inputs: SeedIsoInputs) -> list[AnytierError]:
        wrong = [
            *wrong_host(inputs.host, "volumes", "upload"),
            *wrong_name(inputs.pool, "pool"),
            *wrong_name(inputs.name),
        ]
        labels = inputs.hostname.split(".")
        if not all(_is_label(item) for item in labels):
            do = "letters, digits and hyphens, up to 63 between the dots"
            wrong.append(Rejected("hostname", f"{inputs.hostname!r} cannot be a host's name", do))
        names = [user.name for user in inputs.users]
        for index, name in enumerate(names):
            if name in names[:index]:
                wrong.append(Rejected(f"users[{index}].name", f"{name} is given twice", "each once"))
        for index, user in enumerate(inputs.users):
            for place, key in enumerate(user.keys):
                wrong += _wrong_key(key, f"users[{index}].keys[{place}]")
        taken = form.taken(_seed(inputs, HostKey(private="", public="")))
        wrong += [Rejected("extra", f"{key} has a field of its own", "take it out of extra") for key in taken]
        try:
            yaml.safe_dump(inputs.extra)
        except yaml.YAMLError:
            wrong.append(Rejected("extra", "cannot be written as YAML", "plain values only"))
        return wrong

    def drifted(self, inputs: SeedIsoInputs, state: SeedIsoOutputs) -> list[str]:
        return [] if state.digest else ["name"]

    def planned(self, old: SeedIsoOutputs | None, inputs: SeedIsoInputs) -> Mapping[str, Any]:
        if old is None or inputs.host_key is not None:
            return {}
        return {
            "path": old.path,
            "hostPublicKey": old.host_public_key,
            "hostPrivateKey": old.host_private_key,
        }

    async def create(self, ctx: Context, inputs: SeedIsoInputs) -> tuple[str, SeedIsoOutputs]:
        return f"{inputs.pool}/{inputs.name}", await self._ensure(ctx, inputs, None)

    async def read(
        self, ctx: Context, id: str, inputs: SeedIsoInputs | None, state: SeedIsoOutputs | None
    ) -> tuple[SeedIsoInputs, SeedIsoOutputs] | None:
        if inputs is None or state is None:
            do = "let a new one be made: a guest that has booted needs it no more"
            raise Rejected(located(id)[1], "a seed cannot be imported: it holds keys that only its maker knows", do)
        found = await store.find(await there(inputs.host), inputs.pool, inputs.name)
        return None if found is None else (inputs, state.model_copy(update={"path": found.path}))

    async def update(
        self, ctx: Context, id: str, old_inputs: SeedIsoInputs, state: SeedIsoOutputs, inputs: SeedIsoInputs
    ) -> SeedIsoOutputs:
        return await self._ensure(ctx, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: SeedIsoInputs, state: SeedIsoOutputs) -> None:
        place = await there(inputs.host)
        if await store.find(place, inputs.pool, inputs.name) is not None:
            await store.remove(place, inputs.pool, inputs.name)

    async def _ensure(self, ctx: Context, inputs: SeedIsoInputs, state: SeedIsoOutputs | None) -> SeedIsoOutputs:
        place, path = await there(inputs.host), f"volume {inputs.pool}/{inputs.name}"
        place.require("volumes", path)
        place.require("upload", path)
        found = await store.find(place, inputs.pool, inputs.name)
        if found is not None and state is None:
            raise Conflict(path, "is there already and is not ours", "choose another name, or remove it")
        key = inputs.host_key or _kept(state) or new_host_key(inputs.hostname)
        files = form.documents(_seed(inputs, key))
        digest = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in files.items()).encode()).hexdigest()
        outputs = SeedIsoOutputs(host_public_key=key.public, host_private_key=key.private)
        if found is not None and state is not None and state.digest == digest:
            return outputs.model_copy(update={"path": found.path, "digest": digest})
        ctx.made(f"{inputs.pool}/{inputs.name}", outputs)
        body = iso.image(files)
        # A fresh file: a machine that runs keeps the old one until it starts again, as it would a real CD.
        await store.discard(place, inputs.pool, inputs.name)
        made = await store.make(place, inputs.pool, Volume(name=inputs.name, size=len(body), format="raw"))
        await store.fill(place, inputs.pool, inputs.name, io.BytesIO(body), len(body), ctx.status)
        return outputs.model_copy(update={"path": made.path, "digest": digest})


def new_host_key(name: str) -> HostKey:
    """An ed25519 key in OpenSSH's format."""
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519", comment=name)
    return HostKey(private=key.export_private_key().decode(), public=key.export_public_key().decode().strip())


def _seed(inputs: SeedIsoInputs, key: HostKey) -> Seed:
    given = inputs.model_dump(exclude={"host", "pool", "name", "host_key", "instance_id"})
    return Seed.model_validate(
        {**given, "instance_id": inputs.instance_id or inputs.hostname, "host_key": key.model_dump()}
    )


def _kept(state: SeedIsoOutputs | None) -> HostKey | None:
    if state is None or not state.host_private_key:
        return None
    return HostKey(private=state.host_private_key, public=state.host_public_key)


def _is_label(text: str) -> bool:
    plain = text.replace("-", "a")
    inside = text[:1] != "-" and text[-1:] != "-"
    return plain.isascii() and plain.isalnum() and inside and len(text) <= _HOSTNAME_MOST


def _wrong_key(key: str, path: str) -> list[AnytierError]:
    if "PRIVATE KEY" in key:
        return [Rejected(path, "is a private key", "the public half of it, such as ~/.ssh/id_ed25519.pub")]
    words = key.split()
    if (
        "\n" in key.strip()
        or len(words) < 2
        or not any(word.startswith(("ssh-", "ecdsa-", "sk-")) for word in words[:-1])
    ):
        return [Rejected(path, "is no public SSH key", "one line, such as `ssh-ed25519 AAAA... me@here`")]
    return []
