"""Starts one program on a machine: `launch.py run DIR` becomes it. Standard library only, one file, Python 3.8+.

A copy lies in every app's state folder. Nothing of anytier may be imported here: the machine may not have it.

    run DIR              read DIR/launch.json and its secrets, set limits and user, exec
    prepare DIR          as root, before systemd starts it: give its folders to the service's user
    exec PID -- ARGV     run ARGV as the process PID would: its environment, folder, user and mounts
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

RECENT = 60.0  # starts within this many seconds count as crashing
FIRST_SOCKET = 100  # sockets that a program is given: two numbers for each
SLOWEST = 10.0  # longest pause between two starts of a crashing program


def main(argv: list[str]) -> None:
    verb, rest = argv[1], argv[2:]
    if verb == "run":
        run(rest[0])
    elif verb == "prepare":
        prepare(rest[0])
    elif verb == "exec":
        execute(int(rest[0]), rest[rest.index("--") + 1 :])
    else:
        sys.exit("launch: unknown verb " + verb)


def run(folder: str) -> None:
    spec = read_json(folder + "/launch.json")
    env = dict(spec["env"])
    if spec["secret"]:
        env.update(read_json(secret_path(folder)))
    if spec["pace"]:
        end_leftovers(env)
        pace(folder + "/starts")
    if spec["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (spec["memory"], spec["memory"]))
    for path in spec.get("folders") or []:
        os.makedirs(path, 0o700, exist_ok=True)  # a reboot empties runtime directories
    os.umask(0o022)
    for number, address in enumerate(spec.get("listen") or []):
        listen(address, FIRST_SOCKET + 2 * number)
    if spec["user"]:
        become(spec["user"], spec["owned"])
    about_user(env)
    try:
        os.chdir(spec["cwd"])
        os.execvpe(spec["argv"][0], spec["argv"], env)
    except OSError as error:
        where = error.filename or spec["argv"][0]
        sys.stderr.write(f"anytier: cannot start {where}: {error.strerror}\n")
        sys.exit(127)


def read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
        return found


def secret_path(folder: str) -> str:
    """systemd's credential, else what `prepare` left, else the file itself (then it is ours to read)."""
    for base, name in (("CREDENTIALS_DIRECTORY", "secret"), ("RUNTIME_DIRECTORY", "secret")):
        path = os.path.join(os.environ.get(base, "/nonexistent"), name)
        if os.access(path, os.R_OK):
            return path
    return folder + "/secret.json"


def end_leftovers(env: dict[str, str]) -> None:
    """What the last process of this instance had started and left behind; under systemd its control group does it."""
    ours = {f"{key}={env[key]}".encode() for key in ("ANYTIER_ROOT", "ANYTIER_INSTANCE") if key in env}
    for name in os.listdir("/proc") if len(ours) == 2 else []:
        try:
            with open(f"/proc/{name}/environ", "rb") as stream:
                if ours <= set(stream.read().split(b"\0")):
                    os.kill(int(name), 9)
        except (OSError, ValueError):
            continue


def pace(path: str) -> None:
    """supervisord restarts at once; what crashes again and again must wait longer each time. Records each start."""
    starts = read_starts(path)
    now = time.time()
    recent = sum(now - start < RECENT for start in starts)
    pause = min(SLOWEST, 0.5 * 2.0 ** (recent - 2)) if recent > 1 else 0.0
    record(path, [*starts, now + pause])
    time.sleep(pause)


def read_starts(path: str) -> list[float]:
    try:
        with open(path, encoding="ascii") as stream:
            return [float(line) for line in stream.read().split()]
    except (OSError, ValueError):
        return []


def record(path: str, starts: list[float]) -> None:
    temporary = path + ".new"
    with open(temporary, "w", encoding="ascii") as stream:
        stream.write("\n".join(f"{start:.3f}" for start in starts[-1000:]))
    os.replace(temporary, path)


def listen(address: str, number: int) -> None:
    """Opens a socket under `number` and the next. `:80` is every address of this machine, IPv6 too."""
    import socket

    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    every = "::" if os.path.exists("/proc/net/if_inet6") else "0.0.0.0"
    family, _, _, _, where = socket.getaddrinfo(host or every, int(port), type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host else 0)
    try:
        made.bind(where)
    except OSError as error:
        sys.exit(f"anytier: cannot listen on {address}: {error.strerror}")
    made.listen(4096)
    os.dup2(made.fileno(), number)
    os.dup2(made.fileno(), number + 1)


def about_user(env: dict[str, str]) -> None:
    """HOME, USER and LOGNAME, which a login would set; a user that systemd made up has no entry anywhere."""
    import pwd

    try:
        entry = pwd.getpwuid(os.geteuid())
        known = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    except KeyError:
        known = {"HOME": "/tmp", "USER": str(os.geteuid()), "LOGNAME": str(os.geteuid())}
    for key, value in known.items():
        env.setdefault(key, value)


def become(user: str, owned: list[str]) -> None:
    """Gives up root for a user of the machine; `user` is a name or a number, with or without `:group`."""
    import grp
    import pwd

    name, _, group = user.partition(":")
    entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    gid = entry.pw_gid if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    for path in owned:
        give(path, entry.pw_uid, gid)
    os.initgroups(entry.pw_name, gid)
    os.setgid(gid)
    os.setuid(entry.pw_uid)


def prepare(folder: str) -> None:
    """systemd as root: a service's own user has a new number each time, so its folders follow it."""
    spec = read_json(folder + "/launch.json")
    uid, gid = service_user(spec["service_user"])
    offered = os.path.exists(os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), "secret"))
    runtime = os.environ.get("RUNTIME_DIRECTORY")
    enter_mounts("/proc/1/ns/mnt")  # the unit's own read-only binds are already around us
    for path in spec["owned"]:
        if not os.path.exists(path):
            os.makedirs(path)
        give(path, uid, gid)
    if spec["secret"] and runtime and not offered:
        with open(folder + "/secret.json", "rb") as stream:
            hand_over(os.path.join(runtime, "secret"), stream.read(), uid, gid)


def service_user(name: str) -> tuple[int, int]:
    """The number of the user that systemd has just made; its link is there whether or not nss-systemd is."""
    try:
        uid = int(os.readlink("/run/systemd/dynamic-uid/direct:" + name))
        return uid, uid
    except OSError:
        import pwd

        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        return entry.pw_uid, entry.pw_gid


def give(path: str, uid: int, gid: int) -> None:
    """Hands a tree over. Right at the top is right below: large volumes are walked once, not always."""
    if os.lstat(path).st_uid == uid:
        return
    for folder, names, files in os.walk(path, topdown=False):
        for item in names + files:
            os.lchown(os.path.join(folder, item), uid, gid)
    os.lchown(path, uid, gid)


def hand_over(path: str, data: bytes, uid: int, gid: int) -> None:
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    os.chown(path + ".new", uid, gid)
    os.replace(path + ".new", path)


def execute(pid: int, argv: list[str]) -> None:
    base = f"/proc/{pid}/"
    if os.geteuid() == 0 and os.stat(base + "ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino:
        beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contain.py")  # it runs from an image
        os.execv(sys.executable, [sys.executable, "-I", "-S", beside, "exec", str(pid), "--", *argv])
    env = environment(base)
    with open(base + "status", encoding="ascii") as stream:
        status = dict(line.partition(":")[::2] for line in stream.read().splitlines())
    uid, gid = int(status["Uid"].split()[1]), int(status["Gid"].split()[1])
    groups = [int(group) for group in status["Groups"].split()]
    cwd = os.readlink(base + "cwd")
    if os.geteuid() == 0:
        enter_mounts(base + "ns/mnt")
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
    os.chdir(cwd)
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        sys.stderr.write(f"anytier: cannot start {argv[0]}: {error.strerror}\n")
        sys.exit(127)


def environment(base: str) -> dict[bytes, bytes]:
    """What the program was started with; while its launcher still prepares, there is none to be had."""
    for _ in range(100):
        with open(base + "environ", "rb") as stream:
            env = dict(item.split(b"=", 1) for item in stream.read().split(b"\0") if b"=" in item)
        if b"ANYTIER_INSTANCE" in env:
            return env
        time.sleep(0.05)
    sys.exit("anytier: the program has not started yet")


def enter_mounts(path: str) -> None:
    """Joins a mount namespace; where we are in it already, nothing happens."""
    if os.stat(path).st_ino == os.stat("/proc/self/ns/mnt").st_ino:
        return
    import ctypes

    handle = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0x00020000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)


if __name__ == "__main__":
    main(sys.argv)
