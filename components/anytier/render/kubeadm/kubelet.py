"""The kubelet's configuration, its service, and what it needs of the kernel. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.render.kubeadm.ciphers import CIPHERS
from anytier.render.kubeadm.merge import over

UNIT = "/etc/systemd/system/kubelet.service"
DROP_IN = "/etc/systemd/system/kubelet.service.d/90-anytier.conf"
MODULES_FILE = "/etc/modules-load.d/anytier-kubernetes.conf"
SETTINGS_FILE = "/etc/sysctl.d/90-anytier-kubernetes.conf"
MODULES = ("overlay", "br_netfilter")
_ROUTING = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}
# What a kubelet with protectKernelDefaults finds or refuses to start.
_PROTECTED = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}


def config(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What kubeadm is given for all kubelets; what is left out here is kubeadm's default, which is a safe one."""
    ours = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "makeIPTablesUtilChains": True,
        "podPidsLimit": 4096,
        "protectKernelDefaults": True,
        "readOnlyPort": 0,
        "rotateCertificates": True,
        "seccompDefault": True,
        "serverTLSBootstrap": True,
        "tlsCipherSuites": list(CIPHERS),
        "tlsMinVersion": "VersionTLS12",
    }
    return over(ours, extra)


def settings(protect: bool) -> dict[str, str]:
    """Name of sysctl(8) -> value."""
    return {**_ROUTING, **(_PROTECTED if protect else {})}


def settings_text(protect: bool) -> str:
    return "".join(f"{key} = {value}\n" for key, value in settings(protect).items())


def modules_text() -> str:
    return "".join(f"{name}\n" for name in MODULES)


def unit() -> str:
    """A second, not ten, before it is started again: kubeadm starts it before it has all that it needs."""
    arguments = "$KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS"
    files = "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
    return "\n".join(
        [
            "# made by anytier; changes are lost at the next `pulumi up`",
            "[Unit]",
            "Description=kubelet: the agent of Kubernetes on this node",
            "Wants=network-online.target",
            "After=network-online.target containerd.service",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            f'Environment="KUBELET_KUBECONFIG_ARGS={files}"',
            'Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"',
            "EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env",
            "EnvironmentFile=-/etc/default/kubelet",
            f"ExecStart=/usr/local/bin/kubelet {arguments}",
            "Restart=always",
            "RestartSec=1",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def drop_in() -> str:
    """What a package's own unit lacks of the above."""
    after = ["[Unit]", "After=containerd.service", "", "[Service]", "RestartSec=1", ""]
    return "\n".join(["# made by anytier; changes are lost at the next `pulumi up`", *after])
