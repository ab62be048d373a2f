"""A real sshd on 127.0.0.1, and a home whose `~/.ssh` knows it: a user's machine and a server in one folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sshd:
    """Serves until the block ends. `host` is the address of the daemon behind it."""

    def __init__(self, folder: Path, path: str | None = None, options: str = "") -> None:
        self.folder, self.home = folder / "sshd", folder / "home"
        self.port = free_port()
        self.path, self.options = path or os.environ["PATH"], options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def __enter__(self) -> Sshd:
        if not (program := shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")):
            pytest.fail("no sshd on this machine (apt-get install openssh-server)", pytrace=False)
        self.folder.mkdir()
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self._key(self.home / ".ssh" / "id_ed25519")
        shutil.copy(self.home / ".ssh" / "id_ed25519.pub", self.folder / "authorized_keys")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.start(program)
        self.trust()
        return self

    def start(self, program: str = "sshd") -> None:
        """With a host key of its own if there is none yet."""
        program = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") or program
        if not (self.folder / "host_key").exists():
            self._key(self.folder / "host_key")
        (self.folder / "config").write_text(
            f"{self.options}\nListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host_key\nPidFile none\n"
            "StrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
            f"KbdInteractiveAuthentication no\nSetEnv PATH={self.path}\nPermitRootLogin yes\n"
            "LogLevel VERBOSE\n"
        )
        command = [program, "-D", "-e", "-f", str(self.folder / "config")]
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            if self._process is None or self._process.poll() is not None:
                # also once more: for a moment another test's connection may have had the port
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, stdout=log, stderr=log)
            if self.answers():
                return
            time.sleep(0.05)
        raise AssertionError(f"sshd does not answer: {(self.folder / 'log').read_text()}")

    def answers(self) -> bool:
        """By its first words: where nobody listens, a connection can come to be with itself."""
        with socket.socket() as probe:
            probe.settimeout(2)
            try:
                probe.connect(("127.0.0.1", self.port))
                return probe.recv(4) == b"SSH-"
            except OSError:
                return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self, options: str = "", path: str | None = None) -> None:
        self.stop()
        self.options, self.path = options, path or self.path
        self.start()

    def new_host_key(self) -> None:
        """Another machine at the same address."""
        (self.folder / "host_key").unlink()
        (self.folder / "host_key.pub").unlink()
        self.restart(self.options)

    def trust(self) -> None:
        """Its present key into known_hosts, which then has no other."""
        key = (self.folder / "host_key.pub").read_text().split()
        (self.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key[0]} {key[1]}\n")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _key(self, file: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
