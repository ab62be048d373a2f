"""What cloud-init reads is what was asked for, byte for byte, and the image carries it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.render.libvirt import iso, seed
from anytier.render.libvirt.seed import Ethernet, GuestFile, HostKey, Match, Nameservers, Route, Seed, User

from .schema import golden

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "no",
        "1e3",
        "0x10",
        "~",
        "a: b",
        "- x",
        "#c",
        "'\"",
        "{{ v }}",
        "## template: jinja",
        "---\n",
        "&a *a",
        "\x85\u2028\ufeff",
        "a\r\nb\t ",
    ]
)
SEED = Seed(
    hostname="web-0",
    instance_id="web-0",
    users=[User(name="deploy", keys=["ssh-ed25519 AAAA me@here"], sudo=True, groups=["adm"])],
    host_key=HostKey(private="the private key\n", public="ssh-ed25519 AAAA"),
    packages=["nginx"],
    files=[GuestFile(path="/etc/motd", content="hello\n")],
    commands=[["systemctl", "restart", "nginx"]],
    ethernets={
        "lan": Ethernet(
            match=Match(macaddress="52:54:00:00:00:01"),
            addresses=["10.7.0.5/24"],
            routes=[Route(to="default", via="10.7.0.1")],
            nameservers=Nameservers(addresses=["10.7.0.1"]),
        )
    },
    extra={"timezone": "UTC"},
)
seeds = st.builds(
    lambda **fields: Seed(**fields),
    hostname=texts,
    instance_id=texts,
    users=st.lists(
        st.builds(
            User, name=st.just("a"), keys=st.lists(texts, max_size=2), shell=texts, password_hash=st.none() | texts
        ),
        max_size=2,
    ),
    host_key=st.none() | st.builds(HostKey, private=texts, public=texts),
    packages=st.lists(texts, max_size=2),
    files=st.lists(st.builds(GuestFile, path=texts, content=texts, owner=texts), max_size=2),
    commands=st.lists(st.lists(texts, max_size=3), max_size=2),
    ethernets=st.none()
    | st.dictionaries(texts, st.builds(Ethernet, addresses=st.lists(texts, max_size=2)), max_size=2),
)


@given(seeds)
@settings(max_examples=300)
def test_every_string_comes_back_as_it_was(one: Seed) -> None:
    found = seed.documents(one)
    assert found["user-data"].startswith("#cloud-config\n")
    user = yaml.safe_load(found["user-data"])
    assert user["hostname"] == one.hostname
    assert [item["ssh_authorized_keys"] for item in user["users"]] == [item.keys for item in one.users]
    assert [item.get("passwd") for item in user["users"]] == [item.password_hash for item in one.users]
    assert [item["content"] for item in user.get("write_files", [])] == [item.content for item in one.files]
    assert user.get("runcmd", []) == one.commands
    if one.host_key:
        assert user["ssh_keys"] == {"ed25519_private": one.host_key.private, "ed25519_public": one.host_key.public}
    assert yaml.safe_load(found["meta-data"]) == {"instance-id": one.instance_id, "local-hostname": one.hostname}
    if one.ethernets is not None:
        network = yaml.safe_load(found["network-config"])
        assert {key: item.get("addresses", []) for key, item in network["ethernets"].items()} == {
            key: item.addresses for key, item in one.ethernets.items()
        }


@given(st.dictionaries(st.sampled_from(["user-data", "meta-data", "network-config"]), texts, min_size=1))
@settings(max_examples=30)
def test_the_image_holds_the_files_as_they_are(files: dict[str, str]) -> None:
    assert iso.files(iso.image(files)) == files


def test_the_image_has_the_label_that_cloud_init_looks_for(tmp_path: Path) -> None:
    file = tmp_path / "seed.iso"
    file.write_bytes(iso.image(seed.documents(SEED)))
    assert file.read_bytes()[32808:32814] == b"cidata"
    if shutil.which("blkid"):
        done = subprocess.run(["blkid", "-p", "-o", "value", "-s", "LABEL", file], capture_output=True, check=False)
        assert done.stdout == b"cidata\n"


@pytest.mark.parametrize("name", ["user-data", "meta-data", "network-config"])
def test_a_seed_is_written_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    golden(f"seed-{name}.yaml", seed.documents(SEED)[name], request)


def test_nobody_logs_in_by_password_and_no_other_host_key_is_made() -> None:
    user = yaml.safe_load(seed.user_data(SEED))
    assert user["ssh_pwauth"] is False and user["disable_root"] is True
    assert user["users"][0]["lock_passwd"] is True
    assert user["ssh_deletekeys"] is True and user["ssh_genkeytypes"] == []


def test_what_is_extra_takes_nothings_place() -> None:
    one = SEED.model_copy(update={"extra": {"timezone": "UTC", "users": [], "ssh_pwauth": True, "runcmd": ["x"]}})
    assert seed.taken(one) == ["runcmd", "ssh_pwauth", "users"]
    user = yaml.safe_load(seed.user_data(one))
    assert user["ssh_pwauth"] is False and user["timezone"] == "UTC"
