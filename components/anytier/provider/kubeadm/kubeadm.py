"""Runs kubeadm on a node and says what it complains of. Progress is kubeadm's own; nothing secret is in argv."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.provider.host.transport import Result
from anytier.provider.kubeadm.api import Api, is_ready, kubelet_version
from anytier.provider.kubeadm.node import Node
from anytier.provider.resource import Context

_LONGEST = 1200.0
_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")


async def kubeadm(ctx: Context, node: Node, version: str, *argv: str, told: str = "") -> str:
    """Its output; Rejected with its reason."""
    ctx.status(f"{told or f'kubeadm {argv[0]}'} on {node.name}")
    done = await node.run(node.program(version, "kubeadm"), *argv, timeout=_LONGEST, version=version)
    if done.code != 0:
        raise await failed(node, argv, done)
    return done.out


async def failed(node: Node, argv: Sequence[str], done: Result) -> AnytierError:
    """With the kubelet's last words where it is the kubelet that does not come up."""
    said = reason(done.out, done.err)
    if "kubelet" in said and "[ERROR" not in said:
        said += f"; {await kubelet_says(node)}"
    words = " ".join(item for item in argv[:4] if not item.startswith("-"))
    return Rejected(f"kubeadm {words} on {node}", said, "mend what it names, then run again: it goes on from here")


def reason(out: str, err: str) -> str:
    """The errors among what kubeadm said, without its advice. Tokens are left out."""
    lines = [_TOKEN.sub("(token)", line.strip()) for line in f"{out}\n{err}".splitlines()]
    errors = [
        line for line in lines if line.startswith(("[ERROR", "error: ", "error execution phase", "couldn't", "- "))
    ]
    spoken = (
        errors or [line for line in lines if line and not line.startswith(("To see the stack trace", "[WARNING"))][-3:]
    )
    return "; ".join(dict.fromkeys(spoken))[:1200] or "it says nothing"


async def kubelet_says(node: Node) -> str:
    """The last line of the kubelet's log that tells of an error."""
    journal = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=60", "--unit=kubelet.service"]
    lines = [line.strip() for line in (await node.run(*journal)).out.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[EF]\d{4} |.*\berr(or)?=|Error:", line)]
    return f"the kubelet says: {(telling or lines or ['nothing'])[-1][:400]}"


async def restart_kubelet(ctx: Context, node: Node, api: Api, version: str, seconds: float = 180) -> None:
    """Until the API knows the kubelet in this version and, where the node was ready, that it is again."""
    was_ready = is_ready(await api.find(node.name))
    await node.must("systemctl", "daemon-reload")
    await node.must("systemctl", "restart", "kubelet.service")
    ctx.status(f"waiting for the kubelet of {node.name}")
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            found = await api.find(node.name)
        except Unreachable:
            found = None  # a control plane's own pods may be on their way
        if kubelet_version(found) == version and (is_ready(found) or not was_ready):
            return
        if asyncio.get_running_loop().time() >= end:
            what = f"its kubelet does not come back as {version} within {seconds:.0f} s; {await kubelet_says(node)}"
            raise Rejected(f"node {node}", what, "`journalctl -u kubelet` there says more; then run again")
        await asyncio.sleep(0.5)
