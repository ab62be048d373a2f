"""Questions about a machine that need code on it: free ports, who has a port, processes left over by a dead manager.

Standard library only, one file, Python 3.8+; run as `tool.py VERB` with JSON on stdin and on stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

FIRST, LAST = 10000, 20000  # below the proxy's service ports and Linux's ephemeral range


def main(argv: list[str]) -> None:
    verbs = {"ports": ports, "holder": holder, "reap": reap, "pids": pids, "missing": missing}
    json.dump(verbs[argv[1]](json.load(sys.stdin)), sys.stdout)


def ports(asked: dict[str, Any]) -> list[int]:
    """`count` ports that nobody listens on, none of `avoid`, searched from a place that `seed` decides."""
    avoid = set(asked["avoid"])
    found: list[int] = []
    start = FIRST + asked["seed"] % (LAST - FIRST)
    for number in list(range(start, LAST)) + list(range(FIRST, start)):
        if len(found) == asked["count"]:
            break
        if number not in avoid and refusal("", number) is None:
            found.append(number)
    return found


def holder(asked: dict[str, Any]) -> list[dict[str, Any] | None]:
    """For each [host, port]: None if we may listen there, else why not: {denied} or {taken, by}."""
    return [refusal(host, port, name_holder=True) for host, port in asked["addresses"]]


def refusal(host: str, port: int, name_holder: bool = False) -> dict[str, Any] | None:
    """All interfaces means IPv6 too where there is one, as a server that names none listens on both."""
    if host == "":
        plain = refusal("0.0.0.0", port, name_holder)
        return plain or (refusal("::", port, name_holder) if has_ipv6() else None)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
            return None
        except PermissionError as error:
            return {"denied": error.strerror}
        except OSError as error:
            return {"taken": error.strerror, "by": who(port) if name_holder else None}


def has_ipv6() -> bool:
    return os.path.exists("/proc/net/if_inet6")


def who(port: int) -> str | None:
    """`nginx (pid 12)` for the listener of a port, where /proc lets us see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in lines(table)[1:]:
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    for pid in processes():
        try:
            for handle in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{handle}") in inodes:
                    return f"{lines(f'/proc/{pid}/comm')[0]} (pid {pid})"
        except (OSError, IndexError):
            continue
    return None


def pids(asked: dict[str, Any]) -> list[int]:
    """The processes that carry the marker of `root` in their environment."""
    return marked(asked["root"])


def missing(asked: dict[str, Any]) -> list[str]:
    """Of `paths` and the folders above them, what does not exist."""
    found = []
    for path in asked["paths"]:
        while path != "/" and not os.path.lexists(path):
            if path not in found:
                found.append(path)
            path = os.path.dirname(path)
    return found


def reap(asked: dict[str, Any]) -> list[int]:
    """Ends every process that carries our marker: TERM, then KILL. Nothing else can be hit: the marker is the path.

    `instance` narrows it down to what one instance has started.
    """
    root, instance = asked["root"], asked.get("instance")
    for number, grace in ((signal.SIGTERM, asked["grace"]), (signal.SIGKILL, max(2.0, asked["grace"]))):
        deadline = time.time() + grace
        for pid in marked(root, instance):
            send(pid, number)
        while marked(root, instance) and time.time() < deadline:
            time.sleep(0.05)
    return marked(root, instance)


def marked(root: str, instance: str | None = None) -> list[int]:
    wanted = {b"ANYTIER_ROOT=" + os.fsencode(root)}
    if instance is not None:
        wanted.add(b"ANYTIER_INSTANCE=" + os.fsencode(instance))
    return [pid for pid in processes() if pid != os.getpid() and wanted <= set(environment(pid))]


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def environment(pid: int) -> list[bytes]:
    """A zombie has none, so it does not count."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return stream.read().split(b"\0")
    except OSError:
        return []


def send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main(sys.argv)
