"""Every rule, by its part of the baseline; and the lines that no rule can hold, with what does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anytier.policy.rule import Rule
from anytier.policy.rules import aks, docker, eks, gke, host, kubeadm, libvirt, pods, ssh


@dataclass(frozen=True)
class Held:
    """A line of the baseline that is in no property: what holds it, and the tests that prove it (`file::name`)."""

    line: str
    how: str
    tests: tuple[str, ...]


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
        "kubeadm writes it so, and `anytier cluster kubeconfig -o` its copy (0600)",
        (
            "tests/provider/kubeadm/test_on_boxes.py::test_machines_become_a_cluster_and_machines_again",
            "tests/cli/test_cluster.py::test_the_kubeconfig_is_for_its_owner_alone_and_replaces_nothing_unasked",
        ),
    ),
    Held(
        "certificates are renewed before they end",
        "a run renews those that end within 60 days",
        (
            "tests/provider/kubeadm/test_pure.py::test_certificates_that_end_soon_are_drift",
            "tests/e2e/test_kubeadm.py::test_certificates_are_renewed_before_they_end",
        ),
    ),
    Held(
        "XML is built by an element tree",
        "`render/libvirt/xml.py` is the only writer; any text comes back as it went in",
        ("tests/render/libvirt/test_machine.py::test_what_is_written_is_read_back",),
    ),
    Held(
        "nothing is put into a shell unquoted",
        "what runs on a machine goes to the agent as a list of words",
        ("tests/provider/host/test_shell.py::test_a_command_on_the_terminal_gets_exactly_its_words",),
    ),
    Held(
        "digests of images are recorded",
        "`docker:Image` and `host:Image` keep what a reference meant; what is built goes to a cluster by its digest"
        " (`docker:Push`) or by the hash of its content (`kubeadm:Image`). Not recorded: what a tag meant that a spec"
        " names on Kubernetes; write the digest there",
        (
            "tests/provider/docker/test_image.py::test_a_pulled_image_is_pinned_by_its_digest",
            "tests/provider/host/test_images.py::test_a_tag_that_moved_is_a_drift_that_the_next_update_mends",
            "tests/provider/docker/test_push.py::test_what_pods_name_is_the_registrys_own_digest",
            "tests/provider/kubeadm/test_pure.py::test_another_content_or_signal_is_another_name",
        ),
    ),
)
