"""What runs on a machine beside the app, and what it takes. Standard library only, one file, Python 3.8+.

Run there, `VERB` and a JSON object in argv, what it has found as JSON on stdout; or imported here, for this machine.
"""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import struct
import sys
from typing import Any, Callable, Iterable  # noqa: UP035 - Python 3.8

KUBERNETES = ("kubelet", "containerd", "containerd-shim")


def main(argv: list[str]) -> None:
    verbs = {"machine": lambda asked: machine(), "host": host, "docker": docker, "cluster": cluster}
    json.dump(verbs[argv[1]](json.loads(argv[2])), sys.stdout)


def machine() -> dict[str, Any]:
    """`memory`: MiB."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory": number_in(text("/proc/meminfo"), "MemTotal") // 1024,
        "kernel": platform.release(),
        "cpu": processor(text("/proc/cpuinfo")),
        "load": round(os.getloadavg()[0], 2),
    }


def processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


# whose a process is


def host(asked: dict[str, Any]) -> dict[str, Any]:
    """`root`, `ns`: all that an app's folder has running but its instances: supervisord, healthd, the proxy.

    systemd is not in it: it is there anyway.
    """
    names = {}
    for pid in pids():
        env = environment(pid)
        if env.get("ANYTIER_ROOT") == asked["root"]:
            instance = env.get("ANYTIER_INSTANCE")
            if instance == asked["ns"] + "-proxy":
                names[pid] = "proxy"
            elif instance is None:
                names[pid] = of_host(arguments(pid))
    return weighed(names)


def of_host(argv: list[str]) -> str:
    """What a process of ours is called: most are a Python."""
    known = {"supervisor.supervisord": "supervisord", "healthd.py": "healthd"}
    found = [known[word] for word in map(os.path.basename, argv) if word in known]
    return found[0] if found else program(argv)


def docker(asked: dict[str, Any]) -> dict[str, Any]:
    """`socket`: the daemon's; `containers`: the app's ids; `proxies`: its proxies' first processes; `ports`: published.

    The daemon and containerd as a whole, whoever else's containers they have; the shims and the port forwarders of this
    app only.
    """
    argv = {pid: arguments(pid) for pid in pids()}
    names = {pid: program(words) for pid, words in argv.items()}
    parents = {pid: parent(pid) for pid in argv}
    below = {pid for pid in asked["proxies"] if pid in argv}
    while True:
        more = {pid for pid in argv if parents[pid] in below} - below
        if not more:
            break
        below |= more
    daemon = listener(asked["socket"])
    daemons = {pid for pid in argv if pid == daemon or (names[pid] == "dockerd" and names.get(daemon) == "systemd")}
    theirs = [words for pid, words in argv.items() if pid in daemons]
    elsewhere = {listener(path) for words in theirs for path in option(words, "containerd")}
    found = {}
    for pid, words in argv.items():
        name = names[pid]
        if pid in below:
            found[pid] = "proxy"
        elif pid in daemons:
            found[pid] = "dockerd"
        elif name == "containerd" and (parents[pid] in daemons or pid in elsewhere):
            found[pid] = "containerd"
        elif (
            name == "docker-proxy" and parents[pid] in daemons and set(option(words, "host-port")) & set(asked["ports"])
        ):
            found[pid] = "docker-proxy"
        elif name.startswith("containerd-shim") and set(option(words, "id")) & set(asked["containers"]):
            found[pid] = "containerd-shim"
    return weighed(found)


def cluster(asked: dict[str, Any]) -> dict[str, Any]:
    """`apps`: ids of the app's own containers. kubelet, containerd, its shims, and what is in all other containers."""
    found = {}
    for pid in pids():
        name = program(arguments(pid))
        group = text(f"/proc/{pid}/cgroup")
        if name.startswith("containerd-shim"):
            found[pid] = "containerd-shim"
        elif name in KUBERNETES or ("kubepods" in group and name and not any(one in group for one in asked["apps"])):
            found[pid] = name
    return weighed(found)


def option(words: list[str], name: str) -> list[str]:
    """The values of `-name VALUE`, `--name VALUE`, `--name=VALUE`."""
    spelled = ("-" + name, "--" + name)
    after = [words[index + 1] for index, word in enumerate(words[:-1]) if word in spelled]
    return after + [word.split("=", 1)[1] for word in words if word.split("=", 1)[0] in spelled and "=" in word]


def listener(path: str) -> int:
    """The process that listens on a unix socket; 0 where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
        there.settimeout(10)
        try:
            there.connect(path)
            size = struct.calcsize("3i")
            return int(struct.unpack("3i", there.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])
        except OSError:
            return 0


# what a process takes


def weighed(names: dict[int, str]) -> dict[str, Any]:
    """By number and start, which no other process has; one that has ended meanwhile is left out."""
    found = {}
    for pid, name in names.items():
        fields = stat(pid)
        memory, shares = memory_of(pid)
        if fields and memory:
            ticks = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            weight = {"name": name, "memory": memory, "cpu": ticks, "shares": shares}
            found[f"{pid}.{fields[19]}"] = weight
    return found


def memory_of(pid: int, read: Callable[[str], str] | None = None) -> tuple[int, bool]:
    """Bytes, and whether of shared pages only the process's share is in it: that is for its user and root to see."""
    look = read or text
    share = number_in(look(f"/proc/{pid}/smaps_rollup"), "Pss")
    if share:
        return share * 1024, True
    return number_in(look(f"/proc/{pid}/status"), "VmRSS") * 1024, False


def number_in(lines: str, key: str) -> int:
    found = re.search("^" + key + r":\s*(\d+) kB$", lines, re.MULTILINE)
    return int(found.group(1)) if found else 0


def stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; a name may hold spaces and parentheses."""
    return text(f"/proc/{pid}/stat").rpartition(")")[2].split()


def parent(pid: int) -> int:
    fields = stat(pid)
    return int(fields[1]) if fields else 0


def program(argv: Iterable[str]) -> str:
    """The program's name without its folder; some write their whole title into the first argument."""
    first = next(iter(argv), "").split(" ")[0]
    return os.path.basename(first.rstrip(":"))


def pids() -> list[int]:
    own = {os.getpid(), os.getppid()}
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]


def arguments(pid: int) -> list[str]:
    return text(f"/proc/{pid}/cmdline").split("\0")


def environment(pid: int) -> dict[str, str]:
    items = text(f"/proc/{pid}/environ").split("\0")
    return dict(item.split("=", 1) for item in items if "=" in item)


def text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv)
