"""Machines for a cluster: systemd, sshd, containerd and what kubelet needs, on a network of their own.

Each has its cgroups to itself: a kubelet removes what it takes for orphans, which another one's pods would be. sshd of
each, the API server's port and the given ports of the first one are published on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.provider.host.bare_box import give_apt_sources
from tests.provider.host.corner import free_port
from tests.provider.host.ssh_box import _SETUP, SSH_IMAGE, SshBox
from tests.provider.host.systemd_box import _CAPABILITIES, _TMPFS, _UNCONFINED, Box, _boot, build, docker

API = 6443
IMAGE = "anytier-test-systemd-kubeadm"
_BASE = ",openssh-server,sudo"
_PACKAGES = f"{_BASE},containerd,runc,containernetworking-plugins,iptables,conntrack,ethtool,socat,kmod"
# What lies on an overlay cannot hold an overlay, and etcd wants a disk. The kernel's log is not to be had here.
_VOLUMES = [part for name in ("containerd", "kubelet", "etcd") for part in ("--volume", f"/var/lib/{name}")]
# A privileged pod (kube-proxy is one) asks for every device, which its machine must have been given.
_DEVICES = ["--device", "/dev/null:/dev/kmsg", "--device-cgroup-rule", "a *:* rwm"]
# Docker's own nameserver is at 127.0.0.11, which in a pod is the pod itself: pods get this machine's.
RESOLVER = "/etc/resolv.pods"
# A cgroup namespace's mounts are read-only at first, and of version 1 systemd needs them before it starts.
# A hierarchy that this machine does not mount, systemd would: it begins after the namespace, so all boxes would share
# it from its root, and each kubelet would remove the others' pods there for ever. What is taken already, it leaves
# alone. (With version 2 there is only one hierarchy, and nothing to take.)
_START = """
for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind $d; done
[ -e /sys/fs/cgroup/cgroup.controllers ] || for d in hugetlb perf_event net_cls,net_prio misc rdma; do
    [ -e /sys/fs/cgroup/$d ] || { mkdir /sys/fs/cgroup/$d && mount -t tmpfs tmpfs /sys/fs/cgroup/$d; }
done
exec /lib/systemd/systemd
"""

# What kubelet, containerd and kube-proxy must be told in such a machine, in the words of the tier's config. It is the
# container that wants it: without CAP_SYS_RESOURCE, with cgroup v1 and with the swap and the sysctls of the machine
# around it.
QUIRKS: dict[str, Any] = {
    "kubelet": {
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "failCgroupV1": False,
        "featureGates": {"KubeletInUserNamespace": True},
        "protectKernelDefaults": False,
        "resolvConf": RESOLVER,
        # The disk is that of the machine that tests, and how full that is is nobody's affair here.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "imageGCHighThresholdPercent": 100,
    },
    "kubeProxy": {"conntrack": {"maxPerCore": 0, "min": 0}},
    "containerd": {"restrictOomScoreAdj": True, "systemdCgroup": False},
    "ignorePreflight": [
        "Disk",
        "Swap",
        "SystemVerification",
        "NumCPU",
        "Mem",
        "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
    ],
}


class KubeBox(SshBox):
    """`api` is the port of 127.0.0.1 that leads to its API server; `ports` are the same inside and outside."""

    def __init__(self, name: str, key_file: Path, port: int, api: int = 0, ports: Sequence[int] = ()) -> None:
        super().__init__(name, key_file, port)
        self.api, self.ports = api, tuple(ports)
        self.app_port = ports[0] if ports else 0

    @property
    def address(self) -> str:
        """Where the other boxes reach it."""
        listed = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return docker("inspect", "--format", listed, self.name).split()[0]

    def machine(self, **more: Any) -> dict[str, Any]:
        """As a stack's config names it, by its address in the boxes' network: this machine reaches that too."""
        return {"address": self.address, "user": "root", "keyFile": str(self.key_file), **more}

    def ssh(self, command: str, data: bytes | None = None, timeout: float = 300) -> str:
        """What a shell command over SSH prints; as a person does it by hand, with the client that everybody has."""
        options = [
            f"-o{item}" for item in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        ]
        argv = ["ssh", *options, "-i", str(self.key_file), "-p", str(self.port), "root@127.0.0.1", command]
        done = subprocess.run(argv, input=data, capture_output=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"{command[:200]}: {done.stderr.decode(errors='replace')[-3000:]}"
        return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def kube_boxes(folder: Path, count: int, ports: int = 0, bare: bool = False) -> Iterator[list[KubeBox]]:
    """Machines that reach each other, gone afterwards however it went. `ports`: how many of the first are published.

    `bare`: without containerd and its like, but with this machine's apt sources.
    """
    image = SSH_IMAGE if bare else IMAGE
    build(image, _BASE if bare else _PACKAGES)
    key = folder / "box_key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with contextlib.ExitStack() as stack:
        network = f"anytier-test-kube-{uuid.uuid4().hex[:8]}"
        docker("network", "create", network)
        stack.callback(subprocess.run, ["docker", "network", "rm", network], capture_output=True)
        with ThreadPoolExecutor(count) as pool:

            def one(number: int) -> KubeBox:
                return start(stack, image, network, key, ports if number == 0 else 0, first=number == 0)

            made = list(pool.map(one, range(count)))
        for box in made:
            if bare:
                give_apt_sources(box)
        yield made


def start(
    stack: contextlib.ExitStack, image: str, network: str, key: Path, ports: int = 0, first: bool = False
) -> KubeBox:
    """One of them; it goes when the stack is unwound."""
    name = f"{network}-{uuid.uuid4().hex[:4]}"
    port, api, more = free_port(), free_port() if first else 0, [free_port() for _ in range(ports)]
    published = [(port, 22), *([(api, API)] if first else []), *((each, each) for each in more)]
    options = [part for outer, inner in published for part in ("--publish", f"127.0.0.1:{outer}:{inner}")]
    # As a machine is that has never had anything to do with containers.
    bare = ["--cgroupns", "private", "--sysctl", "net.ipv4.ip_forward=0"]
    given = [*_CAPABILITIES, *_UNCONFINED, *_TMPFS, *_VOLUMES, *_DEVICES, *bare, *options]
    named = ["--name", name, "--hostname", name, "--network", network, "--env", "container=docker"]
    stack.callback(subprocess.run, ["docker", "rm", "--force", "--volumes", name], capture_output=True)
    docker("run", "--detach", *named, *given, image, "/bin/sh", "-c", _START)
    docker("cp", f"{key}.pub", f"{name}:/opt/key.pub")
    _boot(Box(name))
    docker("exec", name, "sh", "-c", _SETUP)
    docker("cp", "--follow-link", "/etc/resolv.conf", f"{name}:{RESOLVER}")
    return KubeBox(name, key, port, api, more)
