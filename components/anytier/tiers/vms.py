"""What a stack may say of a virtual machine: the config of tier `libvirt`, typed. Nothing is decided here."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from anytier import logins
from anytier.frozen import Frozen
from anytier.hypervisors import uri as uris

_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SIZE = re.compile(r"([1-9][0-9]{0,6})(Mi|Gi|Ti)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")
# What cloud-init, fstab and a shell read the same way.
_FOLDER = re.compile(r"(/[A-Za-z0-9_.+-]+){2,}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no size: a number with Mi, Gi or Ti, such as 2Gi")
    return text


def bytes_of(text: str) -> int:
    """Of a `size`."""
    found = _SIZE.fullmatch(text)
    assert found is not None
    return int(found[1]) * _UNITS[found[2]]


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:70]!r} is no name: up to 60 letters, digits and `_.+-`, first a letter or digit")
    return text


def _folder(text: str) -> str:
    plain = posixpath.normpath(text) == text
    if not _FOLDER.fullmatch(text) or not plain:
        raise ValueError(f"{text[:70]!r} is no folder for this: an absolute path, two or more deep, of plain letters")
    return text


def _host_path(text: str) -> str:
    """A file of the hypervisor's host, which XML must be able to name."""
    if not text.startswith("/") or posixpath.normpath(text) != text or any(ord(sign) < 32 for sign in text):
        raise ValueError(f"{text[:70]!r} is no absolute path of the hypervisor's host")
    return text


def _digest(text: str) -> str:
    bare = text.strip().lower()
    if not _DIGEST.fullmatch(bare):
        raise ValueError("is no sha256: 64 hexadecimal digits, as `sha256sum` prints them")
    return bare


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no name of a Linux user")
    if text == "root":
        raise ValueError("is root, to whom cloud images forbid the login; a user with sudo does the same")
    return text


def _subnet(text: str) -> str:
    try:
        net = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no IPv4 network ({error}); such as 10.7.0.0/24") from None
    if not 8 <= net.prefixlen <= 29:
        raise ValueError(f"{text} is too small or too large: from /8 to /29")
    return str(net)


def _interface(text: str) -> str:
    try:
        found = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no address ({error}); such as 192.168.1.50/24") from None
    if "/" not in text:
        raise ValueError(f"{text} says no length of its network, such as {text}/24")
    return str(found)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no IPv4 address") from None


def _uri(text: str) -> str:
    found = uris.wrong(text, unverified=True)  # whether that is allowed, another field says
    if found is not None:
        raise ValueError(" -> ".join(found))
    return text


def _text(text: str) -> str:
    if not text or any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise ValueError("is empty, or holds control characters")
    return text


Size = Annotated[str, AfterValidator(size)]
HostPath = Annotated[str, AfterValidator(_host_path)]
Plain = Annotated[str, AfterValidator(_text)]


class Account(Frozen):
    """For hypervisors that ask for a login (esx, vpx, hyperv). `passwordEnv`: the variable that holds the password."""

    user: Plain | None = None
    password_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None


class NetworkArgs(Frozen):
    """Nothing, or a `subnet`: a NAT network of ours. `name` or `bridge`: one that is there already, on which the
    machine has `address` (with its length), `gateway` and `nameservers`."""

    subnet: Annotated[str, AfterValidator(_subnet)] | None = None
    name: Plain | None = None
    bridge: Plain | None = None
    address: Annotated[str, AfterValidator(_interface)] | None = None
    gateway: Annotated[str, AfterValidator(_address)] | None = None
    nameservers: list[Annotated[str, AfterValidator(_address)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_kind(self) -> NetworkArgs:
        kinds = [name for name in ("subnet", "name", "bridge") if getattr(self, name) is not None]
        if len(kinds) > 1:
            raise ValueError(f"says {' and '.join(kinds)}: one of them")
        if kinds[:1] in (["name"], ["bridge"]) and self.address is None:
            raise ValueError(f"says {kinds[0]}, and no address: which one has the machine there? such as 10.0.0.5/24")
        if kinds[:1] not in (["name"], ["bridge"]) and (self.address or self.gateway):
            raise ValueError("says an address or a gateway, and neither name nor bridge of a network that is there")
        if self.address and self.gateway:
            net = ipaddress.IPv4Interface(self.address).network
            if ipaddress.IPv4Address(self.gateway) not in net:
                raise ValueError(f"has the gateway {self.gateway}, which is not in {net}")
        return self


class KernelArgs(Frozen):
    """For an image without a boot loader: files of the hypervisor's host that it loads itself."""

    path: HostPath
    initrd: HostPath | None = None
    arguments: Plain | None = None


class LibvirtArgs(Frozen):
    """Stack config `anytier:libvirt`. `image` and `sha256` are needed; docs/libvirt.md has every option."""

    uri: Annotated[str, AfterValidator(_uri)] = "qemu:///system"
    account: Account | None = None
    unverified: bool = False
    name: Annotated[str, AfterValidator(_name)] | None = None
    machines: int = Field(default=1, ge=1)
    image: Plain | None = None
    sha256: Annotated[str, AfterValidator(_digest)] | None = None
    cpus: int = Field(default=2, ge=1, le=512)
    cpu: Literal["host-model", "host-passthrough", "maximum"] | None = None
    memory: Size = "2Gi"
    disk: Size = "20Gi"
    data_disk: Size | None = None
    retain_data: bool = False
    network: NetworkArgs = NetworkArgs()
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    firmware: Literal["bios", "uefi"] = "bios"
    kernel: KernelArgs | None = None
    user: Annotated[str, AfterValidator(_user)] = "anytier"
    key_file: str | None = None
    host_key: Annotated[str, AfterValidator(logins.public_key)] | None = None
    connect_timeout: float = Field(default=15, gt=0, le=600)
    boot_timeout: float = Field(default=300, gt=0, le=7200)
    restart: Literal["allow", "never"] = "allow"
    stop_timeout: float = Field(default=60, ge=0, le=3600)
    folder: HostPath | None = None
    console_log: HostPath | None = None
    state_dir: Annotated[str, AfterValidator(_folder)] = "/var/lib/anytier"
    address: str | None = None
