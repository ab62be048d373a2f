"""A node from this side: its machine, where our things lie on it, and the verbs of onnode.py.

/opt/anytier/kubernetes/<version>/bin    programs; /usr/local/bin has links to those of one version (from packages they
                                         are in /usr/bin, and none of these is there)
/etc/kubernetes/anytier.json             whose node this is, and how far it came: the mark
/etc/kubernetes/anytier/                 what kubeadm and the API server were given
/etc/anytier/containerd.toml             containerd's configuration
"""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import File, Machine, Result
from anytier.provider.kubeadm.models import OnNode
from anytier.provider.owner import another, token, who
from anytier.provider.owner import same as same_owner
from anytier.render.kubeadm import packages
from anytier.render.kubeadm.packages import Software

ROOT = "/opt/anytier/kubernetes"
MARKER = "/etc/kubernetes/anytier.json"
GIVEN = "/etc/kubernetes/anytier"
LINKS = "/usr/local/bin"
SOCKET = "unix:///run/containerd/containerd.sock"
PIECE = 8 << 20  # bytes of a file in one call
_BOOT = "import sys;b=sys.stdin.buffer;exec(compile(b.read(int(b.readline())),'onnode','exec'))"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Stage = Literal["prepared", "begun", "done"]


class Mark(Frozen):
    """Whose node a machine is. `stage`: `begun` is an init or a join that has not ended. `before`: names in
    /etc/cni/net.d that were there. `cni`: plugins that we put there, with their checksums; without one, whatever lies
    there is ours. `ran`: containerd did before us. `opt`: its folder in /opt was there. `prepared`: see NodeOutputs.
    `software`: how its programs come. `brought`: packages that were not there before."""

    cluster: str
    owner: str = ""
    name: str = ""
    stage: Stage = "prepared"
    before: list[str] = Field(default_factory=list)
    cni: dict[str, str] = Field(default_factory=dict)
    ran: bool = False
    prepared: str = ""
    opt: bool = False
    software: Software = "bundle"
    brought: list[str] = Field(default_factory=list)


class Node:
    """One machine of a cluster. `software`: how its programs come, by the mark that was read or written last."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        self.software: Software = "bundle"
        self._python = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.machine.name})"

    async def verb(self, verb: str, timeout: float = 60, **asked: Any) -> Any:
        """A verb of onnode.py, and its answer."""
        if not self._python:
            self._python = (await self.machine.facts()).python
        program = (resources.files("anytier.provider.kubeadm") / "onnode.py").read_bytes()
        given = f"{len(program)}\n".encode() + program + json.dumps(asked).encode()
        done = await self.machine.run([self._python, "-I", "-S", "-c", _BOOT, verb], given, timeout=timeout)
        if done.code != 0:
            said = (done.err.strip() or f"exit {done.code}").splitlines()[-1]
            raise Rejected(f"machine {self.machine.name}", f"{verb} failed: {said[:300]}", "run again")
        return json.loads(done.out)

    async def run(self, *argv: str, stdin: bytes = b"", timeout: float = 120, version: str = "") -> Result:
        """With the programs of a version first on the path. 127 is a program that is not there: NotFound would be taken
        for the whole thing's."""
        path = f"{ROOT}/{version}/bin:{_PATH}" if version else _PATH
        env = {"PATH": path, "LC_ALL": "C", "HOME": "/root"}
        try:
            return await self.machine.run(argv, stdin, timeout=timeout, env=env)
        except NotFound as error:
            return Result(127, "", f"{error.path}: {error.what}")

    async def must(self, *argv: str, stdin: bytes = b"", timeout: float = 120) -> str:
        """The output of a command that has to end well."""
        done = await self.run(*argv, stdin=stdin, timeout=timeout)
        if done.code != 0:
            what = f"`{' '.join(argv)[:120]}` ended with {done.code}: {last_words(done)}"
            raise Rejected(f"machine {self.machine.name}", what, "mend what it names, then run again")
        return done.out

    async def mark(self) -> Mark | None:
        """Conflict where what is there is no mark of ours."""
        data = (await self.machine.read([MARKER])).get(MARKER)
        if data is None:
            return None
        try:
            found = Mark.model_validate_json(data)
        except ValueError:
            do = f"find out whose it is; remove {MARKER} there if it is nobody's"
            raise Conflict(f"machine {self.machine.name}", f"its {MARKER} cannot be read", do) from None
        self.software = found.software
        return found

    async def set_mark(self, mark: Mark) -> None:
        self.software = mark.software
        data = json.dumps(mark.wire(), indent=1, sort_keys=True).encode() + b"\n"
        await self.machine.put([File("/etc/kubernetes", None, None), File(MARKER, data, 0o600)])

    async def switch(self, version: str, *programs: str) -> None:
        """The programs are those of this version from now on: by links to them, or by their packages, which are one
        for all of them. What runs goes on running."""
        if self.software == "packages":
            from anytier.provider.kubeadm.packaged import have

            await have(self, version, packages.NAMES, lambda said: None)
            return
        for name in programs:
            await self.must(
                "ln", "--symbolic", "--force", "--no-dereference", self.program(version, name), f"{LINKS}/{name}"
            )

    def program(self, version: str, name: str) -> str:
        """Where it lies; a package is there in one version only."""
        return f"/usr/bin/{name}" if self.software == "packages" else f"{ROOT}/{version}/bin/{name}"

    async def send(self, file: Path, path: str, digest: str, mode: int) -> None:
        """A file of any size, in pieces so that other requests get between; checked there."""
        parts: list[str] = []
        folder = f"{path}.parts"
        await self.machine.remove([folder])
        try:
            with await asyncio.to_thread(open, file, "rb") as stream:
                while data := await asyncio.to_thread(stream.read, PIECE):
                    parts.append(f"{folder}/{len(parts)}")
                    await self.machine.put([File(parts[-1], data, 0o600)])
            said = await self.verb("join", timeout=600, parts=parts, path=path, sum=digest, mode=mode)
        finally:
            await self.machine.remove([folder])
        if said.get("problem"):
            what = f"{said['problem']}, not as {digest}"
            raise Rejected(f"{file.name} on {self.machine.name}", what, "`anytier bundle verify` looks at the source")


def node_of(inputs: OnNode) -> Node:
    return Node(machine_of(inputs.machine), inputs.name)


def control_of(ref: SshRef) -> Node:
    return Node(machine_of(ref), "control plane")


def same(mark: Mark, inputs: OnNode, before: str = "") -> bool:
    """`before`: the owner that the state has (`provider.owner.same`)."""
    return mark.cluster == inputs.cluster and same_owner(mark.owner, inputs.owner, before)


def anothers(mark: Mark, inputs: OnNode) -> bool:
    """Whether another stack surely has the machine. One of the two without a token may be of our own state, by an older
    version from another folder: half an update lies between them."""
    return mark.cluster != inputs.cluster or (bool(token(inputs.owner)) and another(mark.owner, inputs.owner))


def require_ours(mark: Mark | None, inputs: OnNode, node: Node) -> Mark:
    """The mark, if it says that the node is this cluster's."""
    if mark is None:
        what = "was not prepared, or is not any more"
        raise NotFound(f"machine {node.machine.name}", what, "`pulumi up --refresh` prepares it again")
    if not same(mark, inputs):
        raise not_ours(mark, node)
    return mark


def not_ours(mark: Mark, node: Node) -> AnytierError:
    whose = f"cluster {mark.cluster}" + (f" of {who(mark.owner)}" if mark.owner else "")
    return Conflict(
        f"machine {node.machine.name}",
        f"belongs to {whose}",
        f"destroy that one first; if it is gone for good, `kubeadm reset` there and remove {MARKER}; to take it over, "
        f"because its state is lost, empty its `owner` in {MARKER} on each machine",
    )


def last_words(done: Result) -> str:
    """The last line that says something."""
    spoken = [line.strip() for line in (done.err + "\n" + done.out).splitlines() if line.strip()]
    return spoken[-1][:300] if spoken else "it says nothing"


def silent(error: AnytierError, forget: bool) -> bool:
    """Whether a machine that does not answer may be let go."""
    return forget and isinstance(error, Unreachable)
