"""One run of the suite: a throw-away stack of the real engine with an app of its own, and the ways to look at it.

What differs between places is in `places`; which checks there are is in `registry`. Nothing here decides whether a tier
conforms.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from anytier.conformance.check import Failed, expect
from anytier.conformance.load import Load, Shape, until
from anytier.conformance.pace import paced
from anytier.conformance.patch import Patch, merged, workload
from anytier.conformance.places.base import Made, Place, Told
from anytier.errors import ConfigError

APP = "conformance"
PATIENCE = 240.0  # seconds for one run of the engine
FRONT = 600.0  # seconds until a load balancer that was just made, and its name, are there for everybody
EMPTY = ("error: update failed", "error: Program failed", "error: preview failed")  # these say nothing
ONE_ERROR = "error: 1 error occurred:"  # the engine's heading over the line that matters
GRACE = 30.0  # seconds for a run of the engine that is asked to end
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# How a line of the engine begins that tells of a change; what it only looks at has the same sign.
CHANGE = re.compile(r" *(\+|-|~|\+-|-\+|\+\+|--) (?!.* refresh)")


@dataclass(frozen=True)
class Run:
    """One run of the engine or of a verb."""

    command: str
    code: int
    output: str
    seconds: float

    def tail(self, lines: int = 40) -> str:
        """The last lines, and before them those that tell of a change: of a large stack's they stand far above."""
        told = self.output.splitlines()
        above = [line for line in told[:-lines] if CHANGE.match(line)][:lines]
        return "\n".join([f"$ {self.command}", *above, *(["..."] if above else []), *told[-lines:]])


@dataclass(frozen=True)
class Answer:
    status: int
    content: Any
    headers: Mapping[str, str]


class Trial:
    """A throw-away stack on a place. `patience`: seconds that a run of the engine may take.

    `made`: what the place says of machines that this stack makes; `pace`: how much longer all may take on them.
    """

    patience = PATIENCE

    def __init__(self, project: Path, place: Place, config: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self.project, self.place = project, place
        self.patience = getattr(place, "patience", self.patience)
        self.grace = getattr(place, "grace", GRACE)
        self.backoff = getattr(place, "backoff", 0.0)
        self.made = place if isinstance(place, Made) else None
        self.pace = self.made.pace if self.made else 1.0
        self.patience *= self.pace
        self.versions: dict[str, str] = {}  # what the place is made of, once it was asked
        self.name = f"anytier-test-{secrets.token_hex(3)}"
        self.ns = f"anytier-{self.name}-{APP}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.port, self.tls_port, self.echo_port = free_ports(3)
        self.canary = f"canary-{secrets.token_hex(16)}"
        self.config = config
        self.env = {
            **env,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(24),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "NO_COLOR": "1",
        }
        self.env.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        self.base: dict[str, Any] = {}
        self.deployed: dict[str, Any] | None = None  # None: nothing, or not known
        self.told = False  # whether a place that this stack makes knows where it is
        self.broken = ""  # why the base app is not up; then no check can say anything
        self.first: dict[str, dict[str, Any]] = {}  # reports of the first deploy, by workload
        self.served: set[float] | None = None  # start times of the good version, after bad releases only
        self.printed: list[str] = []  # all that the engine and the verbs have printed, to look for secrets in

    # the stack

    def make(self) -> None:
        """The app's folder, the stack's config, the stack."""
        (self.folder / "state").mkdir()
        shutil.copytree(self.project / "apps" / APP, self.app_dir)
        self.base = read_spec(self.app_dir / "app.yaml")
        if not self.place.containers:
            # A TCP port is the machine's there: one that is taken already must not be in the way.
            self.base = merged(self.base, workload("echo", {"service": {"ports": {"tcp": {"port": self.echo_port}}}}))
        self.base = paced(self.base, self.pace)
        self.config_file.write_text(json.dumps({"config": {**self.config, **self.own_config()}}, indent=2))
        self.pulumi("stack", "init", self.name, "--secrets-provider", "passphrase", stack=False)
        self.pulumi("config", "set", "--secret", "anytier:secret.canary", given=self.canary)

    @property
    def app_dir(self) -> Path:
        return self.folder / "app"

    @property
    def config_file(self) -> Path:
        return self.project / "stacks" / f"Pulumi.{self.name}.yaml"

    def own_config(self) -> dict[str, Any]:
        spec = str(self.app_dir / "app.yaml")
        return {"anytier:app": spec, "anytier:port": self.port, "anytier:tlsPort": self.tls_port}

    def keep(self) -> None:
        """Leave everything as it is, with what a person needs to go on by hand."""
        kept = {key: self.env[key] for key in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")}
        path = self.folder / "env"
        path.touch(0o600)
        path.write_text("".join(f"export {key}='{value}'\n" for key, value in kept.items()))

    def forget(self) -> None:
        """Remove what the suite itself made: the stack's config and the folder with its state."""
        self.config_file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # deploying

    def up(self, *patches: Patch, args: tuple[str, ...] = (), fails: bool = False) -> Run:
        """Deploy the base spec with patches. `fails`: the caller expects that it does and looks at the run itself."""
        wanted = merged(self.base, *patches)
        (self.app_dir / "app.yaml").write_text(json.dumps(wanted, indent=2))
        self.deployed = self.served = None
        known = self.told
        try:
            run = self.pulumi("up", "--yes", "--skip-preview", *args, fails=fails)
        finally:
            self.learn()
        if run.code == 0:
            self.deployed = wanted
            if self.told and not known:
                self.until(lambda: self.reached(self.place.address, self.port), FRONT, every=1.0)
        return run

    def learn(self) -> None:
        """Tells a place that this stack makes what is known of it by now; of half of a deployment, too."""
        if isinstance(self.place, Told) and not self.told:
            self.told = self.place.told(self.outputs())

    def settle(self, *patches: Patch) -> None:
        """Have this variant deployed; costs nothing if it already is."""
        expect(not self.broken, f"not run: the base app is not up ({self.broken})")
        if self.deployed != merged(self.base, *patches):
            self.up(*patches)

    def ready(self) -> None:
        """Have some good variant deployed, whichever: for checks that deploy their own next."""
        if self.broken or self.deployed is None:
            self.settle()

    def preview(self, *args: str, fails: bool = False) -> Run:
        return self.pulumi("preview", *args, fails=fails)

    def pulumi(
        self,
        *args: str,
        stack: bool = True,
        fails: bool = False,
        given: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        named = ("--stack", self.name) if stack else ()
        return self.run(("pulumi", "--non-interactive", "--color", "never", *args, *named), fails, given, env)

    def anytier(self, verb: str, *args: str, fails: bool = False) -> Run:
        """One of anytier's own verbs, as a user calls it."""
        return self.run((sys.executable, "-m", "anytier", verb, "-s", self.name, *args), fails)

    def run(
        self,
        command: tuple[str, ...],
        fails: bool = False,
        given: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.project,
            env={**self.env, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(given or "", timeout=self.patience)
        except subprocess.TimeoutExpired:
            output = interrupt(process, self.grace) + f"\n(interrupted after {self.patience:.0f} s)"
        except KeyboardInterrupt:
            interrupt(process, self.grace)
            raise
        shown = " ".join(command).replace(sys.executable + " -m ", "")
        run = Run(shown, process.returncode, ANSI.sub("", output), time.monotonic() - start)
        self.printed.append(run.output)
        if run.code != 0 and not fails:
            raise Failed(f"`{shown.split(' --stack')[0]}` ended with {run.code}: {reason_in(run.output)}", run.tail())
        return run

    def killed_up(self, patch: Patch, when: Callable[[], bool]) -> None:
        """`up`, and kill -9 of the engine and of all that it started, as soon as `when` is true."""
        (self.app_dir / "app.yaml").write_text(json.dumps(merged(self.base, patch), indent=2))
        self.deployed = self.served = None
        command = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", self.name]
        process = subprocess.Popen(
            command,
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + self.patience
        while not when():
            ended = process.poll() is not None or time.monotonic() > end
            if ended:
                kill_tree(process.pid)
                process.wait()
            expect(not ended, "the run ended before it could be killed")
            time.sleep(0.05)
        kill_tree(process.pid)
        process.wait()

    def outputs(self) -> dict[str, Any]:
        """Of the stack, in the clear; none where it has none yet."""
        said = self.pulumi("stack", "output", "--json", "--show-secrets", fails=True).output
        found: dict[str, Any] = json.loads(said[said.index("{") :]) if "{" in said else {}
        return found

    def state(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export").output)
        return exported

    def state_files(self) -> list[Path]:
        return [path for path in (self.folder / "state").rglob("*") if path.is_file()]

    def urns(self) -> dict[str, dict[str, Any]]:
        """Every resource in the state by its URN."""
        resources = self.state()["deployment"].get("resources", [])
        return {resource["urn"]: resource for resource in resources}

    # looking at the app

    def load(self, shape: Shape) -> Load:
        return Load(self.port, shape, self.place.address, getattr(self.place, "network", None), self.pace)

    def until(self, done: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
        """Wait for `done`, at most so long at pace 1."""
        return until(done, seconds * self.pace, every)

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str = "localhost",
        body: bytes | None = None,
        timeout: float = 10,
        port: int | None = None,
        address: str | None = None,
    ) -> Answer:
        """`timeout`: seconds at pace 1. `port` and `address`: of something else than the routes."""
        there = address or self.place.address
        connection = http.client.HTTPConnection(there, port or self.port, timeout=timeout * self.pace)
        try:
            connection.request(method, path, body=body, headers={"Host": host, "Connection": "close"})
            response = connection.getresponse()
            text = response.read()
            with suppress(ValueError):
                return Answer(response.status, json.loads(text), dict(response.getheaders()))
            return Answer(response.status, text.decode(errors="replace"), dict(response.getheaders()))
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Any:
        """The content of a 200 answer; Failed for anything else."""
        try:
            answer = self.request(path, **options)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{options.get('method', 'GET')} {path}: {type(error).__name__} {error}") from error
        expect(
            answer.status == 200, f"{options.get('method', 'GET')} {path}: HTTP {answer.status} {answer.content!r:.200}"
        )
        return answer.content

    def answers(self) -> bool:
        with suppress(Failed):
            return bool(self.get("/"))
        return False

    def exposed(self, port: int) -> str:
        """Where a port that a workload exposes is reached."""
        if not isinstance(self.place, Told):
            return self.place.address
        found = self.place.exposed(self.ns, port)
        self.until(lambda: self.reached(found, port), FRONT, every=1.0)
        return found

    def reached(self, address: str, port: int) -> bool:
        """Whether anything answers there at all."""
        with suppress(OSError, http.client.HTTPException):
            return bool(self.request("/", address=address, port=port, timeout=5).status)
        return False

    def post(self, path: str, **options: Any) -> Any:
        return self.get(path, method="POST", **options)

    def report(self, workload: str = "app") -> dict[str, Any]:
        if workload == "echo":
            return dict(json.loads(self.get("/peer/echo?send=report")["answer"]))
        return dict(self.get("/report" if workload == "app" else f"/{workload}/report"))

    def replicas(self, count: int = 2, seconds: float = 15) -> dict[str, dict[str, Any]]:
        """The reports of `count` different instances of `app`, by instance; Failed if fewer or more answer."""
        found: dict[str, dict[str, Any]] = {}
        seconds *= self.pace
        end = time.monotonic() + seconds
        quiet = 0  # answers since the last new face: so many in a row make another instance unlikely
        while quiet < 8 * count:
            expect(time.monotonic() < end, f"{len(found)} instances answered within {seconds:.0f} s, wanted {count}")
            with suppress(Failed):
                report = self.report()
                quiet = 0 if report["instance"] not in found else quiet + 1
                found[report["instance"]] = report
            if len(found) < count:
                quiet = 0
        expect(len(found) == count, f"{len(found)} instances answered ({', '.join(found)}), wanted {count}")
        return found


def interrupt(process: subprocess.Popen[str], grace: float) -> str:
    """As Ctrl-C does, to the whole group; by force if that does not end it within `grace` seconds."""
    for number, patience in ((signal.SIGINT, grace), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=patience)[0] or ""
    return ""


def kill_tree(pid: int) -> None:
    """SIGKILL to a process of ours and to all below it, found before any of them is gone."""
    found, todo = [pid], [pid]
    parents = dict(parentage())
    while todo:
        above = todo.pop()
        below = [child for child, parent in parents.items() if parent == above]
        found, todo = found + below, todo + below
    for each in found:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def parentage() -> Iterator[tuple[int, int]]:
    """(process, its parent) for every process that can be seen."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit():
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def free_ports(count: int) -> list[int]:
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def reason_in(output: str) -> str:
    """The line of the engine's output that says most about a failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception): ", line)]
    below = [line.removeprefix("* ") for heading, line in pairwise(lines) if heading == ONE_ERROR]
    errors = [line for line in lines if line.startswith("error: ") and not line.startswith(EMPTY)]
    return (raised or below or errors or lines or ["no output"])[0][:300]


def read_spec(path: Path) -> dict[str, Any]:
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def stack_config(project: Path, stack: str) -> dict[str, Any]:
    """The config of a stack as far as it says where: tier and place, nothing about the app."""
    path = project / "stacks" / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in (project / "stacks").glob("Pulumi.*.yaml"))
        raise ConfigError("--stack", f"there is no stack {stack!r}", f"one of {', '.join(known) or 'none yet'}")
    config = read_spec(path).get("config") or {}
    own = ("anytier:app", "anytier:port", "anytier:tlsPort", "anytier:scale", "anytier:secret")
    place = {key: value for key, value in config.items() if not key.startswith(own)}
    sealed = [key for key, value in place.items() if "secure" in str(value) and isinstance(value, dict)]
    if sealed:
        raise ConfigError(sealed[0], "is encrypted for its own stack", "give the throw-away stack a plain value")
    return place
