"""A managed cluster under test, by a kubectl that writes down what it was asked: no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.conformance.check import Failed
from anytier.conformance.places import managed
from anytier.conformance.places.base import Told
from anytier.conformance.places.managed import EksPlace, GkePlace, killer_of
from anytier.conformance.places.registry import open_place

REPORT = {"hostname": "web-1", "pid": 7, "instance": "web-1"}
POD = {
    "metadata": {"name": "web-1"},
    "spec": {"nodeName": "node-a", "containers": [{"name": "web", "image": "registry/web@sha256:1"}, {"name": "side"}]},
    "status": {
        "containerStatuses": [
            {"name": "side", "containerID": "containerd://5ide"},
            {"name": "web", "containerID": "containerd://c0ffee"},
        ]
    },
}
NODE = {"containerRuntimeVersion": "containerd://2.1.4", "osImage": "Bottlerocket", "kernelVersion": "6.12"}
SERVICES = [
    {"spec": {"type": "ClusterIP", "ports": [{"port": 9000}]}, "status": {}},
    {
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    },
    {
        "spec": {"type": "LoadBalancer", "ports": [{"port": 8000}, {"port": 9000}]},
        "status": {"loadBalancer": {"ingress": [{"hostname": "own.elb.example"}]}},
    },
]
ANSWERS = {
    "version": {"serverVersion": {"gitVersion": "v1.35.3-eks"}},
    "persistentvolumes": {
        "items": [
            {"metadata": {"name": "pv-1"}, "spec": {"claimRef": {"namespace": "ns"}}},
            {"metadata": {"name": "pv-2"}, "spec": {"claimRef": {"namespace": "other"}}},
            {"metadata": {"name": "pv-3"}, "spec": {}},
        ]
    },
    "nodes": {"items": [{"status": {"nodeInfo": NODE}}] * 2},
    "pods": {"items": [{"metadata": {"name": "router-1"}}]},
    "pod": POD,
    "services": {"items": SERVICES},
    "--raw=/readyz": "ok",
    "logs": "what it said",
}
KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, sys
asked = sys.argv[1:]
here = pathlib.Path(__file__)
with open(here.with_name("asked"), "a") as file:
    file.write(json.dumps(asked) + "\\n")
here.with_name("config").write_text(os.environ.get("KUBECONFIG", ""))
if "create" in asked:
    here.with_name("given").write_text(sys.stdin.read())
if "missing" in asked or "wait" in asked and here.with_name("never").exists() or here.with_name("down").exists():
    sys.exit("Error from server (NotFound)")
answers = json.loads({json.dumps(json.dumps(ANSWERS))})
found = [item for key, item in answers.items() if key in asked]
text = found[0] if found else "deployment/web" if "name" in asked else ""
print(text if isinstance(text, str) else json.dumps(text))
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(managed, "_GONE", 0.0)
    monkeypatch.setattr(managed, "_BALANCED", 0.0)
    file = tmp_path / "asked"
    return lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def test_the_registry_opens_it_with_its_mode() -> None:
    place = open_place({"anytier:tier": "eks", "anytier:eks": '{"mode": "auto"}'})
    assert isinstance(place, EksPlace) and (place.tier, place.mode) == ("eks", "auto")
    assert open_place({"anytier:tier": "eks"}).mode == "standard"


def test_the_way_in_is_that_of_the_stack_that_is_tested(asked: Any, tmp_path: Path) -> None:
    place = EksPlace({})
    assert isinstance(place, Told)
    assert not place.told({})
    assert not place.told({"kubeconfig": "half of it is there"})
    assert place.told({"kubeconfig": "all of it", "url": "http://lb.example:8080/"})
    assert (place.address, place.network) == ("lb.example", None)
    place.versions()
    file = Path((tmp_path / "config").read_text())
    assert file.read_text() == "all of it" and os.stat(file.parent).st_mode & 0o077 == 0


def test_an_exposed_port_is_at_its_own_load_balancer(asked: Any) -> None:
    place = EksPlace({})
    assert place.exposed("ns", 9000) == "own.elb.example"
    assert place.exposed("ns", 80) == "192.0.2.1"
    with pytest.raises(Failed, match="no load balancer takes port 1 "):
        place.exposed("ns", 1)


def test_harm_is_done_from_the_machine_or_by_the_api(asked: Any, tmp_path: Path) -> None:
    place = EksPlace({})
    place.kill_process("ns", REPORT)
    killer = json.loads((tmp_path / "given").read_text())
    assert killer["spec"]["nodeName"] == "node-a" and killer["spec"]["hostPID"]
    (container,) = killer["spec"]["containers"]
    assert container["image"] == "registry/web@sha256:1" and container["command"][-2:] == ["c0ffee", "7"]
    assert [call[2] for call in asked()] == ["get", "create", "wait", "delete"]
    assert asked()[-1][-1] == killer["metadata"]["name"]
    place.kill_instance("ns", REPORT)
    assert json.loads((tmp_path / "given").read_text())["spec"]["containers"][0]["command"][-1] == "1"
    place.remove_instance("ns", REPORT)
    place.meddle("ns", "web", 5)
    place.kill_proxy("ns")
    assert ["-n", "ns", "scale", "deployment", "web", "--replicas=5"] in asked() and asked()[-1][-1] == "router-1"


def test_a_process_that_is_not_killed_is_told_and_the_pod_goes(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "never").touch()
    with pytest.raises(Failed, match="process 7 of web-1 is not killed: what it said"):
        EksPlace({}).kill_process("ns", REPORT)
    assert asked()[-1][2] == "delete"


def test_where_no_pod_sees_the_machine_a_process_is_asked(asked: Any) -> None:
    GkePlace({"mode": "autopilot"}).kill_process("ns", REPORT)
    (call,) = asked()
    assert call[:6] == ["-n", "ns", "exec", "web-1", "--", "python3"] and call[-2:] == ["1", "15"]


def test_a_pod_without_a_container_has_no_process() -> None:
    with pytest.raises(Failed, match="pod web-1 has no container"):
        killer_of({**POD, "status": {}}, 1)


@given(st.text("0123456789", min_size=1, max_size=3), st.text("0123456789", min_size=1, max_size=3))
def test_the_number_in_the_container_counts_and_no_other(wanted: str, other: str) -> None:
    import re

    pattern = re.search(r'rf"(.*)"', managed._KILL)
    assert pattern is not None
    expression = pattern[1].replace("{pid}", wanted)
    assert bool(re.search(expression, f"NSpid:\t99\t{other}", re.MULTILINE)) == (wanted == other)


def test_the_killer_ends_the_process_that_is_meant_and_says_where_there_is_none() -> None:
    """Here, without a container: `:` is in every process' control groups. It sees none but ours: a number may be that
    of a process in a container of somebody else's, too."""
    victim = subprocess.Popen(["sleep", "60"])

    def kill(container: str, pid: int) -> str:
        alone = f"import os\nos.listdir = lambda path: ['self', '{victim.pid}']\n"
        argv = [sys.executable, "-c", alone + managed._KILL, container, str(pid)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stderr

    try:
        said = kill("no-such-container-anywhere", victim.pid)
        assert f"no process {victim.pid} runs in container no-such-container-anywhere" in said
        assert victim.poll() is None
        status = Path(f"/proc/{victim.pid}/status").read_text()
        inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
        assert not kill(":", int(inner))
        assert victim.wait(10) == -9
    finally:
        victim.kill()
        victim.wait()


def test_looks_leave_secrets_out_and_find_what_is_left(asked: Any) -> None:
    place = EksPlace({})
    assert place.versions() == {
        "kubernetes": "v1.35.3-eks",
        "nodes": "2",
        "runtime": "containerd://2.1.4",
        "machine": "Bottlerocket",
        "kernel": "6.12",
    }
    assert place.leftovers("ns") == ["namespace ns", "volume pv-1"]
    assert set(place.visible("ns")) == {"objects", "logs of router-1"}
    assert not [call for call in asked() if any("secret" in word.lower() for word in call)]


def test_nothing_is_left_in_a_cluster_that_has_gone(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "down").touch()
    assert EksPlace({}).leftovers("ns") == []


def test_what_kubectl_refuses_is_told(asked: Any) -> None:
    with pytest.raises(Failed, match=r"kubectl -n ns delete pod: Error from server \(NotFound\)"):
        EksPlace({}).remove_instance("ns", {**REPORT, "hostname": "missing"})
