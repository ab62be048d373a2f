"""What the suite does on a cluster's machine, as far as a machine without a cluster shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.test_manifest import make

from anytier.conformance.places import oncluster
from anytier.conformance.places.base import Heals
from anytier.conformance.places.kubeadm import KubeadmPlace
from anytier.errors import ConfigError
from anytier.render.kubernetes import addons

PROGRAM = Path(oncluster.__file__)


def ask(verb: str, **asked: Any) -> Any:
    argv = [sys.executable, "-I", "-", verb, json.dumps(asked)]
    done = subprocess.run(argv, input=PROGRAM.read_bytes(), capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_process_is_killed_by_its_number_and_where_it_belongs() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        group = Path(f"/proc/{child.pid}/cgroup").read_text().rpartition("/")[2].strip() or "/"
        assert ask("kill", container="no-such-container", pid=child.pid).startswith("no process")
        time.sleep(0.1)
        assert child.poll() is None
        assert ask("kill", container=group, pid=child.pid) == ""
        assert child.wait(5) == -9
    finally:
        child.kill()


def test_a_process_has_its_own_number_in_this_namespace() -> None:
    assert oncluster.inside(os.getpid()) == os.getpid()
    assert oncluster.inside(2**22 + 1) == 0


def test_every_file_of_a_cluster_counts_as_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "admin.conf").write_text("")
    monkeypatch.setattr(oncluster, "LEFT", (f"{tmp_path}/*.conf",))
    assert f"file {tmp_path}/admin.conf" in oncluster.leftovers({})


def config(folder: Path, **more: Any) -> dict[str, Any]:
    images = {item for found in addons.images(_choice()).values() for item in found}
    make(folder, images={"images/pause.tar": ["registry.k8s.io/pause:3.10.1", *images]})
    machines = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]
    return {"bundle": str(folder), "machines": machines, **more}


def _choice() -> addons.Choice:
    from anytier.tiers.kubeadmargs import KubeadmArgs
    from anytier.tiers.kubeadmplan import choice

    return choice(KubeadmArgs())


def test_the_place_knows_its_machines_by_their_nodes_names(tmp_path: Path) -> None:
    place = KubeadmPlace(config(tmp_path))
    assert (place.control, sorted(place.machines), place.address) == ("a", ["a", "b"], "10.0.0.1")
    assert isinstance(place, Heals)


def test_machines_that_the_stack_would_make_are_refused(tmp_path: Path) -> None:
    given = {"bundle": str(tmp_path), "libvirt": {"machines": 1}}
    with pytest.raises((ConfigError, ValueError)):
        KubeadmPlace(given)
