"""A node's software from a package repository: apt's source and its key, the packages, and images by kubeadm itself.

Each step looks first. What was not there before is in the mark before it is brought, so that whoever goes on after a
kill knows whose it is; nothing else is removed in the end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anytier.errors import AnytierError, NotFound, Rejected, Unreachable
from anytier.provider.host.distributions import DISTRIBUTIONS, distribution
from anytier.provider.host.distributions.base import PackageManager
from anytier.provider.host.transport import File
from anytier.provider.kubeadm import software
from anytier.provider.kubeadm.models import NodeInputs, Repository
from anytier.provider.kubeadm.node import SOCKET, Mark, Node
from anytier.provider.resource import Context
from anytier.render.kubeadm import openpgp, packages, registries
from anytier.render.kubeadm.preflight import Finding

_FILES = (packages.SOURCE, packages.KEYRING)
_PULL = 1800.0  # seconds for all images of a control plane
_PROGRAM = "/usr/bin/kubeadm"
_OTHER = "a `mirror` may be named, or `software: bundle`, for which a machine needs no repository"


class FromPackages(software.Source):
    """Of the repository that the inputs name, which is not looked at before its machine does."""

    def __init__(self, inputs: NodeInputs, repository: Repository) -> None:
        self.inputs, self.repository = inputs, repository
        self._found: dict[str, Any] | None = None

    async def _before(self, node: Node) -> dict[str, Any]:
        """What was there before anything is brought: asked once."""
        if self._found is None:
            self._found = await about(node)
        return self._found

    @property
    def tls(self) -> bool:
        return self.repository.url.startswith("https://")

    def unfit(self, machine: str, architecture: str) -> AnytierError | None:
        """Whether it has packages for the machine only its machine can tell."""
        return None

    async def findings(self, node: Node, mark: Mark | None) -> list[Finding]:
        """What was there already and did is held by us from then on, and goes along with the rest."""
        ours = packages.NAMES if mark else ()
        facts = await self._before(node)
        return packages.findings(facts, self.inputs.version, self.repository.url, ours, self.inputs.packages)

    async def wants(self, node: Node) -> list[str]:
        return [packages.TRUST] if self.tls and not (await self._before(node))["trust"] else []

    async def begin(self, node: Node, mark: Mark, first: bool) -> Mark:
        """What is not there may come along, and is ours then."""
        installed = (await self._before(node))["installed"]
        brought = [name for name in packages.BROUGHT if name in mark.brought or name not in installed]
        now: dict[str, Any] = {"software": "packages", "brought": brought}
        if first:
            there = await node.verb("sums", paths=[packages.PLUGIN])
            now["cni"] = {} if there else {packages.PLUGIN: ""}
        return mark.model_copy(update=now)

    async def install(self, ctx: Context, node: Node, mark: Mark) -> None:
        """On a machine in a cluster kubeadm alone is another one by this, as an upgrade begins. A source that is good
        for nothing does not stay: it would be in the way of all that apt does there."""
        known = (await about(node))["installed"]
        names: Sequence[str] = packages.NAMES
        if mark.stage == "done":
            names = [item for item in names if item in packages.FIRST or item not in known]
        before = await node.machine.read(list(_FILES))
        try:
            await self._source(ctx, node)
            await have(node, self.inputs.version, names, ctx.status, self.repository.url)
        except AnytierError:
            await self._back(node, before)
            raise
        if not self.repository.registry:
            await node.machine.remove([registries.FOLDER])

    async def _back(self, node: Node, before: Mapping[str, bytes]) -> None:
        """apt knows what it knew."""
        await node.machine.remove([path for path in _FILES if path not in before])
        await node.machine.put([File(path, data, 0o644) for path, data in before.items()])
        if before.get(packages.SOURCE) != packages.source(self.repository.url).encode():
            await _unlisted(node, [self.repository.url])

    async def pause(self, node: Node) -> str:
        return pause_of(await images(node, self.inputs.version))

    async def load(self, ctx: Context, node: Node, mark: Mark) -> None:
        """All that kubeadm names, on every machine: one that does not reach its registry is told of before there is a
        cluster that waits for it."""
        wanted = await images(node, self.inputs.version)
        if not set(wanted) <= await software.images_on(node):
            ctx.status(f"pulling {len(wanted)} images")
            argv = [_PROGRAM, "config", "images", "pull", f"--kubernetes-version={self.inputs.version}"]
            done = await node.run(*argv, f"--cri-socket={SOCKET}", timeout=_PULL)
            if done.code != 0:
                raise unpulled(node.machine.name, self.repository.registry, done.err or done.out)
        await software.pin(node, pause_of(wanted))

    async def brought(self, node: Node, mark: Mark) -> dict[str, Any]:
        """What has not come may be somebody's some day."""
        installed = (await about(node))["installed"]
        return {"brought": [name for name in mark.brought if name in installed]}

    async def whole(self, node: Node) -> bool:
        facts = await about(node)
        there = set(packages.NAMES) <= set(facts["installed"]) and set(packages.NAMES) <= set(facts["held"])
        key = (await node.machine.read([packages.KEYRING])).get(packages.KEYRING)
        good = key is not None and self.repository.key in ("", base64.b64encode(key).decode())
        return there and good and not packages.lacking(self.inputs.version, facts["installed"], packages.FIRST)

    def content(self) -> dict[str, Any]:
        return {"version": self.inputs.version, "repository": self.repository.wire()}

    async def _source(self, ctx: Context, node: Node) -> None:
        """What apt is told of the repository, and whom it believes there."""
        key = base64.b64decode(self.repository.key) or await self._fetched(ctx, node)
        wanted = {packages.KEYRING: key, packages.SOURCE: packages.source(self.repository.url).encode()}
        known = await node.machine.read(list(wanted))
        await node.machine.put([File(path, data, 0o644) for path, data in wanted.items() if known.get(path) != data])

    async def _fetched(self, ctx: Context, node: Node) -> bytes:
        """The project's key, which is renewed from time to time; the one that is there does while there is no other."""
        url = self.repository.url + packages.KEY
        ctx.status(f"getting {url}")
        said = await node.verb("fetch", url=url, timeout=180)
        if "error" in said:
            known = (await node.machine.read([packages.KEYRING])).get(packages.KEYRING)
            if known is not None:
                return known
            raise unreached(node.machine.name, url, said["error"])
        return checked(base64.b64decode(said["data"]), f"{url} (from machine {node.machine.name})")


def checked(data: bytes, path: str) -> bytes:
    """The project's key, out of its armour; Rejected for any other one, and for one among others."""
    do = "is a proxy in between? A mirror with a key of its own wants that key: `mirror: {key: FILE}`"
    try:
        key = openpgp.dearmor(data)
        found = openpgp.fingerprints(key)
    except ValueError as error:
        raise Rejected(path, str(error), do) from None
    if set(found) != {packages.FINGERPRINT}:
        raise Rejected(path, f"is the key {', '.join(found)}, not the project's {packages.FINGERPRINT}", do)
    return key


async def about(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = await node.verb("apt", names=list(packages.BROUGHT))
    return found


async def manager_of(node: Node) -> PackageManager:
    name = (await node.machine.about())["distribution"]
    found = distribution(name)
    if found is None:
        what = f"runs {name or 'an unknown system'}, for which there are no packages"
        raise Rejected(f"machine {node.machine.name}", what, f"use one of {', '.join(DISTRIBUTIONS)}; or {_OTHER}")
    return found.packages


async def have(
    node: Node, version: str, names: Sequence[str], told: Callable[[str], None], url: str = "its repository"
) -> None:
    """These packages in this version, and all of ours held. What they change is not started."""
    facts = await about(node)
    installed = facts["installed"]
    loose = [name for name in packages.NAMES if name in installed and name not in facts["held"]]
    if not packages.lacking(version, installed, names) and not loose:
        return
    manager = await manager_of(node)
    asked = dict.fromkeys(packages.pinned(version, names), f"machine {node.machine.name}")
    done = await manager.install(node.machine, asked, True, told, packages.NAMES)
    if done.problem is not None:
        raise unmet(node.machine.name, url, done.problem)


def unmet(machine: str, url: str, problem: AnytierError) -> AnytierError:
    """What apt says, with where it was to get it. One that knows no such package did not reach the repository, or it
    has none."""
    if not isinstance(problem, NotFound):
        return problem
    what = f"{problem.what.rstrip()}; Kubernetes' packages come from {url}"
    return NotFound(f"machine {machine}", what, f"`apt-get update` there says whether it is reached; {_OTHER}")


def unreached(machine: str, url: str, why: str) -> AnytierError:
    do = f"see to it that the machine reaches it (/etc/apt/apt.conf.d has apt's proxies); {_OTHER}"
    return Unreachable(f"machine {machine}", f"does not get {url}: {why[:300]}", do)


def unpulled(machine: str, registry: str, said: str) -> AnytierError:
    """kubeadm's first reason, which names the image."""
    spoken = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in spoken if "failed to pull" in line] or spoken[-1:] or ["kubeadm says nothing"]
    where = f" (from the mirror {registry})" if registry else ""
    do = f"see to it that containerd there reaches the registry (a proxy goes into its unit's environment); {_OTHER}"
    return Unreachable(f"machine {machine}", f"its containerd does not get the images{where}: {telling[0][:500]}", do)


async def images(node: Node, version: str) -> list[str]:
    """Those of a control plane and of the pods' pause, as the kubeadm that is there names them."""
    out = await node.must(_PROGRAM, "config", "images", "list", f"--kubernetes-version={version}")
    return [line.strip() for line in out.splitlines() if "/" in line and " " not in line.strip()]


def pause_of(images: Sequence[str]) -> str:
    found = software.pause_among(images)
    if found is None:
        raise NotFound(
            "kubeadm", f"names no image of pause among {', '.join(images) or 'none'}", "report it: it is a bug"
        )
    return found


async def take_off(ctx: Context, node: Node, mark: Mark) -> None:
    """The packages that we brought, unless something of somebody's has come to need one; the holds, the source and the
    key, and what apt has kept of these."""
    ctx.status("removing packages")
    needed = await (await manager_of(node)).remove(node.machine, mark.brought, ctx.status)
    if needed:
        ctx.warn(f"stays installed on {node.machine.name}: {', '.join(mark.brought)}, which {', '.join(needed)} needs")
    there = [name for name in packages.NAMES if name in (await about(node))["held"]]
    if there:
        await node.must("apt-mark", "unhold", *there)
    known = (await node.machine.read([packages.SOURCE])).get(packages.SOURCE, b"")
    await node.machine.remove([packages.SOURCE, packages.KEYRING, registries.FOLDER])
    await _unlisted(node, packages.addresses(packages.SOURCE, known.decode(errors="replace")), mark.brought)


async def _unlisted(node: Node, urls: Sequence[str], names: Sequence[str] = ()) -> None:
    """What apt keeps of a repository and of packages."""
    await node.verb("unlink", patterns=packages.kept(urls, names))
