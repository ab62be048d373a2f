"""What pages show for the stacks `local`, `docker` and `baremetal` is run for real, in a clone of its own: by the real
engine, on this machine, on a real daemon, on machines with systemd. (tests/docs/runs.py says who runs what.)
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs.commands import ROOT, Shown
from tests.docs.runs import PLACES, shown_for
from tests.e2e.pages import Clone, clone_at, verb_of
from tests.e2e.test_conformance_baremetal import machine
from tests.provider.host.corner import free_port
from tests.provider.host.ssh_box import ssh_boxes

from bootstrap.paths import Paths

# In the order of a stack's life; what stands on no such place comes before the last.
LIFE = ("doctor", "up", "status", "logs", "exec", "scale", "policy", "rollback", "down")


def in_order(place: str) -> list[Shown]:
    order = {verb: number for number, verb in enumerate(LIFE)}
    return sorted(
        shown_for(place),
        key=lambda item: (order.get(verb_of(item), order["policy"]), "--list" not in item.line),
    )


@pytest.fixture
def clone(request: pytest.FixtureRequest, tmp_path: Path, pulumi_env: dict[str, str]) -> Iterator[Clone]:
    """Its stack is the project's own, on ports of its own."""
    place = request.param
    config = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{place}.yaml").read_text())["config"]
    own = {"anytier:port": free_port(), "anytier:tlsPort": free_port()}
    with clone_at(tmp_path / "anytier", place, {**config, **own}, pulumi_env) as made:
        yield made


def port(clone: Clone) -> int:
    file = clone.folder / "stacks" / f"Pulumi.{clone.stack}.yaml"
    return int(yaml.safe_load(file.read_text())["config"]["anytier:port"])


def get(clone: Clone) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port(clone)}/", timeout=10) as answer:
        assert answer.status == 200


def release(clone: Clone) -> None:
    """What a rollback goes back from."""
    spec = clone.folder / "apps" / "guestbook" / "app.yaml"
    data = yaml.safe_load(spec.read_text())
    web = next(iter(data["workloads"]["web"]["containers"].values()))
    web.setdefault("variables", {})["RELEASE"] = "2"
    spec.write_text(yaml.safe_dump(data, sort_keys=False))
    done = clone.run(f"anytier up -s {clone.place}")
    assert done.returncode == 0, done.stdout + done.stderr


HERE = [pytest.param("local", marks=pytest.mark.e2e), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.mark.engine
@pytest.mark.parametrize("clone", HERE, indirect=True)
def test_what_pages_show_of_a_stack_is_what_happens(clone: Clone) -> None:
    released = False
    for item in in_order(clone.place):
        if verb_of(item) == "rollback" and not released:
            release(clone)
            released = True
        if verb_of(item) == "logs":
            get(clone)
        clone.tells(item)


@pytest.mark.parametrize("place", ["local", "docker"])
def test_pages_show_the_life_of_a_stack(place: str) -> None:
    assert {"up", "status", "logs", "exec", "scale", "rollback"} <= {verb_of(item) for item in in_order(place)}


@pytest.mark.e2e
@pytest.mark.docker
def test_what_pages_show_of_machines_is_what_happens(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    """The guestbook's stack of docs/baremetal.md, whose machine is one that the test starts."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    with ssh_boxes(tmp_path, 1, here=True) as (box,):
        shutil.copy(box.key_file, home / ".ssh" / "id_ed25519")
        config = yaml.safe_load((ROOT / "stacks" / "Pulumi.baremetal.yaml").read_text())["config"]
        config |= {"anytier:baremetal": {"machines": [machine("a", box)]}}
        config |= {"anytier:port": free_port(), "anytier:tlsPort": free_port()}
        env = {**pulumi_env, "HOME": str(home), "ANYTIER_TOOLS_DIR": str(Paths.here().tools)}
        with clone_at(tmp_path / "anytier", "baremetal", config, env) as clone:
            for item in shown_for("baremetal"):
                clone.tells(item)
            get(clone)


def test_every_place_of_which_pages_tell_has_a_test() -> None:
    from tests.e2e.test_pages_at_length import AT_LENGTH_PLACES

    assert {"local", "docker", "baremetal", *AT_LENGTH_PLACES} == set(PLACES)
