"""Where everything of one app lies on a machine, as pure functions of its state folder and namespace.

<root>/owner, key            whose deployment this is; what revision hashes are keyed with
<root>/leaving               there if the machine is no longer one of the stack's, and goes empty
<root>/lib/                  launch.py, contain.py, tool.py, healthd.py
<root>/workloads/<name>/     workload.json, r<N>.json and r<N>.secret.json (0600) for each kept revision
<root>/jobs/<name>/          job.json, launch spec and log of the last run
<root>/instances/<name>-r<N>-<index>/   instance.json, launch.json, secret.json (0600), files/, log
<root>/proxy/                the proxy's config, its state and certificates
<root>/supervisor/           supervisord's config, log and pid; programs/
<root>/volumes/<name>/       data
<root>/images/<digest>/      rootfs/ and image.json of an unpacked image; wanted/: the digests that resources want
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

from anytier.errors import ConfigError
from anytier.provider.host.transport import Facts

# A unix socket's path must fit 108 bytes, and supervisord binds it under a longer temporary name first.
_LONGEST_SOCKET = 90
OWNER = "owner"  # <root>/owner: whose deployment this is
NOTE = "volume-"  # <root>/volume-<name>.json: on which machines a volume is, where it is on several
_INSTANCE = re.compile(r"(?P<workload>.+)-r(?P<revision>\d+)-(?P<index>\d+)")


@dataclass(frozen=True)
class Layout:
    root: str
    ns: str

    def __post_init__(self) -> None:
        bad = [char for char in self.root if char in "\n\r\0*?[" or char < " "]
        if not self.root.startswith("/") or bad or self.root != self.root.strip() or re.search(r"\s[;#]", self.root):
            raise ConfigError(
                "root", f"{self.root!r} cannot be a state folder", "use an absolute path of plain characters"
            )

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.root}\0{self.ns}".encode()).hexdigest()[:12]

    @property
    def owner(self) -> str:
        return f"{self.root}/{OWNER}"

    @property
    def key(self) -> str:
        return f"{self.root}/key"

    @property
    def leaving(self) -> str:
        return f"{self.root}/leaving"

    @property
    def mount_points(self) -> str:
        return f"{self.root}/mount-points.json"

    @property
    def lib(self) -> str:
        return f"{self.root}/lib"

    @property
    def launcher(self) -> str:
        return f"{self.lib}/launch.py"

    @property
    def tool(self) -> str:
        return f"{self.lib}/tool.py"

    @property
    def supervisor(self) -> str:
        return f"{self.root}/supervisor"

    @property
    def proxy(self) -> str:
        return f"{self.root}/proxy"

    @property
    def volumes(self) -> str:
        return f"{self.root}/volumes"

    @property
    def instances(self) -> str:
        return f"{self.root}/instances"

    @property
    def workloads(self) -> str:
        return f"{self.root}/workloads"

    @property
    def images(self) -> str:
        return f"{self.root}/images"

    def image(self, digest: str) -> str:
        return f"{self.images}/{digest.removeprefix('sha256:')}"

    @property
    def jobs(self) -> str:
        return f"{self.root}/jobs"

    def workload(self, name: str) -> str:
        return f"{self.workloads}/{name}"

    def job(self, name: str) -> str:
        return f"{self.jobs}/{name}"

    def instance(self, unit: str) -> str:
        return f"{self.instances}/{unit.removeprefix(self.ns + '-')}"

    def unit(self, workload: str, revision: int, index: int) -> str:
        return f"{self.ns}-{workload}-r{revision}-{index}"

    @property
    def own_user(self) -> str:
        """The name of the user that systemd makes for this app: a valid one, whatever the app is called."""
        return f"anytier-{self.digest}"

    def sockets(self, facts: Facts, supervisor: str) -> str:
        """The folder of unix sockets: in the state folder if their paths fit, else a short one."""
        inside = f"{self.root}/run"
        if len(f"{inside}/supervisor.sock") <= _LONGEST_SOCKET:
            return inside
        return f"{self.short_base(facts, supervisor)}/{self.digest}"

    @staticmethod
    def short_base(facts: Facts, supervisor: str) -> str:
        # A login session takes $XDG_RUNTIME_DIR away with it, and supervisord outlives sessions: hence /tmp there.
        if supervisor == "systemd-system":
            return "/run/anytier"
        if supervisor == "systemd-user" and facts.runtime_dir:
            return f"{facts.runtime_dir}/anytier"
        return f"/tmp/anytier-{facts.uid}"


def parse_instance(name: str) -> tuple[str, int, int] | None:
    """(workload, revision, index) of an instance's folder or unit name without the namespace."""
    found = _INSTANCE.fullmatch(name)
    return (found["workload"], int(found["revision"]), int(found["index"])) if found else None
