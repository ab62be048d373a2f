"""A hypervisor's URI: read, judged, and told apart from another way to the same place. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from anytier.hypervisors.drivers import DRIVERS, Ability, Driver, lacking

# driver -> paths that it has; None: any. The first one is what an example shows.
PATHS: dict[str, tuple[str, ...] | None] = {
    "qemu": ("/system", "/session"),
    "test": None,
    "esx": ("/", ""),
    "vpx": None,
    "hyperv": ("/", ""),
    "vbox": ("/session",),
    "vmwareplayer": ("/session",),
    "vmwarews": ("/session",),
    "vmwarefusion": ("/session",),
}
HOSTED = ("esx", "vpx", "hyperv")  # a driver of the client: the URI always names the other machine
TRANSPORTS = ("", "unix", "ssh", "libssh", "libssh2", "tls", "tcp", "ext")
EXAMPLES = {
    "qemu": "qemu:///system",
    "test": "test:///default",
    "esx": "esx://root@esx1.example.org/",
    "vpx": "vpx://admin@vcenter.example.org/Datacenter/Cluster/esx1.example.org",
    "hyperv": "hyperv://Administrator@hyperv1.example.org/",
    "vbox": "vbox:///session",
    "vmwareplayer": "vmwareplayer:///session",
    "vmwarews": "vmwarews:///session",
    "vmwarefusion": "vmwarefusion:///session",
}
_ONE = f"one of {', '.join(EXAMPLES.values())}"


@dataclass(frozen=True)
class Uri:
    """Its parts. `host` empty: this machine. `ssh`: libvirt itself goes there by SSH."""

    driver: str
    transport: str
    user: str
    host: str
    port: int | None
    path: str

    @property
    def local(self) -> bool:
        return not self.host

    @property
    def ssh(self) -> bool:
        return bool(self.host) and self.transport in ("ssh", "libssh", "libssh2")


def parse(text: str) -> Uri:
    """The parts of a URI; ValueError where it is none."""
    parts = urlsplit(text)
    name, _, transport = parts.scheme.partition("+")
    return Uri(name, transport, parts.username or "", (parts.hostname or "").lower(), parts.port, parts.path)


def scheme(uri: str) -> tuple[str, str]:
    """`qemu+ssh://...` -> (`qemu`, `ssh`)."""
    name, _, transport = urlsplit(uri).scheme.partition("+")
    return name, transport


def driver(uri: str) -> Driver | None:
    try:
        return DRIVERS.get(scheme(uri)[0])
    except ValueError:
        return None


def lacks(uri: str, ability: Ability) -> tuple[str, str] | None:
    """What is wrong and what to do, where the driver of this URI cannot do that; unknown drivers are asked later."""
    known = driver(uri)
    return None if known is None else lacking(known, ability)


def unchecked(uri: str) -> bool:
    """Whether nobody asks who the host is, or takes the first one that answers for it."""
    return any(
        (key == "no_verify" and value != "0") or (key == "known_hosts_verify" and value != "normal")
        for key, value in _query(uri)
    )


def in_the_clear(uri: str) -> bool:
    """Whether everybody on the way can read what goes there."""
    name, transport = scheme(uri)
    by_http = name in HOSTED and any(key == "transport" and value != "https" for key, value in _query(uri))
    return transport == "tcp" or by_http


def wrong(text: str, unverified: bool = False) -> tuple[str, str] | None:
    """What is wrong with a URI, and what to do. `unverified`: the way there may be one that is not verified."""
    if text != text.strip() or any(ord(sign) < 33 or ord(sign) == 127 for sign in text):
        return f"{text!r} holds spaces or control characters", _ONE
    try:
        found = parse(text)
        password = urlsplit(text).password
    except ValueError as error:
        return f"{text!r} is no URI ({error})", _ONE
    if found.driver not in DRIVERS:
        return f"{text!r} names no hypervisor that anytier knows", _ONE
    if password is not None:
        return "holds a password", "take it out of the URI, and set `password`"
    return _wrong_way(text, found) or _wrong_path(text, found) or _unsafe(text, unverified)


def identity(text: str) -> str:
    """What of a URI says which place it is: the driver, the host and the path. The way there is not part of it."""
    try:
        found = parse(str(text))
    except ValueError:
        return str(text)
    return f"{found.driver}://{found.host}{found.path}"


def _wrong_way(text: str, found: Uri) -> tuple[str, str] | None:
    example = EXAMPLES[found.driver]
    if found.driver in HOSTED and found.transport:
        return f"{text!r} has a transport, and {DRIVERS[found.driver].name} speaks HTTPS itself", f"such as {example}"
    if found.driver in HOSTED and not found.host:
        return f"{text!r} names no host", f"such as {example}"
    if found.transport not in TRANSPORTS:
        return f"{text!r} has a transport that libvirt does not know", f"one of {', '.join(filter(None, TRANSPORTS))}"
    if found.transport not in ("", "unix", "ext") and not found.host:
        return f"{text!r} names no host", f"such as {found.driver}+{found.transport}://root@host/system"
    return None


def _wrong_path(text: str, found: Uri) -> tuple[str, str] | None:
    known = PATHS[found.driver]
    if found.driver == "vpx" and found.path.strip("/").count("/") < 1:
        return f"{text!r} names no datacenter and host", f"such as {EXAMPLES['vpx']}"
    if known is not None and found.path not in known:
        paths = " or ".join(path for path in known if path)
        return f"{text!r} has a path that {DRIVERS[found.driver].name} does not have", f"it ends in {paths}"
    return None


def _unsafe(text: str, unverified: bool) -> tuple[str, str] | None:
    if unverified:
        return None
    if unchecked(text):
        do = "take no_verify and known_hosts_verify out, or set unverified: true"
        return "turns the check of the host's identity off", do
    if in_the_clear(text):
        do = "+tls or +ssh for +tcp, and no transport=http; or set unverified: true"
        return "is not encrypted: whoever is in between reads it all, a password too, and can change it", do
    return None


def _query(text: str) -> list[tuple[str, str]]:
    """Its words as libvirt reads them: in any case, and with `;` between them, too."""
    query = urlsplit(text).query.replace(";", "&")
    return [(key.lower(), value.lower()) for key, value in parse_qsl(query, keep_blank_values=True)]
