"""What a place's processes weigh: whose they are is told by facts, and what cannot be seen is told as that."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.places import weigh
from anytier.conformance.places.baremetal import BaremetalPlace
from anytier.conformance.places.base import Weighed
from anytier.conformance.places.docker import DockerPlace, ours
from anytier.conformance.places.kubeadm import KubeadmPlace
from anytier.conformance.places.libvirt import LibvirtPlace
from anytier.conformance.places.local import LocalPlace

WAIT = "import sys; print(flush=True); sys.stdin.read()"
SHELL = "echo; read line"


@contextmanager
def running(name: str, *more: str, **env: str) -> Iterator[int]:
    """A process whose first argument is `name`; it runs until the end."""
    argv = [name, "-c", SHELL, *more]
    with subprocess.Popen(argv, executable="/bin/sh", env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.readline()
            yield child.pid
        finally:
            child.kill()


def names(found: dict[str, Any]) -> dict[int, str]:
    return {int(key.split(".")[0]): item["name"] for key, item in found.items()}


def test_of_an_app_on_a_host_all_but_its_instances(tmp_path: Path) -> None:
    root = str(tmp_path)
    with (
        running("python", "healthd.py", ANYTIER_ROOT=root) as healthd,
        running("caddy", ANYTIER_ROOT=root, ANYTIER_INSTANCE="ns-proxy") as proxy,
        running("python", ANYTIER_ROOT=root, ANYTIER_INSTANCE="ns-app-r1-0"),
        running("python", "healthd.py", ANYTIER_ROOT=root + "-other"),
    ):
        found = weigh.host({"root": root, "ns": "ns"})
        assert names(found) == {healthd: "healthd", proxy: "proxy"}
        assert all(item["memory"] > 0 and item["cpu"] >= 0 for item in found.values())


def test_of_a_daemon_only_what_is_this_apps(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with (
        socket.socket(socket.AF_UNIX) as listening,
        running("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "abc") as shim,
        running("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "other"),
        running("/usr/bin/docker-proxy", "-proto", "tcp", "-host-port", "8081") as forwarder,
        running("/usr/bin/docker-proxy", "-proto", "tcp", "-host-port", "9999"),
        running("containerd", "--config", "x") as containerd,
        running("caddy") as proxy,
    ):
        listening.bind(path)
        listening.listen()
        asked = json.dumps({"socket": path, "containers": ["abc"], "proxies": [proxy], "ports": ["8081"]})
        # from another process, as these are children of the one that listens, and it looks at nothing of its own
        look = [sys.executable, "-I", "-", "docker", asked]
        middle = f"import subprocess, sys; sys.exit(subprocess.call({look!r}))"
        done = subprocess.run(
            [sys.executable, "-c", middle], input=Path(weigh.__file__).read_bytes(), capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert names(json.loads(done.stdout)) == {
            shim: "containerd-shim",
            forwarder: "docker-proxy",
            containerd: "containerd",
            proxy: "proxy",
            os.getpid(): "dockerd",
        }


def test_of_a_cluster_all_but_the_apps_own_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        1: (["/usr/lib/systemd/systemd"], "0::/init.scope"),
        2: (["/usr/bin/kubelet", "--config"], "0::/system.slice/kubelet.service"),
        3: (["/usr/bin/containerd"], "0::/system.slice/containerd.service"),
        4: (["/usr/bin/containerd-shim-runc-v2", "-id", "a"], "0::/system.slice/containerd.service"),
        5: (["etcd", "--data-dir"], "0::/kubepods.slice/pod1/cri-containerd-e7cd.scope"),
        6: (["python3", "app.py"], "0::/kubepods.slice/pod2/cri-containerd-a11.scope"),
        7: (["/pause"], "0::/kubepods.slice/pod2/cri-containerd-5b2d.scope"),
        8: (["bash"], "0::/user.slice"),
    }
    monkeypatch.setattr(weigh, "pids", lambda: list(table))
    monkeypatch.setattr(weigh, "arguments", lambda pid: table[pid][0])
    monkeypatch.setattr(weigh, "text", lambda path: table[int(path.split("/")[2])][1])
    monkeypatch.setattr(weigh, "weighed", lambda names: names)
    assert weigh.cluster({"apps": ["a11"]}) == {
        2: "kubelet",
        3: "containerd",
        4: "containerd-shim",
        5: "etcd",
        7: "pause",
    }


def test_the_time_of_children_that_have_ended_counts() -> None:
    spin = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'for _ in range(4_000_000): pass']); "
    argv = [sys.executable, "-S", "-c", spin + WAIT]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        (found,) = weigh.weighed({child.pid: "busy"}).values()
        child.kill()
    assert found["cpu"] > 0.05


def test_what_this_user_may_not_see_shares_of_is_told() -> None:
    texts = {"/proc/7/status": "Name:\tx\nVmRSS:\t    2048 kB\n"}
    assert weigh.memory_of(7, lambda path: texts.get(path, "")) == (2 << 20, False)
    texts["/proc/7/smaps_rollup"] = "Rss:   2048 kB\nPss:   1024 kB\nPss_Dirty:   12 kB\n"
    assert weigh.memory_of(7, lambda path: texts.get(path, "")) == (1 << 20, True)


def test_one_that_has_ended_weighs_nothing() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert weigh.weighed({child.pid: "gone"}) == {}


def test_a_key_is_of_no_later_process() -> None:
    with running("python") as pid:
        (first,) = weigh.weighed({pid: "x"})
        time.sleep(0.05)
        assert list(weigh.weighed({pid: "x"})) == [first]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/python3", "-I", "-m", "supervisor.supervisord", "-c", "x"], "supervisord"),
        (["/usr/bin/python3", "-I", "-S", "/var/lib/anytier/lib/healthd.py", "watch"], "healthd"),
        (["/usr/bin/other", "x"], "other"),
        (["nginx: master process /usr/sbin/nginx"], "nginx"),
        ([""], ""),
    ],
)
def test_processes_have_names_that_people_know(argv: list[str], name: str) -> None:
    assert weigh.of_host(argv) == name


def test_options_are_read_however_they_are_spelled() -> None:
    words = ["dockerd", "--containerd=/a.sock", "-containerd", "/b.sock", "--containerd-namespace", "x"]
    assert sorted(weigh.option(words, "containerd")) == ["/a.sock", "/b.sock"]


def test_nobody_listens_on_a_socket_that_is_not_there(tmp_path: Path) -> None:
    assert weigh.listener(str(tmp_path / "none.sock")) == 0


def test_the_machine_says_what_the_record_wants() -> None:
    from anytier.measure.record import Machine

    said = weigh.machine()
    assert said.pop("load") >= 0
    found = Machine.model_validate(said)
    assert found.cores >= 1 and found.memory > 100


def test_what_is_asked_of_a_daemon_comes_from_its_containers() -> None:
    app = {"Name": "/ns-app-r1-0", "Id": "a", "State": {"Pid": 7}, "NetworkSettings": {"Ports": {"80/tcp": None}}}
    bound = {"80/tcp": [{"HostPort": "8081"}, {"HostPort": "8081"}]}
    proxy = {"Name": "/ns-proxy", "Id": "b", "State": {"Pid": 9}, "NetworkSettings": {"Ports": bound}}
    stored = {"Name": "/ns-app.store", "Id": "c", "State": {"Pid": 0}, "NetworkSettings": {}}
    assert ours([app, proxy, stored]) == {"containers": ["a", "b", "c"], "proxies": [9], "ports": ["8081"]}


@pytest.mark.parametrize("place", [LocalPlace, DockerPlace, BaremetalPlace, LibvirtPlace, KubeadmPlace])
def test_these_places_can_be_weighed(place: Any) -> None:
    assert issubclass(place, Weighed)
