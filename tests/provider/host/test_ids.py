"""Ids lead back to what they were made of, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import AnytierError, Denied, Rejected
from anytier.provider.diff import diff
from anytier.provider.host import ids
from anytier.provider.host.models import HostInputs, LocalRef, moved
from anytier.provider.host.sshref import SshRef

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
SSH = SshRef(address="db1", port=2222, user="deploy", host_key=KEY, sudo=True)


def inputs(machine: object) -> HostInputs:
    given = {"machine": machine, "root": "/var/lib/anytier/shop", "supervisor": "systemd-system", "ns": "dev-shop"}
    return HostInputs.model_validate(given)


def test_an_id_on_this_machine_is_as_it_always_was() -> None:
    id = ids.id_of(inputs(LocalRef()), "web")
    assert id == "/var/lib/anytier/shop|dev-shop/web"
    assert ids.parse(id) == ids.Where(LocalRef(), "/var/lib/anytier/shop", "dev-shop", "web")
    assert ids.parse_volume("/v/data") == ids.Where(LocalRef(), "/v/data")


def test_an_id_over_ssh_names_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    id = ids.id_of(inputs(SSH), "web")
    assert id == "deploy@db1:2222|/var/lib/anytier/shop|dev-shop/web"
    with pytest.raises(Denied, match="known_hosts"):
        ids.parse(id)
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[db1]:2222 {KEY}\n")
    assert ids.parse(id) == ids.Where(SSH, "/var/lib/anytier/shop", "dev-shop", "web")
    assert ids.parse_volume(ids.on(SSH, "/v/data")) == ids.Where(SSH, "/v/data")


@given(st.text(max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    for parse in (ids.parse, ids.parse_volume):
        try:
            found = parse(text)
        except AnytierError:
            continue
        assert found.path.startswith("/")


@pytest.mark.parametrize("wrong", ["", "x", "/root", "db1|/r|ns/w", "-o:22|/r|n/w", "db1:0|/r|n/w", "db1:22|r|n/w"])
def test_these_are_refused(wrong: str) -> None:
    with pytest.raises((Rejected, Denied)):
        ids.parse(wrong)


def test_another_address_is_another_deployment_and_another_way_there_is_none() -> None:
    old = inputs(SSH).wire()
    for change in (
        {"user": "root"},
        {"keyFile": "/k"},
        {"hostKey": None},
        {"sudo": False},
        {"jump": {"address": "bastion"}},
        {"connectTimeout": 3},
    ):
        assert diff(HostInputs, old, inputs({**SSH.wire(), **change}).wire()) == [], change
    for change in ({"address": "db2"}, {"port": 22}):
        new = inputs({**SSH.wire(), **change})
        assert len(diff(HostInputs, old, new.wire())) == 1 and moved(inputs(SSH), new) == ["machine"], change
    assert moved(inputs(SSH), inputs({"kind": "local"})) == ["machine"]
    assert moved(inputs(SSH), inputs({**SSH.wire(), "user": "root"})) == []
