"""What the inputs of host resources say of themselves."""

from __future__ import annotations

import json

from anytier.marks import Secret
from anytier.provider.check import remark
from anytier.provider.host.models import HostInputs, Member
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.workload import WorkloadOutputs

KEY = "the private half of a key"
VMS = [Member(name=name, machine=SshRef(kind="ssh", address=f"10.0.0.{name}", private_key=KEY)) for name in "12"]


def test_no_key_that_leads_to_a_machine_lies_on_one() -> None:
    inputs = HostInputs(machine=VMS[0].machine, machines=VMS, root="/r", supervisor="systemd-system", ns="a")
    recorded = inputs.recorded("owner")
    assert KEY in json.dumps(inputs.wire()) and KEY not in json.dumps(recorded)
    assert "owner" not in recorded and [item["name"] for item in recorded["machines"]] == ["1", "2"]
    assert KEY not in json.dumps([item.keyless().wire() for item in VMS])
    alone = HostInputs(machine=VMS[0].machine, root="/r", supervisor="systemd-system", ns="a").recorded()
    assert KEY not in json.dumps(alone) and "machines" not in alone


def test_the_machines_that_a_workload_remembers_have_secret_keys() -> None:
    told = {"revision": 1, "hash": "", "replicas": 1, "machines": [item.wire() for item in VMS]}
    machines = remark(WorkloadOutputs, told)["machines"]
    assert [item["machine"]["privateKey"] for item in machines] == [Secret(KEY)] * 2
