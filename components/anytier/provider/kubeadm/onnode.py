"""What is done on a node: looks at it, puts files together, asks the API, cleans up. Standard library, Python 3.8+.

It comes over stdin and is written nowhere; a verb and a JSON object follow it, and what came of it is JSON on stdout.
Nothing of anytier may be imported here. What is secret comes over stdin and goes to no file.

    look    programs, modules, marker       answers what `look` below returns
    sums    paths                           answers path -> sha256 of each plain file that is there
    join    parts, path, sum, mode          one file of its parts, checked; the parts go
    kernel  modules, settings               loads modules, writes settings of /proc/sys; answers failed
    ask     host, port, ca, cert, key, patience, calls   answers [status, body] of each call, or error
    clean   keep                            takes off what a cluster leaves on a node that was reset; answers left
    rules   text                            answers what `rules` makes of iptables-save's output
    apt     names                           answers installed, held, sources (path -> text), trust
    fetch   url                             answers the base64 of a small file, got as apt gets its own; or error
    unlink  patterns                        removes plain files; answers which
"""

from __future__ import annotations

import base64
import contextlib
import glob
import hashlib
import http.client
import ipaddress
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, Iterator  # noqa: UP035 - Python 3.8

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
CHAIN = re.compile(r"(KUBE|CNI|FLANNEL)-")
LINKS = ("cni0", "flannel.1", "flannel-v6.1", "kube-ipvs0")
RUNTIMES = {"/run/crio/crio.sock": "CRI-O", "/run/cri-dockerd.sock": "cri-dockerd", "/run/k3s": "k3s"}
CHUNK = 1 << 20


# look


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Sizes in bytes; `time` in seconds since 1970; `listening` are TCP ports."""
    return {
        "time": time.time(),
        "hostname": socket.gethostname(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "disk": disk("/var/lib"),
        "swap": [line.split()[0] for line in lines("/proc/swaps")[1:]],
        "cgroup": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
        "listening": sorted(set(listening())),
        "addresses": sorted(addresses()),
        "modules": {name: module(name) for name in asked["modules"]},
        "programs": {name: found for name in asked["programs"] if (found := which(name))},
        "marker": marker(asked["marker"]),
        "leftovers": [path for path in LEFTOVERS if os.path.exists(path)],
        "manifests": names("/etc/kubernetes/manifests"),
        "etcd": names("/var/lib/etcd"),
        "cni": names("/etc/cni/net.d"),
        "kubelet": unit("kubelet.service"),
        "containerd": {**unit("containerd.service"), "used": containers()},
        "runtimes": sorted({name for path, name in RUNTIMES.items() if os.path.exists(path)}),
        "links": {path: os.readlink(path) for path in OURS if os.path.islink(path)},
        "others": [path for path in OURS if os.path.exists(path) and not os.path.islink(path)],
        "versions": names("/opt/anytier/kubernetes"),
    }


def disk(path: str) -> dict[str, int]:
    """Of the file system that a folder is on; free is what others than root may take."""
    found = os.statvfs(path)
    return {"size": found.f_blocks * found.f_frsize, "free": found.f_bavail * found.f_frsize}


LEFTOVERS = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt")
OURS = ("/usr/local/bin/kubeadm", "/usr/local/bin/kubelet")


def marker(path: str) -> Any:
    """None without one; of one that cannot be read, an empty object: it is nobody's."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def listening() -> Iterator[int]:
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in lines(path)[1:]:
            columns = line.split()
            if columns[3] == "0A":
                yield int(columns[1].rpartition(":")[2], 16)


def addresses() -> set[str]:
    """Of all links but loopback; link-local ones left out."""
    said = run("ip", "-json", "address", "show")
    found = set()
    with contextlib.suppress(ValueError):
        for link in json.loads(said.stdout or "[]"):
            for item in link.get("addr_info", []):
                address = ipaddress.ip_address(item["local"])
                if not (address.is_loopback or address.is_link_local):
                    found.add(str(address))
    return found


def module(name: str) -> str:
    """`there`, `loadable` or `missing`. One that is built in is in no list of modules."""
    there = {
        "br_netfilter": os.path.isdir("/proc/sys/net/bridge"),
        "overlay": any(line.split()[-1] == "overlay" for line in lines("/proc/filesystems")),
    }.get(name, os.path.isdir("/sys/module/" + name))
    if there:
        return "there"
    if not which("modprobe"):
        return "missing"
    return "loadable" if run("modprobe", "--dry-run", "--quiet", name).returncode == 0 else "missing"


def unit(name: str) -> dict[str, Any]:
    """Where a service comes from, and whether it runs; an empty path is none at all."""
    said = run("systemctl", "show", "--property=FragmentPath,ActiveState,MainPID", name).stdout
    found = dict(line.partition("=")[::2] for line in said.splitlines())
    state = found.get("ActiveState", "")
    return {"path": found.get("FragmentPath", ""), "active": state in ("active", "activating"), "state": state}


def containers() -> list[str]:
    """containerd's namespaces in which somebody has containers."""
    if not os.path.exists("/run/containerd/containerd.sock") or not which("ctr"):
        return []
    spaces = run("ctr", "namespaces", "list", "--quiet").stdout.split()
    return [
        space for space in spaces if run("ctr", "--namespace", space, "containers", "list", "--quiet").stdout.strip()
    ]


# files


def sums(asked: dict[str, Any]) -> dict[str, str]:
    found = {}
    for path in asked["paths"]:
        with contextlib.suppress(OSError):
            found[path] = checksum(path)
    return found


def checksum(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for data in iter(lambda: stream.read(CHUNK), b""):
            digest.update(data)
    return "sha256:" + digest.hexdigest()


def join(asked: dict[str, Any]) -> dict[str, str]:
    """Through a file beside it, so that a program is there whole or not at all."""
    path, new = asked["path"], asked["path"] + ".new"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(new, "wb") as stream:
            for part in asked["parts"]:
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, stream, CHUNK)
                os.unlink(part)
        found = checksum(new)
        if found != asked["sum"]:
            return {"problem": "arrived as " + found}
        os.chmod(new, asked["mode"])
        os.replace(new, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    return {}


def unlink(asked: dict[str, Any]) -> list[str]:
    found = sorted(path for pattern in asked["patterns"] for path in glob.glob(pattern))
    gone = []
    for path in found:
        with contextlib.suppress(OSError):
            os.unlink(path)
            gone.append(path)
    return gone


# packages


def apt(asked: dict[str, Any]) -> dict[str, Any]:
    """`installed`: name -> version. `trust`: whether there are authorities by which a certificate is checked."""
    shown = "--showformat=${Package}\t${db:Status-Want}\t${db:Status-Status}\t${Version}\n"
    told = [line.split("\t") for line in run("dpkg-query", "--show", shown, *asked["names"]).stdout.splitlines()]
    there = [item for item in told if len(item) == 4 and item[2] == "installed"]
    files = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]
    files += glob.glob("/etc/apt/sources.list.d/*.sources")
    return {
        "installed": {item[0]: item[3] for item in there},
        "held": [item[0] for item in there if item[1] == "hold"],
        "sources": {path: "\n".join(lines(path)) for path in files if os.path.isfile(path)},
        "trust": os.path.exists("/etc/ssl/certs/ca-certificates.crt"),
    }


def fetch(asked: dict[str, Any]) -> dict[str, str]:
    """By apt's own means: with its proxies, and whom it trusts."""
    folder = tempfile.mkdtemp(prefix="anytier-")
    try:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "file")
        done = run("/usr/lib/apt/apt-helper", "-oAcquire::Retries=2", "download-file", asked["url"], path)
        if done.returncode != 0:
            said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            return {"error": ([line for line in said if line[:2] == "E:"] or said or ["it says nothing"])[-1]}
        with open(path, "rb") as stream:
            return {"data": base64.b64encode(stream.read(CHUNK)).decode()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# kernel


def kernel(asked: dict[str, Any]) -> dict[str, str]:
    """What could not be done: module or setting -> why. A setting that is so already is not written."""
    failed = {}
    for name in asked["modules"]:
        if module(name) != "there":
            done = run("modprobe", name)
            if done.returncode != 0:
                failed[name] = (done.stdout.strip().splitlines() or ["modprobe failed"])[-1]
    for key, value in asked["settings"].items():
        path = "/proc/sys/" + key.replace(".", "/")
        try:
            if text(path) != value:
                with open(path, "w") as stream:  # from the start: a number anywhere else is ignored without a word
                    stream.write(value)
                if text(path) != value:
                    failed[key] = "the kernel did not take " + value
        except OSError as error:
            failed[key] = error.strerror or str(error)
    return failed


def text(path: str) -> str:
    with open(path) as stream:
        return stream.read().strip()


# the API server


def ask(asked: dict[str, Any]) -> dict[str, Any]:
    """Every call on one connection, by the given certificate; they are given up at the first that gets no answer."""
    context = ssl.create_default_context(cadata=asked["ca"])
    handle = os.memfd_create("credentials")
    try:
        os.write(handle, (asked["cert"] + "\n" + asked["key"]).encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    connection = http.client.HTTPSConnection(asked["host"], asked["port"], context=context, timeout=asked["patience"])
    answers = []
    try:
        for call in asked["calls"]:
            headers = {
                "Accept": call.get("accept") or "application/json",
                "Content-Type": call.get("type") or "application/json",
            }
            body = None if call.get("body") is None else json.dumps(call["body"])
            connection.request(call["method"], call["path"], body, headers)
            answer = connection.getresponse()
            answers.append([answer.status, answer.read().decode(errors="replace")])
    except (OSError, http.client.HTTPException) as error:
        return {"answers": answers, "error": getattr(error, "strerror", None) or str(error) or type(error).__name__}
    finally:
        connection.close()
    return {"answers": answers}


# what a cluster leaves behind


def clean(asked: dict[str, Any]) -> dict[str, Any]:
    """On a node that was reset. `keep` are the names in /etc/cni/net.d that were there before us."""
    left: list[str] = []
    for pid in pods():
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    network = pod_network()
    for path in mounts("/var/lib/kubelet/"):
        run("umount", "--lazy", path)
    for folder in ("/var/lib/kubelet", "/var/lib/etcd", "/var/lib/cni", "/run/flannel", "/var/log/pods"):
        empty(folder, left)
    for path in glob.glob("/var/log/containers/*") + glob.glob("/run/netns/cni-*"):
        if path.startswith("/run/netns/"):
            run("umount", "--lazy", path)
        with contextlib.suppress(OSError):
            os.unlink(path)
    for name in names("/etc/cni/net.d"):
        if name not in asked["keep"]:
            empty_one(os.path.join("/etc/cni/net.d", name), left)
    for link in LINKS:
        if os.path.exists("/sys/class/net/" + link):
            run("ip", "link", "delete", link)
    for family in ("-4", "-6"):
        for route in routes(family, network):
            run("ip", family, "route", "delete", *route)
    for tool in ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"):
        if which(tool + "-save"):
            script = rules(run(tool + "-save").stdout)
            if script:
                done = run(tool + "-restore", "--noflush", given=script)
                if done.returncode != 0:
                    left.append(tool + ": " + done.stdout.strip()[-200:])
    return {"left": left}


def pods() -> Iterator[int]:
    """Processes of pods' control groups that outlive their containers, such as those of a shim that was killed."""
    for path in glob.glob("/proc/[0-9]*/cgroup"):
        with contextlib.suppress(OSError, ValueError):
            with open(path, encoding="utf-8") as stream:
                if re.search(r"[:/]kubepods(\.slice)?/", stream.read()):
                    yield int(path.split("/")[2])


def pod_network() -> list[Any]:
    """Of flannel's own record: routes into it were flannel's."""
    found = []
    for line in lines("/run/flannel/subnet.env"):
        key, _, value = line.partition("=")
        if key in ("FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"):
            for item in value.split(","):
                with contextlib.suppress(ValueError):
                    found.append(ipaddress.ip_network(item.strip()))
    return found


def routes(family: str, networks: list[Any]) -> list[list[str]]:
    """Arguments that name each route into these networks."""
    found = []
    with contextlib.suppress(ValueError):
        for route in json.loads(run("ip", "-json", family, "route", "show").stdout or "[]"):
            with contextlib.suppress(ValueError):
                to = ipaddress.ip_network(route["dst"])
                if any(to.version == network.version and to.subnet_of(network) for network in networks):
                    found.append([route["dst"], *(["via", route["gateway"]] if "gateway" in route else [])])
    return found


def rules(saved: str) -> str:
    """iptables-save's output as input of `iptables-restore --noflush` that takes off a cluster's chains, and every rule
    elsewhere that leads into one or is flannel's; empty where there are none."""
    script = []
    for table in re.split(r"(?m)^(?=\*)", saved):
        parts = table.splitlines()
        if not table.startswith("*"):
            continue
        chains = [line[1:].split()[0] for line in parts if line.startswith(":") and CHAIN.match(line[1:])]
        leads = [line for line in parts if line.startswith("-A ") and not CHAIN.match(line[3:]) and leads_in(line)]
        if chains or leads:
            script += [parts[0], *("-D" + line[2:] for line in leads)]
            script += [*("-F " + chain for chain in chains), *("-X " + chain for chain in chains), "COMMIT"]
    return "\n".join([*script, ""]) if script else ""


def leads_in(rule: str) -> bool:
    target = re.search(r"(?:^| )-[jg] (\S+)", rule)
    return bool(target and CHAIN.match(target.group(1))) or "flanneld" in rule


def mounts(below: str) -> list[str]:
    """The deepest first."""
    found = [line.split()[1] for line in lines("/proc/mounts") if len(line.split()) > 1]
    return sorted((path for path in found if path.startswith(below)), key=len, reverse=True)


def empty(folder: str, left: list[str]) -> None:
    """The folder itself may be a volume's mount."""
    for name in names(folder):
        empty_one(os.path.join(folder, name), left)


def empty_one(path: str, left: list[str]) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        left.append(f"{path}: {error.strerror}")


# small things


def lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


def names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def which(name: str) -> str:
    return shutil.which(name, path=ENVIRONMENT["PATH"]) or ""


def run(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return subprocess.CompletedProcess(argv, 127, str(error))


VERBS: Dict[str, Callable[[Dict[str, Any]], Any]] = {  # noqa: UP006 - Python 3.8
    "look": look,
    "sums": sums,
    "join": join,
    "kernel": kernel,
    "ask": ask,
    "clean": clean,
    "rules": lambda asked: {"script": rules(asked["text"])},
    "apt": apt,
    "fetch": fetch,
    "unlink": unlink,
}

if __name__ == "__main__":
    json.dump(VERBS[sys.argv[1]](json.loads(sys.stdin.buffer.read())), sys.stdout)
