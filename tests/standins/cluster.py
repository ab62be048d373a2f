"""A real cluster for the stood-in clouds to hand out: a machine that tier `kubeadm` makes one of, with what a cloud
brings and that one lacks.

    load balancers    balancers.py
    storage           the clouds' classes, and a second local-path provisioner that answers to the EBS driver's name
    an image registry a real one, which the machine takes for the mirror of every other; see daemon.py for the way there
    the image of the controller that tier `eks` puts there: controller.py
    who comes in      a token of an account that may do all, as long as the test lasts, in the place of the clouds' own
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.provider.docker.registry import Registry
from tests.provider.host.systemd_box import docker
from tests.provider.kubeadm.box import QUIRKS, KubeBox, kube_boxes
from tests.provider.kubeadm.stack import KubeStack, bundle
from tests.standins import controller
from tests.standins.balancers import Balancers
from tests.standins.daemon import RenamingSocket

from anytier.render.kubernetes.addons import local_path
from benchmarks.programs import KUBECTL, ensure

MIRRORS = "/etc/containerd/certs.d"
HOURS = 6
# The tier wants an app; this one is there before the one that is tested, and has nothing to do with it.
APP: dict[str, Any] = {
    "apiVersion": "anytier.dev/v1",
    "kind": "App",
    "metadata": {"name": "idle"},
    "workloads": {
        "idle": {
            "containers": {
                "idle": {"image": local_path.HELPER, "command": ["sleep"], "args": ["infinity"], "user": "65534"}
            }
        }
    },
}
EBS = "ebs.csi.aws.com"
# Classes that are there before a tier comes: on GKE and on AKS. (On EKS the tier makes its own, of driver EBS.)
CLASSES = ("standard-rwo", "managed-csi")
ACCOUNT = "anytier-test-deployer"


@dataclass
class RealCluster:
    """`about` and `token` are for World.tell; `address`: the public one that a cloud reserves. `daemon` builds and
    pushes, and knows who was logged in."""

    about: dict[str, str]
    token: str
    address: str
    daemon: RenamingSocket
    kubectl: Path
    balancers: Balancers
    ask: Kubectl

    def deployments(self, namespace: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask("-n", namespace, "get", "deployments"))["items"]
        return found

    def tells(self) -> dict[str, Any]:
        return {"clusters": {"*": self.about}, "credential": {"token": self.token}, "address": self.address}


@contextlib.contextmanager
def real_cluster(folder: Path, env: dict[str, str]) -> Iterator[RealCluster]:
    """Gone afterwards. `env` is that of tests' own engine."""
    with contextlib.ExitStack() as stack:
        (box,) = stack.enter_context(kube_boxes(folder, 1))
        network, gateway = around(box)
        pushed = stack.enter_context(Registry(folder))
        mirror = stack.enter_context(Registry(folder, gateway))
        controller.put(pushed)
        box.ssh(f"mkdir -p {MIRRORS}/_default && cat >{MIRRORS}/_default/hosts.toml", hosts(mirror.name).encode())
        text = stack.enter_context(made(box, folder, env))
        (folder / "admin").write_text(text)
        kubectl = Kubectl(ensure(KUBECTL), folder / "admin")
        for item in storage(json.loads(kubectl("-n", local_path.NAMESPACE, "get", "deployment", local_path.NAME))):
            kubectl("apply", "-f", "-", given=item)
        balancers = stack.enter_context(Balancers(text, network, box.ssh))
        daemon = stack.enter_context(RenamingSocket(folder / "docker.sock", pushed.name))
        token = kubectl.token()
        yield RealCluster(about(text), token, balancers.reserved, daemon, kubectl.program, balancers, kubectl)


@contextlib.contextmanager
def made(box: KubeBox, folder: Path, env: dict[str, str]) -> Iterator[str]:
    """A cluster by tier kubeadm; its admin's kubeconfig. The machine goes with its box: nothing is destroyed."""
    (folder / "idle.yaml").write_text(json.dumps(APP))
    cri = {"io.containerd.grpc.v1.cri": {"registry": {"config_path": MIRRORS}}}
    stack = KubeStack(
        [box], env, str(folder / "idle.yaml"), bundle(), containerd={**QUIRKS["containerd"], "plugins": cri}
    )
    try:
        stack.up()
        yield stack.pulumi("stack", "output", "kubeconfig", "--show-secrets")
    finally:
        stack.close()


class Kubectl:
    """As the cluster's admin."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self.program, self._env = program, {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def __call__(self, *argv: str, given: Any = None) -> str:
        """What it prints; JSON where it shows objects."""
        shown = [*argv, "-o", "json"] if "get" in argv else list(argv)
        done = subprocess.run(
            [str(self.program), *shown],
            env=self._env,
            input=None if given is None else json.dumps(given),
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(argv)}: {done.stderr}"
        return done.stdout

    def token(self) -> str:
        """Of somebody who may do all."""
        self("-n", "kube-system", "create", "serviceaccount", ACCOUNT)
        who = f"--serviceaccount=kube-system:{ACCOUNT}"
        self("create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", who)
        return self("-n", "kube-system", "create", "token", ACCOUNT, f"--duration={HOURS}h").strip()


def around(box: KubeBox) -> tuple[str, str]:
    """(the machine's network in CIDR, this machine's own address in it)."""
    listed = "{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}}{{end}}"
    own, gateway = docker("inspect", "--format", listed, box.name).split()
    return str(ipaddress.ip_interface(own).network), gateway


# pure


def hosts(mirror: str) -> str:
    """containerd's hosts.toml: asked first, whatever the registry; who is not known there is asked for where it is."""
    return f'[host."http://{mirror}"]\n  capabilities = ["pull", "resolve"]\n'


def about(kubeconfig: str) -> dict[str, str]:
    """What a cloud hands out of a cluster: where it is, and its authority."""
    (found,) = yaml.safe_load(kubeconfig)["clusters"]
    return {"endpoint": found["cluster"]["server"], "ca": found["cluster"]["certificate-authority-data"]}


def storage(provisioner: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """From tier kubeadm's provisioner another one under EBS' name, and the classes that other clouds bring."""
    template = provisioner["spec"]["template"]
    (container,) = template["spec"]["containers"]
    labels = {"app": "ebs-by-local-path"}
    mine = {**container, "command": [*container["command"], "--provisioner-name", EBS]}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ebs-by-local-path", "namespace": local_path.NAMESPACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {**template["spec"], "containers": [mine]}},
        },
    }
    for name in CLASSES:
        yield {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": {"defaultVolumeType": "local"}},
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        }
