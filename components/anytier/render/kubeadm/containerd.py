"""containerd's configuration for Kubernetes, in a file of its own, and the drop-in that has the service read it. Pure.

Version 2 of the format: containerd 1.6 to 2.x read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.render.kubeadm import toml
from anytier.render.kubeadm.merge import over

FILE = "/etc/anytier/containerd.toml"
DROP_IN = "/etc/systemd/system/containerd.service.d/90-anytier.conf"
PLUGINS = "/opt/cni/bin"
NETWORKS = "/etc/cni/net.d"


# What a stack may say in one word, and where it belongs.
SHORT = ("systemdCgroup", "restrictOomScoreAdj")
_CRI = "io.containerd.grpc.v1.cri"


def config(pause: str, extra: Mapping[str, Any], registries: str = "") -> dict[str, Any]:
    """`extra`: the words of SHORT, and anything of containerd's own. `registries`: a folder that says where each is."""
    short = {key: extra[key] for key in SHORT if key in extra}
    runc = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": bool(short.get("systemdCgroup", True))},
    }
    cri: dict[str, Any] = {
        "sandbox_image": pause,
        "cni": {"bin_dir": PLUGINS, "conf_dir": NETWORKS},
        "containerd": {"default_runtime_name": "runc", "runtimes": {"runc": runc}},
    }
    if registries:
        cri["registry"] = {"config_path": registries}
    if short.get("restrictOomScoreAdj"):
        cri["restrict_oom_score_adj"] = True
    return over({"version": 2, "plugins": {_CRI: cri}}, {key: extra[key] for key in extra if key not in SHORT})


def text(pause: str, extra: Mapping[str, Any], registries: str = "") -> str:
    given = toml.text(config(pause, extra, registries))
    return f"# made by anytier; changes are lost at the next `pulumi up`\n{given}"


def drop_in(program: str) -> str:
    """`program` is where containerd lies."""
    start = f"ExecStart={program} --config {FILE}"
    return f"# made by anytier\n[Service]\nExecStart=\n{start}\n"
