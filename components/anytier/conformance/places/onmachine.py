"""What the suite does and looks at on a machine over SSH, run there. Standard library only, one file, Python 3.8+.

`VERB` and a JSON object (`root`, `ns`, `pid`) in argv; what it has found as JSON on stdout.
"""

from __future__ import annotations

import glob
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any, Iterator  # noqa: UP035 - Python 3.8

UNITS = "/etc/systemd/system"
SECRET_STORE = re.compile(r"(^|[/.])secret\.json$|/files/")


def main(argv: list[str]) -> None:
    verbs = {
        "process": kill_process,
        "instance": kill_instance,
        "proxy": kill_proxy,
        "remove": remove_instance,
        "visible": visible,
        "leftovers": leftovers,
    }
    json.dump(verbs[argv[1]](json.loads(argv[2])), sys.stdout)


def kill_process(asked: dict[str, Any]) -> str:
    return kill(os.kill, mine(asked), asked)


def kill_instance(asked: dict[str, Any]) -> str:
    pid = mine(asked)
    return kill(os.killpg, os.getpgid(pid) if pid else 0, asked)


def kill(how: Any, pid: int, asked: dict[str, Any]) -> str:
    """Empty, or why not."""
    if not pid:
        return f"process {asked['pid']} does not belong to {asked['ns']}"
    how(pid, signal.SIGKILL)
    return ""


def kill_proxy(asked: dict[str, Any]) -> str:
    wanted = {"ANYTIER_INSTANCE": asked["ns"] + "-proxy", "ANYTIER_ROOT": asked["root"]}
    found = [pid for pid in pids() if wanted.items() <= environment(pid).items()]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return "" if found else f"no proxy of {asked['ns']} runs"


def remove_instance(asked: dict[str, Any]) -> str:
    pid = mine(asked)
    parts = text(f"/proc/{pid}/cgroup").split("/") if pid else []
    unit = next((part.strip() for part in parts if part.strip().endswith(".service")), "")
    if not unit.startswith(asked["ns"]):
        return f"process {asked['pid']} is in no unit of {asked['ns']}"
    subprocess.run(["systemctl", "disable", "--now", unit], check=True, stdout=subprocess.DEVNULL)
    for path in glob.glob(f"{UNITS}/{glob.escape(unit)}"):
        os.unlink(path)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    return ""


def mine(asked: dict[str, Any]) -> int:
    """Nothing that is not this app's is ever signalled."""
    return asked["pid"] if environment(asked["pid"]).get("ANYTIER_ROOT") == asked["root"] else 0


def visible(asked: dict[str, Any]) -> dict[str, str]:
    seen = {f"argv of process {pid}": command_line(pid) for pid in pids()}
    for path in files_below(asked["root"]):
        private = os.stat(path).st_mode & 0o077 == 0
        if not (SECRET_STORE.search(path) and private):
            seen["file " + path] = text(path)
    for path in glob.glob(f"{UNITS}/{glob.escape(asked['ns'])}*"):
        seen["unit " + path] = text(path)
    journal = ["journalctl", "--since=-30min", "--no-pager", "--output=cat"]
    seen["journal"] = subprocess.run(journal, stdout=subprocess.PIPE).stdout.decode(errors="replace")
    return seen


def leftovers(asked: dict[str, Any]) -> list[str]:
    root, ns = asked["root"], asked["ns"]
    found = ["folder " + root] if os.path.exists(root) else []
    for pid in pids():
        if environment(pid).get("ANYTIER_ROOT") == root:
            found.append(f"process {pid}: {command_line(pid)[:120]}")
    found += ["unit " + path for path in glob.glob(f"{UNITS}/**/{glob.escape(ns)}*", recursive=True)]
    return found + (["socket folder " + asked["sockets"]] if os.path.exists(asked["sockets"]) else [])


def pids() -> list[int]:
    own = {os.getpid(), os.getppid()}
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]


def command_line(pid: int) -> str:
    return text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def environment(pid: int) -> dict[str, str]:
    items = text(f"/proc/{pid}/environ").split("\0")
    return dict(item.split("=", 1) for item in items if "=" in item)


def files_below(folder: str) -> Iterator[str]:
    """Regular files of a sensible size; volumes are the app's own and not looked into."""
    for base, names, files in os.walk(folder):
        if base == folder and "volumes" in names:
            names.remove("volumes")
        for name in files:
            path = os.path.join(base, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 10_000_000:
                yield path


def text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv)
