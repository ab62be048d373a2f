"""This machine as a place under test: processes under supervisord or systemd, everything else files in one folder."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anytier.conformance.check import Failed
from anytier.conformance.places import weigh
from anytier.conformance.places.base import Report, Weight

# Where secrets may lie: what the layout documents as such. Anything else is for everybody's eyes.
SECRET_STORE = re.compile(r"(^|[/.])secret\.json$|/files/")
UNIT_FOLDERS = ("/etc/systemd/system", "~/.config/systemd/user")


class LocalPlace:
    """`Place` on this machine."""

    tier = "local"
    address = "127.0.0.1"
    containers = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        from anytier.tiers.local import LocalArgs, default_state_dir, detect_supervisor, mode_of

        args = LocalArgs.model_validate(config)
        self.supervisor = detect_supervisor() if args.supervisor == "auto" else args.supervisor
        self.state_dir = Path(args.state_dir).expanduser() if args.state_dir else default_state_dir()
        self.mode: str | None = mode_of(self.supervisor)

    def versions(self) -> dict[str, str]:
        return {"machine": platform.platform(), "supervisor": self.supervisor}

    def root(self, ns: str) -> Path:
        return self.state_dir / ns

    # harm

    def kill_process(self, ns: str, report: Report) -> None:
        os.kill(self._mine(ns, report), signal.SIGKILL)

    def kill_instance(self, ns: str, report: Report) -> None:
        pid = self._mine(ns, report)
        group = os.getpgid(pid)
        if group == os.getpgid(0):
            raise Failed(
                f"process {pid} shares the process group of who started it; a whole instance cannot be ended alone"
            )
        os.killpg(group, signal.SIGKILL)

    def kill_proxy(self, ns: str) -> None:
        mine = {"ANYTIER_INSTANCE": f"{ns}-proxy", "ANYTIER_ROOT": str(self.root(ns))}
        found = [pid for pid in pids() if mine.items() <= environment(pid).items()]
        if not found:
            raise Failed(f"no proxy of {ns} runs")
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def remove_instance(self, ns: str, report: Report) -> None:
        pid = self._mine(ns, report)
        if self.supervisor == "supervisord":
            name = environment(pid).get("ANYTIER_INSTANCE", "")
            Path(self.root(ns), "supervisor", "programs", f"{name}.conf").unlink()
            for verb in ("stop", "remove"):
                self._supervisorctl(ns, verb, name)
            return
        unit = unit_of(cgroup(pid), ns)
        self._systemctl("disable", "--now", unit)
        for folder in UNIT_FOLDERS:
            Path(folder).expanduser().joinpath(unit).unlink(missing_ok=True)
        self._systemctl("daemon-reload")

    def _mine(self, ns: str, report: Report) -> int:
        """The process of a report, which must belong to this app: nothing else on the machine is ever signalled."""
        pid = int(report["pid"])
        if ns not in environment(pid).get("ANYTIER_ROOT", "") and ns not in cgroup(pid):
            raise Failed(f"process {pid} does not belong to {ns}")
        return pid

    def _supervisorctl(self, ns: str, *args: str) -> None:
        config = Path(self.root(ns), "supervisor", "supervisord.conf").read_text()
        socket = next(line.split("=", 1)[1].strip() for line in config.splitlines() if re.match(r"file\s*=", line))
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{socket}", *args]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def _systemctl(self, *args: str) -> None:
        scope = ["--user"] if self.supervisor == "systemd-user" else []
        subprocess.run(["systemctl", *scope, *args], check=True, capture_output=True, timeout=60)

    # looks

    def visible(self, ns: str) -> dict[str, str]:
        seen = {f"argv of process {pid}": text for pid, text in command_lines()}
        for path in files_below(self.root(ns)):
            private = path.stat().st_mode & 0o077 == 0
            if not (SECRET_STORE.search(str(path)) and private):
                seen[f"file {path}"] = path.read_bytes().decode(errors="replace")
        for folder in UNIT_FOLDERS:
            for path in Path(folder).expanduser().glob(f"{ns}*"):
                seen[f"unit {path}"] = path.read_text(errors="replace")
        if self.mode != "supervisord" and shutil.which("journalctl"):
            scope = ["--user"] if self.supervisor == "systemd-user" else []
            command = ["journalctl", *scope, "--since=-30min", "--no-pager", "--output=cat"]
            seen["journal"] = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout
        return seen

    def leftovers(self, ns: str) -> list[str]:
        root = str(self.root(ns))
        found = [f"folder {root}"] if self.root(ns).exists() else []
        found += [
            f"process {pid}: {text[:120]}" for pid, text in command_lines() if ns in text and "conformance" in text
        ]
        for pid in pids():
            if environment(pid).get("ANYTIER_ROOT") == root:
                found.append(f"process {pid} of {root}")
        for folder in UNIT_FOLDERS:
            found += [f"unit {path}" for path in Path(folder).expanduser().glob(f"**/{ns}*")]
        return found + [f"socket folder {path}" for path in self._socket_folders(ns) if path.exists()]

    # weights

    def machine(self) -> dict[str, Any]:
        return weigh.machine()

    def platform(self, ns: str) -> dict[str, Weight]:
        found = weigh.host({"root": str(self.root(ns)), "ns": ns})
        return {key: Weight(**item) for key, item in found.items()}

    def _socket_folders(self, ns: str) -> list[Path]:
        from anytier.provider.host.layout import Layout

        digest = Layout(str(self.root(ns)), ns).digest
        bases = [Path("/run/anytier"), Path(f"/tmp/anytier-{os.getuid()}")]
        if runtime := os.environ.get("XDG_RUNTIME_DIR"):
            bases.append(Path(runtime) / "anytier")
        return [base / digest for base in bases]


def pids() -> Iterator[int]:
    own = {os.getpid(), os.getppid()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in own:
            yield int(entry.name)


def command_lines() -> Iterator[tuple[int, str]]:
    for pid in pids():
        with suppress(OSError):
            text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if text:
                yield pid, text


def environment(pid: int) -> dict[str, str]:
    with suppress(OSError):
        items = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
        return dict(item.split("=", 1) for item in items if "=" in item)
    return {}


def cgroup(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cgroup").read_text()
    return ""


def unit_of(groups: str, ns: str) -> str:
    """The app's unit that a process is in, by /proc/PID/cgroup. A user's units lie below another service."""
    names = [part.strip() for part in groups.split("/") if part.strip().endswith(".service")]
    found = [name for name in names if name.startswith(f"{ns}-")]
    if not found:
        raise Failed(f"no unit of {ns} in {groups!r}")
    return found[0]


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files; volumes are the app's own and not looked into."""
    for base, names, files in os.walk(folder):
        if base == str(folder) and "volumes" in names:
            names.remove("volumes")
        for name in files:
            path = Path(base, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 10_000_000:
                yield path
