"""What a resource becomes where it runs, by the very functions that the provider uses: so a rule sees the unit file,
the container, the cluster's configuration, and whatever a stack has laid over them. Pure.

Each is a resource of its own, of a type that no engine knows. What cannot be rendered yet, since a value is not known,
is not there; it is rendered, and judged, once the value is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from anytier.errors import AnytierError
from anytier.marks import UNKNOWN, Secret
from anytier.policy.look import get, inside, items, opened
from anytier.policy.resource import Resource
from anytier.render import docker, rooted, systemd
from anytier.render.kubeadm import config, kubelet
from anytier.render.libvirt import domain, machine, storage
from anytier.render.template import Container
from anytier.render.tokens import names
from anytier.render.unit import Unit

UNIT = "rendered:systemd:Unit"
CONTAINER = "rendered:docker:Container"
KUBEADM = "rendered:kubeadm:Cluster"
DOMAIN = "rendered:libvirt:Domain"
VOLUME = "rendered:libvirt:Volume"

_SYSTEM = "systemd-system"
_SOMEWHERE = "127.0.0.1:6443"
_NO_UUID = "00000000-0000-0000-0000-000000000000"


def rendered(resource: Resource) -> list[Resource]:
    make = MAKERS.get(resource.type)
    if make is None:
        return []
    try:
        made = list(make(resource.props))
    except (AnytierError, ValidationError, ValueError, TypeError, KeyError, AttributeError):
        return []  # not known yet, or nothing that the provider would take: it says so itself
    return [Resource(type, resource.name, props, resource.urn, of=resource.key) for type, props in made]


def all_of(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Each resource, and what it becomes."""
    for resource in resources:
        yield resource
        yield from rendered(resource)


# machines


def _unit(props: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Directive -> its values. Only the machine's own systemd can shut a program in."""
    process = get(props, "template.process")
    if opened(props.get("supervisor")) != _SYSTEM or not isinstance(process, Mapping):
        return
    yield UNIT, directives(systemd.render(unit_of(process), "system"))


def unit_of(process: Mapping[str, Any]) -> Unit:
    image, limits = get(process, "image"), inside(process, "limits") or {}
    secret = bool(inside(process, "secretEnv")) or any(
        names(str(opened(value))) for value in (inside(process, "env") or {}).values()
    )
    user = get(process, "user")
    bounds = None
    if image is not None:
        bounds, _ = rooted.capabilities(inside(image, "capAdd"), inside(image, "capDrop"), low_ports=False)
    return Unit(
        name="app",
        description="app",
        argv=["/usr/bin/env"],
        user=None if user is UNKNOWN else user,
        own_user="anytier-app",
        credentials={"secret": "/secret.json"} if secret else {},
        log="/log",
        memory=_number(limits.get("memory")),
        cpu=_number(limits.get("cpu")),
        pids=_number(limits.get("pids")),
        capabilities=bounds,
    )


def directives(text: str) -> dict[str, Any]:
    """A unit file's `Name=value` lines as name -> value, or a list where it is said more than once."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name] = value if name not in found else [*_listed(found[name]), value]
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Docker


def _containers(props: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The body by which each container of a template is made. `Role` is ours: what it is for."""
    for _, given in items(props, "template.containers"):
        item = Container.model_validate(_known(given))
        files = docker.needs_files(item)
        where = docker.Setting(
            labels={},
            env={},
            hostname="app",
            network="app",
            tools="tools",
            volumes={mount.volume: mount.volume for mount in item.mounts},
            files_volume="files" if files else None,
            files_path="/files" if files else None,
        )
        body = docker.body(item, docker.Image(), where)
        hidden = bool(item.secret_env) or any(names(value) for value in item.env.values())
        hidden = hidden or any(map(docker.is_private, item.files))
        yield CONTAINER, {**body, "Name": item.name, "Role": item.role, "Secrets": hidden}


def _known(tree: Any) -> Any:
    """Text in place of what is not known yet, and the values of secrets: this goes nowhere."""
    if isinstance(tree, Secret):
        return _known(tree.value)
    if isinstance(tree, Mapping):
        return {key: _known(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_known(value) for value in tree]
    return "unknown" if tree is UNKNOWN else tree


# clusters


def _cluster(props: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What kubeadm is given: flags by part, the kubelets' and kube-proxy's configuration."""
    control = config.Control(
        name="node",
        cluster="cluster",
        version="v1.0.0",
        endpoint=_SOMEWHERE,
        address="127.0.0.1",
        encryption="key",
        kubelet=_laid(props, "kubelet"),
        kube_proxy=_laid(props, "kubeProxy"),
        api_server=_laid(props, "apiServer"),
        controller_manager=_laid(props, "controllerManager"),
        scheduler=_laid(props, "scheduler"),
        etcd=_laid(props, "etcd"),
        audit=get(props, "audit") is not False,
    )
    made = config.cluster(control)
    flags = {name: _flags(made[name]) for name in ("apiServer", "controllerManager", "scheduler")}
    ours = flags["apiServer"].get("authentication-config") == f"{config.FOLDER}/authentication.yaml"
    yield (
        KUBEADM,
        {
            **flags,
            "etcd": _flags(made["etcd"]["local"]),
            "kubelet": kubelet.config(control.kubelet),
            "kubeProxy": config.proxy(control),
            "anonymous": ours,
        },
    )


def _laid(props: Mapping[str, Any], name: str) -> Any:
    found = get(props, name)
    return found if isinstance(found, Mapping) else {}


def _flags(part: Mapping[str, Any]) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in part.get("extraArgs") or ()}


# virtual machines


def _domain(props: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    given = {key: value for key, value in _known(props).items() if key in _DOMAIN}
    wanted = domain.Domain.model_validate(given)
    targets = [f"disk{number}" for number, _ in enumerate(wanted.disks)]
    macs = ["52:54:00:00:00:00" for _ in wanted.nics]
    made = machine.render(wanted, domain.Placed(uuid=_NO_UUID, type="kvm", targets=targets, macs=macs))
    yield DOMAIN, {"graphics": [dict(item.attrib) for item in made.findall("devices/graphics")]}


_DOMAIN = {info.alias or name for name, info in domain.Domain.model_fields.items()}


def _volume(props: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    made = storage.volume(storage.Volume(name="volume", size=1))
    yield VOLUME, {"mode": made.findtext("target/permissions/mode")}


def _number(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else None


MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[tuple[str, dict[str, Any]]]]] = {
    "anytier:host:Workload": _unit,
    "anytier:host:Job": _unit,
    "anytier:docker:Workload": _containers,
    "anytier:docker:Job": _containers,
    "anytier:kubeadm:ControlPlane": _cluster,
    "anytier:libvirt:Domain": _domain,
    "anytier:libvirt:SeedIso": _volume,
    "anytier:libvirt:Volume": _volume,
}
