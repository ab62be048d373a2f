"""One instance of a workload, or one run of a job, as a pod: containers in their order, volumes, who it is.

Init containers and native sidecars (init containers that go on running) come from `before`. What Kubernetes would
expand in a variable or an argument, `$(NAME)`, is escaped: the spec has placeholders of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anytier.errors import CapabilityError
from anytier.render.kubernetes import probes, security
from anytier.render.kubernetes.config import Carried, carried
from anytier.render.kubernetes.finish import Live
from anytier.render.kubernetes.names import Kind, filled, fitted, label_value
from anytier.render.kubernetes.processors import kept_to
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json
from anytier.render.template import Container, Template
from anytier.render.tokens import names as secret_names
from anytier.render.tokens import substitute
from anytier.render.workload import for_docker, main_container
from anytier.spec.model import Container as Spec
from anytier.spec.model import EnvFrom, Placement

_DOLLARS = re.compile(r"\$+(?=\()|\${2,}")
# What ends at once when it is told to may be asked for a moment longer: endpoints are taken out behind its back.
SETTLE = 3


@dataclass(frozen=True)
class Pod:
    """`spec` is the pod's. `config`: the objects that it refers to, by the end of their keys; `claims`: its volumes."""

    spec: Json
    config: list[tuple[str, Json]]
    claims: list[str]


def pod(scope: Scope, part: Kind, name: str, drain: float = 0, patience: float = 60, least: float = 0) -> Pod:
    """`drain`: seconds that it still serves after it was told to go. `patience`: for a sidecar to become healthy.
    `least`: how many seconds it has to be healthy before anybody is sent there, where its probe can tell.

    CapabilityError for what has no containers, or for what a container cannot be told here.
    """
    body: Any = scope.body(part, name)
    path = f"{part}s.{name}"
    template = for_docker(scope.app, name, body, scope.folder)
    if not template.containers:
        raise CapabilityError(f"{path}.containers", "is empty, and nothing else runs on Kubernetes", "add a container")
    held = carried(scope, part, name, template.containers)
    made = {
        item.name: _container(scope, part, name, item, body.containers[item.name], held, drain)
        for item in template.containers
    }
    main, _ = main_container(name, body)
    ready = probes.held_back(made[main].get("readinessProbe"), least)
    made[main] |= filled(ports=_ports(template), readinessProbe=ready)
    early = [item for item in in_order(template.containers) if item.role != "main"]
    for item in early:
        made[item.name] |= _early(item, body.containers, patience, f"{path}.containers.{item.name}")
    mounts = [mount for item in template.containers for mount in item.mounts]
    claims = list(dict.fromkeys(mount.volume for mount in mounts))
    low = any(port.target < 1024 for port in template.ports)
    spec = filled(
        serviceAccountName=name,
        automountServiceAccountToken=False,
        enableServiceLinks=False,
        securityContext=security.of_pod(template.containers, low, path),
        terminationGracePeriodSeconds=grace(template.containers, body.containers, drain),
        initContainers=[made[item.name] for item in early],
        containers=[made[item.name] for item in template.containers if item.role == "main"],
        volumes=[
            *({"name": claim_volume(key), "persistentVolumeClaim": {"claimName": key}} for key in claims),
            *held.volumes,
        ],
        tolerations=[dict(each) for each in scope.target.tolerations],
        **placed(getattr(body, "placement", None), f"{path}.placement", kept_to(body, scope.target.processors)),
    )
    return Pod(spec, held.objects, claims)


def grace(containers: Iterable[Container], specs: Mapping[str, Spec], drain: float) -> int:
    """Until SIGKILL. Kubernetes counts the time before the stop signal in, and the spec does not."""

    def before(item: Container) -> float:
        lifecycle = specs[item.name].lifecycle
        own = lifecycle.pre_stop if lifecycle else None
        return own.sleep.seconds if own and own.sleep else drain

    return math.ceil(max(item.stop_grace + before(item) for item in containers))


def in_order(containers: Iterable[Container]) -> list[Container]:
    """Each behind those it waits for, else as written. The spec has been checked for circles."""
    left = list(containers)
    done: list[Container] = []
    while left:
        names = {item.name for item in left}
        ready = next(item for item in left if not names & item.after.keys())
        left.remove(ready)
        done.append(ready)
    return done


def _container(
    scope: Scope, part: Kind, name: str, item: Container, spec: Spec, held: Carried, drain: float
) -> dict[str, Any]:
    path = f"{part}s.{name}.containers.{item.name}"
    key = f"{name}/{item.name}"
    images = scope.target.images
    image = Live(images.get(key, f"${{images.{key}}}")) if spec.build or key in images else item.image
    lifecycle = spec.lifecycle
    before_stop = probes.hook(lifecycle.pre_stop, f"{path}.lifecycle.preStop") if lifecycle else None
    if before_stop is None and drain and item.role == "main" and not (lifecycle and lifecycle.pre_stop):
        before_stop = {"sleep": {"seconds": math.ceil(drain)}}
    after_start = probes.hook(lifecycle.post_start, f"{path}.lifecycle.postStart") if lifecycle else None
    return filled(
        name=item.name,
        image=image,
        imagePullPolicy="IfNotPresent" if isinstance(image, Live) else None,
        command=[unexpanded(word) for word in item.command or ()],
        args=[unexpanded(word) for word in item.args or ()],
        workingDir=item.working_dir,
        env=[*_variables(item), *held.variables.get(item.name, ())],
        envFrom=[_env_from(source) for source in spec.env_from],
        resources=probes.compute(spec.resources),
        volumeMounts=[*_mounts(item, path), *held.mounts.get(item.name, ())],
        livenessProbe=probes.probe(spec.liveness_probe, f"{path}.livenessProbe"),
        readinessProbe=probes.probe(spec.readiness_probe, f"{path}.readinessProbe"),
        startupProbe=probes.probe(spec.startup_probe, f"{path}.startupProbe"),
        lifecycle=filled(postStart=after_start, preStop=before_stop),
        securityContext=security.of_container(item, path),
        terminationMessagePolicy="FallbackToLogsOnError",
    )


def _early(item: Container, specs: Mapping[str, Spec], patience: float, path: str) -> Json:
    """What differs in an init container. CapabilityError for what one that ends cannot have."""
    spec = specs[item.name]
    if item.role == "sidecar":
        healthy = any(condition.ready == "healthy" for condition in spec.before.values())
        startup = probes.startup_of(spec, patience, path) if healthy else None
        return filled(restartPolicy="Always", startupProbe=startup)
    for name, given in (
        ("livenessProbe", spec.liveness_probe),
        ("readinessProbe", spec.readiness_probe),
        ("startupProbe", spec.startup_probe),
        ("lifecycle", spec.lifecycle),
    ):
        if given is not None:
            raise CapabilityError(
                f"{path}.{name}", "an init container ends: nothing probes or stops it", "leave it out"
            )
    return {}


def unexpanded(text: str) -> str:
    """A text that Kubernetes expands to `text` itself."""
    return _DOLLARS.sub(lambda run: run[0] * 2, text)


def _variables(item: Container) -> list[Json]:
    """Those without a secret."""
    plain = {key: substitute(value, {}) for key, value in item.env.items() if not secret_names(value)}
    return [{"name": key, "value": unexpanded(value)} for key, value in plain.items()]


def _env_from(source: EnvFrom) -> Json:
    return filled(
        prefix=source.prefix,
        secretRef={"name": source.secret_ref.name} if source.secret_ref else None,
        configMapRef={"name": source.config_map_ref.name} if source.config_map_ref else None,
    )


def _mounts(item: Container, path: str) -> list[Json]:
    for target in (*(mount.target for mount in item.mounts), *(file.target for file in item.files)):
        if ":" in target:
            raise CapabilityError(f"{path}.{target}", "Kubernetes takes no path with a colon", "choose another path")
    return [
        filled(
            name=claim_volume(mount.volume),
            mountPath=mount.target,
            subPath=mount.sub_path.strip("/") if mount.sub_path else None,
            readOnly=True if mount.read_only else None,
        )
        for mount in item.mounts
    ]


def claim_volume(name: str) -> str:
    return fitted(f"volume-{name}")


def _ports(template: Template) -> list[Json]:
    """For people: a port is open whether it stands here or not."""
    found = dict.fromkeys((port.target, port.protocol) for port in template.ports)
    return [{"containerPort": number, "protocol": protocol} for number, protocol in found]


def placed(placement: Placement | None, path: str, kept: Json) -> Json:
    """Nodes by name and label, `kept` among the labels. SpecError for a name that no node has."""
    if placement is None:
        return filled(nodeSelector=kept)
    hosts = [label_value(host, f"{path}.hosts") for host in placement.hosts]
    wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": hosts}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
    return filled(
        nodeSelector={**kept, **placement.labels},
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}} if hosts else None,
    )
