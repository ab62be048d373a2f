"""Restarts instances whose liveness probe fails, also when no controller is there. Standard library only, one file.

A copy lies in every app's state folder and runs as one more supervised program:

    healthd.py watch CONFIG    CONFIG names the instances' folder and how to restart: supervisord's socket or systemctl
    healthd.py once            a check as JSON on stdin; exit 0 if it passes

One thread for each probed instance; heavy modules are left out on purpose: it should cost less than what it watches.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

LOOK = 1.0  # how often added and removed instances are looked for


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    if argv[1] == "once":
        ok, said = probe(json.load(sys.stdin), 0, [])
        print(said)
        return 0 if ok else 1
    watch(read_json(argv[2]))
    return 0


def watch(config: dict[str, Any]) -> None:
    """Starts a watcher for each instance that wants one; a watcher ends by itself when its instance is gone."""
    threading.stack_size(256 * 1024)
    watchers: dict[str, Watcher] = {}
    while True:
        for name in names(config["instances"]):
            known = watchers.get(name)
            if known is None or not known.is_alive():
                record = read_record(config, name)
                if record and record.get("liveness"):
                    watchers[name] = Watcher(config, name, record)
                    watchers[name].start()
        for name in [name for name, known in watchers.items() if not known.is_alive()]:
            del watchers[name]
        time.sleep(LOOK)


class Watcher(threading.Thread):
    """One instance: startup first, then liveness, again from the beginning whenever its process is a new one."""

    def __init__(self, config: dict[str, Any], name: str, record: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.config, self.name_, self.record = config, name, record

    def run(self) -> None:
        while self.current():
            try:
                self.life()
            except Exception as error:  # a watcher that ends watches nothing: whatever it is, say it and go on
                say(f"{self.name_}: {error!r}")
                time.sleep(LOOK)

    def current(self) -> bool:
        found = read_record(self.config, self.name_)
        if found and found.get("liveness"):
            self.record = found
            return True
        return False

    def life(self) -> None:
        """From one start of the process to its end."""
        pid = self.pid()
        if not pid:
            time.sleep(LOOK)
            return
        startup = self.record.get("startup")
        if startup and not self.passes(startup, pid, until_first=True):
            return
        if self.passes(self.record["liveness"], pid, until_first=False):
            return

    def passes(self, check: dict[str, Any], pid: int, until_first: bool) -> bool:
        """Probes until the first success (startup), or for as long as the process lives (liveness).

        False: the process was restarted by us, or is another one now.
        """
        failed = 0
        self.pause(check.get("initialDelay", 0))
        while self.current():
            if self.pid() != pid:
                return False
            ok, said = probe(check, pid, self.config["exec"])
            if ok and until_first:
                return True
            failed = 0 if ok else failed + 1
            if failed >= check.get("failureThreshold", 3):
                say(f"{self.record['unit']}: {said}; failed {failed} times, restarting")
                restart(self.config, self.record["unit"])
                self.pause(LOOK)
                return False
            self.pause(check.get("period", 10))
        return False

    def pid(self) -> int:
        """0 while it does not run, or its launcher waits before the next start."""
        try:
            with open(os.path.join(self.config["instances"], self.name_, "starts"), encoding="ascii") as stream:
                if float(stream.read().split()[-1]) > time.time():
                    return 0
        except (OSError, ValueError, IndexError):
            pass
        return main_pid(self.config, self.record["unit"])

    def pause(self, seconds: float) -> None:
        """In steps, so that an instance that is gone is let go of soon."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))
            if left > LOOK and not os.path.isdir(os.path.join(self.config["instances"], self.name_)):
                return


# probes


def probe(check: dict[str, Any], pid: int, exec_prefix: list[str]) -> tuple[bool, str]:
    timeout = check.get("timeout", 1)
    try:
        if check.get("httpGet"):
            return http(check["httpGet"], timeout)
        if check.get("tcpPort"):
            socket.create_connection(("127.0.0.1", check["tcpPort"]), timeout).close()
            return True, "open"
        return execute(exec_prefix + [str(pid), "--"] + check["exec"], timeout)
    except (OSError, ValueError) as error:
        return False, str(error) or type(error).__name__


def http(get: dict[str, Any], timeout: float) -> tuple[bool, str]:
    end = time.monotonic() + timeout
    with socket.create_connection(("127.0.0.1", get["port"]), timeout) as plain:
        stream = encrypted(plain) if get.get("scheme") == "HTTPS" else plain
        headers = {"Host": f"127.0.0.1:{get['port']}", "User-Agent": "anytier-probe", "Connection": "close"}
        headers.update(get.get("headers") or {})
        head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        stream.sendall(f"GET {get['path']} HTTP/1.1\r\n{head}\r\n".encode())
        got = b""
        while b"\r\n" not in got and len(got) < 4096:
            stream.settimeout(max(0.001, end - time.monotonic()))
            more = stream.recv(4096)
            if not more:
                break
            got += more
    status = int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/") else 0
    return 200 <= status < 400, f"GET {get['path']} answered {status}"


def encrypted(plain: socket.socket) -> socket.socket:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as kubelets do: the instance is asked by its address, not its name
    return context.wrap_socket(plain)


def execute(argv: list[str], timeout: float) -> tuple[bool, str]:
    """In a session of its own, so that a probe that hangs goes with all its children."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, start_new_session=True)
    try:
        code = process.wait(timeout)
        return code == 0, f"exit {code}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False, f"no end within {timeout:g} s"


# the process manager


def main_pid(config: dict[str, Any], unit: str) -> int:
    """0 while it does not run."""
    if config["systemctl"]:
        shown = systemctl(config, "show", "--property=MainPID", "--value", unit + ".service")
        return int(shown.strip() or 0)
    answer = rpc(config["socket"], "getProcessInfo", unit)
    running = b"<string>RUNNING</string>" in answer
    return int(between(answer, b"<name>pid</name>", b"</int>").rpartition(b"<int>")[2] or 0) if running else 0


def restart(config: dict[str, Any], unit: str) -> None:
    if config["systemctl"]:
        systemctl(config, "restart", unit + ".service")
        return
    rpc(config["socket"], "stopProcess", unit)
    rpc(config["socket"], "startProcess", unit)


def systemctl(config: dict[str, Any], *argv: str) -> str:
    done = subprocess.run(config["systemctl"] + list(argv), capture_output=True, timeout=900)
    return done.stdout.decode()


def rpc(path: str, method: str, name: str) -> bytes:
    """supervisord's XML-RPC by hand: its client library would double our size."""
    body = (
        f"<?xml version='1.0'?><methodCall><methodName>supervisor.{method}</methodName><params>"
        f"<param><value><string>{name}</string></value></param></params></methodCall>"
    ).encode()
    head = "POST /RPC2 HTTP/1.1\r\nHost: supervisor\r\nConnection: close\r\nContent-Type: text/xml\r\n"
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(900)
        stream.connect(path)
        stream.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        parts = []
        while part := stream.recv(65536):
            parts.append(part)
    return b"".join(parts)


def between(data: bytes, start: bytes, end: bytes) -> bytes:
    return data.partition(start)[2].partition(end)[0]


# files


def names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def read_record(config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """None while it is being made or is gone."""
    try:
        return read_json(os.path.join(config["instances"], name, "instance.json"))
    except (OSError, ValueError):
        return None


def read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
        return found


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
