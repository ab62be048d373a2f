"""What of a machine does not do for a node, from what it says of itself. Pure; all findings at once.

Where kubeadm has a name for a check, it is kubeadm's, so that one list of what to ignore serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anytier.errors import AnytierError, Rejected

MIB = 1 << 20
FREE = 15  # percent of a disk: a kubelet's own limit for the one of images (evictionHard, imagefs.available)
SKEW = 30.0  # seconds: certificates and tokens are made for now
NEEDED = (
    "containerd",
    "ctr",
    "runc",
    "iptables",
    "conntrack",
    "ethtool",
    "socat",
    "ip",
    "mount",
    "nsenter",
    "modprobe",
)
# Program -> the package of Debian and Ubuntu that brings it.
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "modprobe": "kmod",
}
_COMMON_PORTS = (10250, 10256)
_CONTROL_PORTS = (2379, 2380, 2381, 10257, 10259)


@dataclass(frozen=True)
class Wanted:
    """Of a node. `memory` in MiB. `installed`: a cluster of ours runs there already."""

    role: str
    cores: int = 2
    memory: int = 1700
    port: int = 6443
    installed: bool = False
    packages: bool = True


@dataclass(frozen=True)
class Finding:
    name: str
    what: str
    do: str


def findings(facts: Mapping[str, Any], wanted: Wanted, now: float) -> list[Finding]:
    """`facts`: what onnode.py's `look` answers; `now`: this side's clock at that moment."""
    found = [*size(facts, wanted), *_clock(facts, now), *_modules(facts), *_programs(facts, wanted)]
    if not wanted.installed:
        found += [*_disk(facts), *_swap(facts), *_ports(facts, wanted), *_others(facts)]
    return found


def least(role: str, cores: int | None, memory: int | None) -> tuple[int, int]:
    """Cores and MiB of memory that a node must have where nobody says."""
    control = role == "control-plane"
    return (2 if control else 1) if cores is None else cores, (1700 if control else 700) if memory is None else memory


def error(machine: str, role: str, found: Sequence[Finding], ignore: Iterable[str]) -> AnytierError | None:
    """One error of all that is not ignored; names are compared without case, and `all` is all."""
    ignored = {item.lower() for item in ignore}
    left = [item for item in found if "all" not in ignored and item.name.lower() not in ignored]
    if not left:
        return None
    lines = "".join(f"\n  {item.name}: {item.what} -> {item.do}" for item in left)
    do = "mend them there; what does not matter to you goes into `ignorePreflight` by its name"
    return Rejected(f"machine {machine}", f"does not do for a {role}:{lines}\n", do)


def wrong_processor(machine: str, found: str, bundle: str) -> AnytierError | None:
    """Nothing to ignore: no program of the bundle would start there."""
    if found == bundle:
        return None
    return Rejected(
        f"machine {machine}", f"is {found}, and the bundle is for {bundle}", f"give it a bundle for {found}"
    )


def packages(programs: Mapping[str, str]) -> dict[str, list[str]]:
    """Package -> the programs that are missing and which it brings."""
    found: dict[str, list[str]] = {}
    for name in NEEDED:
        if name not in programs:
            found.setdefault(PACKAGES[name], []).append(name)
    return found


def size(facts: Mapping[str, Any], wanted: Wanted) -> list[Finding]:
    """What `cores` and `memory` say, which a machine is asked for by a preview, too."""
    found = []
    if facts["cores"] < wanted.cores:
        found.append(Finding("NumCPU", f"{facts['cores']} cores of the {wanted.cores} it needs", "give it more"))
    if facts["memory"] < wanted.memory * MIB:
        what = f"{facts['memory'] // MIB} MiB of memory of the {wanted.memory} it needs"
        found.append(Finding("Mem", what, "give it more"))
    return found


def _clock(facts: Mapping[str, Any], now: float) -> list[Finding]:
    skew = facts["time"] - now
    if abs(skew) <= SKEW:
        return []
    what = f"its clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'} of this machine's"
    return [Finding("TimeSkew", what, "have both keep time (timedatectl set-ntp true)")]


def _modules(facts: Mapping[str, Any]) -> list[Finding]:
    missing = sorted(name for name, state in facts["modules"].items() if state == "missing")
    return [
        Finding(f"Module-{name}", f"its kernel has no module {name}", f"`modprobe {name}` must work there")
        for name in missing
    ]


def _programs(facts: Mapping[str, Any], wanted: Wanted) -> list[Finding]:
    if wanted.packages:
        return []
    return [
        Finding(name, f"{', '.join(programs)} is missing", f"`apt-get install {name}`, or set `packages: true`")
        for name, programs in packages(facts["programs"]).items()
    ]


def _disk(facts: Mapping[str, Any]) -> list[Finding]:
    free = facts["disk"]["free"] * 100 // max(facts["disk"]["size"], 1)
    if free >= FREE:
        return []
    what = f"{free}% of its disk is free, and below {FREE}% a kubelet evicts pods and removes images"
    do = "make room in /var/lib; or set limits of your own (`kubelet: {evictionHard: ...}`), and ignore this"
    return [Finding("Disk", what, do)]


def _swap(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["swap"]:
        return []
    do = (
        "`swapoff -a` and take it out of /etc/fstab; or let the kubelet bear it: `kubelet: {failSwapOn: false}` and "
        "`ignorePreflight: [Swap]`"
    )
    return [Finding("Swap", f"it swaps to {', '.join(facts['swap'])}", do)]


def _ports(facts: Mapping[str, Any], wanted: Wanted) -> list[Finding]:
    control = wanted.role == "control-plane"
    needed = (*_COMMON_PORTS, *((wanted.port, *_CONTROL_PORTS) if control else ()))
    taken = sorted(set(needed) & set(facts["listening"]))
    return [
        Finding(f"Port-{port}", "something listens there", f"`ss -ltnp 'sport = :{port}'` says what") for port in taken
    ]


def _pods(names: Iterable[str]) -> list[str]:
    """A kubelet reads no hidden file; a package has one there, to keep the folder."""
    return [name for name in names if not name.startswith(".")]


def _others(facts: Mapping[str, Any]) -> list[Finding]:
    """Whatever somebody else has there. It is never touched."""
    found = []
    leftovers = [*facts["leftovers"], *(f"/etc/kubernetes/manifests/{name}" for name in _pods(facts["manifests"]))]
    leftovers += ["/var/lib/etcd/member"] if "member" in facts["etcd"] else []
    if leftovers:
        do = "if that cluster is gone, `kubeadm reset` there; else take another machine"
        found.append(Finding("Leftovers", f"another cluster's {', '.join(leftovers[:3])}", do))
    if facts["kubelet"]["path"] and not facts["kubelet"]["path"].startswith("/etc/systemd/system/kubelet.service"):
        what = f"a kubelet of somebody else's ({facts['kubelet']['path']})"
        found.append(Finding("Kubelet", what, "remove its package; anytier brings its own"))
    elif facts["kubelet"]["active"]:
        found.append(Finding("Kubelet", "a kubelet runs", "find out whose it is; `systemctl disable --now kubelet`"))
    for path in facts["others"]:
        found.append(Finding("Kubelet", f"{path} is somebody else's", "move it away"))
    if facts["containerd"]["used"]:
        what = f"containerd has containers of {', '.join(facts['containerd']['used'])}"
        found.append(Finding("ContainerdInUse", what, "take a machine of its own, or remove them"))
    for name in facts["runtimes"]:
        found.append(Finding("Runtime", f"{name} is there", "remove it; two runtimes confuse kubeadm"))
    return found
