"""Takes a cluster off a node that is ours: as kubeadm does, and what kubeadm leaves. The node stays prepared."""

from __future__ import annotations

from anytier.errors import Rejected
from anytier.provider.kubeadm.node import GIVEN, LINKS, SOCKET, Mark, Node, last_words
from anytier.provider.resource import Context
from anytier.render.kubeadm.config import LOGS

_LONGEST = 600.0


async def reset(ctx: Context, node: Node, mark: Mark, version: str) -> Mark:
    """The mark afterwards. Whatever cannot be removed is told, and keeps nobody from going on."""
    ctx.status(f"resetting {node.name}")
    linked = node.software == "bundle" and await _there(node, f"{LINKS}/kubeadm")
    program = f"{LINKS}/kubeadm" if linked else node.program(version, "kubeadm")
    await node.run("systemctl", "disable", "--now", "--quiet", "kubelet.service")
    if await _there(node, program):
        # The etcd member is the whole of etcd here: its data goes below, whether or not its API answers.
        argv = [program, "reset", "--force", f"--cri-socket={SOCKET}", "--skip-phases=remove-etcd-member"]
        done = await node.run(*argv, "--cleanup-tmp-dir", timeout=_LONGEST)
        if done.code != 0:
            what = f"kubeadm reset ended with {done.code}: {last_words(done)}"
            raise Rejected(f"machine {node.machine.name}", what, "mend what it names, then run again")
    said = await node.verb("clean", timeout=_LONGEST, keep=mark.before)
    if said["left"]:
        ctx.warn(f"on {node} something could not be removed: {'; '.join(said['left'][:5])}")
    await node.machine.remove([GIVEN, LOGS, f"{LINKS}/kubeadm", f"{LINKS}/kubelet"])
    await node.machine.remove(["/var/log/kubernetes"], only_empty=True)
    now = mark.model_copy(update={"stage": "prepared"})
    await node.set_mark(now)
    return now


async def _there(node: Node, path: str) -> bool:
    return (await node.run("test", "-x", path)).code == 0
