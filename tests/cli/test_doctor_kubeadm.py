"""`anytier doctor` on a stack of tier kubeadm: its software, what would come of its config, machines, the builder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tiers.test_kubeadm import THREE, filled

from anytier.config import Settings
from anytier.doctor import kubeadm as doctor
from anytier.doctor.check import Finding, Subject
from anytier.tiers.kubeadmargs import KubeadmArgs

APPS = Path(__file__).parents[2] / "apps"


def subject(app: Path = Path("none.yaml"), **given: Any) -> Subject:
    args = KubeadmArgs.model_validate(given)
    return Subject(Path(), "dev", {}, Settings("kubeadm", None, args, app, 8080, 8443, {}))


def told(findings: Any) -> list[tuple[str, str]]:
    found: list[Finding] = list(findings)
    assert all(item.do for item in found if item.status == "missing")
    return [(item.check, item.status) for item in found]


def test_the_software_must_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path))
    gone = list(doctor.cluster(subject(machines=THREE)))
    assert told(gone) == [("cluster", "missing")] and "anytier bundle build" in gone[0].do
    filled(tmp_path / "bundles" / "v1.34.2")
    found = list(doctor.cluster(subject(machines=THREE)))
    assert told(found) == [("bundle", "ok"), ("cluster", "ok")]
    assert "control plane 10-0-0-11" in found[1].what and "10-0-0-13" in found[1].what
    (wrong,) = doctor.cluster(subject(machines=THREE, podSubnet="10.96.0.0/16"))
    assert wrong.status == "missing" and "serviceSubnet" in wrong.what


def test_machines_that_get_their_software_themselves_need_none_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path))
    found = list(doctor.cluster(subject(machines=THREE, software="packages")))
    assert told(found) == [("packages", "ok"), ("cluster", "ok")]
    assert "v1.34.2" in found[0].what and "https://pkgs.k8s.io/core:/stable:/v1.34/deb/" in found[0].what
    lost = {"machines": THREE, "software": "packages", "mirror": {"key": str(tmp_path / "none.asc")}}
    assert told(doctor.cluster(subject(**lost))) == [("cluster", "missing")]


def test_a_machine_that_does_not_answer_is_told_by_its_name() -> None:
    box = {"address": "127.0.0.1", "port": 1, "name": "one", "privateAddress": "10.0.0.1", "connectTimeout": 2}
    (found,) = doctor.machines(subject(machines=[box]))
    assert (found.check, found.status) == ("machine", "missing") and "127.0.0.1:1" in found.what
    assert told(doctor.machines(subject(inventory="none.yaml"))) == []


def test_a_builder_is_asked_for_only_where_there_is_something_to_build(tmp_path: Path) -> None:
    assert told(doctor.builder(subject(machines=THREE))) == []
    socket = f"unix://{tmp_path}/none.sock"
    app = APPS / "guestbook" / "app.yaml"
    assert told(doctor.builder(subject(app, machines=THREE, builder=socket))) == [("builder", "missing")]
