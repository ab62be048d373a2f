"""The typed, frozen model of an app spec (`anytier.dev/v1`): the app, its workloads, jobs, routes, resources, secrets.

Types and single-field checks only: what relates fields is in `spec.check`, files and positions in `spec.load`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from anytier.spec import values as v
from anytier.spec.container import (
    Amounts,
    Before,
    Build,
    Compute,
    Container,
    EnvFrom,
    Exec,
    FileSpec,
    Grpc,
    Header,
    Hook,
    Host,
    HttpGet,
    JsonObject,
    Lifecycle,
    Node,
    Probe,
    SecurityContext,
    Sleep,
    TcpSocket,
    VolumeMount,
)

API_VERSION = "anytier.dev/v1"

# The tiers that `overrides` may name; a test holds it equal to the capability table's.
Tier = Literal["local", "baremetal", "libvirt", "docker", "kubeadm", "eks", "gke", "aks"]
Labels = dict[v.MetaKey, v.LabelValue]
Annotations = dict[v.MetaKey, v.Text]


class ServicePort(Node):
    """A port that the workload offers to others."""

    port: v.Port
    """The port others call."""
    target_port: v.Port = Field(default_factory=lambda data: data.get("port", 0))
    """The port the app itself listens on; the same as `port` if left out."""
    protocol: Literal["TCP", "UDP"] = "TCP"
    """The transport protocol."""
    app_protocol: v.Text | None = None
    """What is spoken on it: http, https, tcp, grpc ... HTTP is guessed from routes, probes and the port's name."""
    expose: Literal["internal", "host", "public"] = "internal"
    """Who may call it: only the app's workloads, also the machine it runs on, or everybody."""


class Service(Node):
    """The ports that the workload offers."""

    ports: dict[v.Name, ServicePort] = Field(default_factory=dict)
    """The ports by name."""


class Metric(Node):
    """What to scale by: exactly one of cpu and memory, as a percentage of what is requested."""

    exactly_one = ("cpu", "memory")

    cpu: v.Percentage | None = None
    """Wanted CPU use in percent of what the containers request."""
    memory: v.Percentage | None = None
    """Wanted memory use in percent of what the containers request, or else of their limits."""


class Scale(Node):
    """How many instances run."""

    replicas: v.Replicas = 1
    """How many instances; where min and max are given, how many to begin with."""
    min: v.Replicas | None = None
    """The least an autoscaler may choose; `replicas` where it is left out."""
    max: v.Replicas | None = None
    """The most an autoscaler may choose."""
    metrics: list[Metric] = Field(default_factory=list)
    """What an autoscaler looks at; `cpu: 80` where it is left out."""
    mode: Literal["replicated", "global"] = "replicated"
    """`global`: one instance on every machine."""


class Update(Node):
    """How a new revision replaces the old one."""

    strategy: Literal["rolling", "recreate", "bluegreen", "canary"] = "rolling"
    """Step by step, all at once after stopping, all at once beside the old, or a few first."""
    order: Literal["start-first", "stop-first"] = "start-first"
    """Whether the new instance starts before the old one stops."""
    max_parallel: v.CountOrPercent = 1
    """Instances replaced at a time: a number, or a percentage of the replicas."""
    min_healthy_time: v.Duration = 1
    """How long an instance must stay healthy before it counts."""
    healthy_deadline: v.Duration = 60
    """Time for one instance to become healthy."""
    progress_deadline: v.Duration = Field(
        default_factory=lambda data: max(120.0, 2 * data.get("healthy_deadline", 60.0))
    )
    """Time in which the rollout must get one step further, pulling images included. Default 2m, or 2 x healthyDeadline
    where that is more."""
    auto_rollback: bool = True
    """Go back to the last good revision when the new one does not become healthy."""
    canary: v.CountOrPercent | None = None
    """Instances of the new revision that come first; needs strategy canary."""
    auto_promote: bool = False
    """Go on without asking once the first ones are healthy; needs strategy canary or bluegreen."""
    drain_timeout: v.Duration = 10
    """Time for requests in flight when an instance leaves."""
    retain: v.Retain = 5
    """Revisions kept for a rollback."""


class Dependency(Node):
    """What to wait for."""

    condition: Literal["started", "healthy", "completed"] = "healthy"
    """The state the other one must have reached first."""


class Placement(Node):
    """Where instances may run."""

    hosts: list[v.Text] = Field(default_factory=list)
    """Machines by name."""
    labels: Labels = Field(default_factory=dict)
    """Labels the machine must have."""
    spread: Literal["host", "zone"] | None = None
    """Spread instances over machines or zones."""


class Disruption(Node):
    """What maintenance must leave running."""

    min_available: v.CountOrPercent
    """Instances that must stay up: a number, or a percentage; one at least has to be free to go."""


class Identity(Node):
    """Who the workload is to a cloud."""

    cloud_roles: dict[Literal["aws", "gcp", "azure"], v.Text] = Field(default_factory=dict)
    """The role by cloud: a role's ARN, a service account, a client id."""


class Metadata(Node):
    """Labels and free annotations."""

    labels: Labels = Field(default_factory=dict)
    """Short identifying values; they become labels of whatever is made."""
    annotations: Annotations = Field(default_factory=dict)
    """Free text."""


class AppMetadata(Metadata):
    """The app's name, labels and annotations."""

    name: v.Name
    """The app's name: a-z, 0-9 and -, at most 63."""
    extra: JsonObject = Field(default_factory=dict)
    """Whatever else describes the app (Score allows any key); ${metadata.KEY} finds it."""


class Workload(Node):
    """Something that runs on and on: `containers`, `host`, or both as two ways to run the same thing."""

    metadata: Metadata = Metadata()
    """Labels and annotations of this workload."""
    containers: dict[v.Name, Container] = Field(default_factory=dict)
    """The containers of one instance."""
    host: Host | None = None
    """The native way to run it, without containers."""
    service: Service | None = None
    """The ports it offers."""
    scale: Scale = Scale()
    """How many instances run."""
    update: Update = Update()
    """How a new revision replaces the old one."""
    depends_on: dict[v.Name, Dependency] = Field(default_factory=dict)
    """Workloads that must be up first."""
    placement: Placement | None = None
    """Where instances may run."""
    disruption: Disruption | None = None
    """What maintenance must leave running."""
    controller: Literal["Deployment", "StatefulSet"] | None = None
    """On Kubernetes, what keeps it running. A StatefulSet where it has a volume with one writer, else a Deployment."""
    identity: Identity | None = None
    """Who it is to a cloud."""


class Resource(Node):
    """Something the app needs that is not a workload of its own, such as a volume or a database."""

    type: v.TypeName
    """volume, postgres, mysql, redis, s3, dns, route ..."""
    class_: v.TypeName | None = Field(default=None, alias="class")
    """A specialisation of the type."""
    id: v.ResourceId | None = None
    """Resources of the same type, class and id are one and the same."""
    params: JsonObject = Field(default_factory=dict)
    """Parameters by type; placeholders are resolved."""
    metadata: JsonObject = Field(default_factory=dict)
    """Annotations and whatever else describes it."""


class SecretPair(Node):
    """A certificate and its key, each the name of a secret that holds PEM."""

    certificate: v.Name
    """The secret with the certificate chain."""
    key: v.Name
    """The secret with the private key."""


class Tls(Node):
    """How the route is encrypted: by a certificate fetched automatically (the default), or by a given one."""

    auto: bool | None = None
    """Fetch and renew a certificate by ACME."""
    secret_ref: SecretPair | None = None
    """Use this certificate."""
    redirect: bool = True
    """Answer plain HTTP with a redirect."""


class Route(Node):
    """Requests from outside that go to a workload."""

    workload: v.Name
    """The workload that answers."""
    port: v.PortRef
    """The service port, by name or number."""
    host: v.HostName | None = None
    """Only requests for this host name."""
    path: v.RoutePath = "/"
    """Only requests below this path."""
    strip_prefix: bool = False
    """Take `path` off before the workload sees it."""
    timeout: v.Duration | None = None
    """Time for the workload to answer."""
    tls: Tls | None = None
    """Encrypt it."""


class Job(Node):
    """Something that runs and ends."""

    metadata: Metadata = Metadata()
    """Labels and annotations of this job."""
    containers: dict[v.Name, Container] = Field(default_factory=dict)
    """The containers of one run."""
    host: Host | None = None
    """The native way to run it, without containers."""
    trigger: Literal["manual", "schedule", "preDeploy", "postDeploy"] = "manual"
    """What starts it. `schedule` where a schedule is given, else manual."""
    schedule: v.Schedule | None = None
    """Cron: minute hour day month weekday."""
    time_zone: v.TimeZone | None = None
    """The time zone of the schedule, such as Europe/Berlin; UTC if left out."""
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Forbid"
    """What to do when the last run has not ended."""
    backoff_limit: v.Retries = 2
    """How often a failed run is tried again."""
    timeout: v.Duration = 600
    """Time for one run."""
    depends_on: dict[v.Name, Dependency] = Field(default_factory=dict)
    """Workloads that must be up first."""

    @model_validator(mode="before")
    @classmethod
    def _scheduled(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("schedule") is not None and "trigger" not in data:
            return {**data, "trigger": "schedule"}
        return data


class Secret(Node):
    """A value that must not be seen: named here, read where it is kept, given to workloads by name."""

    from_: Literal["config", "env", "file", "command", "generate", "aws-sm", "gcp-sm", "azure-kv"] = Field(alias="from")
    """Where the value comes from: the stack's config, an environment variable, a file, a command's output, made once at
    random, or a cloud's secret store."""
    key: v.Text | None = None
    """config: the key, as in `pulumi config set --secret KEY`; env: the variable; aws-sm: a key of a JSON secret.
    The secret's own name if left out (for env in upper case with _)."""
    path: v.PathText | None = None
    """file: the file, from the spec's folder."""
    command: list[v.Text] | None = Field(default=None, min_length=1)
    """command: the command and its arguments, run in the spec's folder; its last newline is left out."""
    timeout: v.Duration = 10
    """command: time for it."""
    length: v.Length = 32
    """generate: how many characters."""
    charset: Literal["alphanumeric", "hex", "ascii"] = "alphanumeric"
    """generate: letters and digits, hexadecimal digits, or printable characters without blank, quotes, $ and \\."""
    id: v.Text | None = None
    """aws-sm, gcp-sm, azure-kv: the secret's name there (or ARN)."""
    version: v.Text | None = None
    """gcp-sm, azure-kv: its version; the newest if left out."""
    region: v.Text | None = None
    """aws-sm: the region; the stack's own if left out."""
    project: v.Text | None = None
    """gcp-sm: the project; the stack's own if left out."""
    vault: v.Text | None = None
    """azure-kv: the vault."""


class App(Node):
    """One app: everything that runs, is needed and is reachable, and nothing about where."""

    api_version: Literal["anytier.dev/v1"]
    """anytier.dev/v1 (a plain score.dev/v1b1 file is accepted too)."""
    kind: Literal["App"]
    """App."""
    metadata: AppMetadata
    """The app's name, labels and annotations."""
    workloads: dict[v.Name, Workload] = Field(default_factory=dict)
    """What runs on and on, by name."""
    resources: dict[v.Name, Resource] = Field(default_factory=dict)
    """What the app needs that is not a workload of its own, by name."""
    routes: list[Route] = Field(default_factory=list)
    """Requests from outside and where they go."""
    jobs: dict[v.Name, Job] = Field(default_factory=dict)
    """What runs and ends, by name."""
    secrets: dict[v.Name, Secret] = Field(default_factory=dict)
    """Values that must not be seen, by name."""
    objects: list[JsonObject] = Field(default_factory=list)
    """Raw Kubernetes objects, for Kubernetes tiers only."""
    overrides: dict[Tier, JsonObject] = Field(default_factory=dict)
    """What is different on a tier: merged into the app before anything else. null removes, lists are replaced."""

    def dump(self) -> dict[str, Any]:
        """What was written, as plain data: defaults left out, loading it again gives an equal app."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


__all__ = [
    "API_VERSION",
    "Amounts",
    "App",
    "AppMetadata",
    "Before",
    "Build",
    "Compute",
    "Container",
    "Dependency",
    "Disruption",
    "EnvFrom",
    "Exec",
    "FileSpec",
    "Grpc",
    "Header",
    "Hook",
    "Host",
    "HttpGet",
    "Identity",
    "Job",
    "Lifecycle",
    "Metadata",
    "Metric",
    "Placement",
    "Probe",
    "Resource",
    "Route",
    "Scale",
    "Secret",
    "SecretPair",
    "SecurityContext",
    "Service",
    "ServicePort",
    "Sleep",
    "TcpSocket",
    "Tier",
    "Tls",
    "Update",
    "VolumeMount",
    "Workload",
]
