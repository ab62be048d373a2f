"""Rules for virtual machines that libvirt makes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from anytier.hypervisors import uri
from anytier.marks import UNKNOWN
from anytier.policy.look import get, items, must, not_true, said
from anytier.policy.rendered import DOMAIN, VOLUME
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Rule

KINDS = ("Domain", "Network", "Pool", "SeedIso", "Volume")
ALL = tuple(f"anytier:libvirt:{kind}" for kind in KINDS)
DISK = "anytier:libvirt:Volume"
_DIGEST = re.compile("[0-9a-f]{64}")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _leads_there(resource: Resource, how: Callable[[str], bool]) -> bool:
    text = get(resource.props, "host.uri")
    try:
        return isinstance(text, str) and how(text)
    except ValueError:  # it is no URI, and the plugin refuses it
        return False


def _verified(resource: Resource, context: Context) -> Iterator[Wrong]:
    if _leads_there(resource, uri.unchecked):
        yield Wrong("host.uri", "turns the check of the hypervisor's identity off")


def _encrypted(resource: Resource, context: Context) -> Iterator[Wrong]:
    if _leads_there(resource, uri.in_the_clear):
        yield Wrong("host.uri", "is not encrypted")


def _digest(resource: Resource, context: Context) -> Iterator[Wrong]:
    if get(resource.props, "source") in (None, UNKNOWN):
        return
    found = get(resource.props, "source.sha256")
    if found is not UNKNOWN and not _DIGEST.fullmatch(str(found)):
        yield Wrong("source.sha256", said(found))


def _graphics(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, item in items(resource.props, "graphics"):
        listen = get(item, "listen")
        if get(item, "type") in ("vnc", "spice") and listen not in _LOOPBACK:
            yield Wrong(f"{path}.listen", said(listen))


def _private(resource: Resource, context: Context) -> Iterator[Wrong]:
    mode = str(get(resource.props, "mode"))
    if not re.fullmatch("[0-7]{3,4}", mode) or int(mode, 8) & 0o077:
        yield Wrong("mode", f"is {mode}")


RULES = (
    Rule(
        "libvirt-verified", "critical", "The hypervisor's identity is checked",
        "take no_verify and known_hosts_verify out of the URI", ALL, _verified,
    ),
    Rule(
        "libvirt-no-exception", "high", "No stack says that it may go unchecked",
        "take unverified: true out", ALL, must("host.unverified", not_true),
    ),
    Rule(
        "libvirt-encrypted", "critical", "The way to the hypervisor is encrypted",
        "use +ssh or +tls in place of +tcp, and no transport=http", ALL, _encrypted,
    ),
    Rule(
        "libvirt-image-digest", "high", "A base image is known by its digest",
        "set source.sha256", (DISK,), _digest,
    ),
    Rule(
        "libvirt-no-remote-console", "high", "Nobody sees a machine's screen from another one",
        "leave VNC and SPICE out, or have them listen on 127.0.0.1", (DOMAIN,), _graphics,
    ),
    Rule(
        "libvirt-private-files", "high", "Disks and first-boot data, which hold keys, are libvirt's only",
        "a volume has mode 0600", (VOLUME,), _private,
    ),
)  # fmt: skip
