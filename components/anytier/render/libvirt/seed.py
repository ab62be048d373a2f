"""A guest's first boot as cloud-init reads it: user-data, meta-data and network-config v2. Pure."""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import Field, StringConstraints

from anytier.frozen import Frozen
from anytier.render.yamltext import dumped

HEAD = "#cloud-config\n"
UserName = Annotated[str, StringConstraints(pattern="^[a-z_][a-z0-9_-]{0,31}$")]


class User(Frozen):
    """Logs in by key only, unless a password's hash (crypt) is given. `sudo`: without a password."""

    name: UserName
    keys: list[str] = Field(default_factory=list)
    sudo: bool = False
    groups: list[str] = Field(default_factory=list)
    shell: str = "/bin/bash"
    password_hash: str | None = None


class GuestFile(Frozen):
    """`mode` in octal."""

    path: str
    content: str
    mode: Annotated[str, StringConstraints(pattern="^0?[0-7]{3,4}$")] = "0644"
    owner: str = "root:root"


class HostKey(Frozen):
    """In OpenSSH's format; the guest is known by it from its first boot on."""

    private: str
    public: str


class Match(Frozen):
    """A card by its MAC or by its name (a glob, which cloud-init 22 passes over where systemd-networkd is used)."""

    macaddress: str | None = None
    name: str | None = None


class Nameservers(Frozen):
    addresses: list[str] = Field(default_factory=list)
    search: list[str] = Field(default_factory=list)


class Route(Frozen):
    """To a network, or to `default`."""

    to: str
    via: str


class Ethernet(Frozen):
    match: Match | None = None
    dhcp4: bool = False
    dhcp6: bool = False
    addresses: list[str] = Field(default_factory=list)
    routes: list[Route] = Field(default_factory=list)
    nameservers: Nameservers | None = None
    mtu: int | None = Field(default=None, ge=68, le=65535)


class Seed(Frozen):
    """`extra`: whatever else cloud-init knows; it adds to what is said here and cannot take its place."""

    hostname: str
    instance_id: str
    users: list[User] = Field(default_factory=list)
    host_key: HostKey | None = None
    packages: list[str] = Field(default_factory=list)
    files: list[GuestFile] = Field(default_factory=list)
    commands: list[list[str]] = Field(default_factory=list)
    ethernets: dict[str, Ethernet] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


def documents(seed: Seed) -> dict[str, str]:
    """The files of the NoCloud source."""
    found = {"user-data": user_data(seed), "meta-data": meta_data(seed)}
    if seed.ethernets is not None:
        found["network-config"] = network_config(seed.ethernets)
    return found


def user_data(seed: Seed) -> str:
    made: dict[str, Any] = {
        "hostname": seed.hostname,
        "preserve_hostname": False,
        "users": [_user(item) for item in seed.users],
        "disable_root": all(item.name != "root" for item in seed.users),
        "ssh_pwauth": False,
    }
    if seed.host_key is not None:
        made |= {
            "ssh_deletekeys": True,
            "ssh_genkeytypes": [],
            "ssh_keys": {"ed25519_private": seed.host_key.private, "ed25519_public": seed.host_key.public},
        }
    if seed.packages:
        made["packages"] = list(seed.packages)
    if seed.files:
        made["write_files"] = [_file(item) for item in seed.files]
    if seed.commands:
        made["runcmd"] = [list(argv) for argv in seed.commands]
    return HEAD + _yaml({**seed.extra, **made})


def taken(seed: Seed) -> list[str]:
    """Keys of `extra` that are said elsewhere."""
    said = yaml.safe_load(user_data(seed.model_copy(update={"extra": {}})))
    return sorted(set(seed.extra) & (set(said) | {"packages", "write_files", "runcmd", "ssh_keys"}))


def meta_data(seed: Seed) -> str:
    return _yaml({"instance-id": seed.instance_id, "local-hostname": seed.hostname})


def network_config(ethernets: dict[str, Ethernet]) -> str:
    return _yaml({"version": 2, "ethernets": {name: _ethernet(item) for name, item in ethernets.items()}})


def _user(user: User) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": user.name,
        "shell": user.shell,
        "lock_passwd": user.password_hash is None,
        "ssh_authorized_keys": list(user.keys),
    }
    if user.sudo:
        made["sudo"] = "ALL=(ALL) NOPASSWD:ALL"
    if user.groups:
        made["groups"] = list(user.groups)
    if user.password_hash is not None:
        made["passwd"] = user.password_hash
    return made


def _file(file: GuestFile) -> dict[str, Any]:
    return {"path": file.path, "content": file.content, "permissions": file.mode, "owner": file.owner}


def _ethernet(item: Ethernet) -> dict[str, Any]:
    return {key: value for key, value in item.model_dump(exclude_none=True).items() if value not in ([], {})}


def _yaml(value: Any) -> str:
    """Long lines whole, everything beyond ASCII escaped: what comes back is what was given."""
    return dumped(value, width=2**31)
