"""Becomes MariaDB: makes the database where the volume has none, and sets the two passwords at every start.

PORT (3307) and BIND (every address) say where it listens; VOLUME_DATA (on a machine) or /data (in a container) is the
volume. ROOT_PASSWORD and APP_PASSWORD reach the server through memory: no file, no argument and no variable of it has
them. Standard library only.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DATABASE, USER = "shop", "shop"
SECRETS = ("ROOT_PASSWORD", "APP_PASSWORD")
OPTIONS = (
    "--socket=mariadb.sock",  # in the data's folder, whose whole path would be too long for a socket
    "--pid-file=mariadb.pid",
    "--skip-name-resolve",
    "--log-warnings=1",  # a probe that only connects is no news
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--max-connections=100",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
)


def main() -> None:
    missing = [name for name in SECRETS if not os.environ.get(name)]
    if missing:
        sys.exit(f"db: no {' and no '.join(missing)}")
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin"
    volume = Path(os.environ.get("VOLUME_DATA", "/data"))
    if os.geteuid() == 0:
        leave_root(volume)
    data = volume / "mariadb"
    if not data.exists():
        print(f"db: there is no database in {volume} yet, making one", flush=True)
        make(data)
    environment = {key: value for key, value in os.environ.items() if key not in SECRETS}
    handle = in_memory(statements(os.environ))
    os.execvpe("mariadbd", command(data, handle, os.environ), environment)


def make(data: Path) -> None:
    """Aside, and then in one step: what a power cut leaves half made is not taken for a database."""
    aside = data.with_name("mariadb.new")
    shutil.rmtree(aside, ignore_errors=True)
    options = ("--no-defaults", f"--datadir={aside}", "--auth-root-authentication-method=normal", "--skip-test-db")
    subprocess.run(("mariadb-install-db", *options), check=True, stdout=subprocess.DEVNULL)
    aside.rename(data)


def command(data: Path, handle: int, env: Mapping[str, str]) -> list[str]:
    """No configuration of the machine's own counts: its MariaDB is another one."""
    where = [f"--datadir={data}", f"--port={env.get('PORT', '3307')}", f"--bind-address={env.get('BIND', '*')}"]
    return ["mariadbd", "--no-defaults", *where, *OPTIONS, f"--init-file=/proc/self/fd/{handle}"]


def statements(env: Mapping[str, str]) -> str:
    """What holds at every start, a line each. `root` logs in through the socket only."""
    root, app = quoted(env["ROOT_PASSWORD"]), quoted(env["APP_PASSWORD"])
    lines = (
        f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4",
        "DELETE FROM mysql.global_priv WHERE User IN ('root', '') AND Host <> 'localhost'",
        "FLUSH PRIVILEGES",
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY {root}",
        f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY {app}",
        f"ALTER USER '{USER}'@'%' IDENTIFIED BY {app}",
        f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'%'",
    )
    return "".join(f"{line};\n" for line in lines)


def quoted(text: str) -> str:
    """As a string of SQL."""
    if any(char in text for char in "\n\r\0"):
        sys.exit("db: a password holds a line break")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def in_memory(text: str) -> int:
    """A file that has no name anywhere, open for what this process becomes."""
    handle = os.memfd_create("init", 0)
    os.write(handle, text.encode())
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def leave_root(volume: Path) -> None:
    """MariaDB is not run by root: `mysql` where there is one, else `nobody`."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("mysql") or known["nobody"]
    if volume.stat().st_uid != user.pw_uid:
        for folder, _, files in os.walk(volume):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


if __name__ == "__main__":
    main()
