"""Tier libvirt on the program's side: what its config may say, what is decided of it, and what it registers."""

from __future__ import annotations

import json
import posixpath
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.render.libvirt.samples import texts
from tests.render.libvirt.schema import valid
from tests.runtimes.record import Recording, Secret, record

from anytier import program
from anytier.config import read
from anytier.errors import AnytierError, leaves
from anytier.provider.check import check
from anytier.provider.libvirt.domain import DomainInputs
from anytier.provider.registry import Registry
from anytier.render.libvirt import dialect, xml
from anytier.render.libvirt import domain as parts
from anytier.render.libvirt import machine as form
from anytier.render.libvirt import seed as seeds
from anytier.render.libvirt.domain import Placed
from anytier.tiers import vmplan
from anytier.tiers.vms import LibvirtArgs, bytes_of

ROOT = Path(__file__).parents[2]
SHA = "ab" * 32
MADE = {"image": "https://example.org/debian.qcow2", "sha256": SHA}
PLACED = {"image": "[store] web/web.vmdk", "network": {"name": "VM Network", "address": "10.0.0.5/24"}}


def args(**given: Any) -> LibvirtArgs:
    return LibvirtArgs.model_validate(given)


def one(asked: LibvirtArgs, stack: str, own_key: str | None = None) -> vmplan.Vm:
    (vm,) = vmplan.decide(asked, stack, own_key)
    return vm


def decided(**given: Any) -> vmplan.Vm:
    return one(args(**{**MADE, **given}), "dev")


def refused(**given: Any) -> dict[str, AnytierError]:
    """What is wrong, by its path without the tier's."""
    with pytest.raises(ExceptionGroup) as caught:
        vmplan.decide(args(**given), "dev")
    found = [item for item in leaves(caught.value) if isinstance(item, AnytierError)]
    assert found and all(item.do for item in found)
    return {item.path.removeprefix("anytier:libvirt."): item for item in found}


# what may be said


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": "2"},
        {"memory": "2GB"},
        {"memory": "0Gi"},
        {"disk": "-1Gi"},
        {"dataDisk": "1e9Gi"},
        {"cpus": 0},
        {"cpus": 1.5},
        {"machines": 0},
        {"sha256": "abc"},
        {"image": ""},
        {"image": "a\nb"},
        {"user": "root"},
        {"user": "a b"},
        {"user": "A"},
        {"name": "../x"},
        {"name": "a" * 61},
        {"uri": "http://host/"},
        {"uri": "qemu+ssh:///system"},
        {"uri": "qemu:///nowhere"},
        {"stateDir": "/"},
        {"stateDir": "/srv"},
        {"stateDir": "/a/../b"},
        {"stateDir": "/a/b c"},
        {"stateDir": "/a/$(id)"},
        {"folder": "images"},
        {"consoleLog": "/a\0b"},
        {"kernel": {"path": "vmlinuz"}},
        {"bootTimeout": 0},
        {"accelerator": "hvf"},
        {"network": {"subnet": "10.0.0.1/24"}},
        {"network": {"subnet": "10.0.0.0/31"}},
        {"network": {"subnet": "fd00::/64"}},
        {"network": {"subnet": "10.0.0.0/24", "bridge": "br0"}},
        {"network": {"bridge": "br0"}},
        {"network": {"bridge": "br0", "address": "10.0.0.5"}},
        {"network": {"bridge": "br0", "address": "10.0.0.5/24", "gateway": "10.0.1.1"}},
        {"network": {"address": "10.0.0.5/24"}},
        {"hostKey": "nonsense"},
        {"password": "x"},
        {"account": {"passwordEnv": "A B"}},
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        args(**{**MADE, **wrong})


def test_a_wrong_option_is_named_by_its_path() -> None:
    values = {"app": "a.yaml", "tier": "libvirt", "libvirt": json.dumps({**MADE, "network": {"subnet": "x"}})}
    with pytest.raises(ExceptionGroup) as caught:
        read(values)
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == ["anytier:libvirt.network.subnet"]


def test_what_is_missing_or_cannot_be_is_told_at_once() -> None:
    assert {*refused()} == {"image"}
    found = refused(**MADE, machines=6, network={"subnet": "10.0.0.0/29"})
    assert {*found} == {"machines"} and "addresses for 5" in found["machines"].what
    found = refused(**MADE, machines=3, network={"bridge": "br0", "address": "10.0.0.253/24"})
    assert {*found} == {"machines"} and "addresses for 2" in found["machines"].what
    assert {*refused(uri="esx://root@esx1/", **PLACED, machines=2)} == {"machines"}
    assert {*refused(image="/a.qcow2")} == {"sha256"}
    assert {*refused(**MADE, memory="64Mi")} == {"memory"}
    assert {*refused(image="ftp://x/a", sha256=SHA)} == {"image"}


def test_a_hypervisor_gets_what_it_can_do_and_is_refused_the_rest() -> None:
    assert {*refused(uri="test:///default", **MADE)} == {"uri"}
    found = refused(uri="esx://root@esx1/", **MADE, dataDisk="1Gi", firmware="uefi", accelerator="kvm", cpu="maximum")
    assert {*found} == {"sha256", "dataDisk", "network", "firmware", "accelerator", "cpu"}
    assert {*refused(uri="esx://root@esx1/", **PLACED, memory="1026Mi", cpus=3)} == {"memory", "cpus"}
    assert {*refused(uri="esx://root@esx1/?no_verify=1", **PLACED)} == {"uri"}
    assert one(args(uri="esx://root@esx1/?no_verify=1", unverified=True, **PLACED), "dev").made is False
    assert {*refused(uri="qemu+tls://host/system", **MADE)} == {"network"}
    bridged = {"bridge": "br0", "address": "10.0.0.5/24"}
    assert one(args(uri="qemu+tls://host/system", network=bridged, **MADE), "dev").net.bridge == "br0"
    assert {*refused(**MADE, network={**bridged, "bridge": "VM Network"})} == {"network.bridge"}
    session = "qemu:///session"
    assert {*refused(**MADE, uri=session)} == {"network", "folder"}
    mine = one(args(**MADE, uri=session, network=bridged, folder="/home/me/vms"), "dev")
    assert mine.console is None and vmplan.pool(mine)["path"] == "/home/me/vms"


# what is decided


@given(st.integers(1, 40), st.sampled_from([{}, {"bridge": "br0", "address": "10.0.0.5/24", "gateway": "10.0.0.1"}]))
def test_machines_share_nothing_but_the_ground_and_the_first_is_what_it_is_alone(
    count: int, network: dict[str, str]
) -> None:
    vms = vmplan.decide(args(**MADE, machines=count, network=network, consoleLog="/var/log/console"), "dev")
    first = decided(network=network, consoleLog="/var/log/console")
    assert len(vms) == count and vmplan.incarnation([first]) == first.generation
    for shape in (vmplan.domain, vmplan.data, vmplan.seed, vmplan.root, vmplan.pool, vmplan.network, vmplan.login):
        more = {"domain": [[]], "seed": ["ssh-ed25519 AAAA"], "root": ["/base", "qcow2"], "login": [None]}
        given_ = more.get(shape.__name__, [])
        assert shape(vms[0], *given_) == shape(first, *given_)  # type: ignore[operator]
    for told in ("name", "hostname", "generation", "console"):
        assert len({getattr(vm, told) for vm in vms}) == count
    assert len({vm.net.address for vm in vms}) == len({vm.net.mac for vm in vms}) == count
    assert len({vmplan.data(vm)["name"] for vm in vms}) == len({vmplan.seed(vm, "")["name"] for vm in vms}) == count
    assert len({vmplan.root(vm, "", "qcow2")["name"] for vm in vms}) == count
    if not network:
        assert {vmplan.domain(vm, [])["nics"][0]["network"] for vm in vms} == {first.ground}
    assert {vmplan.pool(vm)["name"] for vm in vms} == {vmplan.network(vm)["name"] for vm in vms} == {first.ground}


def test_the_shortest_stack_has_a_name_an_address_and_disks_of_its_own() -> None:
    vm = decided()
    assert (vm.name, vm.hostname, vm.made) == ("anytier-dev", "anytier-dev", True)
    assert vm.net.address.startswith("10.") and vm.net.ours is not None and vm.net.address.endswith(".10")
    other = one(args(**MADE), "prod")
    assert (other.name, other.net.address, other.net.mac) != (vm.name, vm.net.address, vm.net.mac)
    assert one(args(**MADE), "dev") == vm


def test_only_what_a_first_boot_does_makes_another_machine() -> None:
    first = decided().generation
    for same in ({"memory": "4Gi"}, {"cpus": 4}, {"disk": "40Gi"}, {"dataDisk": "1Ti"}, {"restart": "never"}):
        assert decided(**same).generation == first, same
    for other in ({"sha256": "cd" * 32}, {"user": "deploy"}, {"stateDir": "/srv/apps"}, {"name": "other"}):
        assert decided(**other).generation != first, other
    mine = one(args(**MADE), "dev", own_key="ssh-ed25519 AAAA")
    assert mine.generation != first


def test_the_processor_is_the_hypervisors_own_where_none_is_said() -> None:
    assert {*refused(**MADE, cpu="host-passthrough", accelerator="tcg")} == {"cpu"}
    assert "cpu" not in vmplan.domain(decided(), [])
    assert vmplan.domain(decided(cpu="host-passthrough"), [])["cpu"] == "host-passthrough"
    with pytest.raises(ValidationError):
        args(**MADE, cpu="qemu64")


def test_what_may_restart_a_machine_is_waited_for() -> None:
    first = vmplan.first_boot(decided())
    assert vmplan.first_boot(decided(disk="40Gi")) == first
    for other in ({"memory": "4Gi"}, {"cpus": 4}, {"cpu": "maximum"}, {"firmware": "uefi"}, {"sha256": "cd" * 32}):
        assert vmplan.first_boot(decided(**other))["of"] != first["of"], other


def test_a_remote_hosts_nat_is_gone_through_by_ssh() -> None:
    vm = decided(uri="qemu+ssh://root@kvm1.example.org:2222/system")
    assert vmplan.login(vm, None)["jump"] == {"address": "kvm1.example.org", "port": 2222, "user": "root"}
    assert "console" not in vmplan.first_boot(vm)
    assert "jump" not in vmplan.login(decided(), None)


def test_sizes_are_powers_of_two() -> None:
    assert [bytes_of(text) for text in ("1Mi", "2Gi", "1Ti")] == [2**20, 2**31, 2**40]


@given(st.text(min_size=1, max_size=70))
def test_any_stacks_name_makes_names_that_libvirt_and_dns_take(stack: str) -> None:
    vm = one(args(**MADE), stack)
    given_ = {**vmplan.domain(vm, []), "nics": []}
    assert check(DomainInputs, given_, Registry().load("anytier:libvirt:Domain")().check)[1] == []  # type: ignore[misc]
    assert len(vm.hostname) <= 63 and vm.hostname.strip("-") == vm.hostname and vm.hostname.isascii()


@given(texts, texts, texts)
def test_every_text_of_a_placed_machine_comes_back_from_the_xml(image: str, network: str, user: str) -> None:
    given_ = {**PLACED, "image": image, "network": {"name": network, "address": "10.0.0.5/24"}}
    try:
        vm = one(args(uri="esx://root@h/", **given_), "dev")
    except (ValidationError, ExceptionGroup):
        assert any(ord(sign) < 32 or ord(sign) == 127 for sign in image + network)
        return
    inputs = DomainInputs.model_validate(vmplan.domain(vm, vmplan.placed_disks(vm)))
    wanted = dialect.spoken(inputs.domain(), "vmware")
    targets = parts.targets(wanted.disks, None)
    placed = Placed(uuid="u", type="vmware", targets=targets, macs=parts.macs(wanted.nics, "u"))
    back, _ = form.parse(xml.read(xml.written(form.render(wanted, placed))))
    assert back.disks[0].path == image and back.nics[0].bridge == network


names = st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True).filter(lambda name: name != "root")
folders = st.lists(st.from_regex(r"[A-Za-z0-9_.+-]{1,12}", fullmatch=True), min_size=2, max_size=4).map(
    lambda steps: "/" + "/".join(steps)
)


@given(names, folders)
def test_users_and_folders_come_back_from_the_seed(user: str, folder: str) -> None:
    if posixpath.normpath(folder) != folder:
        with pytest.raises(ValidationError):
            args(**MADE, stateDir=folder)
        return
    vm = decided(user=user, stateDir=folder)
    inputs = vmplan.seed(vm, "ssh-ed25519 AAAA me")
    seed = seeds.Seed.model_validate(
        {key: value for key, value in inputs.items() if key not in ("host", "pool", "name")}
    )
    said = yaml.safe_load(seeds.user_data(seed))
    assert said["users"][0]["name"] == user and said["bootcmd"][0][-2] == folder
    net = yaml.safe_load(str(seeds.documents(seed)["network-config"]))["ethernets"]["lan"]
    assert net["addresses"] == [f"{vm.net.address}/24"] and net["match"]["macaddress"] == vm.net.mac


def test_the_script_that_mounts_the_data_disk_is_one_that_a_shell_takes() -> None:
    for shell in filter(None, (shutil.which("dash"), shutil.which("bash"))):
        done = subprocess.run([shell, "-n", "-c", vmplan.MOUNT], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("uri", ["esx://root@h/", "hyperv://h/", "vbox:///session", "vmwarews:///session"])
def test_the_machine_of_every_hypervisor_is_valid_xml(uri: str) -> None:
    vm = one(args(uri=uri, **PLACED), "dev")
    inputs = DomainInputs.model_validate(vmplan.domain(vm, vmplan.placed_disks(vm)))
    kind = vm.driver.types[0]
    wanted = dialect.spoken(inputs.domain(), kind)
    targets = parts.targets(wanted.disks, None)
    uuid = "6f9cf2b6-4a3e-4c55-9a43-0d7e5b1f2c11"
    placed = Placed(uuid=uuid, type=kind, targets=targets, macs=parts.macs(wanted.nics, uuid))
    text = xml.written(form.render(wanted, placed))
    assert "virtio" not in text and "rng" not in text
    valid(text, "domain")


# what is registered


def registered(app: Path = ROOT / "apps" / "guestbook" / "app.yaml", **given: Any) -> Recording:
    def run() -> None:
        stack = program.load()
        program.check(stack)
        program.deploy(stack)

    config = {"anytier:app": str(app), "anytier:tier": "libvirt", "anytier:libvirt": json.dumps(given)}
    return record(run, config)


def test_a_machine_is_made_in_order_and_everything_else_comes_after_it() -> None:
    made = registered(**MADE)
    kinds = {item.type.removeprefix("anytier:"): item for item in made.resources}
    assert made.after("machine") >= {"pool", "network", "image", "root", "data", "seed", "key"}
    assert made["root"].inputs["backing"]["path"] == "/pool/volume"
    assert "machine" in made.after("web") and "machine" in made.after("store")
    assert made["web"].inputs["machine"]["privateKey"] == Secret("generated")
    assert made["web"].inputs["incarnation"] == kinds["libvirt:Domain"].inputs["generation"]
    assert made.exports["url"] == f"http://{one(args(**MADE), 'dev').net.address}:8080/"


def test_what_is_on_the_machine_goes_with_it_and_its_new_disk_comes_first() -> None:
    made = registered(**MADE)
    (app,) = made.of("index:App")  # the engine hands this on to all that is below it
    assert (app.gone_with, made.of("host:Machine")[0].gone_with) == ("machine", "machine")
    assert made["machine"].gone_first is True
    assert {item.gone_first for item in made.of("libvirt:Volume")} == {False}


def test_several_machines_are_a_fleet_on_one_network() -> None:
    made = registered(**MADE, machines=2)
    alone = registered(**MADE)
    for name in ("pool", "network", "image", "key", "root", "data", "seed", "machine"):
        assert made[name].inputs == alone[name].inputs
    assert {"root-2", "data-2", "seed-2", "network"} <= made.after("machine-2") and "root" not in made.after(
        "machine-2"
    )
    told = made["web"].inputs["machines"]
    assert [item["name"] for item in told] == ["anytier-dev", "anytier-dev-2"]
    assert [item["machine"]["address"] for item in told] == [item["address"] for item in told]
    assert [item["machine"]["privateKey"] for item in told] == [Secret("generated")] * 2
    assert made["web"].inputs["incarnation"] != alone["web"].inputs["incarnation"]
    (app,) = made.of("index:App")
    assert not app.gone_with, "it is on both"
    assert [item.gone_with for item in made.of("host:Machine")] == ["machine", "machine-2"]


def test_more_memory_than_a_machine_gets_is_refused_before_there_is_one(tmp_path: Path) -> None:
    """By the config, whatever a machine said that was there before: the first preview knows, and so does the one that
    gives it more."""
    web = {"containers": {"web": {"image": "x", "resources": {"requests": {"memory": "3Gi"}}}}}
    app = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "big"}, "workloads": {"web": web}}
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(app))
    with pytest.raises(
        Exception, match=r"machine anytier-dev has 2\.00 GiB of memory, and 3\.00 GiB is asked for: web"
    ):
        registered(file, **MADE)
    assert registered(file, **MADE, memory="4Gi")["web"]
    assert registered(file, **MADE, machines=2, memory="4Gi")["web"]


def test_with_a_key_of_ones_own_none_is_made(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("private")
    with pytest.raises(Exception, match=r"keyFile: there is no public key"):
        registered(**MADE, keyFile=str(key))
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
    Path(f"{key}.pub").write_text(f"{public} me@here\n")
    made = registered(**MADE, keyFile=str(key))
    assert made.of("index:KeyPair") == []
    assert made["seed"].inputs["users"][0]["keys"] == [public]
    assert made["web"].inputs["machine"]["keyFile"] == str(key)


def test_a_placed_machine_is_only_started() -> None:
    made = registered(uri="esx://root@esx1/", **PLACED, hostKey=None, user="debian")
    kinds = [item.type for item in made.resources if item.type.startswith("anytier:libvirt")]
    assert kinds == ["anytier:libvirt:Domain"]
    (domain,) = made.of("libvirt:Domain")
    assert domain.inputs["nics"][0]["bridge"] == "VM Network" and "consoleLog" not in domain.inputs


def test_a_password_comes_from_the_environment_and_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given_ = {"uri": "esx://esx1/", **PLACED, "account": {"user": "root", "passwordEnv": "ESX_PASSWORD"}}
    monkeypatch.delenv("ESX_PASSWORD", raising=False)
    with pytest.raises(Exception, match=r"passwordEnv: ESX_PASSWORD is not set"):
        registered(**given_)
    monkeypatch.setenv("ESX_PASSWORD", "hunter2")
    (domain,) = registered(**given_).of("libvirt:Domain")
    assert domain.inputs["host"]["password"] == Secret("hunter2")


def test_a_wrong_machine_registers_nothing(tmp_path: Path) -> None:
    into = Recording()
    with pytest.raises(Exception, match=r"anytier:libvirt.image: there is no file"):
        record(
            lambda: program.deploy(program.load()),
            {
                "anytier:app": str(ROOT / "apps" / "guestbook" / "app.yaml"),
                "anytier:tier": "libvirt",
                "anytier:libvirt": json.dumps({"image": str(tmp_path / "none"), "sha256": SHA}),
            },
            into=into,
        )
    assert into.resources == []


def test_the_format_of_a_file_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    file = tmp_path / "image.img"
    for head, format in ((b"QFI\xfb\0\0\0\3", "qcow2"), (b"\0" * 512, "raw")):
        file.write_bytes(head)
        assert registered(image=str(file), sha256=SHA)["image"].inputs["format"] == format
