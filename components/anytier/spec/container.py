"""The part of the model that describes what runs: a container, the native `host` way, files, probes, limits.

Types and single-field checks only; the docstring below a field is its description in the JSON Schema.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from anytier.frozen import Frozen
from anytier.spec import values as v


class Node(Frozen):
    """A mapping of the spec. Nothing is coerced: a quoted number and a number mean different things to a person."""

    model_config = ConfigDict(strict=True)

    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Fields of which exactly one must be there, by their names in the file."""


class Build(Node):
    """How to build the image from sources."""

    context: v.PathText = "."
    """The folder with the sources, from the spec's folder."""
    dockerfile: v.PathText = "Dockerfile"
    """The Dockerfile, from the context."""
    args: dict[v.EnvKey, v.Text] = Field(default_factory=dict)
    """Build arguments. They stay visible in the image: no secrets here."""
    target: v.Text | None = None
    """The stage of a multi-stage Dockerfile to stop at."""
    platforms: list[v.Text] = Field(default_factory=list)
    """Platforms to build for, such as linux/arm64; the builder's own if left out."""


class FileSpec(Node):
    """A file given to the app: exactly one of `content`, `source` and `binaryContent`."""

    exactly_one = ("content", "source", "binaryContent")

    content: v.FileText | None = None
    """The text itself; placeholders are resolved unless noExpand."""
    source: v.PathText | None = None
    """A file to read, from the spec's folder; taken as it is, byte for byte."""
    binary_content: v.Base64 | None = None
    """The bytes in standard base64; taken as they are."""
    mode: v.Mode | None = None
    """Access mode in octal, in quotes. Default "0644"."""
    owner: v.User | None = None
    """Owner, as user or user:group."""
    no_expand: bool = False
    """Leave ${...} in `content` alone."""


class VolumeMount(Node):
    """A volume resource at a path of the container."""

    source: v.Text
    """The volume: ${resources.NAME}, or just NAME."""
    sub_path: v.SubPath | None = None
    """A folder of the volume instead of all of it."""
    read_only: bool = False
    """Whether the app may only read it."""


class Amounts(Node):
    """Amounts of compute."""

    cpu: v.Cpu | None = None
    """Cores: 0.5, or "500m"."""
    memory: v.Memory | None = None
    """Memory with its unit, such as 128Mi. A bare number is refused: people mean Mi, Kubernetes reads bytes."""
    gpu: v.Gpus | None = None
    """Whole GPUs."""
    ephemeral_storage: v.Memory | None = None
    """Scratch disk with its unit, such as 1Gi."""


class Compute(Node):
    """What is set aside for the container and what it may not exceed."""

    requests: Amounts | None = None
    """What is set aside."""
    limits: Amounts | None = None
    """What it may not exceed."""


class Header(Node):
    """One HTTP header."""

    name: v.HeaderName
    """The header's name."""
    value: v.Text
    """The header's value."""


class HttpGet(Node):
    """A GET that must answer with a status from 200 to 399."""

    port: v.Port
    """The container's own port (the service's targetPort)."""
    path: v.UrlPath = "/"
    """The path to get."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """HTTP, or HTTPS without checking the certificate."""
    host: v.Text | None = None
    """The Host header to send."""
    http_headers: list[Header] = Field(default_factory=list)
    """Further headers to send."""

    @property
    def headers(self) -> dict[str, str]:
        """All headers to send, `host` among them."""
        return ({"Host": self.host} if self.host else {}) | {item.name: item.value for item in self.http_headers}


class Exec(Node):
    """A command that must end with exit code 0."""

    command: list[v.Text] = Field(min_length=1)
    """The command and its arguments; no shell unless named."""


class TcpSocket(Node):
    """A connection that must be accepted."""

    port: v.Port
    """The container's own port."""


class Grpc(Node):
    """A gRPC health check."""

    port: v.Port
    """The container's own port."""
    service: v.Text | None = None
    """The service to ask for; all of the server if left out."""


class Probe(Node):
    """A health probe: exactly one of httpGet, exec, tcpSocket and grpc."""

    exactly_one = ("httpGet", "exec", "tcpSocket", "grpc")

    http_get: HttpGet | None = None
    """Ask by HTTP."""
    exec: Exec | None = None
    """Ask by a command inside the container."""
    tcp_socket: TcpSocket | None = None
    """Ask by a TCP connection."""
    grpc: Grpc | None = None
    """Ask by gRPC."""
    initial_delay_seconds: v.Seconds = 0
    """Wait so long before the first try."""
    period_seconds: v.Period = 10
    """Time between two tries."""
    timeout_seconds: v.Period = Field(default_factory=lambda data: min(1.0, data.get("period_seconds", 10.0)))
    """Time for an answer; at most the period. Default 1."""
    failure_threshold: v.Threshold = 3
    """Failures in a row that count."""
    success_threshold: v.Threshold = 1
    """Successes in a row that count."""


class Before(Node):
    """What the other container waits for."""

    ready: Literal["started", "healthy", "complete"]
    """The state this container must have reached before the other one starts; `complete` makes it an init container."""


class Sleep(Node):
    """Do nothing for a while; needs no binary in the image."""

    seconds: v.Seconds
    """How long."""


class Hook(Node):
    """What to do at a point of the container's life: exactly one of exec, httpGet and sleep."""

    exactly_one = ("exec", "httpGet", "sleep")

    exec: Exec | None = None
    """Run a command inside the container."""
    http_get: HttpGet | None = None
    """Send a GET."""
    sleep: Sleep | None = None
    """Just wait."""


class Lifecycle(Node):
    """Hooks of the container's life."""

    post_start: Hook | None = None
    """Right after the start."""
    pre_stop: Hook | None = None
    """Before the stop signal is sent."""


class SecurityContext(Node):
    """What the container may do on its host."""

    read_only_root_filesystem: bool = False
    """Mount the image read-only."""
    run_as_non_root: bool = False
    """Refuse to start as root."""
    cap_add: list[v.Capability] = Field(default_factory=list)
    """Linux capabilities to add, without CAP_."""
    cap_drop: list[v.Capability] = Field(default_factory=list)
    """Linux capabilities to drop, without CAP_; ALL for all."""


class NameRef(Node):
    """The name of an object that exists at the place already."""

    name: v.Text
    """Its name."""


class EnvFrom(Node):
    """All entries of a Kubernetes Secret or ConfigMap as variables: exactly one of the two."""

    exactly_one = ("secretRef", "configMapRef")

    prefix: v.Text | None = None
    """Put before each variable's name."""
    secret_ref: NameRef | None = None
    """A Secret that exists already."""
    config_map_ref: NameRef | None = None
    """A ConfigMap that exists already."""


class Container(Node):
    """One container: exactly one of `image` and `build`."""

    exactly_one = ("image", "build")

    image: v.Image | None = None
    """The image: registry/name:tag, or by digest."""
    build: Build | None = None
    """Build the image instead."""
    command: list[v.Text] | None = None
    """Replaces the image's entrypoint."""
    args: list[v.Text] | None = None
    """Replaces the image's command."""
    working_dir: v.PathText | None = None
    """The folder it starts in."""
    user: v.User | None = None
    """The user (and group) it runs as."""
    variables: dict[v.EnvKey, v.Text] = Field(default_factory=dict)
    """Environment variables; placeholders are resolved."""
    secrets: dict[v.EnvKey, v.Name] = Field(default_factory=dict)
    """Environment variables from secrets: VARIABLE: the secret's name in `secrets`."""
    env_from: list[EnvFrom] = Field(default_factory=list)
    """All variables of an object that exists already."""
    files: dict[v.Target, FileSpec] = Field(default_factory=dict)
    """Files, by their path in the container."""
    volumes: dict[v.Target, VolumeMount] = Field(default_factory=dict)
    """Volumes, by their path in the container."""
    resources: Compute = Compute()
    """CPU, memory and more: what is set aside, what it may not exceed."""
    liveness_probe: Probe | None = None
    """Restart the container when this fails."""
    readiness_probe: Probe | None = None
    """Give it traffic only while this succeeds; gates a rollout."""
    startup_probe: Probe | None = None
    """The other probes wait until this has succeeded once."""
    before: dict[v.Name, Before] = Field(default_factory=dict)
    """Containers of this workload that start only after this one."""
    lifecycle: Lifecycle | None = None
    """Hooks after the start and before the stop."""
    stop_signal: v.Signal | None = None
    """The signal that ends it; the image's own, else SIGTERM."""
    stop_grace_period: v.Duration = 10
    """Time between the stop signal and SIGKILL."""
    security_context: SecurityContext | None = None
    """What it may do on its host."""


class Host(Node):
    """The native way to run a workload on a machine, without containers. Wins over `containers` on host tiers.

    Probes, limits, variables and files of the workload's container hold here too; what is said here wins.
    """

    command: list[v.Text] = Field(min_length=1)
    """The command and its arguments; no shell unless named."""
    packages: list[v.Package] = Field(default_factory=list)
    """Packages of the machine's distribution that it needs: name, or name=version; a * at its end is any rest."""
    variables: dict[v.EnvKey, v.Text] = Field(default_factory=dict)
    """Environment variables for this way only."""
    files: dict[v.Target, FileSpec] = Field(default_factory=dict)
    """Files for this way only."""
    user: v.User | None = None
    """The user it runs as, where the tier may change users."""
    working_dir: v.PathText | None = None
    """The folder it starts in, from the spec's folder (the default)."""


JsonObject = dict[str, Any]
