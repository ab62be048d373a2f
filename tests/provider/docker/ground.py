"""What tests on a daemon share: a context that keeps what a user would see, tiny images, and cleaning up by name."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.provider.sink import Sink

from anytier.errors import AnytierError
from anytier.provider.docker import labels
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.patience import patiently
from anytier.provider.docker.tar import pack
from anytier.provider.resource import Context

SH = "bin/busybox"


class Ground:
    """Everything of one test begins with `ns`."""

    def __init__(self, there: Daemon, ns: str) -> None:
        self.there, self.ns = there, ns
        self.sink = Sink()

    def context(self) -> Context:
        return Context("urn:pulumi:t::t::t::t", "t", self.sink)

    @staticmethod
    def without_daemon() -> Context:
        return Context("urn:pulumi:t::t::t::t", "t", Sink())

    def docker(self, *args: str, check: bool = True) -> str:
        """The command line's answer: somebody else at work on the same daemon."""
        done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise AssertionError(f"docker {args}: {done.stderr}")
        return done.stdout.strip()

    async def base(self) -> str:
        """An image with a shell, and nothing else: a static busybox under the names of its applets in use."""
        name = f"{self.ns}/base"
        binary = next(path for path in map(Path, ("/bin/busybox", "/usr/bin/busybox")) if path.is_file()).read_bytes()
        applets = ("sh", "cat", "ls", "sleep", "true", "false", "echo", "find", "sort", "seq", "id", "stat", "test")
        content = pack({SH: (binary, 0o755, 0, 0)})
        async with self.there.stream("POST", "images/create", content, fromSrc="-", repo=name, tag="latest") as told:
            assert [message async for message in told]
        made = await self.there.post(
            "containers/create", {"Image": name, "Cmd": ["/bin/busybox", "true"]}, name, name=f"{self.ns}-base"
        )
        await self.there.put_files(made["Id"], "/", pack({}, {f"bin/{applet}": "/bin/busybox" for applet in applets}))
        await self.there.post("commit", {"Cmd": ["sh"]}, name, container=made["Id"], repo=name, tag="latest")
        await self.there.delete(f"containers/{made['Id']}", force=True)
        return f"{name}:latest"

    async def container(self, image: str, *argv: str, name: str = "c", **host: Any) -> str:
        """A started container's id."""
        ports = {key: {} for key in host.get("PortBindings", ())}
        body = {"Image": image, "Cmd": list(argv), "ExposedPorts": ports, "HostConfig": host}
        made = await self.there.post("containers/create", body, name, name=f"{self.ns}-{name}")
        await self.there.post(f"containers/{made['Id']}/start")
        return str(made["Id"])

    async def images(self, every: bool = False) -> list[dict[str, Any]]:
        """Those with a tag or a label of this test."""
        listed = await self.there.get("images/json", all=every)
        return [item for item in listed if self._mine(item)]

    def _mine(self, item: dict[str, Any]) -> bool:
        tags = [*(item.get("RepoTags") or ()), labels.label(item, labels.IMAGE)]
        return any(self.ns in tag for tag in tags)

    async def wipe(self) -> None:
        """What a failed test leaves."""
        for item in await self.there.get("containers/json", all=True):
            if labels.name_of(item).startswith(self.ns):
                await self._try(f"containers/{item['Id']}", force=True, v=True)
        for item in await self.images():
            for tag in [*(item.get("RepoTags") or ()), item["Id"]]:
                await self._try(f"images/{tag}", force=True)
        for item in await self.there.get("networks"):
            if item["Name"].startswith(self.ns):
                await self._try(f"networks/{item['Id']}")
        for item in (await self.there.get("volumes"))["Volumes"] or ():
            if item["Name"].startswith(self.ns):
                await self._try(f"volumes/{item['Name']}", force=True)

    async def _try(self, path: str, **params: bool) -> None:
        try:
            await self.there.call("DELETE", path, **params)
        except AnytierError:
            return


async def impatient(attempt: Any, *errors: type[AnytierError]) -> Any:
    """`patiently`, for a test that knows that nothing will change."""
    return await patiently(attempt, *errors, patience=0)
