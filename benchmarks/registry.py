"""Every benchmark: where it is and what it shows. The one list; the command line, the report and a test read it.

A benchmark is a function `(Options) -> list[Row]`. It cleans up what it made, whatever happens.
"""

from __future__ import annotations

CASES: dict[str, tuple[str, str]] = {
    "help": ("benchmarks.cases.start:run", "how soon `anytier --help` answers"),
    "validate": ("benchmarks.cases.validate:run", "`anytier validate` of one file with up to 2,000 workloads"),
    "render": ("benchmarks.cases.render:run", "an app with up to 1,000 workloads as Kubernetes objects"),
    "compare": ("benchmarks.cases.compare:run", "four stacks compared beside the slowest of their plans"),
    "preview": ("benchmarks.cases.preview:run", "every stack previewed beside the slowest single one"),
    "managed": ("benchmarks.cases.managed:run", "no-op previews of EKS, GKE and AKS beside their SDKs' imports alone"),
    "noop-local": ("benchmarks.cases.noop:local", "`pulumi up` of the deployed guestbook on this machine: no change"),
    "noop-docker": ("benchmarks.cases.noop:docker", "`pulumi up` of the deployed guestbook on Docker: no change"),
    "memory": ("benchmarks.cases.memory:secrets", "the plugin's memory while a stack has 500 secrets"),
    "memory-docker": ("benchmarks.cases.memory:volumes", "the plugin's memory while a stack has 500 volumes on Docker"),
    "proxy": ("benchmarks.cases.proxy:run", "requests per second through the proxy and without it"),
    "machines": ("benchmarks.cases.machines:run", "a service on 5 machines over SSH: anytier, Ansible and pyinfra"),
    "kubeadm": (
        "benchmarks.cases.kubeadm:run",
        "3 machines to a cluster whose nodes are Ready: anytier and kubeadm by hand",
    ),
    "apply": ("benchmarks.cases.apply:run", "200 workloads onto an API server: anytier and kubectl"),
    "shop": ("benchmarks.cases.shop:run", "the shop on a bare machine over SSH: anytier and an Ansible role"),
    "domains": ("benchmarks.cases.domains:run", "100 virtual machines with volumes, defined: anytier and OpenTofu"),
    "vm": ("benchmarks.cases.vm:run", "from nothing to SSH on a virtual machine: anytier, and by hand"),
    "replicas": ("benchmarks.cases.replicas:run", "50 replicas on Docker, 60, and none: anytier and Docker Compose"),
}
