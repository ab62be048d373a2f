"""What a runtime runs: the rendered, place-independent form of a workload that goes into a resource's inputs.

Pure types only. A template never holds a secret's value: strings may contain `${secrets.NAME}` tokens, which the
provider replaces at the last moment from the resource's secret `secrets` map (`render.tokens`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anytier.frozen import Frozen


class HttpGet(Frozen):
    path: str = "/"
    port: int
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    headers: dict[str, str] = Field(default_factory=dict)


class Probe(Frozen):
    """One health probe. Exactly one of `http_get`, `exec`, `tcp_port` is set. Times in seconds.

    On hosts `http_get.port` / `tcp_port` name the workload's *target* port; the runtime translates it to the port
    that the instance was given.
    """

    http_get: HttpGet | None = None
    exec: list[str] | None = None
    tcp_port: int | None = None
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class File(Frozen):
    """A file given to the app. One of `content` (text, may hold secret tokens) or `binary` (base64)."""

    target: str
    content: str | None = None
    binary: str | None = None
    mode: str = "0644"
    owner: str | None = None


class Mount(Frozen):
    """A volume at `target`. `volume` is its name in the spec's `resources`; the runtime knows its real name."""

    target: str
    volume: str
    sub_path: str | None = None
    read_only: bool = False


class Limits(Frozen):
    """`cpu` in cores, `memory` in bytes, `pids` in processes, `gpus` whole; `*_request` are reservations."""

    cpu: float | None = None
    memory: int | None = None
    pids: int | None = None
    gpus: int | None = None
    cpu_request: float | None = None
    memory_request: int | None = None


class Process(Frozen):
    """What containers and host processes have in common."""

    env: dict[str, str] = Field(default_factory=dict)
    secret_env: dict[str, str] = Field(default_factory=dict)  # ENV name -> secret name
    files: list[File] = Field(default_factory=list)
    mounts: list[Mount] = Field(default_factory=list)
    limits: Limits = Limits()
    user: str | None = None
    working_dir: str | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None
    startup: Probe | None = None
    stop_signal: str | None = None
    stop_grace: float = 10
    pre_stop: list[str] | None = None
    post_start: list[str] | None = None


class Container(Process):
    """One container. `command` overrides the image's entrypoint and `args` its command, as in Kubernetes."""

    name: str
    image: str
    command: list[str] | None = None
    args: list[str] | None = None
    read_only_root: bool = False
    run_as_non_root: bool = False
    cap_add: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)
    role: Literal["main", "init", "sidecar"] = "main"
    # containers of the same instance that must have reached a state before this one starts
    after: dict[str, Literal["started", "healthy", "complete"]] = Field(default_factory=dict)


class ImageRun(Frozen):
    """An image that a machine runs without a container runtime. `digest` is what its reference meant.

    `command` replaces the image's entrypoint and `args` its command, as in Kubernetes.
    """

    digest: str
    command: list[str] | None = None
    args: list[str] | None = None
    read_only_root: bool = False
    run_as_non_root: bool = False
    cap_add: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)


class HostProcess(Process):
    """The native way: `command` runs from `working_dir` on the machine itself. With `image` the image's own program
    runs in a root of its own, and `command`, `release` and `packages` are empty.

    `release` names, by its content, the snapshot of the sources that it runs from; `working_dir` is then relative to
    that snapshot. Without one `working_dir` is absolute.
    """

    command: list[str] = Field(default_factory=list)
    image: ImageRun | None = None
    release: str | None = None
    packages: list[str] = Field(default_factory=list)


class Port(Frozen):
    """`port` is the service's port, `target` the app's own. `http` ports are balanced by the proxy.

    `fixed`, on hosts: the app listens on `target` itself, whatever it is given in PORT; so it runs once only.
    """

    name: str
    port: int
    target: int
    protocol: Literal["TCP", "UDP"] = "TCP"
    http: bool = True
    expose: Literal["internal", "host", "public"] = "internal"
    fixed: bool | None = None


class Template(Frozen):
    """All that makes a revision: a change in here is a new revision, a change elsewhere is not."""

    containers: list[Container] = Field(default_factory=list)  # docker; in start order
    process: HostProcess | None = None  # host
    ports: list[Port] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def volumes(self) -> list[str]:
        """Names of all that it mounts."""
        parts = [*self.containers, *([self.process] if self.process else [])]
        return list(dict.fromkeys(mount.volume for part in parts for mount in part.mounts))


class UpdatePolicy(Frozen):
    """How a new revision replaces the old one. Times in seconds."""

    strategy: Literal["rolling", "recreate"] = "rolling"
    order: Literal["start-first", "stop-first"] = "start-first"
    max_parallel: int = 1
    min_healthy_time: float = 1
    healthy_deadline: float = 60
    progress_deadline: float = 120
    auto_rollback: bool = True
    drain_timeout: float = 10
    retain: int = 5
