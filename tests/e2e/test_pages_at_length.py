"""What pages show for the stacks whose places take minutes: a cluster of machines, three clouds, the shop on Docker.

The machines are containers with systemd, and the clouds are stood in (tests/standins/README.md); the cluster that they
hand out is a real one. `make e2e-cluster` and `make e2e-managed` run this.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.commands import ROOT
from tests.docs.runs import shown_for
from tests.e2e.pages import Clone, clone_at
from tests.e2e.suite import AT_LENGTH
from tests.provider.host.corner import free_port
from tests.provider.kubeadm.box import QUIRKS, kube_boxes
from tests.provider.kubeadm.stack import bundle
from tests.standins.cluster import RealCluster
from tests.standins.installed import needs_sdks, sdks
from tests.standins.project import commands, plugins, provider_lines
from tests.standins.stacks import SOMEBODY, STACKS
from tests.standins.world import FOLDER, World

from anytier.tiers.kubeadmargs import DEFAULT_VERSION
from benchmarks.programs import KUBECTL, ensure
from bootstrap.paths import Paths

AT_LENGTH_PLACES = ("kubeadm", *STACKS, "shop")
at_length = pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it")
managed = pytest.mark.skipif(not AT_LENGTH, reason="takes long; make e2e-managed")


def shipped(place: str) -> dict[str, Any]:
    """The config of the stack that the project has."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{place}.yaml").read_text())["config"]
    return found


def reader(folder: Path, env: Mapping[str, str], *tools: Path) -> dict[str, str]:
    """Somebody with a home of their own, and these programs besides; the engine stays where it is."""
    (folder / "home" / ".kube").mkdir(parents=True)
    path = os.pathsep.join([*(str(tool.parent) for tool in tools), env["PATH"]])
    return {**env, "PATH": path, "HOME": str(folder / "home"), "ANYTIER_TOOLS_DIR": str(Paths.here().tools)}


def shows(clone: Clone, text: str) -> None:
    url = clone.run("pulumi stack output url").stdout.strip()
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.status == 200 and text in answer.read().decode()


@at_length
@pytest.mark.e2e
@pytest.mark.docker
@pytest.mark.usefixtures("kubernetes_plugin")
def test_what_pages_show_of_a_cluster_is_what_happens(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    """docs/kubeadm.md, from the machines on; its bundle lies where the page puts it."""
    env = reader(tmp_path, pulumi_env, ensure(KUBECTL))
    there = tmp_path / "home" / ".cache" / "anytier" / "bundles" / DEFAULT_VERSION
    there.parent.mkdir(parents=True)
    there.symlink_to(bundle())
    with kube_boxes(tmp_path, 2) as boxes:
        machines = [box.machine() for box in boxes]
        config = {**shipped("kubeadm"), "anytier:kubeadm": {"machines": machines, **QUIRKS}}
        with clone_at(tmp_path / "anytier", "kubeadm", config, env, longest=1200) as clone:
            (clone.folder / "bundle").symlink_to(there)
            for item in shown_for("kubeadm"):
                clone.tells(item)
            shows(clone, "Guestbook")


@managed
@needs_sdks
@pytest.mark.e2e
@pytest.mark.docker
@pytest.mark.parametrize("tier", STACKS)
def test_what_pages_show_of_a_managed_cluster_is_what_happens(
    tier: str, cluster: RealCluster, tmp_path: Path, pulumi_env: dict[str, str]
) -> None:
    world = World(tmp_path / "world")
    world.tell(**cluster.tells())
    env = reader(tmp_path, pulumi_env, commands(tmp_path / "commands") / "any", cluster.kubectl)
    env |= {**SOMEBODY, FOLDER: str(world.folder), "PYTHONPATH": os.pathsep.join(map(str, sdks()))}
    config = {**shipped(tier), f"anytier:{tier}": {**STACKS[tier][1], "builder": cluster.daemon.host}}
    with clone_at(tmp_path / "anytier", tier, config, env, longest=1200) as clone:
        file = clone.folder / "Pulumi.yaml"
        providers = provider_lines(plugins(tmp_path / "plugins")).removeprefix("plugins:\n  providers:\n")
        file.write_text(file.read_text().replace("  providers:\n", f"  providers:\n{providers}"))
        for item in shown_for(tier):
            clone.tells(item)
        shows(clone, "Guestbook")
    assert [thing.token for thing in world.things()] == []


@at_length
@pytest.mark.docker
@pytest.mark.engine
def test_what_the_page_of_the_shop_shows_is_what_happens(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    """docs/shop.md on Docker, with the very stack file that stands there."""
    page = (ROOT / "docs" / "shop.md").read_text()
    (text,) = re.findall(r"```yaml\n# stacks/Pulumi\.shop\.yaml\n(.*?)```", page, re.DOTALL)
    port = free_port()
    config = {**yaml.safe_load(text)["config"], "anytier:port": port, "anytier:tlsPort": free_port()}
    instead = {"localhost:8082": f"127.0.0.1:{port}"}
    with clone_at(tmp_path / "anytier", "shop", config, pulumi_env, longest=1200, instead=instead) as clone:
        items = shown_for("shop")
        assert len([item for item in items if item.line.startswith("curl")]) >= 1, json.dumps([i.line for i in items])
        for item in items:
            clone.tells(item)
