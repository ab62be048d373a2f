"""Runs kubeadm on a node and says what it complains of. Progress is kubeadm's own; nothing secret is in argv."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence

import yaml

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.provider.host import http
from anytier.provider.host.transport import File, Result
from anytier.provider.kubeadm.api import Api, is_ready, kubelet_version
from anytier.provider.kubeadm.node import Node
from anytier.provider.resource import Context

KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
_LONGEST = 1200.0
_LATE = re.compile(r"phase (wait-control-plane|kubelet-\S*start|kubelet-wait-bootstrap)\b|not healthy after")
_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")


async def kubeadm(ctx: Context, node: Node, version: str, *argv: str, told: str = "", start: float = 0) -> str:
    """Its output; Rejected with its reason. `start`: seconds that it was told to wait for what it starts."""
    ctx.status(f"{told or f'kubeadm {argv[0]}'} on {node.name}")
    done = await node.run(node.program(version, "kubeadm"), *argv, timeout=max(_LONGEST, 3 * start), version=version)
    if done.code != 0:
        raise await failed(node, argv, done)
    return done.out


async def failed(node: Node, argv: Sequence[str], done: Result) -> AnytierError:
    """With the kubelet's last words where it is the kubelet that does not come up."""
    said = reason(done.out, done.err)
    if stage := last_pod(done.out):
        said += f"; it was at the pod of {stage}"
    if ("kubelet" in said or stage) and "[ERROR" not in said:
        said += f"; {await kubelet_says(node)}"
    words = " ".join(item for item in argv[:4] if not item.startswith("-"))
    slow = "a machine that is slow needs a longer `startTimeout`; else " if _LATE.search(said) else ""
    return Rejected(
        f"kubeadm {words} on {node}", said, f"{slow}mend what it names, then run again: it goes on from here"
    )


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


def last_pod(out: str) -> str:
    """The part of the control plane that an upgrade was at: its own errors do not say which."""
    found = re.findall(r'^\[upgrade/staticpods\] Preparing for "([a-z-]{1,40})" upgrade', out, re.MULTILINE)
    return found[-1] if found else ""


async def kubelet_says(node: Node) -> str:
    """The last line of the kubelet's log that tells of an error."""
    journal = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=60", "--unit=kubelet.service"]
    lines = [line.strip() for line in (await node.run(*journal)).out.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[EF]\d{4} |.*\berr(or)?=|Error:", line)]
    return f"the kubelet says: {(telling or lines or ['nothing'])[-1][:400]}"


@contextlib.asynccontextmanager
async def kubelet_changes(ctx: Context, node: Node, api: Api, version: str) -> AsyncIterator[None]:
    """Around what gives the kubelet another configuration: it is restarted, and gets the old one back where it does not
    come up with the new."""
    known = await node.machine.read([KUBELET_CONFIG])
    try:
        yield
        await restart_kubelet(ctx, node, api, version, 60)
    except AnytierError as error:
        if known:
            await node.machine.put([File(path, data) for path, data in known.items()])
            await node.must("systemctl", "restart", "kubelet.service")
        what = f"{error.what}; it has its old configuration again"
        raise Rejected(error.path, what, error.do or "mend `kubelet:` in the stack, then run again") from error


async def restart_kubelet(ctx: Context, node: Node, api: Api, version: str, seconds: float = 180) -> None:
    """Until it is well, the API knows it in this version and, where the node was ready, that it is again."""
    was_ready = is_ready(await api.find(node.name))
    await node.must("systemctl", "daemon-reload")
    await node.must("systemctl", "restart", "kubelet.service")
    ctx.status(f"waiting for the kubelet of {node.name}")
    end = asyncio.get_running_loop().time() + seconds
    while not await _is_back(node, api, version, was_ready):
        if asyncio.get_running_loop().time() >= end:
            what = f"its kubelet does not come back as {version} within {seconds:.0f} s; {await kubelet_says(node)}"
            raise Rejected(f"node {node}", what, "`journalctl -u kubelet` there says more; then run again")
        await asyncio.sleep(0.5)


async def _is_back(node: Node, api: Api, version: str, ready: bool) -> bool:
    """That the API says so is not enough: it notices only after a while that a kubelet is gone."""
    if not await _healthy(node):
        return False
    try:
        found = await api.find(node.name)
    except Unreachable:
        return False  # a control plane's own pods may be on their way
    return kubelet_version(found) == version and (is_ready(found) or not ready)


async def _healthy(node: Node) -> bool:
    data = (await node.machine.read([KUBELET_CONFIG])).get(KUBELET_CONFIG, b"")
    port = (yaml.safe_load(data) or {}).get("healthzPort", 10248)
    if not port:
        return True  # it was told not to say
    try:
        answer = await http.request(
            lambda: node.machine.open_tcp("127.0.0.1", port), "GET", "/healthz", host="localhost", timeout=5
        )
    except (OSError, EOFError, ValueError):
        return False
    return answer.status == 200
