"""Rules for programs on machines: what systemd is told, and where it is systemd at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anytier.marks import UNKNOWN, Secret
from anytier.policy.look import get, given, inside, items, judged, must, opened, shown
from anytier.policy.rendered import UNIT
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Rule
from anytier.render.tokens import names

WORKLOAD, JOB = "anytier:host:Workload", "anytier:host:Job"
PROGRAMS = (WORKLOAD, JOB)
ROOT = ("root", "0")
# What lets a program out of its sandbox, or at the kernel.
STRONG = {
    "ALL", "BPF", "DAC_READ_SEARCH", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_RAW",
    "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME", "SYSLOG",
}  # fmt: skip
_FAMILIES = {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}


def is_root(user: Any) -> bool:
    return str(user).partition(":")[0] in ROOT


def strong(added: Any) -> list[str]:
    """Those of a list of capabilities that nothing of an app should have."""
    return sorted(str(item) for item in added if str(item).upper().removeprefix("CAP_") in STRONG)


def secret_words(words: Any) -> Iterator[int]:
    """Places of a command line at which a secret stands."""
    for index, word in enumerate(words if isinstance(words, (list, tuple)) else ()):
        if isinstance(word, Secret) or (isinstance(word, str) and names(word)):
            yield index


def secret_values(env: Any) -> Iterator[str]:
    """Names of variables whose value is a secret as it stands: a token only names one."""
    for name, value in env.items() if isinstance(env, dict) else ():
        if isinstance(value, Secret):
            yield name


def _yes(name: str) -> Any:
    return must(name, lambda value: value == "yes")


def _supervised(resource: Resource, context: Context) -> Iterator[Wrong]:
    """On this machine whoever deploys is also whoever the app runs as; a server has root's own systemd."""
    if get(resource.props, "machine.kind") == "ssh":
        yield from judged(resource.props, "supervisor", lambda value: value == "systemd-system")


def _own_user(resource: Resource, context: Context) -> Iterator[Wrong]:
    user = get(resource.props, "template.process.user")
    if user is not UNKNOWN and user is not None and is_root(user):
        yield Wrong("template.process.user", f"is {user}")


def _unit_user(resource: Resource, context: Context) -> Iterator[Wrong]:
    """A program of an image gets its user from the launcher, which makes its root first."""
    if get(resource.props, "Type") != "notify":
        yield from judged(resource.props, "User", given)


def _families(resource: Resource, context: Context) -> Iterator[Wrong]:
    found = get(resource.props, "RestrictAddressFamilies")
    if not found or not set(str(found).split()) <= _FAMILIES:
        yield Wrong("RestrictAddressFamilies", f"is {shown(found)}")


def _calls(resource: Resource, context: Context) -> Iterator[Wrong]:
    found = str(get(resource.props, "SystemCallFilter") or "").split()
    if "@system-service" not in found or not set(found) <= {"@system-service", "@mount"}:
        yield Wrong("SystemCallFilter", f"is {' '.join(found) or 'not set'}")


def _capabilities(resource: Resource, context: Context) -> Iterator[Wrong]:
    path = "template.process.image.capAdd"
    if found := strong(inside(resource.props, path)):
        yield Wrong(path, f"has {', '.join(found)}")


def _environment(resource: Resource, context: Context) -> Iterator[Wrong]:
    for name in ("Environment", "EnvironmentFile"):
        yield from judged(resource.props, name, lambda value: value is None)


def _files(resource: Resource, context: Context) -> Iterator[Wrong]:
    """A file with a secret in it is read by its owner only."""
    for path, item in items(resource.props, "template.process.files"):
        content, mode = get(item, "content"), get(item, "mode") or "0644"
        if isinstance(content, str) and names(content) and isinstance(mode, str) and int(mode, 8) & 0o077:
            yield Wrong(f"{path}.mode", f"is {mode}, and the file holds a secret")


def _argv(resource: Resource, context: Context) -> Iterator[Wrong]:
    for base in ("template.process.command", "template.process.image.command", "template.process.image.args"):
        words = get(resource.props, base)
        yield from (Wrong(f"{base}.{index}", "holds a secret") for index in secret_words(words))


def _variables(resource: Resource, context: Context) -> Iterator[Wrong]:
    path = "template.process.env"
    for name in secret_values(opened(get(resource.props, path))):
        yield Wrong(f"{path}.{name}", "is a secret's value, which lies in the open in the launch file")


def _limited(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from judged(resource.props, "template.process.limits.memory", given)


RULES = (
    Rule(
        "host-systemd", "high", "On a machine over SSH root's systemd runs the app, which alone can shut it in",
        "set supervisor: systemd-system", PROGRAMS, _supervised,
    ),
    Rule(
        "host-not-root", "high", "No program asks to run as root",
        "take user: root out of the spec's host section; a port below 1024 needs no root", PROGRAMS, _own_user,
    ),
    Rule("host-own-user", "high", "A unit has a user of its own", "a unit says User=", (UNIT,), _unit_user),
    Rule(
        "host-no-new-privileges", "high", "A program gains no rights by what it starts",
        "a unit says NoNewPrivileges=yes", (UNIT,), _yes("NoNewPrivileges"),
    ),
    Rule(
        "host-protect-system", "high", "A program writes nowhere but where it must",
        "a unit says ProtectSystem=strict", (UNIT,), must("ProtectSystem", lambda value: value == "strict"),
    ),
    Rule(
        "host-protect-home", "high", "A program sees nobody's home folder",
        "a unit says ProtectHome=tmpfs", (UNIT,), must("ProtectHome", lambda value: value in ("yes", "tmpfs")),
    ),
    Rule(
        "host-private-tmp", "medium", "A program has a /tmp of its own",
        "a unit says PrivateTmp=yes", (UNIT,), _yes("PrivateTmp"),
    ),
    Rule(
        "host-private-devices", "high", "A program sees no device of the machine",
        "a unit says PrivateDevices=yes", (UNIT,), _yes("PrivateDevices"),
    ),
    Rule(
        "host-address-families", "medium", "A program opens no sockets but local ones and IP",
        "a unit says RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", (UNIT,), _families,
    ),
    Rule(
        "host-system-calls", "high", "A program makes no system calls but those of a service",
        "a unit says SystemCallFilter=@system-service", (UNIT,), _calls,
    ),
    Rule(
        "host-capabilities", "high", "No program of an image has a capability that leads out of its sandbox",
        "take it out of securityContext.capAdd", PROGRAMS, _capabilities,
    ),
    Rule(
        "host-no-environment", "high", "A unit file holds no variables: everybody on the machine can read it",
        "secrets go by LoadCredential=, and a launcher reads the rest", (UNIT,), _environment,
    ),
    Rule(
        "host-secret-files", "high", "A file with a secret is its owner's only",
        "set mode: \"0600\" or \"0400\" on the spec's file", PROGRAMS, _files,
    ),
    Rule(
        "host-secret-variables", "high", "A secret reaches a program by its name, not as a variable's plain value",
        "use secrets: {ENV: NAME}, or a placeholder ${secrets.NAME}", PROGRAMS, _variables,
    ),
    Rule(
        "host-no-secret-in-argv", "critical", "No secret stands on a command line, which everybody on a machine sees",
        "give it in a variable or a file", PROGRAMS, _argv,
    ),
    Rule(
        "host-memory-limit", "low", "A program has a limit of memory",
        "set resources.limits.memory in the spec", (WORKLOAD,), _limited,
    ),
)  # fmt: skip
