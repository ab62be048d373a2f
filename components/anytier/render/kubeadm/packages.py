"""A cluster's software from a package repository: what apt is told on a machine, and what may be in the way. Pure.

The repository is one for each minor version, flat, and signed. Its address and its key may be a mirror's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from anytier.packages import Package
from anytier.render.kubeadm.preflight import Finding
from anytier.render.kubeadm.versions import minor

Software = Literal["bundle", "packages"]
MINOR = "{minor}"
UPSTREAM = f"https://pkgs.k8s.io/core:/stable:/{MINOR}/deb/"
# Of the project's key ("isv:kubernetes OBS Project"). It signs every minor's repository; what ends is renewed with the
# same key, so that it is fetched anew and held against this.
FINGERPRINT = "DE15B14486CD377B9E876E1A234654DA9A296436"
KEY = "Release.key"  # beside the packages
SOURCE = "/etc/apt/sources.list.d/anytier-kubernetes.sources"
KEYRING = "/etc/apt/keyrings/anytier-kubernetes.gpg"
NAMES = ("kubeadm", "kubelet", "kubectl")  # held, so that an upgrade of the machine leaves them
# What may come along, by the dependencies of theirs.
BROUGHT = (*NAMES, "kubernetes-cni", "cri-tools")
FIRST = ("kubeadm",)  # of an upgrade: the others follow when the machine's turn has come
TRUST = "ca-certificates"
PLUGIN = "/opt/cni/bin/flannel"  # an image of the network brings it, not a package
# Where packages of Kubernetes are, or were, published: a source of somebody's for these is of the same packages.
_HOSTS = ("pkgs.k8s.io", "apt.kubernetes.io", "prod-cdn.packages.k8s.io")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~:+%/-]*)?")
_LISTED = re.compile(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(\S+)", re.MULTILINE)


def url(text: str) -> str:
    """An address of a repository, in which `{minor}` may stand for v1.34; ValueError says what to give."""
    if not _URL.fullmatch(text.replace(MINOR, "v1.0")) or len(text) > 500:
        what = f"{text[:80]!r} is no address of a repository"
        raise ValueError(f"{what}; give one such as https://mirror.example.org/kubernetes/{MINOR}/deb/")
    return text


def address(template: str, version: str) -> str:
    """The repository of a version's minor, with a slash at its end."""
    major, second = minor(version)
    return f"{template.replace(MINOR, f'v{major}.{second}').rstrip('/')}/"


def source(address: str) -> str:
    """What apt is told of it, in its form of paragraphs."""
    lines = ["# made by anytier; changes are lost at the next `pulumi up`", "Types: deb", f"URIs: {address}"]
    return "\n".join([*lines, "Suites: /", f"Signed-By: {KEYRING}", ""])


def pinned(version: str, names: Iterable[str] = NAMES) -> list[Package]:
    """Each in this version of Kubernetes, whatever revision of the package is the newest."""
    return [Package(name, f"{version.removeprefix('v')}-*") for name in names]


def lacking(version: str, installed: Mapping[str, str], names: Iterable[str] = NAMES) -> list[Package]:
    return [item for item in pinned(version, names) if not item.takes(installed.get(item.name))]


def addresses(path: str, text: str) -> list[str]:
    """Of the repositories that a file of apt's sources names, with a slash at their end; disabled ones left out."""
    if path.endswith(".sources"):
        found = [uri for item in _paragraphs(text) if not _off(item) for uri in item.get("uris", "").split()]
    else:
        found = _LISTED.findall(text)
    return [f"{item.rstrip('/')}/" for item in found]


def kept(urls: Iterable[str], names: Iterable[str]) -> list[str]:
    """Patterns of the files that apt keeps: lists of repositories, archives of packages."""
    lists = [f"/var/lib/apt/lists/{_file(item)}*" for item in urls]
    return [*lists, *(f"/var/cache/apt/archives/{name}_*.deb" for name in names)]


def _file(url: str) -> str:
    """As apt names a list's file; nothing of it is a pattern."""
    bare = url.partition("://")[2]
    return re.sub(r"[_~=!@#$%^&*|{}\[\]<>\"\\\\]", lambda found: f"%{ord(found[0]):02x}", bare).replace("/", "_")


def _paragraphs(text: str) -> list[dict[str, str]]:
    """Field in small letters -> value, of each paragraph; a line that begins with a space goes on with the field."""
    found: list[dict[str, str]] = [{}]
    last = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            found.append({})
        elif line[0] in " \t":
            found[-1][last] = f"{found[-1].get(last, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            found[-1][last] = value.strip()
    return [item for item in found if item]


def _off(paragraph: Mapping[str, str]) -> bool:
    return paragraph.get("enabled", "yes").lower() in ("no", "false", "0", "off", "without", "disable")


def findings(
    facts: Mapping[str, Any], version: str, address: str, ours: Collection[str], trusted: bool = True
) -> list[Finding]:
    """`facts`: what onnode.py's `apt` answers. `ours`: packages whose version and hold are ours. `trusted`:
    `ca-certificates` may come from the distribution."""
    found = [*_sources(facts["sources"], address), *_installed(facts, version, ours)]
    if address.startswith("https:") and not (facts["trust"] or trusted):
        what = f"it trusts nobody's certificate, and {urlsplit(address).hostname} is reached by TLS"
        found.append(Finding(TRUST, what, f"`apt-get install {TRUST}`, or set `packages: true`"))
    return found


def _sources(files: Mapping[str, str], address: str) -> list[Finding]:
    """One repository twice with two keys is an error of apt's, for all that it does."""
    found = []
    for path, text in sorted(files.items()):
        named = [item for item in addresses(path, text) if item == address or urlsplit(item).hostname in _HOSTS]
        if path != SOURCE and named:
            what = f"{path} names {named[0]}, from which Kubernetes' packages come, too"
            found.append(Finding("AptSource", what, f"`rm {path}`: anytier writes a source of its own"))
    return found


def _installed(facts: Mapping[str, Any], version: str, ours: Collection[str]) -> list[Finding]:
    """Of somebody else's: another version, or one that is to stay as it is."""
    found = []
    for item in pinned(version):
        here = facts["installed"].get(item.name)
        if here is None or item.name in ours:
            continue
        name = f"Package-{item.name}"
        if not item.takes(here):
            what = f"{item.name} {here} is installed, and not by anytier, which wants {item.version}"
            found.append(Finding(name, what, f"`apt-get purge --allow-change-held-packages {item.name}`"))
        elif item.name in facts["held"]:
            what = f"{item.name} {here} is held, and not by anytier"
            found.append(Finding(name, what, f"`apt-mark unhold {item.name}`: anytier holds it itself"))
    return found
