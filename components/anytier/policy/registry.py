"""Every rule, by its part of the baseline; and the lines that no rule can hold, with what does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anytier.policy.rule import Rule
from anytier.policy.rules import aks, docker, eks, gke, host, kubeadm, libvirt, pods, ssh


@dataclass(frozen=True)
class Held:
    """A line of the baseline that is in no property: what holds it, and the test that proves it."""

    line: str
    how: str
    test: str


SECTIONS: Mapping[str, tuple[str, tuple[Rule, ...]]] = {
    "eks": ("EKS", eks.RULES),
    "gke": ("GKE", gke.RULES),
    "aks": ("AKS", aks.RULES),
    "kubeadm": ("A cluster of kubeadm", kubeadm.RULES),
    "kubernetes": ("Every Kubernetes workload", pods.RULES),
    "host": ("Programs on machines", host.RULES),
    "docker": ("Docker", docker.RULES),
    "libvirt": ("Virtual machines", libvirt.RULES),
    "ssh": ("SSH", ssh.RULES),
}
RULES: Mapping[str, Rule] = {rule.id: rule for _, rules in SECTIONS.values() for rule in rules}

ELSEWHERE = (
    Held(
        "admin.conf is readable by its owner only",
        "kubeadm writes it 0600, and `anytier cluster kubeconfig -o` does",
        "tests/cli/test_cluster.py",
    ),
    Held(
        "certificates are renewed before they end",
        "a run renews those that end within 60 days",
        "tests/provider/kubeadm/test_pure.py",
    ),
    Held(
        "XML is built by an element tree",
        "`render/libvirt/xml.py` is the only writer; any text comes back as it went in",
        "tests/render/libvirt/test_machine.py",
    ),
    Held(
        "nothing is put into a shell unquoted",
        "what runs on a machine goes to the agent as a list of words",
        "tests/provider/host/test_shell.py",
    ),
    Held(
        "digests of images are recorded",
        "`host:Image`, `docker:Image` and `kubeadm:Image` keep what a reference meant in the state",
        "tests/provider/docker/test_image.py",
    ),
)
