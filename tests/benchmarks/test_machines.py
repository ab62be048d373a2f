"""The benchmark on machines: the three do the same work, and what they are told can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from anytier.spec.load import diagnose
from benchmarks.boxes import Machine
from benchmarks.cases import machines
from benchmarks.measure import CommandFailed
from benchmarks.packages import ANSIBLE, PYINFRA, Package

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"


class Box:
    """Says of `systemctl` what a test wants."""

    def __init__(self, said: str) -> None:
        self.said, self.returncode, self.stderr = said, 0, ""

    @property
    def stdout(self) -> str:
        return self.said

    def run(self, *argv: str) -> Box:
        return self


def machine(said: str = "", number: int = 1) -> Machine:
    return Machine(f"box{number}", 2200 + number, f"10.0.0.{number}", "/k", KEY, Box(said))


def test_ours_is_a_valid_app_with_one_instance_on_each_machine(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    for gate in ("", "0s"):
        (tmp_path / "app.yaml").write_text(machines.spec(gate))
        app, found = diagnose(tmp_path / "app.yaml")
        assert app is not None and found == [] and app.workloads["app"].scale.mode == "global"


def test_every_tool_is_told_every_machine_its_key_and_where_host_keys_are_known() -> None:
    both = [machine(number=1), machine(number=2)]
    ours = machines.stack_config(both)["machines"]
    assert [(item["port"], item["hostKey"], item["privateAddress"]) for item in ours] == [
        (2201, KEY, "10.0.0.1"),
        (2202, KEY, "10.0.0.2"),
    ]
    ansible = machines.inventory(both, Path("/p"))["all"]["hosts"]
    assert [item["ansible_port"] for item in ansible.values()] == [2201, 2202]
    pyinfra = dict(machines.hosts(both, Path("/p")))
    assert [item["ssh_port"] for item in pyinfra.values()] == [2201, 2202]
    for item in [*ansible.values(), *pyinfra.values()]:
        assert "/p/known_hosts" in str(item) and "/k" in str(item)


def test_the_files_of_all_three_are_the_same_and_programs_that_can_be_read() -> None:
    with machines.folder([machine()]) as place:
        assert {file.name for file in (place / "app").iterdir()} == set(machines.FILES)
        assert (place / "known_hosts").read_text() == f"[127.0.0.1]:2201 {KEY}\n"
        ast.parse(machines.DEPLOY)
        assert yaml.safe_load(yaml.safe_dump(machines.playbook())) == machines.playbook()
        for told in (machines.DEPLOY, str(machines.playbook())):
            assert f"/opt/{machines.NAME}" in told and f"{machines.NAME}.service" in told


def test_a_service_that_does_not_run_is_no_figure() -> None:
    name = machines.NAME
    machines.expect([machine(f"{name}.service loaded active running x\n")], name)
    machines.expect([machine(f"{name}-app-0.service loaded\n{name}-healthd.service loaded\n")], name)
    for said in ("", f"{name}-a.service x\n{name}-b.service x\n"):
        with pytest.raises(CommandFailed, match="box1: not one"):
            machines.expect([machine(said)], name)


def test_the_limits_are_what_was_promised_of_ansible_and_of_pyinfra() -> None:
    """A quarter and a fifth of Ansible's time, and ahead of pyinfra: also where ours asks every machine, as it does."""
    ours, theirs = (2.0, 1.0, 3.0), (10.0, 4.0)
    found = machines.rows(5, {"anytier": [ours], "same": [ours], "Ansible": [theirs], "pyinfra": [theirs]})
    limits = [(row.ours[0], row.theirs[0], row.beside, row.limit.most if row.limit else None) for row in found]
    assert limits == [
        *[(2.0, 10.0, "Ansible", 0.25), (2.0, 10.0, "pyinfra", 1.0)] * 2,
        *[(1.0, 4.0, "Ansible", 0.2), (1.0, 4.0, "pyinfra", 1.0)],
        *[(3.0, 4.0, "Ansible", None), (3.0, 4.0, "pyinfra", 1.0)],
    ]
    assert [row.verdict for row in found][:6] == ["met"] * 4 + ["missed", "met"]
    assert len({(row.what, row.beside) for row in found}) == len(found)


@pytest.mark.parametrize("package", [ANSIBLE, PYINFRA], ids=lambda package: package.name)
def test_what_it_is_measured_beside_is_pinned_with_every_hash(package: Package) -> None:
    assert package.version[0].isdigit()
    blocks = package.lock.read_text().strip().replace("\\\n", "").splitlines()
    assert all("==" in line and "--hash=sha256:" in line for line in blocks)
