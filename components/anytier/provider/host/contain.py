"""Starts a program of an image: `contain.py run DIR` becomes it, in a root of its own. Standard library only, one file.

A copy lies in every app's state folder. Nothing of anytier may be imported here: the machine may not have it.

    run DIR              read DIR/launch.json and its secrets, make the root, give up all rights that it needs not, exec
    exec PID -- ARGV     run ARGV beside the process PID: its root, its processes, its user, its rights, its environment

systemd starts it in a sandbox that has private devices and a read-only /sys; both are handed on. An image may hold
anything and may have been changed by its program: no path of it is looked up before we are inside.

Why not `RootDirectory=` and `User=`: systemd starts no program as a user that the machine itself does not know, and
cannot take an environment with control characters in it. Images have users of their own and no launcher inside.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import stat
import sys
import time
from typing import Any, NoReturn

# mount(2), and the newer calls that have no wrapper in older C libraries: numbers are those of every architecture.
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
MNT_DETACH, AT_FDCWD = 2, -100
OPEN_TREE, MOVE_MOUNT = 428, 429
OPEN_TREE_CLONE, AT_RECURSIVE, MOVE_FROM_HANDLE = 1, 0x8000, 4
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
# prctl(2) and capabilities(7)
PDEATHSIG, KEEPCAPS, CAPBSET_DROP, NO_NEW_PRIVS, CAP_AMBIENT, AMBIENT_RAISE = 1, 8, 24, 38, 47, 2
CAPABILITY_VERSION = 0x20080522
# What of /proc tells of, or changes, the whole machine; as Docker has it.
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
MASKED = ("acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")
LIBC = ctypes.CDLL(None, use_errno=True)


def main(argv: list[str]) -> None:
    verb, rest = argv[1], argv[2:]
    if verb == "run":
        run(rest[0])
    elif verb == "exec":
        execute(int(rest[0]), rest[rest.index("--") + 1 :])
    else:
        sys.exit("contain: unknown verb " + verb)


# starting it


def run(folder: str) -> None:
    """Starts the program as a child of systemd itself, tells systemd that it is the one to watch, and ends."""
    spec = read_json(folder + "/launch.json")
    env = dict(spec["env"])
    if spec["secret"]:
        env.update(read_json(folder + "/secret.json"))
    os.umask(0o022)
    for path in spec["owned"]:
        give(path, spec["uid"], spec["gid"])
    write_through_a_pipe(spec["uid"], spec["gid"])
    ready, told = os.pipe()
    wait, go = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(ready)
        os.close(go)
        apart(spec, env, told, wait)
    os.close(told)
    os.close(wait)
    os.waitpid(between, 0)
    said = b""
    while not said.endswith(b"\n"):
        data = os.read(ready, 64)
        if not data:
            os._exit(127)  # it has said why
        said += data
    hand_over(int(said))
    os.write(go, b"1")
    os._exit(0)


def apart(spec: dict[str, Any], env: dict[str, str], told: int, wait: int) -> NoReturn:
    """Makes the program's own view of mounts and processes; its first process is the program. Never returns."""
    try:
        check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
        number, mine = os.pipe()
        child = os.fork()
        if child:
            os.write(mine, b"%d\n" % child)
            os._exit(0)
        pid = os.read(number, 64)
        enter(spec)
        os.makedirs(spec["cwd"], exist_ok=True)
        if spec["read_only"]:
            remount("/", MS_RDONLY)
        os.write(told, pid)
        if not os.read(wait, 1):
            os._exit(127)  # nobody watches over us
        confine(set(spec["capabilities"]), set(spec["ambient"]), spec["uid"], spec["gid"], spec["groups"])
        os.chdir(spec["cwd"])
        become(spec["argv"], {os.fsencode(key): os.fsencode(value) for key, value in env.items()})
    except OSError as error:
        said = f"{error.filename or ''}: {error.strerror}".lstrip(": ")
        complain(f"cannot start the program of the image: {said}")
    except BaseException as error:
        complain(f"cannot start the program of the image: {error!r}")
    os._exit(127)


def write_through_a_pipe(uid: int, gid: int) -> None:
    """The log's socket cannot be opened as /dev/stdout, which many images write to; a pipe can, by whoever owns it.

    What carries it to the log does not end when the program is told to end, but with its last word.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        os.dup2(reader, 0)
        for path in ("/bin/cat", "/usr/bin/cat"):
            with contextlib.suppress(OSError):
                os.execv(path, ["cat"])
        os._exit(127)
    os.fchown(writer, uid, gid)
    os.close(reader)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)


def hand_over(pid: int) -> None:
    """Has systemd watch another process than this one, and waits until it does."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.connect("\0" + address[1:] if address.startswith("@") else address)
        there.sendall(b"MAINPID=%d\nREADY=1" % pid)
        reader, writer = os.pipe()
        there.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))])
        os.close(writer)
    heard = select.poll()
    heard.register(reader, 0)
    heard.poll(10000)  # systemd closes its end


# its root


def enter(spec: dict[str, Any]) -> None:
    """The image with a layer of our own above becomes `/`; nothing of the machine is left but what is bound."""
    check(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "/")
    trees = [(clone(bind["source"]), bind) for bind in spec["binds"] if os.path.exists(bind["source"])]
    system = {path: clone(path) for path in ("/dev", "/sys")}
    layers = [os.open(spec["layers"][name], os.O_PATH | os.O_DIRECTORY) for name in ("lower", "upper", "work")]
    options = "lowerdir={},upperdir={},workdir={}".format(*(f"/proc/self/fd/{number}" for number in layers))
    overlay(spec["layers"]["root"], options)
    os.chdir(spec["layers"]["root"])
    check(LIBC.pivot_root(b".", b"."), spec["layers"]["root"])
    check(LIBC.umount2(b".", MNT_DETACH), "/")
    os.chdir("/")
    for path, tree in system.items():
        attach(tree, path, folder=True)
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m")
    make_proc()
    for tree, bind in trees:
        target = attach(tree, bind["target"], folder=stat.S_ISDIR(os.fstat(tree).st_mode))
        remount(target, MS_NOSUID | MS_NODEV | (MS_RDONLY if bind["readOnly"] else 0))


def overlay(point: str, options: str) -> None:
    if LIBC.mount(b"overlay", os.fsencode(point), b"overlay", MS_NODEV, options.encode()) == 0:
        return
    said = os.strerror(ctypes.get_errno())
    complain(f"the image cannot be mounted at {point}: {said}. The state folder must lie on a disk that overlayfs can"
             " write to (ext4, xfs, btrfs), and not on an overlay itself")  # fmt: skip
    os._exit(127)


def make_proc() -> None:
    """Only its own processes are in it."""
    os.makedirs("/proc", exist_ok=True)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in READ_ONLY:
        if os.path.exists("/proc/" + name):
            mount("/proc/" + name, "/proc/" + name, "", MS_BIND | MS_REC)
            remount("/proc/" + name, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in MASKED:
        path = "/proc/" + name
        if os.path.isdir(path):
            mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0")
        elif os.path.exists(path):
            mount("/dev/null", path, "", MS_BIND)


def clone(path: str) -> int:
    """A copy of what is mounted at a path, not yet anywhere."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    tree = LIBC.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(path), flags)
    check(tree, path)
    return int(tree)


def attach(tree: int, target: str, folder: bool) -> str:
    """Puts it at a path, made where it is missing; links on the way lead where they lead inside. The real path."""
    path = os.path.realpath(target)
    if folder:
        os.makedirs(path, exist_ok=True)
    elif not os.path.lexists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    check(LIBC.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(path), MOVE_FROM_HANDLE), target)
    os.close(tree)
    return path


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    given = [os.fsencode(item) or None for item in (source, target, kind)]
    check(LIBC.mount(*given, flags, options.encode() or None), target)


def remount(path: str, flags: int) -> None:
    check(LIBC.mount(None, os.fsencode(path), None, MS_REMOUNT | MS_BIND | flags, None), path)


# its rights


def confine(keep: set[int], ambient: set[int], uid: int, gid: int, groups: list[int]) -> None:
    """Becomes the user, with no capability but these, for good."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as stream:
        last = int(stream.read())
    for number in range(last + 1):
        if number not in keep:
            check(LIBC.prctl(CAPBSET_DROP, number, 0, 0, 0), "capabilities")
    os.setgroups(groups)
    os.setgid(gid)
    if uid:
        check(LIBC.prctl(KEEPCAPS, 1, 0, 0, 0), "capabilities")
        os.setuid(uid)
    held = ambient if uid else keep
    set_capabilities(held, ambient)
    for number in ambient if uid else ():
        check(LIBC.prctl(CAP_AMBIENT, AMBIENT_RAISE, number, 0, 0), "capabilities")
    check(LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "capabilities")


def set_capabilities(held: set[int], inherited: set[int]) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    masks = [sum(1 << number for number in numbers) for numbers in (held, held, inherited)]
    words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in masks]
    check(LIBC.capset(header, (ctypes.c_uint32 * 6)(*words)), "capabilities")


def become(argv: list[str], env: dict[bytes, bytes]) -> NoReturn:
    """By the PATH that the program is given, as a container runtime does. Nothing is imported in here any more."""
    name = os.fsencode(argv[0])
    folders = [b""] if b"/" in name else env.get(b"PATH", b"").split(b":")
    number = 2  # ENOENT
    for folder in folders:
        try:
            os.execve(folder + b"/" + name if folder else name, [os.fsencode(item) for item in argv], env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            number = error.errno or number
    complain(f"cannot start {argv[0]}: {os.strerror(number)}")
    os._exit(126 if number == 13 else 127)


# beside it


def execute(pid: int, argv: list[str]) -> None:
    base = f"/proc/{pid}/"
    env = environment(base)
    with open(base + "status", encoding="ascii") as stream:
        status = dict(line.partition(":")[::2] for line in stream.read().splitlines())
    uid, gid = int(status["Uid"].split()[1]), int(status["Gid"].split()[1])
    groups = [int(group) for group in status["Groups"].split()]
    keep = {number for number in range(64) if int(status["CapBnd"], 16) >> number & 1}
    ambient = {number for number in range(64) if int(status["CapAmb"], 16) >> number & 1}
    places = [os.open(base + name, os.O_PATH | os.O_DIRECTORY) for name in ("root", "cwd")]
    spaces = [(os.open(base + "ns/" + name, os.O_RDONLY), kind) for name, kind in SPACES]
    for handle, kind in spaces:
        check(LIBC.setns(handle, kind), "setns")
    os.fchdir(places[0])
    os.chroot(".")
    os.fchdir(places[1])
    child = os.fork()
    if child == 0:
        try:
            confine(keep, ambient, uid, gid, groups)
            check(LIBC.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
            become(argv, env)
        except BaseException as error:
            complain(f"cannot start {argv[0]}: {error}")
        os._exit(127)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, frame: os.kill(child, got))
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal tells the child as well
    _, ended = os.waitpid(child, 0)
    os._exit(128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended))


SPACES = (("pid", CLONE_NEWPID), ("mnt", CLONE_NEWNS))


def environment(base: str) -> dict[bytes, bytes]:
    """What the program was started with; while its launcher still prepares, there is none to be had."""
    for _ in range(100):
        with open(base + "environ", "rb") as stream:
            env = dict(item.split(b"=", 1) for item in stream.read().split(b"\0") if b"=" in item)
        if b"ANYTIER_INSTANCE" in env:
            return env
        time.sleep(0.05)
    sys.exit("anytier: the program has not started yet")


# small things


def give(path: str, uid: int, gid: int) -> None:
    """Hands a tree over. Right at the top is right below: large volumes are walked once, not always."""
    if os.lstat(path).st_uid == uid:
        return
    for folder, names, files in os.walk(path, topdown=False):
        for item in names + files:
            os.lchown(os.path.join(folder, item), uid, gid)
    os.lchown(path, uid, gid)


def read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
        return found


def check(result: int, path: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def complain(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"anytier: {text}\n".encode(errors="replace"))


if __name__ == "__main__":
    main(sys.argv)
