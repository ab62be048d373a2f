"""`anytier doctor` on stacks of managed clusters: each cloud in its own words, and nobody's account is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from anytier.config import Settings
from anytier.doctor import managed as doctor
from anytier.doctor.check import Finding, Subject
from anytier.tiers.registry import tier_class

WAYS = {
    "eks": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gke": ("GCE_METADATA_HOST",),
    "aks": ("ARM_CLIENT_ID", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID", "ARM_CLIENT_SECRET"),
}
LOGINS = {"eks": "aws sso login", "gke": "gcloud auth", "aks": "az login"}
CLOUDS = list(doctor.NEEDS)


def subject(tier: str, project: Path = Path()) -> Subject:
    args = tier_class(tier).args_type()
    return Subject(project, None, {}, Settings(tier, None, args, Path("none.yaml"), 80, 443, {}))


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no cloud's tool was ever used."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "GCLOUD", "CLOUDSDK_", "ARM_", "AZURE_")):
            monkeypatch.delenv(name)


def one(findings: Any) -> Finding:
    (found,) = findings
    assert isinstance(found, Finding)
    return found


@pytest.mark.parametrize("tier", CLOUDS)
def test_that_nobody_is_logged_in_is_told_with_the_command(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = one(doctor.login(subject(tier)))
    assert found.status == "missing" and LOGINS[tier] in found.do
    for name in WAYS[tier]:
        monkeypatch.setenv(name, "x")
    assert one(doctor.login(subject(tier))).status == "ok"


def test_a_login_that_the_command_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CREDENTIALS", "{}")
    found = one(doctor.login(subject("gke")))
    assert (
        found.status == "missing"
        and "GOOGLE_CREDENTIALS" in found.what
        and "GOOGLE_APPLICATION_CREDENTIALS" in found.do
    )


@pytest.mark.parametrize("tier", CLOUDS)
def test_the_command_that_gets_tokens_is_looked_for(tier: str, tmp_path: Path) -> None:
    needs = doctor.NEEDS[tier]
    found = one(doctor.command(subject(tier)))
    assert (found.status, found.do) == ("missing", needs.mend) and needs.command in found.what
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / needs.command).write_text("#!/bin/sh\n")
    (tmp_path / "bin" / needs.command).chmod(0o755)
    assert one(doctor.command(subject(tier))).status == "ok"


@pytest.mark.parametrize("tier", CLOUDS)
def test_the_sdk_is_named_with_the_extra_that_has_it(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = doctor.NEEDS[tier]
    monkeypatch.setitem(doctor.NEEDS, tier, doctor.Needs(("none-such", "none_such"), "", "", "", ""))
    found = one(doctor.packages(subject(tier, tmp_path)))
    assert found.status == "missing" and "none-such" in found.what and tier in found.do
    assert needs.sdk[0].replace("-", "_") == needs.sdk[1]
