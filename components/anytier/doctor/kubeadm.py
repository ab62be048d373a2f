"""What tier `kubeadm` needs: the packages, the cluster's software, the machines, and who builds the app's images."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from anytier.doctor import baremetal, libvirt
from anytier.doctor.check import Finding, Subject, missing, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError, leaves

if TYPE_CHECKING:
    from anytier.tiers.kubeadmargs import KubeadmArgs


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"asyncssh": "asyncssh", "lightkube": "lightkube", "aiodocker": "aiodocker"}
    yield installed(wanted, install(subject, "kubeadm"))


def cluster(subject: Subject) -> Iterator[Finding]:
    """What the tier would refuse, and what would come of the rest. The bundle's files are there or not; what is in
    them is `anytier bundle verify`'s part. A repository is reached by the machines, not from here."""
    args = _args(subject)
    if args is None:
        return
    from anytier.tiers.kubeadm import Here
    from anytier.tiers.kubeadmplan import decide

    stack = subject.stack or ""
    try:
        here = Here(args, stack)
        plan = decide(args, here.listed, here.vms, here.bundle, stack, "", key=here.key)
    except ExceptionGroup as group:
        yield from (of_error("cluster", item) for item in leaves(group) if isinstance(item, AnytierError))
        return
    if plan.repository is None:
        yield ok("bundle", f"Kubernetes {plan.version} in {plan.bundle}")
    else:
        registry = plan.repository["registry"] or "the registries that they name"
        yield ok(
            "packages",
            f"Kubernetes {plan.version}: machines get it from {plan.repository['url']}, images from {registry}",
        )
    names = ", ".join(item.name for item in plan.workers) or "none: it takes the app itself"
    yield ok("cluster", f"control plane {plan.control.name}, its API at {plan.endpoint}; workers {names}")


def machines(subject: Subject) -> Iterator[Finding]:
    """Each logged in to once; or the hypervisor that is to make them."""
    args = _args(subject)
    if args is None or subject.settings is None:
        return
    if args.libvirt is not None:
        below = replace(subject, settings=replace(subject.settings, tier_args=args.libvirt))
        yield from (*libvirt.hypervisor(below), *libvirt.acceleration(below))
        return
    from anytier.tiers.kubeadm import listed_in

    try:
        listed = listed_in(args)
    except (AnytierError, ExceptionGroup):
        return  # told by `cluster`
    yield from baremetal.seen(listed)


def builder(subject: Subject) -> Iterator[Finding]:
    """The Docker daemon that builds the app's images, where it has some to build."""
    args = _args(subject)
    if args is None or subject.settings is None or not _builds(subject):
        return
    from anytier.doctor.docker import facts
    from anytier.tiers.kubeadm import builder_of

    host = builder_of(args)
    do = "start it, or name another one as `anytier:kubeadm.builder`, or use images of a registry"
    try:
        found = asyncio.run(facts({"host": host}))
    except AnytierError as error:
        yield missing("builder", f"{error.path}: {error.what}", do)
    except TimeoutError:
        yield missing("builder", f"{host} does not answer", do)
    except ImportError:
        return  # told by `packages`
    else:
        yield ok("builder", f"Docker {found.get('ServerVersion') or ''} at {host} builds images")


def _builds(subject: Subject) -> bool:
    from anytier.spec import diagnose

    assert subject.settings is not None
    app, _ = diagnose(subject.project / os.fspath(subject.settings.app_file), subject.tier)
    if app is None:
        return False
    containers = [body.containers.values() for body in app.workloads.values()]
    containers += [body.containers.values() for body in app.jobs.values()]
    return any(item.build is not None for items in containers for item in items)


def _args(subject: Subject) -> KubeadmArgs | None:
    from anytier.tiers.kubeadmargs import KubeadmArgs

    args = subject.settings.tier_args if subject.settings else None
    return args if isinstance(args, KubeadmArgs) else None
