"""Every check, in the order in which they are told: of the machine, of any stack, and of a stack of one tier."""

from __future__ import annotations

from importlib import import_module

from anytier.doctor.check import Check

MACHINE: dict[str, str] = {
    "python": "machine:python",
    "packages": "machine:packages",
    "engine": "engine:engine",
    "plugin": "engine:plugin",
    "state": "state:state",
    "passphrase": "state:passphrase",
    "disk": "machine:disk",
}
STACK: dict[str, str] = {
    "config": "stack:config",
    "app": "stack:app",
}
_MANAGED = {
    "packages": "managed:packages",
    "kubernetes plugin": "kubernetes:plugin",
    "login": "managed:login",
    "command": "managed:command",
}
TIER: dict[str, dict[str, str]] = {
    "local": {
        "packages": "local:packages",
        "supervisor": "local:supervisor",
        "proxy": "local:proxy",
        "disk": "local:disk",
        "port": "ports:free_or_ours",
    },
    "baremetal": {
        "packages": "baremetal:packages",
        "machine": "baremetal:machine",
    },
    "libvirt": {
        "packages": "libvirt:packages",
        "machine": "libvirt:config",
        "hypervisor": "libvirt:hypervisor",
        "kvm": "libvirt:acceleration",
    },
    "kubeadm": {
        "packages": "kubeadm:packages",
        "kubernetes plugin": "kubernetes:plugin",
        "cluster": "kubeadm:cluster",
        "machine": "kubeadm:machines",
        "builder": "kubeadm:builder",
    },
    "eks": _MANAGED,
    "gke": _MANAGED,
    "aks": _MANAGED,
    "docker": {
        "packages": "docker:packages",
        "daemon": "docker:daemon",
        "port": "ports:free_or_ours",
    },
}


def check(where: str) -> Check:
    module, _, name = where.partition(":")
    found: Check = getattr(import_module(f"anytier.doctor.{module}"), name)
    return found
