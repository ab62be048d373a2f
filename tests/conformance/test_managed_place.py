"""A managed cluster under test, by a kubectl that writes down what it was asked: no cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.check import Failed
from anytier.conformance.places.managed import EksPlace
from anytier.conformance.places.registry import open_place

REPORT = {"hostname": "web-1", "pid": 7, "instance": "web-1"}
ANSWERS = {
    "version": {"serverVersion": {"gitVersion": "v1.35.3-eks"}},
    "persistentvolumes": {
        "items": [
            {"metadata": {"name": "pv-1"}, "spec": {"claimRef": {"namespace": "ns"}}},
            {"metadata": {"name": "pv-2"}, "spec": {"claimRef": {"namespace": "other"}}},
            {"metadata": {"name": "pv-3"}, "spec": {}},
        ]
    },
    "pods": {"items": [{"metadata": {"name": "router-1"}}]},
}
KUBECTL = f"""#!{sys.executable}
import json, pathlib, sys
asked = sys.argv[1:]
with open(pathlib.Path(__file__).with_name("asked"), "a") as file:
    file.write(json.dumps(asked) + "\\n")
if "missing" in asked:
    sys.exit("Error from server (NotFound)")
answers = json.loads({json.dumps(json.dumps(ANSWERS))})
found = [json.dumps(item) for key, item in answers.items() if key in asked]
print(found[0] if found else "deployment/web" if "name" in asked else "")
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "asked"
    return lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def test_the_registry_opens_it_with_its_mode() -> None:
    place = open_place({"anytier:tier": "eks", "anytier:eks": '{"mode": "auto"}'})
    assert isinstance(place, EksPlace) and (place.tier, place.mode) == ("eks", "auto")
    assert open_place({"anytier:tier": "eks"}).mode == "standard"


def test_harm_is_done_inside_of_the_pod_or_by_the_api(asked: Any) -> None:
    place = EksPlace({})
    place.kill_process("ns", REPORT)
    place.kill_instance("ns", REPORT)
    place.remove_instance("ns", REPORT)
    place.meddle("ns", "web", 5)
    place.kill_proxy("ns")
    seen = asked()
    assert seen[0][:6] == ["-n", "ns", "exec", "web-1", "--", "python3"] and seen[0][-2:] == ["7", "9"]
    assert seen[1][-2:] == ["1", "15"] and seen[2][2:4] == ["delete", "pod"]
    assert ["-n", "ns", "scale", "deployment", "web", "--replicas=5"] in seen and seen[-1][-1] == "router-1"


def test_looks_leave_secrets_out_and_find_what_is_left(asked: Any) -> None:
    place = EksPlace({})
    assert place.versions() == {"kubernetes": "v1.35.3-eks"}
    assert place.leftovers("ns") == ["namespace ns", "volume pv-1"]
    assert set(place.visible("ns")) == {"objects", "logs of router-1"}
    assert not [call for call in asked() if any("secret" in word.lower() for word in call)]


def test_what_kubectl_refuses_is_told(asked: Any) -> None:
    with pytest.raises(Failed, match=r"kubectl -n ns delete pod: Error from server \(NotFound\)"):
        EksPlace({}).remove_instance("ns", {**REPORT, "hostname": "missing"})
