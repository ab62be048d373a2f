"""`anytier doctor`: tells what is there and what is missing with its remedy, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.console import anytier

from anytier import capabilities
from anytier.doctor import registry
from anytier.doctor.check import Subject
from anytier.doctor.engine import engine
from anytier.doctor.machine import installed, room
from anytier.doctor.ports import proxy_ports

CLEAN = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "shop"
    assert anytier("init", str(folder)).code == 0
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project, its stacks on ports that are free, nobody logged in anywhere."""
    for name in CLEAN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    folder = tmp_path / "shop"
    shutil.copytree(template, folder)
    for tier in ("local", "docker"):
        file = folder / "stacks" / f"Pulumi.{tier}.yaml"
        kept = [line for line in file.read_text().splitlines() if "anytier:port" not in line]
        ports = [f"  anytier:port: {free_port()}", f"  anytier:tlsPort: {free_port()}"]
        file.write_text("\n".join([*kept, *ports, ""]))
    with (folder / "stacks" / "Pulumi.docker.yaml").open("a") as stack:
        stack.write("  anytier:docker: {host: 'unix:///nonexistent.sock'}\n")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port


def findings(project: Path, *args: str) -> tuple[int, list[dict[str, Any]]]:
    done = anytier("doctor", *args, "--json", cwd=project)
    return done.code, json.loads(done.out)


def missing(project: Path, *args: str) -> dict[str, dict[str, Any]]:
    code, found = findings(project, *args)
    gone = {item["check"]: item for item in found if item["status"] == "missing"}
    assert code == (1 if gone else 0)
    assert all(item["do"] for item in gone.values()), "every missing thing has a remedy"
    return gone


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in sorted(folder.rglob("*"))}


def test_where_everything_is_there_nothing_is_missing_and_nothing_is_changed(project: Path) -> None:
    before = tree(project)
    code, found = findings(project, "-s", "local")
    assert code == 0, found
    assert tree(project) == before
    assert [item["check"] for item in found if item["stack"] is None] == list(registry.MACHINE)
    ours = [item["check"] for item in found if item["stack"] == "local"]
    assert ours == ["config", "app", "packages", "supervisor", "proxy", "disk", "port", "tlsPort"]


def test_a_person_gets_a_line_each_and_a_last_word(project: Path) -> None:
    done = anytier("doctor", "-s", "docker", cwd=project)
    assert done.code == 1
    lines = done.out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("  MISSING daemon"))
    assert "unix:///nonexistent.sock" in lines[at] and lines[at + 1].strip().startswith("-> start it")
    assert "stack docker" in lines and lines[-1] == "1 missing (stacks docker)"


def test_without_a_stack_all_of_the_project_are_looked_at(project: Path) -> None:
    _, found = findings(project)
    assert {item["stack"] for item in found} == {None, "local", "docker"}


def test_a_daemon_that_is_not_there_is_missing(project: Path) -> None:
    gone = missing(project, "-s", "docker")
    assert [*gone] == ["daemon"] and "unix:///nonexistent.sock" in gone["daemon"]["what"]


def on_machine(project: Path, **more: Any) -> None:
    """The docker stack's daemon is on a machine where nobody listens."""
    file = project / "stacks" / "Pulumi.docker.yaml"
    machine = {"address": "127.0.0.1", "port": free_port(), "user": "root"}
    given = json.dumps({"machine": machine, **more})
    file.write_text(file.read_text().replace("{host: 'unix:///nonexistent.sock'}", given))


def test_a_machine_for_docker_is_asked_and_no_port_of_this_one_is_looked_at(project: Path) -> None:
    on_machine(project)
    _, found = findings(project, "-s", "docker")
    (daemon,) = [item for item in found if item["check"] == "daemon"]
    assert daemon["status"] == "missing" and "machine 127.0.0.1:" in daemon["what"] and daemon["do"]
    assert not any(item["check"] in ("port", "tlsPort") for item in found if item["stack"] == "docker")


def test_a_machine_for_docker_that_cannot_be_meant_is_told_without_a_call(project: Path) -> None:
    on_machine(project, host="ssh://x")
    assert "another way to a daemon" in missing(project, "-s", "docker")["daemon"]["what"]


def on_hypervisor(project: Path, **machine: Any) -> list[dict[str, Any]]:
    """What is found of a docker stack whose machine is to be made by a hypervisor that is not there."""
    file = project / "stacks" / "Pulumi.docker.yaml"
    given = {"uri": "qemu+unix:///system?socket=/nonexistent", "image": "https://example.org/a", **machine}
    file.write_text(file.read_text().replace("{host: 'unix:///nonexistent.sock'}", json.dumps({"libvirt": given})))
    _, found = findings(project, "-s", "docker")
    return [item for item in found if item["stack"] == "docker"]


def test_a_machine_that_is_made_for_docker_is_decided_and_its_hypervisor_asked(project: Path) -> None:
    found = on_hypervisor(project, sha256="ab" * 32)
    told = {item["check"]: item for item in found}
    assert "libvirt-python" in told["packages"]["what"] and "2 CPUs" in told["machine"]["what"]
    assert told["hypervisor"]["status"] == "missing" and not {"daemon", "port", "tlsPort"} & told.keys()


def test_a_machine_that_cannot_be_made_for_docker_is_told_by_its_path(project: Path) -> None:
    told = {item["check"]: item for item in on_hypervisor(project)}
    assert told["machine"]["what"].startswith("anytier:docker.libvirt.sha256: is not set") and "hypervisor" not in told


def test_plain_tcp_is_refused_without_a_call(project: Path) -> None:
    file = project / "stacks" / "Pulumi.docker.yaml"
    file.write_text(file.read_text().replace("unix:///nonexistent.sock", "tcp://192.0.2.1:2375"))
    assert "plain TCP gives everybody root" in missing(project, "-s", "docker")["daemon"]["what"]


def test_a_passphrase_that_others_can_read_is_no_good(project: Path) -> None:
    (project / ".anytier" / "passphrase").chmod(0o644)
    gone = missing(project, "-s", "local")
    assert [*gone] == ["passphrase"]
    assert gone["passphrase"]["do"] == f"chmod 600 {project / '.anytier' / 'passphrase'}"


def test_a_lost_passphrase_is_not_made_anew_where_there_is_state(project: Path) -> None:
    (project / ".anytier" / "passphrase").unlink()
    assert "openssl" in missing(project, "-s", "local")["passphrase"]["do"]
    kept = project / ".anytier" / "state" / ".pulumi" / "stacks" / "shop"
    kept.mkdir(parents=True)
    (kept / "local.json").write_text("{}")
    assert "put it back" in missing(project, "-s", "local")["passphrase"]["do"]


def test_a_passphrase_by_variable_will_do_if_it_is_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".anytier" / "passphrase").unlink()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert missing(project, "-s", "local") == {}
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(project / "nope"))
    assert "names" in missing(project, "-s", "local")["passphrase"]["what"]


def test_state_may_be_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project / ".anytier")
    assert [*missing(project, "-s", "local")] == ["state", "passphrase"]
    (project.parent / "pulumi").mkdir(exist_ok=True)
    (project.parent / "pulumi" / "credentials.json").write_text('{"current": "https://pulumi.example.org"}')
    _, found = findings(project, "-s", "local")
    assert {"kept in https://pulumi.example.org"} == {item["what"] for item in found if item["check"] == "state"}


@pytest.fixture
def taken(project: Path) -> Iterator[int]:
    """The local stack's port, held by somebody else."""
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen(1)
        port: int = holder.getsockname()[1]
        file = project / "stacks" / "Pulumi.local.yaml"
        lines = [line for line in file.read_text().splitlines() if "anytier:port" not in line]
        file.write_text("\n".join([*lines, f"  anytier:port: {port}", ""]))
        yield port


def test_a_port_of_somebody_else_is_missing(project: Path, taken: int) -> None:
    gone = missing(project, "-s", "local")
    assert [*gone] == ["port"]
    assert gone["port"]["what"] == f"{taken} is in use by something else"
    assert gone["port"]["do"] == "pulumi config set -s local anytier:port NUMBER"


def test_the_ports_of_a_proxy_are_those_that_are_reached_from_outside() -> None:
    listeners = {"public": {"address": ":48080", "tls": []}, "internal": {"address": "127.0.0.1:80", "tls": []}}
    on_docker = {"config": {"listeners": listeners}, "publish": [{"listenPort": 48080, "port": 18331}]}
    assert [*proxy_ports(on_docker)] == [18331]
    assert [*proxy_ports({"config": {"listeners": listeners}})] == [48080, 80]


def test_a_wrong_app_or_config_is_told_with_where_to_look(project: Path) -> None:
    (project / "app.yaml").write_text((project / "app.yaml").read_text().replace("scale:", "scael:"))
    gone = missing(project, "-s", "local")
    assert "1 mistakes" in gone["app"]["what"] and gone["app"]["do"] == "anytier validate -s local"
    (project / "stacks" / "Pulumi.local.yaml").write_text("config:\n  anytier:tier: lcoal\n  anytier:port: 0\n")
    code, found = findings(project, "-s", "local")
    said = [item["what"] for item in found if item["check"] == "config"]
    assert code == 1 and len(said) == 3 and any("did you mean 'local'" in what for what in said)


def test_a_plugin_that_cannot_be_started_is_missing(project: Path) -> None:
    (project / "bin" / "pulumi-resource-anytier").chmod(0o644)
    assert missing(project, "-s", "local")["plugin"]["do"].startswith("chmod +x ")
    (project / "bin" / "pulumi-resource-anytier").unlink()
    assert "there is no" in missing(project, "-s", "local")["plugin"]["what"]
    (project / "Pulumi.yaml").write_text("name: p\nruntime: python\nstackConfigDir: stacks\n")
    assert "does not name it" in missing(project, "-s", "local")["plugin"]["what"]


def test_an_unknown_stack_gets_the_nearest_one(project: Path) -> None:
    done = anytier("doctor", "-s", "lcoal", cwd=project)
    assert done.code == 1 and "did you mean 'local'" in done.err and not done.out


def test_an_engine_that_is_old_broken_or_gone_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    subject = Subject(tmp_path)
    assert [(item.status, item.what) for item in engine(subject)] == [("missing", "there is no Pulumi engine")]
    program = tmp_path / "pulumi"
    for body, said in (
        ("exit 1", "does not run"),
        ("echo v3.1.0", "is older than the Python SDK"),
        ("echo v9.0.0", "has no"),
    ):
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        (item,) = engine(subject)
        assert item.status == "missing" and said in item.what and item.do
    (tmp_path / "pulumi-language-python").touch()
    (item,) = engine(subject)
    assert item.status == "ok"


def test_a_package_that_is_not_installed_is_missing() -> None:
    item = installed({"pydantic": "pydantic", "no-such-thing": "no_such_thing"}, "pip install it")
    assert (item.status, item.what, item.do) == ("missing", "not installed: no-such-thing", "pip install it")


def test_a_full_disk_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = room([tmp_path / "not" / "there" / "yet"])
    assert item.status == "ok" and str(tmp_path) in item.what
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**29))
    (item,) = room([tmp_path])
    assert item.status == "missing" and item.what.startswith("0.5 GiB free")


def test_every_built_tier_has_checks_and_every_check_is_there() -> None:
    assert set(registry.TIER) == set(capabilities.BUILT)
    for checks in (registry.MACHINE, registry.STACK, *registry.TIER.values()):
        for where in checks.values():
            assert registry.check(where).__doc__ or callable(registry.check(where))
    assert os.path.isdir(Path(registry.__file__).parent)
