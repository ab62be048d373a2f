"""A workload as what keeps it running: Deployment, StatefulSet or DaemonSet, with its autoscaler and its budget.

A workload that writes to a volume with one writer is a StatefulSet with one replica. A Deployment would start a second
writer while a node does not answer; a StatefulSet never does. Its pods are managed in parallel: where a release is bad,
going back replaces a pod that never became ready (`OrderedReady` waits for it for ever). The volumes are the app's own
claims, since several workloads and jobs may use one. `controller` in the spec decides otherwise.

All others are Deployments; `scale.mode: global` is a DaemonSet. A rollout starts first (`maxUnavailable: 0`), an old
instance serves on for `drainTimeout` after it was told to go, and endpoints name only who is ready: no request is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from anytier.errors import CapabilityError, ConfigError, SpecError
from anytier.render.kubernetes import probes
from anytier.render.kubernetes.finish import content_hash
from anytier.render.kubernetes.identity import marks, notes
from anytier.render.kubernetes.names import filled, fitted, instances_name, selector, service_name
from anytier.render.kubernetes.pod import SETTLE, Pod, pod
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.storage import many_writers
from anytier.render.kubernetes.target import Json
from anytier.render.template import UpdatePolicy
from anytier.render.traffic import service_ports
from anytier.render.workload import absolute, role, update_policy
from anytier.spec import Workload

Controller = Literal["Deployment", "StatefulSet", "DaemonSet"]
REVISION = "anytier.dev/revision-hash"
# Pods of a StatefulSet carry its name and a hash in one label.
_MOST = {"Deployment": 63, "StatefulSet": 52, "DaemonSet": 63}


@dataclass(frozen=True)
class Running:
    """A workload's own object and what its pods refer to; `hash` tells its template's content."""

    object: Json
    pod: Pod
    update: UpdatePolicy
    hash: str


def controller(scope: Scope, name: str) -> Controller:
    body = scope.app.workloads[name]
    if body.scale.mode == "global":
        return "DaemonSet"
    return body.controller or ("StatefulSet" if single_writers(scope, name) else "Deployment")


def single_writers(scope: Scope, name: str) -> list[str]:
    """The volumes of a workload of which only one instance can make use."""
    mounts = [m for item in scope.app.workloads[name].containers.values() for m in item.volumes.values()]
    names = dict.fromkeys(mount.source.removeprefix("${resources.").removesuffix("}") for mount in mounts)
    return [key for key in names if not many_writers(scope.app.resources[key], key)]


def writers(scope: Scope) -> dict[str, dict[str, str]]:
    """Volume with one writer -> the workloads that have it -> what keeps each running. One of no instance has none."""
    found: dict[str, dict[str, str]] = {}
    for name in (name for name in scope.app.workloads if replicas(scope, name)):
        for volume in single_writers(scope, name):
            found.setdefault(volume, {})[name] = controller(scope, name)
    return found


def replicas(scope: Scope, name: str) -> int:
    scale = scope.app.workloads[name].scale
    return scope.target.scale.get(name, 1 if scale.mode == "global" else scale.replicas)


def fewest(scope: Scope, name: str) -> int:
    """The least number of instances: an autoscaler's, which is never none, else the number that is said."""
    scale = scope.app.workloads[name].scale
    if scale.max is None:
        return replicas(scope, name)
    return max(1, scale.min if scale.min is not None else min(scale.replicas, scale.max))


def running(scope: Scope, name: str) -> Running:
    """SpecError, CapabilityError or ConfigError for a number of instances that cannot be."""
    body = scope.app.workloads[name]
    _refuse(scope, name, body)
    kind, count = controller(scope, name), replicas(scope, name)
    policy = update_policy(scope.app, name, count, single_writer_stops_first=False)
    if kind == "StatefulSet":
        policy = policy.model_copy(update={"order": "stop-first"})
    elif kind == "Deployment" and single_writers(scope, name):
        policy = policy.model_copy(update={"strategy": "recreate"})  # the only one that waits until the last has ended
    least = policy.min_healthy_time
    made = pod(scope, "workload", name, _drain(body, policy), policy.healthy_deadline, least)
    held = any(probes.holds_back(item.get("readinessProbe"), least) for item in made.spec["containers"])
    called = fitted(name, _MOST[kind])
    spec = {**made.spec, **_spread(name, body, kind, count)}
    template = {"metadata": _template_marks(scope, name), "spec": spec}
    digest = content_hash(template)
    template["metadata"]["annotations"] = {**template["metadata"].get("annotations", {}), REVISION: digest}
    settled = filled(
        replicas=None if kind == "DaemonSet" or body.scale.max is not None else count,
        selector={"matchLabels": selector("workload", name)},
        template=template,
        minReadySeconds=None if held else math.ceil(least) or None,
        revisionHistoryLimit=policy.retain,
        **_update(kind, body, policy),
        serviceName=_subdomain(scope, name) if kind == "StatefulSet" else None,
        podManagementPolicy="Parallel" if kind == "StatefulSet" else None,
    )
    item = scope.of_part("apps/v1", kind, called, "workload", name, spec=settled)
    return Running(item, made, policy, digest)


def _subdomain(scope: Scope, name: str) -> str:
    return instances_name(name) if numbered(scope, name) else service_name(name)


def numbered(scope: Scope, name: str) -> bool:
    """Whether the spec asks for instances that have a name of their own. One that is a StatefulSet by its volume is
    alone, and who it is under its workload's name."""
    return scope.app.workloads[name].controller == "StatefulSet" and not single_writers(scope, name)


def _template_marks(scope: Scope, name: str) -> Json:
    labels = {**scope.part_labels("workload", name), **marks(scope, name)}
    return filled(labels=labels, annotations=scope.annotations("workload", name))


def _refuse(scope: Scope, name: str, body: Workload) -> None:
    path, scale = f"workloads.{name}.scale", body.scale
    if scale.max is not None and "metrics" not in scope.target.offers:
        what = "nothing on this cluster measures what an autoscaler looks at"
        raise CapabilityError(f"{path}.max", what, "let the cluster have metrics, or use scale.replicas")
    if scale.min is not None and scale.max is None:
        raise SpecError(f"{path}.min", "has no max to scale to", "add max, or use scale.replicas")
    if scale.max is not None and name in scope.target.scale:
        do = f"take it out; scale.min and scale.max of {name} are the app's own"
        raise ConfigError(f"anytier:scale.{name}", "an autoscaler decides how many there are", do)
    volumes = single_writers(scope, name)
    most = scale.max if scale.max is not None else replicas(scope, name)
    if volumes and scale.mode == "global":
        what = f"is global, and volume {volumes[0]} is on one node at a time"
        raise SpecError(f"{path}.mode", what, _SHARE)
    if body.controller is not None and scale.mode == "global":
        what = f"is {body.controller}, and what runs on every node is a DaemonSet"
        raise SpecError(f"workloads.{name}.controller", what, "leave it out, or take scale.mode out")
    if body.controller == "StatefulSet" and most > 1:
        _refuse_at_once(name, body, most)
    if volumes and most > 1:
        what = f"{most} instances share volume {volumes[0]}, which has one writer on Kubernetes"
        raise SpecError(f"{path}.{'max' if scale.max is not None else 'replicas'}", what, _SHARE)


def _refuse_at_once(name: str, body: Workload, most: int) -> None:
    what, do = "a StatefulSet replaces one instance after the other", "leave it out, or let it be a Deployment"
    if body.update.strategy == "recreate":
        raise CapabilityError(f"workloads.{name}.update.strategy", what, do)
    if absolute(body.update.max_parallel, most) > 1:
        raise CapabilityError(f"workloads.{name}.update.maxParallel", what, do)


_SHARE = (
    "run one; or, where the storage class can, mount a new volume with `params: {access: ReadWriteMany}` and move the "
    "data there: a volume that is there keeps its access"
)


def _drain(body: Workload, policy: UpdatePolicy) -> float:
    """What stops first is only kept long enough for nobody to be sent there any more: its successor waits for it."""
    if not service_ports(body):
        return 0
    stops_first = policy.order == "stop-first" or policy.strategy == "recreate"
    return min(policy.drain_timeout, SETTLE) if stops_first else policy.drain_timeout


def _update(kind: Controller, body: Workload, policy: UpdatePolicy) -> Json:
    if kind == "StatefulSet":
        return {"updateStrategy": {"type": "RollingUpdate"}}
    step: Any = policy.max_parallel
    if body.scale.max is not None and isinstance(body.update.max_parallel, str):
        step = body.update.max_parallel  # a share of however many there are
    if kind == "DaemonSet":
        step = body.update.max_parallel
        step = "100%" if policy.strategy == "recreate" else step
        first = policy.order == "start-first" and policy.strategy != "recreate"
        rolling = {"maxSurge": step if first else 0, "maxUnavailable": 0 if first else step}
        return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    deadline = max(math.ceil(policy.progress_deadline), math.ceil(policy.min_healthy_time) + 1)
    if policy.strategy == "recreate":
        return {"strategy": {"type": "Recreate"}, "progressDeadlineSeconds": deadline}
    first = policy.order == "start-first"
    rolling = {"maxSurge": step if first else 0, "maxUnavailable": 0 if first else step}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}, "progressDeadlineSeconds": deadline}


def _spread(name: str, body: Workload, kind: Controller, count: int) -> Json:
    """Over nodes as well as it goes; where the spec asks for it, as it says. Each revision by itself."""
    asked = body.placement.spread if body.placement else None
    if kind == "DaemonSet" or (count < 2 and body.scale.max is None and asked is None):
        return {}
    constraint = filled(
        maxSkew=1,
        topologyKey="topology.kubernetes.io/zone" if asked == "zone" else "kubernetes.io/hostname",
        whenUnsatisfiable="DoNotSchedule" if asked else "ScheduleAnyway",
        labelSelector={"matchLabels": selector("workload", name)},
        matchLabelKeys=["pod-template-hash"] if kind == "Deployment" else None,
        nodeTaintsPolicy="Honor",
    )
    return {"topologySpreadConstraints": [constraint]}


def autoscaler(scope: Scope, name: str) -> Json | None:
    """It owns the number of replicas, which the workload itself therefore does not say.

    SpecError for a share of what nobody has asked for.
    """
    scale = scope.app.workloads[name].scale
    if scale.max is None:
        return None
    said = [("cpu", metric.cpu) if metric.cpu is not None else ("memory", metric.memory) for metric in scale.metrics]
    wanted = said or [("cpu", 80)]
    for key, use in wanted:
        _refuse_unasked(scope, name, key, use)
    metrics = [
        {"type": "Resource", "resource": {"name": key, "target": {"type": "Utilization", "averageUtilization": use}}}
        for key, use in wanted
    ]
    kind = controller(scope, name)
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": fitted(name, _MOST[kind])},
        "minReplicas": fewest(scope, name),
        "maxReplicas": max(1, scale.max),
        "metrics": metrics,
    }
    return scope.of_part("autoscaling/v2", "HorizontalPodAutoscaler", name, "workload", name, spec=spec)


def _refuse_unasked(scope: Scope, name: str, key: str, use: int | None) -> None:
    """What is set aside unasked is so little that the least load would bring as many as there may be."""
    for inner, item in scope.app.workloads[name].containers.items():
        if role(item) != "init" and not probes.asks_for(item.resources, key):
            path = f"workloads.{name}.containers.{inner}.resources.requests"
            what = f"has no {key}, and the autoscaler is to hold its use at {use}% of that"
            raise SpecError(path, what, f"say what it needs when it is busy, such as `{_SUCH_AS[key]}`")


_SUCH_AS = {"cpu": "cpu: 250m", "memory": "memory: 128Mi"}


def budget(scope: Scope, name: str) -> Json | None:
    """What a drained node must leave: as said, else all but one. What is broken anyway never holds a drain up.

    SpecError where that leaves nothing that may go.
    """
    body = scope.app.workloads[name]
    if controller(scope, name) == "DaemonSet":
        if body.disruption is not None:
            what = "is about instances that move, and a global workload's do not"
            raise CapabilityError(f"workloads.{name}.disruption", what, "leave it out")
        return None
    least = fewest(scope, name)
    if body.disruption is not None:
        _refuse_endless(scope, name, body.disruption.min_available, least)
        allowed: Json = {"minAvailable": body.disruption.min_available}
    elif least > 1:
        allowed = {"maxUnavailable": 1}
    else:
        return None
    spec = {
        **allowed,
        "selector": {"matchLabels": selector("workload", name)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return scope.of_part("policy/v1", "PodDisruptionBudget", name, "workload", name, spec=spec)


def _refuse_endless(scope: Scope, name: str, kept: int | str, least: int) -> None:
    """The least number decides: of more, a percentage leaves no fewer to go. Where none runs, nothing is in the way."""
    if least == 0 or absolute(kept, least) < least:
        return
    number = "scale.min" if scope.app.workloads[name].scale.max is not None else "scale.replicas"
    if name in scope.target.scale:
        number = f"anytier:scale.{name}"
    what = f"{kept} must stay up of {least}, so that none may be moved: a drain of its machine never ends"
    do = f"raise {number}, or lower this; leave it out where there is only one"
    raise SpecError(f"workloads.{name}.disruption.minAvailable", what, do)


def account(scope: Scope, part: Any, name: str) -> Json:
    """Somebody of its own, who may nothing: no token is handed out."""
    made = scope.of_part("v1", "ServiceAccount", name, part, name, automountServiceAccountToken=False)
    if said := notes(scope, part, name):
        made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **said}
    return made
