"""Machines, networks and storage that the tests share, and strategies for hostile ones."""

from __future__ import annotations

from hypothesis import strategies as st

from anytier.render.libvirt import dialect
from anytier.render.libvirt import domain as machines
from anytier.render.libvirt.domain import Disk, Domain, Forward, Kernel, Nic, Placed
from anytier.render.libvirt.network import Lease, Network, Subnet
from anytier.render.libvirt.storage import Backing, Volume
from anytier.render.libvirt.xml import carried

UUID = "6f9cf2b6-4a3e-4c55-9a43-0d7e5b1f2c11"
POOL = "/var/lib/libvirt/images"
SMALL = Domain(name="small", disks=[Disk(path=f"{POOL}/small.qcow2")], nics=[Nic(network="default")])
LARGE = Domain(
    name="large",
    description="web & <db>",
    vcpus=2,
    max_vcpus=4,
    memory=2048,
    max_memory=4096,
    machine="q35",
    cpu="host-model",
    accelerator="kvm",
    firmware="uefi",
    secure_boot=True,
    disks=[
        Disk(path=f"{POOL}/large.qcow2", boot=1, serial="root"),
        Disk(path="/dev/vg/data", format="raw"),
        Disk(path=f"{POOL}/seed.iso", format="raw", kind="cdrom"),
    ],
    nics=[Nic(network="default", boot=2), Nic(bridge="br0", mac="52:54:00:aa:bb:cc"), Nic(network="default")],
    console_log="/var/log/libvirt/qemu/large-console.log",
)
FORWARDED = Domain(
    name="forwarded",
    accelerator="tcg",
    kernel=Kernel(path="/boot/vmlinuz", initrd="/boot/initrd", arguments="root=/dev/vda console=ttyS0"),
    disks=[Disk(path=f"{POOL}/root.qcow2")],
    nics=[Nic(forwards=[Forward(port=2222, to=22)])],
)
DOMAINS = {
    "small-qemu": (SMALL, "qemu"),
    "large-kvm": (LARGE, "kvm"),
    "forwarded-tcg": (FORWARDED, "qemu"),
    "small-test": (SMALL, "test"),
    "small-vmware": (
        Domain(name="small", disks=[Disk(path="[store] small.vmdk", format="vmdk", bus="scsi")]),
        "vmware",
    ),
    "small-vbox": (Domain(name="small", disks=[Disk(path=f"{POOL}/small.vdi", format="vdi", bus="sata")]), "vbox"),
    # as tier libvirt asks for them: nothing said that the hypervisor can choose
    "placed-esx": (
        Domain(
            name="placed",
            vcpus=2,
            memory=2048,
            disks=[Disk(path="[store] placed/placed.vmdk", format="vmdk")],
            nics=[Nic(bridge="VM Network", mac="00:50:56:00:00:01")],
        ),
        "vmware",
    ),
    "placed-vbox": (
        Domain(name="placed", disks=[Disk(path="/vms/placed.vdi", format="vdi")], nics=[Nic(bridge="eth0")]),
        "vbox",
    ),
    "placed-hyperv": (
        Domain(
            name="placed",
            disks=[Disk(path="C:\\VMs\\placed.vhdx", format="vhdx"), Disk(path="C:\\VMs\\cd.iso", kind="cdrom")],
            nics=[Nic(bridge="c08cb7b8-9b3c-408e-8e30-5e16a3aeb444")],
        ),
        "hyperv",
    ),
    "placed-workstation": (
        Domain(name="placed", disks=[Disk(path="/vms/placed.vmdk", format="vmdk")], nics=[Nic(bridge="vmnet8")]),
        "vmware",
    ),
}
NETWORKS = {
    "nat": Network(
        name="lan",
        bridge="virbr7",
        domain="lan.test",
        mtu=1400,
        subnets=[
            Subnet(
                cidr="10.7.0.0/24",
                dhcp=["10.7.0.10", "10.7.0.99"],
                hosts=[Lease(mac="52:54:00:00:00:01", ip="10.7.0.5", name="db")],
            ),
            Subnet(cidr="fd00:7::/64", gateway="fd00:7::1"),
        ],
    ),
    "isolated": Network(name="quiet", mode="isolated"),
    "bridged": Network(name="outside", mode="bridge", bridge="br0"),
}
VOLUMES = {
    "plain": Volume(name="data.qcow2", size=10 * 2**30),
    "overlay": Volume(name="root.qcow2", size=2**30, backing=Backing(path=f"{POOL}/base.qcow2")),
    "raw": Volume(name="seed.iso", size=376832, format="raw"),
}


def placed(domain: Domain, kind: str, uuid: str = UUID) -> Placed:
    return Placed(
        uuid=uuid,
        type=kind,
        targets=machines.targets(dialect.spoken(domain, kind).disks, domain.machine),
        macs=machines.macs(domain.nics, uuid),
    )


# Texts that are legal in XML, and as nasty as they come
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(carried) | st.sampled_from(
    [
        "<a/>",
        "]]>",
        "&amp;",
        "\"'",
        "a\r\nb",
        "\t",
        "${x}",
        "'; rm -rf /",
        "--",
        "<!ENTITY x SYSTEM 'file:///etc'>",
        "é😀",
    ]
)
paths = texts.map("/".__add__)
names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}", fullmatch=True)
macs = st.lists(st.integers(0, 255), min_size=3, max_size=3).map(
    lambda b: "52:54:00:" + ":".join(f"{x:02x}" for x in b)
)
disks = st.builds(
    Disk,
    path=paths,
    format=st.sampled_from(["qcow2", "raw"]),
    kind=st.sampled_from(["disk", "cdrom"]),
    bus=st.none() | st.sampled_from(["virtio", "scsi", "sata", "ide", "usb"]),
    read_only=st.booleans(),
    serial=st.none() | texts,
    boot=st.none() | st.integers(1, 9),
)
forwards = st.builds(Forward, port=st.integers(1, 65535), to=st.integers(1, 65535))
nics = st.one_of(
    st.builds(Nic, network=texts, mac=st.none() | macs, boot=st.none() | st.integers(1, 9)),
    st.builds(Nic, bridge=texts, model=st.sampled_from(["virtio", "e1000e"])),
    st.builds(Nic, forwards=st.lists(forwards, max_size=2)),
)
domains = st.builds(
    Domain,
    name=texts,
    description=st.none() | texts,
    vcpus=st.integers(1, 8),
    max_vcpus=st.none() | st.integers(9, 16),
    memory=st.integers(16, 4096),
    max_memory=st.none() | st.integers(4097, 8192),
    machine=st.sampled_from(["q35", "pc", "pc-q35-7.2", "virt"]),
    cpu=st.none() | st.sampled_from(["host-model", "host-passthrough", "maximum"]),
    firmware=st.sampled_from(["bios", "uefi"]),
    kernel=st.none() | st.builds(Kernel, path=paths, initrd=st.none() | paths, arguments=st.none() | texts),
    disks=st.lists(disks, max_size=5, unique_by=lambda disk: disk.path),
    nics=st.lists(nics, max_size=4, unique_by=lambda nic: nic.mac or id(nic)),
    console_log=st.none() | paths,
    guest_agent=st.booleans(),
)
