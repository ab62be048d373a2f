"""Field x tier: what each tier does with each field of the spec, as data, with the lookup and the check over it.

The table is the second promise of the design ("no silent loss"): docs, `anytier matrix`, preview and the conformance
suite read this one place. Nothing here may import Pulumi, a transport or a runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from anytier.errors import CapabilityError
from anytier.spec.diagnostic import Path, dotted

Status = Literal["native", "emulated", "unsupported", "planned"]

TIERS: tuple[str, ...] = ("local", "baremetal", "libvirt", "docker", "kubeadm", "eks", "gke", "aks")
BUILT: tuple[str, ...] = TIERS
# Where a tier behaves in more than one way the lookup takes the mode; `local` without systemd runs on supervisord.
# `systemd` is root's; a user's own is `user`, or `undelegated` where it has no control groups to share out.
MODES: Mapping[str, tuple[str, ...]] = {
    "local": ("systemd", "supervisord", "undelegated", "user"),
    "eks": ("standard", "auto"),
    "gke": ("standard", "autopilot"),
    "aks": ("standard", "automatic"),
}


@dataclass(frozen=True)
class Support:
    """One cell. `note` says how (emulated) or why not (unsupported, planned), `instead` the way out.

    `modes` overrides the cell for a mode of the tier, e.g. `supervisord` on `local`.
    """

    status: Status
    note: str = ""
    instead: str = ""
    modes: Mapping[str, Support] = field(default_factory=dict)

    @property
    def carried(self) -> bool:
        return self.status in ("native", "emulated")


def _but(cell: Support, **modes: Support) -> Support:
    return Support(cell.status, cell.note, cell.instead, modes)


def _emulated(how: str) -> Support:
    return Support("emulated", how)


def _unsupported(why: str, instead: str) -> Support:
    return Support("unsupported", why, instead)


def _planned(what: str, instead: str = "") -> Support:
    return Support("planned", what, instead)


NATIVE = Support("native")
_TIER_NOT_BUILT = _planned("the tier is not built yet", "use one that `anytier matrix` shows as built")
_NO_ROOT = _unsupported("images are run by root's own systemd", "run as root under systemd, or add a `host:` section")
_NO_BUILD = _unsupported("nothing is built on a machine", "add a `host:` section, or build elsewhere and use `image`")
_ONE_PROCESS = _unsupported(
    "on a host a workload is one native process", "make it a workload of its own, or use the docker tier"
)
_HOST_IGNORES = _emulated("describes the container; where `host:` is given, `host:` is what runs")
_HOST_WINS = _but(
    _emulated("describes the container, which systemd runs; where `host:` is given, `host:` is what runs"),
    **dict.fromkeys(("supervisord", "undelegated", "user"), _HOST_IGNORES),
)
_IMAGE = _but(
    _emulated("unpacked once and run by systemd in a root of its own, on the machine's network"),
    **dict.fromkeys(("supervisord", "undelegated", "user"), _NO_ROOT),
)
_KUBERNETES_ONLY = _unsupported(
    "only Kubernetes has such objects", "use a Kubernetes tier, or leave it out by overrides"
)
_NO_CONTROLLER = _unsupported(
    "only Kubernetes has a choice of what keeps it running", "say it in `overrides` of a Kubernetes tier"
)
_NO_SUCH_OBJECTS = _unsupported(
    "only Kubernetes has Secrets and ConfigMaps that are there already",
    "name each variable in `variables` or `secrets`",
)
_HOST_FILES = _but(
    _emulated("bound read-only at the path (as root), else under the folder named by ANYTIER_FILES"),
    supervisord=_emulated("written under the folder named by ANYTIER_FILES"),
)
_NO_LABELS = _emulated("part of the revision; a process of a machine carries no labels")
_NO_ANNOTATIONS = _emulated("kept in the spec; no object here carries annotations")
_DESCRIBES_MACHINE = _emulated("describes the machine; containers are what runs here")
_LOOKED_AT = _emulated("nothing is installed: what is missing is an error of the preview, with the command for it")
_PLAIN_HTTP = _unsupported("the check inside the container speaks plain HTTP", "use tcpSocket, or exec with a client")
_ONCE = _emulated("gates a rollout; afterwards only httpGet over plain HTTP is repeated by the proxy")
_LATER = "not built yet on any tier"
_ONE_MACHINE = "there is one machine"
_ONE_REPLICA = _emulated(f"{_ONE_MACHINE}: global is one replica")
_NOWHERE_ELSE = _unsupported(_ONE_MACHINE, "drop it in `overrides`")
_RECORDED = _emulated("checked and recorded; one machine has no scheduler to reserve with")
_ONE_PLATFORM = _unsupported(
    "the daemon builds for one platform, its own or that of the cluster's machines",
    "leave it out, or build elsewhere and use `image`",
)
_BUILT_AND_SENT = _emulated("built by the Docker daemon that the stack names, and sent to every node")
_BUILT_AND_PUSHED = _emulated("built by the Docker daemon that the stack names, and pushed to the cloud's registry")
_NO_IDENTITY = _unsupported("there is no cloud identity here", "use a secret, or drop it in `overrides`")
_MACHINES_COME_AND_GO = _unsupported(
    "a managed cluster's machines come and go, and their names with them", "use labels, which a pool's machines have"
)
_GPU = _emulated("nvidia.com/gpu, by the device plugin of the cluster; the limit is what counts")
_NO_GPU = _planned("not built yet on this tier")
_GPU_OF_DAEMON = _emulated(
    "by NVIDIA's container toolkit on the daemon's machine; the limit is what counts, and nobody has a GPU alone"
)
_GPU_IN_POOLS = _but(
    _GPU,
    auto=_unsupported("the pools of Auto Mode have no GPUs", "use mode standard and a pool of a type that has them"),
)
_ONE_SUCCESS = _unsupported("Kubernetes goes by the first success there", "leave it out by overrides")
_RLIMIT = _emulated("RLIMIT_DATA on each process: an allocation fails, nothing is killed")


def _row(
    local: Support,
    docker: Support,
    baremetal: Support | None = None,
    kubernetes: Support = NATIVE,
    clouds: Mapping[str, Support] | None = None,
) -> dict[str, Support]:
    """The tiers that are built; every other column says that its tier is planned.

    A machine over SSH, found or made, is what `local` is under systemd, unless it is given by itself. `clouds`: a
    managed tier where it is not as `kubernetes` in general.
    """
    over_ssh = baremetal or _alone(local.modes.get("systemd", local))
    built = {"local": local, "baremetal": over_ssh, "libvirt": over_ssh, "docker": docker, **_clusters(kubernetes)}
    built |= {tier: cell for tier, cell in (clouds or {}).items() if tier in BUILT}
    return {tier: built.get(tier, _TIER_NOT_BUILT) for tier in TIERS}


def _clusters(cell: Support) -> dict[str, Support]:
    """The Kubernetes tiers that are built: one runtime serves them all."""
    return {tier: cell for tier in ("kubeadm", "eks", "gke", "aks") if tier in BUILT}


def _alone(cell: Support) -> Support:
    return Support(cell.status, cell.note, cell.instead)


def _both(cell: Support, kubernetes: Support = NATIVE) -> dict[str, Support]:
    """The same on machines and on Docker."""
    return _row(cell, cell, kubernetes=kubernetes)


def _everywhere(cell: Support) -> dict[str, Support]:
    return _both(cell, cell)


def _noted(note: str) -> Support:
    return Support("native", note)


_ALL = _everywhere(NATIVE)
_PLANNED = _everywhere(_planned(_LATER))
_ELSEWHERE = _both(_planned("not built yet on this tier"))

_C = "workloads.*.containers.*"
_J = "jobs.*.containers.*"

# A key is a path with `*` for names and indices; `path=value` is a row for one value of that field. Lookup takes the
# longest key that fits, so a row stands for everything below it that has no row of its own.
TABLE: dict[str, dict[str, Support]] = {
    "apiVersion": _ALL,
    "kind": _ALL,
    "metadata": _ALL,
    "metadata.labels": _row(_NO_LABELS, NATIVE),
    "metadata.annotations": _both(_NO_ANNOTATIONS),
    "metadata.extra": _everywhere(_emulated("describes the app; ${metadata.KEY} finds it")),
    # containers
    f"{_C}.image": _row(_HOST_WINS, NATIVE),
    f"{_C}.build": _row(_HOST_IGNORES, NATIVE, kubernetes=_BUILT_AND_SENT, clouds={"eks": _BUILT_AND_PUSHED}),
    f"{_C}.build.platforms": _row(
        _HOST_IGNORES,
        _ONE_PLATFORM,
        kubernetes=_ONE_PLATFORM,
    ),
    f"{_C}.command": _row(_HOST_WINS, NATIVE),
    f"{_C}.args": _row(_HOST_WINS, NATIVE),
    f"{_C}.workingDir": _row(_HOST_WINS, NATIVE),
    f"{_C}.user": _row(_HOST_WINS, NATIVE),
    f"{_C}.user=named": _row(
        _HOST_WINS,
        NATIVE,
        kubernetes=_unsupported("Kubernetes takes numbers only, and only the image knows the name", "give the number"),
    ),
    f"{_C}.variables": _ALL,
    f"{_C}.secrets": _row(
        _emulated("a launcher exports them from a 0600 file"),
        _emulated("an entry script exports them from tmpfs"),
        kubernetes=_noted("a Secret, immutable, its content's hash in its name"),
    ),
    f"{_C}.envFrom": _both(_NO_SUCH_OBJECTS),
    f"{_C}.files": _row(
        _HOST_FILES,
        NATIVE,
        kubernetes=_emulated("in ConfigMaps and Secrets, read-only; the pod's group may read a file whatever its mode"),
    ),
    f"{_C}.files.*.owner": _row(
        _HOST_FILES,
        NATIVE,
        kubernetes=_unsupported(
            "a file is root's, readable for the pod's group", "leave owner out, and give the container's `user`"
        ),
    ),
    f"{_C}.volumes": _row(
        _emulated("a directory of the machine, named by VOLUME_<NAME>; an image has it at the path"),
        NATIVE,
        kubernetes=_noted("a claim; a workload that uses one runs once, unless the volume has many writers"),
    ),
    f"{_C}.volumes.*.readOnly": _row(
        _but(
            _unsupported("a plain directory cannot be read-only for one process", "drop readOnly for this tier"),
            systemd=_unsupported("the directory is named, not mounted", "drop readOnly for this tier"),
        ),
        NATIVE,
    ),
    f"{_C}.volumes.*.subPath": _both(
        _unsupported("a volume is mounted whole", "declare one volume resource for each folder")
    ),
    f"{_C}.resources.requests": _row(
        _RECORDED, _RECORDED, _emulated("a preview refuses more memory than a machine has; nothing is reserved")
    ),
    f"{_C}.resources.limits.memory": _row(
        _but(NATIVE, supervisord=_RLIMIT, undelegated=_RLIMIT),
        NATIVE,
    ),
    f"{_C}.resources.limits.cpu": _row(
        _but(
            NATIVE,
            supervisord=_unsupported(
                "without systemd nothing here can hold a CPU limit", "run systemd, or drop it in `overrides.local`"
            ),
            undelegated=_unsupported(
                "this user's systemd was given no share of the CPU to limit (control groups v1, or no delegation)",
                "run as root, or drop it in `overrides.local`",
            ),
        ),
        NATIVE,
    ),
    f"{_C}.resources.limits.gpu": _row(_NO_GPU, _GPU_OF_DAEMON, kubernetes=_GPU, clouds={"eks": _GPU_IN_POOLS}),
    f"{_C}.resources.requests.gpu": _row(_NO_GPU, _GPU_OF_DAEMON, kubernetes=_GPU, clouds={"eks": _GPU_IN_POOLS}),
    f"{_C}.resources.limits.ephemeralStorage": _both(
        _unsupported("neither hosts nor Docker's default storage can hold it", "drop it in `overrides`")
    ),
    f"{_C}.resources.requests.ephemeralStorage": _both(_emulated("recorded only")),
    f"{_C}.livenessProbe": _row(
        _emulated("healthd, a small prober beside the app, restarts it"),
        _emulated("a health check inside the container ends the process, the restart policy restarts it"),
    ),
    f"{_C}.livenessProbe.successThreshold": _row(
        _emulated("healthd, a small prober beside the app, counts it"),
        _emulated("the health check inside the container counts it"),
        kubernetes=_ONE_SUCCESS,
    ),
    f"{_C}.readinessProbe": _row(
        _emulated("gates a rollout; afterwards the proxy's checks take it out of rotation and back"),
        _emulated("gates a rollout; afterwards the proxy's checks take it out of rotation and back"),
    ),
    f"{_C}.readinessProbe.exec": _both(_ONCE),
    f"{_C}.readinessProbe.tcpSocket": _both(_ONCE),
    f"{_C}.readinessProbe.httpGet.scheme=HTTPS": _both(_ONCE),
    f"{_C}.startupProbe": _both(_emulated("gates a rollout, and holds liveness back")),
    f"{_C}.startupProbe.successThreshold": _both(_emulated("gates a rollout, and holds liveness back"), _ONE_SUCCESS),
    f"{_C}.startupProbe.httpGet.scheme=HTTPS": _row(_emulated("gates a rollout"), _PLAIN_HTTP),
    f"{_C}.livenessProbe.httpGet.scheme=HTTPS": _row(_emulated("healthd asks by HTTPS"), _PLAIN_HTTP),
    f"{_C}.livenessProbe.grpc": _both(
        _unsupported("no gRPC prober here", "use tcpSocket, or exec with grpc_health_probe")
    ),
    f"{_C}.readinessProbe.grpc": _both(
        _unsupported("no gRPC prober here", "use tcpSocket, or exec with grpc_health_probe")
    ),
    f"{_C}.startupProbe.grpc": _both(
        _unsupported("no gRPC prober here", "use tcpSocket, or exec with grpc_health_probe")
    ),
    f"{_C}.before": _row(_ONE_PROCESS, _emulated("anytier starts the containers of an instance in this order")),
    f"{_C}.lifecycle": _both(
        _emulated("run by anytier at start and stop; a restart by the platform does not run it"),
        _noted("an own preStop takes the place of the wait for drainTimeout"),
    ),
    f"{_C}.lifecycle.postStart.sleep": _both(_unsupported("nothing waits for it here", "leave it out by overrides")),
    f"{_C}.lifecycle.preStop.sleep": _both(_emulated("not needed: the proxy drains an instance before it is stopped")),
    f"{_C}.lifecycle.postStart.httpGet": _both(_unsupported("only commands are run here", "use exec")),
    f"{_C}.lifecycle.preStop.httpGet": _both(_unsupported("only commands are run here", "use exec")),
    f"{_C}.stopSignal": _both(NATIVE, _emulated("written into an image that is built here")),
    f"{_C}.stopSignal=image": _both(
        NATIVE, _unsupported("an image that is pulled brings its own", "build the image, or leave it out by overrides")
    ),
    f"{_C}.stopGracePeriod": _ALL,
    f"{_C}.securityContext": _row(
        _HOST_WINS,
        NATIVE,
        kubernetes=_noted("not root, no escalation, no capability and the runtime's seccomp unless the spec says so"),
    ),
    f"{_C}.securityContext.runAsNonRoot": _row(
        _HOST_WINS, NATIVE, kubernetes=_emulated("not needed: nobody is root unless `user` says so")
    ),
    f"{_C}.securityContext.capDrop": _row(
        _HOST_WINS, NATIVE, kubernetes=_emulated("not needed but for root: others have no capability in any case")
    ),
    # the native way
    "workloads.*.host": _row(NATIVE, _DESCRIBES_MACHINE, kubernetes=_DESCRIBES_MACHINE),
    "workloads.*.host.files": _row(_HOST_FILES, _DESCRIBES_MACHINE, kubernetes=_DESCRIBES_MACHINE),
    "workloads.*.host.packages": _row(_LOOKED_AT, _DESCRIBES_MACHINE, NATIVE, _DESCRIBES_MACHINE),
    # ports
    "workloads.*.service": _ALL,
    "workloads.*.service.ports.*.targetPort": _row(
        _emulated("each instance is given a port in PORT; an image that runs once and stops first has its own"), NATIVE
    ),
    "workloads.*.service.ports.*.protocol=UDP": _row(
        _unsupported("the proxy carries HTTP, and TCP is direct", "use the docker tier"), NATIVE
    ),
    "workloads.*.service.ports.*.expose": _both(
        NATIVE, _emulated("host and public alike: on the machines' own addresses, or by a load balancer")
    ),
    # scale
    "workloads.*.scale.replicas": _ALL,
    "workloads.*.scale.mode": _row(_ONE_REPLICA, _ONE_REPLICA, _emulated("global: one instance on each that fits")),
    "workloads.*.scale.min": _both(
        _unsupported("nothing scales by itself here", "use scale.replicas and `anytier scale`")
    ),
    "workloads.*.scale.max": _both(
        _unsupported("nothing scales by itself here", "use scale.replicas and `anytier scale`")
    ),
    "workloads.*.scale.metrics": _both(
        _unsupported("nothing scales by itself here", "use scale.replicas and `anytier scale`")
    ),
    # updates: one algorithm on hosts and Docker (anytier.rollout)
    "workloads.*.update": _both(
        _emulated("anytier's own rollout"),
        _emulated("Kubernetes' own rollout, watched by anytier and undone if it fails"),
    ),
    "workloads.*.update.drainTimeout": _both(
        _emulated("anytier's own rollout"),
        _emulated("an instance serves on for it before it is stopped; one that stops first, for 3 s of it"),
    ),
    "workloads.*.update.minHealthyTime": _both(
        _emulated("anytier's own rollout"),
        _emulated(
            "the readiness probe passes for so long first; one that asks less often lets requests come meanwhile"
        ),
    ),
    "workloads.*.update.strategy=canary": _PLANNED,
    "workloads.*.update.strategy=bluegreen": _PLANNED,
    "workloads.*.update.canary": _PLANNED,
    "workloads.*.update.autoPromote": _PLANNED,
    "workloads.*.dependsOn": _everywhere(_emulated("a workload waits for the rollout of those it depends on")),
    "workloads.*.dependsOn.*.condition=completed": _everywhere(
        _unsupported("a workload here runs on and on", "make it a job with trigger preDeploy")
    ),
    "workloads.*.placement": _row(_NOWHERE_ELSE, _NOWHERE_ELSE, _emulated("by the names and labels in the stack")),
    "workloads.*.placement.hosts": _row(
        _NOWHERE_ELSE,
        _NOWHERE_ELSE,
        _emulated("by the names and labels in the stack"),
        clouds={"eks": _MACHINES_COME_AND_GO},
    ),
    "workloads.*.placement.spread": _row(_NOWHERE_ELSE, _NOWHERE_ELSE, _emulated("shared out evenly in any case")),
    "workloads.*.placement.spread=zone": _row(
        _NOWHERE_ELSE,
        _NOWHERE_ELSE,
        _unsupported("a list of machines has no zones", "use labels, and a workload for each zone"),
    ),
    "workloads.*.disruption": _row(
        _unsupported(f"{_ONE_MACHINE}, and nobody drains it", "drop it in `overrides`"),
        _unsupported(f"{_ONE_MACHINE}, and nobody drains it", "drop it in `overrides`"),
        _unsupported("nobody drains a machine but the stack's list", "drop it in `overrides`"),
    ),
    "workloads.*.controller": _both(_NO_CONTROLLER),
    "workloads.*.identity": _row(
        _NO_IDENTITY,
        _NO_IDENTITY,
        kubernetes=_NO_IDENTITY,
        clouds={"eks": _noted("the role in `cloudRoles.aws`, by EKS Pod Identity")},
    ),
    "workloads.*.metadata": _ALL,
    "workloads.*.metadata.labels": _row(_NO_LABELS, NATIVE),
    "workloads.*.metadata.annotations": _both(_NO_ANNOTATIONS),
    # resources
    "resources.*.type": _everywhere(_planned("only `volume` is built", "run it as a workload of this app")),
    "resources.*.type=volume": _ALL,
    "resources.*.class": _both(
        _emulated("recorded; there is one kind of volume here"),
        _noted("the storage class of a volume; the cluster's own if left out"),
    ),
    "resources.*.id": _everywhere(_emulated("names a resource shared by workloads of this app")),
    "resources.*.metadata": _everywhere(_emulated("recorded")),
    "resources.*.params": _both(
        _planned("volumes take no parameters yet"), _noted("size, 1Gi if left out; access: ReadWriteMany")
    ),
    # routes
    "routes": _both(
        _emulated("a Caddy proxy beside the app"),
        _emulated(
            "a Gateway's that the stack names, an Ingress controller's of the cluster, else Caddy beside the app"
        ),
    ),
    "routes.*.tls": _both(
        _emulated("the Caddy proxy holds the certificates"),
        _emulated(
            "given ones are Secrets; for automatic ones Caddy beside the app runs once, with a volume; a Gateway that"
            " is there has its own"
        ),
    ),
    # jobs
    "workloads.*.host=absent": _row(_NO_BUILD, NATIVE),
    "jobs.*.host=absent": _row(_NO_BUILD, NATIVE),
    "workloads.*.host=image": _row(_IMAGE, NATIVE),
    "jobs.*.host=image": _row(_IMAGE, NATIVE),
    "workloads.*.containers=several": _row(_ONE_PROCESS, _emulated("one instance is a group that shares its network")),
    "jobs.*.containers=several": _row(_ONE_PROCESS, _emulated("one instance is a group that shares its network")),
    "jobs.*.trigger": _ALL,
    "jobs.*.dependsOn": _everywhere(_emulated("a preDeploy job runs after the workloads it needs, before all others")),
    "jobs.*.dependsOn.*.condition=completed": _everywhere(
        _unsupported("a workload here runs on and on", "wait for it to be healthy")
    ),
    "jobs.*.trigger=preDeploy": _ALL,
    "jobs.*.trigger=postDeploy": _ALL,
    "jobs.*.trigger=schedule": _ELSEWHERE,
    "jobs.*.trigger=manual": _both(
        _planned("not built yet on this tier"),
        _emulated("a suspended CronJob: kubectl create job --from=cronjob/NAME runs it"),
    ),
    "jobs.*.schedule": _ELSEWHERE,
    "jobs.*.timeZone": _ELSEWHERE,
    "jobs.*.concurrencyPolicy": _ELSEWHERE,
    "jobs.*.backoffLimit": _ALL,
    "jobs.*.timeout": _ALL,
    "jobs.*.host": _row(NATIVE, _DESCRIBES_MACHINE, kubernetes=_DESCRIBES_MACHINE),
    "jobs.*.host.files": _row(_HOST_FILES, _DESCRIBES_MACHINE, kubernetes=_DESCRIBES_MACHINE),
    "jobs.*.host.packages": _row(_LOOKED_AT, _DESCRIBES_MACHINE, NATIVE, _DESCRIBES_MACHINE),
    "jobs.*.metadata": _ALL,
    "jobs.*.metadata.labels": _row(_NO_LABELS, NATIVE),
    "jobs.*.metadata.annotations": _both(_NO_ANNOTATIONS),
    # secrets
    "secrets": _ALL,
    "secrets.*.from": _ALL,
    "secrets.*.from=aws-sm": _PLANNED,
    "secrets.*.from=gcp-sm": _PLANNED,
    "secrets.*.from=azure-kv": _PLANNED,
    # the rest
    "objects": _both(_KUBERNETES_ONLY),
    "overrides": _everywhere(_emulated("merged into the spec before anything else")),
}


def _column(tier: str, cells: Mapping[str, Support]) -> None:
    """Where a managed tier is not what Kubernetes is in general. A row that is not there yet is as the one above it."""
    for key, cell in cells.items():
        above = next(row for row in _upwards(key) if row in TABLE)
        TABLE[key] = {**TABLE[above], tier: cell}


def _upwards(key: str) -> Iterator[str]:
    """`a.b.c=value`, `a.b.c`, `a.b`, `a`."""
    yield key
    steps = key.partition("=")[0].split(".")
    yield from (".".join(steps[:length]) for length in range(len(steps), 0, -1))


_COMES_AND_GOES = _unsupported("machines come and go, under names of their own", "use labels: those of a pool")

# EKS. Auto Mode has the machines, and pools of its own that cannot be changed.
_column(
    "eks",
    {
        "workloads.*.placement.labels": _but(
            _noted("the labels of a pool in the stack, or those that EKS gives"),
            auto=_emulated("labels that EKS gives, such as topology.kubernetes.io/zone; no machine has others"),
        ),
    },
)

# GKE. Autopilot has the machines, and keeps off them what would be near to them.
_GKE_GPU = _but(
    _planned("no pool has GPUs yet", "use mode autopilot, or leave it out by overrides"),
    autopilot=_emulated("a machine is made for it; placement.labels names its cloud.google.com/gke-accelerator"),
)
_column(
    "gke",
    {
        f"{_C}.build": _emulated("built by the Docker daemon of this side, pushed to the stack's own registry"),
        f"{_C}.resources.requests": _but(
            NATIVE, autopilot=_emulated("they are what is paid for; raised to the least that Autopilot gives")
        ),
        f"{_C}.resources.limits.gpu": _GKE_GPU,
        f"{_C}.resources.requests.gpu": _GKE_GPU,
        f"{_C}.securityContext.capAdd": _but(
            NATIVE,
            autopilot=_emulated("some, such as NET_BIND_SERVICE; Autopilot refuses NET_ADMIN, SYS_ADMIN, others"),
        ),
        "workloads.*.scale.mode": _but(NATIVE, autopilot=_emulated("one on each machine; none is made for it alone")),
        "workloads.*.placement.hosts": _COMES_AND_GOES,
        "workloads.*.placement.labels": _but(
            _noted("the labels of a pool in the stack, or those that GKE gives"),
            autopilot=_emulated("labels that GKE gives, such as cloud.google.com/gke-spot; no machine has others"),
        ),
        "workloads.*.identity": _noted("workload identity: the service account is bound to the workload's own account"),
        "routes.*.timeout": _emulated("with a Gateway of Google's one for all routes to a workload, in whole seconds"),
        "objects": _but(
            NATIVE, autopilot=_emulated("but Autopilot refuses privileged pods, paths of the machine and its network")
        ),
    },
)

# AKS. Automatic enforces AKS's deployment safeguards: some fields are changed on their way in, some refused.
_SAME_SELECTOR = _unsupported(
    "a second Service for the same pods is refused by AKS Automatic", "reach it by a route, or choose `mode: standard`"
)
_column(
    "aks",
    {
        f"{_C}.build": _emulated("built by the Docker daemon of this side, pushed to the stack's registry"),
        f"{_C}.image": _but(NATIVE, automatic=_emulated("no tag latest: AKS Automatic refuses it")),
        f"{_C}.resources.requests": _but(
            NATIVE, automatic=_emulated("raised to 100m and 100Mi; what asks for no CPU gets 500m, and as its limit")
        ),
        f"{_C}.resources.limits.cpu": _but(
            NATIVE, automatic=_emulated("what limits no CPU is limited to what it asks for, at least 100m")
        ),
        f"{_C}.resources.limits.gpu": _planned("no pool has GPUs yet", "leave it out by overrides"),
        f"{_C}.resources.requests.gpu": _planned("no pool has GPUs yet", "leave it out by overrides"),
        "workloads.*.service.ports.*.expose=host": _but(
            _emulated("by a load balancer with a public address"), automatic=_SAME_SELECTOR
        ),
        "workloads.*.service.ports.*.expose=public": _but(
            _emulated("by a load balancer with a public address"), automatic=_SAME_SELECTOR
        ),
        "workloads.*.placement.hosts": _COMES_AND_GOES,
        "workloads.*.placement.labels": _but(
            _noted("the labels of a pool in the stack, or those that AKS gives"),
            automatic=_emulated("labels that AKS gives, such as kubernetes.io/arch; no machine has others"),
        ),
        "workloads.*.identity": _noted("workload identity: a federated credential of the identity that the role names"),
        "objects": _but(NATIVE, automatic=_emulated("but AKS Automatic refuses what its safeguards forbid")),
    },
)
# A job's containers behave as a workload's do, but nothing probes them and nothing stands before them.
_PROBES = tuple(f"{_C}.{probe}" for probe in ("livenessProbe", "readinessProbe", "startupProbe"))
TABLE |= {key.replace(_C, _J): row for key, row in TABLE.items() if key.startswith(_C) and not key.startswith(_PROBES)}
TABLE[f"{_J}.lifecycle"] = _row(
    _unsupported("a job's command is all that is run", "put it into the command"), TABLE[f"{_C}.lifecycle"]["docker"]
)
TABLE[f"{_J}.lifecycle.preStop.sleep"] = _everywhere(_unsupported("a job has no requests to drain", "leave it out"))
TABLE |= {
    f"{_J}.{probe}": _everywhere(_unsupported("a job ends; it is not probed", "leave the probe out"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe")
}


def lookup(path: str, tier: str, mode: str | None = None, value: object = None) -> Support:
    """The cell for a path, concrete (`workloads.web.scale.replicas`) or with `*`. KeyError if no row covers it."""
    return _cell(path.split("."), tier, mode, value)


def support(path: Path, tier: str, mode: str | None = None, value: object = None) -> Support:
    """The same for a path in steps, whose names may have dots in them."""
    return _cell([str(step) for step in path], tier, mode, value)


def _cell(parts: list[str], tier: str, mode: str | None, value: object) -> Support:
    cell = TABLE[_key(parts, value)][tier]
    return cell.modes.get(mode or "", cell)


def _key(parts: list[str], value: object) -> str:
    for length in range(len(parts), 0, -1):
        for key in _keys_for(parts[:length], value if length == len(parts) else None):
            return key
    raise KeyError(".".join(parts))


def _keys_for(parts: list[str], value: object) -> Iterator[str]:
    fitting = [(wanted, key) for pattern, wanted, key in _BY_LENGTH.get(len(parts), ()) if _fits(pattern, parts)]
    for said in [value, ""] if isinstance(value, str) else [""]:
        yield from (key for wanted, key in fitting if wanted == said)


def _fits(pattern: list[str], parts: list[str]) -> bool:
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted != part and wanted != "*" and part != "*":
            return False
    return True


def _index() -> dict[int, list[tuple[list[str], str, str]]]:
    """Number of steps -> (the steps, the value that it is for or "", the key) of each row."""
    index: dict[int, list[tuple[list[str], str, str]]] = {}
    for key in TABLE:
        path, _, wanted = key.partition("=")
        steps = path.split(".")
        index.setdefault(len(steps), []).append((steps, wanted, key))
    return index


_BY_LENGTH = _index()


@dataclass(frozen=True)
class Finding:
    """A field of an app that the tier does not carry, with the cell that says so."""

    path: Path
    tier: str
    cell: Support

    @property
    def what(self) -> str:
        said = {"planned": "is planned", "unsupported": "is not supported"}[self.cell.status]
        return f"{said} on tier {self.tier}: {self.cell.note}"

    def error(self) -> CapabilityError:
        return CapabilityError(dotted(self.path), self.what, self.cell.instead)


def check(fields: Iterable[tuple[Path, object]], tier: str, mode: str | None = None) -> list[Finding]:
    """Every used field (path, value) that `tier` does not carry. `fields` comes from `spec.walk.used_fields`.

    A field without a row is a defect of the table, not of the app: it raises KeyError, and a test walks the model.
    """
    cells = ((path, support(path, tier, mode, value)) for path, value in fields)
    return [Finding(path, tier, cell) for path, cell in cells if not cell.carried]


def carried_by_none(fields: Iterable[tuple[Path, object]]) -> list[tuple[Path, str, str]]:
    """(path, what, what to do) of every used field that no tier carries in any of its modes."""
    few = ((path, value) for path, value in fields if any((path[0], step) in _MAY_BE_NONE for step in path))
    keys = ((path, _key([str(step) for step in path], value)) for path, value in few)
    cells = [(path, TABLE[key][TIERS[0]]) for path, key in keys if key in _CARRIED_BY_NONE]
    return [(path, f"is carried by no tier: {cell.note}", cell.instead) for path, cell in cells]


_CARRIED_BY_NONE = frozenset(
    key
    for key, row in TABLE.items()
    if not any(one.carried for cell in row.values() for one in (cell, *cell.modes.values()))
)
# Section and field of those: looking a path up takes long, and an app has many.
_MAY_BE_NONE = frozenset(
    (steps[0], steps[-1]) for steps in (key.partition("=")[0].split(".") for key in _CARRIED_BY_NONE)
)
