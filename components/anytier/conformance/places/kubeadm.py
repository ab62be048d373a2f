"""A cluster on machines over SSH as a place under test. The suite's throw-away stack makes it, and takes it down.

Nothing of the plugin is used but the connection: what is asked of the API is asked on the control plane, by a program
that comes over stdin (`oncluster.py`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import subprocess
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from anytier.conformance.check import Failed
from anytier.conformance.places.baremetal import over_ssh
from anytier.conformance.places.base import Report, Weight
from anytier.errors import ConfigError

if TYPE_CHECKING:
    from anytier.tiers.kubeadmargs import NodeArgs

ROUTER = "anytier.dev/router"


class KubeadmPlace:
    """`Place` on a cluster, which `Heals`. An instance is a pod: its hostname is the pod's name."""

    tier = "kubeadm"
    mode: str | None = None
    containers = True
    patience = 900.0  # the first run makes the cluster
    backoff = 90.0  # seconds that a kubelet may wait with what has died several times

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.tiers import kubeadmplan
        from anytier.tiers.kubeadm import Here
        from anytier.tiers.kubeadmargs import KubeadmArgs

        args = KubeadmArgs.model_validate(config)
        if args.libvirt is not None:
            do = "make the machines by a stack of tier libvirt, and name them under `machines`"
            raise ConfigError("anytier:kubeadm.libvirt", "the suite tests machines that are there already", do)
        here = Here(args, "conformance")
        plan = kubeadmplan.decide(args, here.listed, here.vms, here.bundle, "conformance", "the suite")
        self.address = plan.address
        self.network = bridged(plan.address)
        self.machines: dict[str, NodeArgs] = {
            member.name: item for member, item in zip(plan.members, here.listed, strict=True)
        }
        self.control = plan.control.name

    def versions(self) -> dict[str, str]:
        found: dict[str, str] = self._ask(self.control, "api-about")
        return found

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        self._kill(self._pod(ns, report), int(report["pid"]))

    def kill_instance(self, ns: str, report: Report) -> None:
        self._kill(self._pod(ns, report), 1)

    def kill_proxy(self, ns: str) -> None:
        """Each router's only process."""
        found = [pod for pod in self._ask(self.control, "api-pods", ns=ns) if ROUTER in pod["labels"]]
        if not found:
            raise Failed(f"no router of {ns} runs")
        for pod in found:
            self._kill(pod, 1)

    def remove_instance(self, ns: str, report: Report) -> None:
        self._ask(self.control, "api-delete", ns=ns, pod=report["hostname"])

    def meddle(self, ns: str, workload: str, replicas: int) -> None:
        self._ask(self.control, "api-scale", ns=ns, name=workload, replicas=replicas)

    def _pod(self, ns: str, report: Report) -> Mapping[str, Any]:
        for pod in self._ask(self.control, "api-pods", ns=ns):
            if pod["name"] == report["hostname"]:
                return dict(pod)
        raise Failed(f"no pod of {ns} is {report['instance']}")

    def _kill(self, pod: Mapping[str, Any], pid: int) -> None:
        if not pod["container"]:
            raise Failed(f"pod {pod['name']} has no container")
        why_not = self._ask(pod["node"], "kill", container=pod["container"], pid=pid)
        if why_not:
            raise Failed(why_not)

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        seen: dict[str, str] = self._ask(self.control, "api-visible", ns=ns)
        for name in self.machines:
            seen |= {f"{name}: {where}": text for where, text in self._ask(name, "visible").items()}
        return seen

    def leftovers(self, ns: str) -> list[str]:
        return [f"{name}: {left}" for name in self.machines for left in self._ask(name, "leftovers")]

    # weights

    def machine(self) -> dict[str, Any]:
        found: dict[str, Any] = self._run(self.control, "weigh.py", "machine", {})
        return found

    def platform(self, ns: str) -> dict[str, Weight]:
        """A pod's first container is the app's, but for the routers': the app that is measured has one in each."""
        pods = self._ask(self.control, "api-pods", ns=ns)
        apps = [pod["container"] for pod in pods if ROUTER not in pod["labels"] and pod["container"]]
        found = [(name, self._run(name, "weigh.py", "cluster", {"apps": apps})) for name in self.machines]
        return {f"{name} {key}": Weight(**item) for name, items in found for key, item in items.items()}

    def _ask(self, machine: str, verb: str, **asked: Any) -> Any:
        return self._run(machine, "oncluster.py", verb, asked)

    def _run(self, machine: str, file: str, verb: str, asked: Mapping[str, Any]) -> Any:
        """What a program of this folder finds there. It comes over stdin and leaves nothing."""
        if machine not in self.machines:
            raise Failed(f"no machine is called {machine}: there are {', '.join(self.machines)}")
        program = (resources.files("anytier.conformance.places") / file).read_bytes()
        argv = ["/usr/bin/python3", "-I", "-", verb, json.dumps(asked)]
        done = asyncio.run(over_ssh(self.machines[machine], lambda there: there.run(argv, program)))
        if done.code != 0:
            raise Failed(f"{verb} on {machine}: {done.err.strip()[-300:]}")
        return json.loads(done.out)


def bridged(address: str) -> str | None:
    """The network of a bridge of this machine, in CIDR, that holds `address`: who is there is inside this machine. Only
    such machines are loaded, and this one."""
    try:
        argv = ["ip", "-json", "-4", "address", "show", "type", "bridge"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout
        return network_of(address, json.loads(said or "[]"))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def network_of(address: str, links: list[dict[str, Any]]) -> str | None:
    """The same from what `ip -json address` says."""
    infos = [info for link in links for info in link.get("addr_info", ())]
    networks = [ipaddress.ip_network(f"{info['local']}/{info['prefixlen']}", strict=False) for info in infos]
    return next((str(one) for one in networks if ipaddress.ip_address(address) in one), None)
