"""What the API says of a workload, read and written as data: its revisions, how far it is, what to apply. Pure.

A Deployment keeps its templates in ReplicaSets, the others in ControllerRevisions. Both carry our own notes: a number
that stays (the controllers count anew when they go back) and when the revision was last reached.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

Json = Mapping[str, Any]
Kind = Literal["Deployment", "StatefulSet", "DaemonSet"]
KINDS: tuple[Kind, ...] = ("Deployment", "StatefulSet", "DaemonSet")

HASH = "anytier.dev/revision-hash"  # on a pod template, and so on its pods: which template it is
NUMBER = "anytier.dev/revision"  # on what keeps a template: our number of it
SERVED = "anytier.dev/served"  # ... and when a rollout to it last ended well, in seconds since 1970
_ORDER = "deployment.kubernetes.io/revision"
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


@dataclass(frozen=True)
class Revision:
    """A template that is kept. `order` is the controller's count; `number` 0: it has none of ours yet."""

    name: str
    order: int
    hash: str
    template: Json
    created: float = 0
    number: int = 0
    served: float = 0


@dataclass(frozen=True)
class Seen:
    """How far the controller is. `observed`: it has seen the latest spec; the counts are of pods."""

    observed: bool
    wanted: int
    updated: int
    available: int
    total: int

    @property
    def settled(self) -> bool:
        """Everything is of the newest template and available; what is older has gone, or is being stopped."""
        return self.observed and self.total == self.updated == self.wanted and self.available >= self.wanted


# where things are


def path(kind: Kind, ns: str, name: str) -> str:
    return f"{all_of(kind, ns)}/{name}"


def all_of(kind: Kind, ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/{_PLURALS[kind]}"


def keepers(kind: Kind, ns: str) -> str:
    """Where the templates are kept."""
    return f"/apis/apps/v1/namespaces/{ns}/{'replicasets' if kind == 'Deployment' else 'controllerrevisions'}"


def pods(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/pods"


def selector(live: Json) -> str:
    labels = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


# reading


def meta(item: Json) -> Json:
    found: Json = item.get("metadata") or {}
    return found


def note(item: Json, key: str) -> str:
    return str((meta(item).get("annotations") or {}).get(key) or "")


def uid(item: Json) -> str:
    return str(meta(item).get("uid") or "")


def owned_by(items: Iterable[Json], owner: Json) -> list[Json]:
    wanted = uid(owner)
    return [item for item in items if any(ref.get("uid") == wanted for ref in meta(item).get("ownerReferences") or ())]


def template_hash(live: Json) -> str:
    """Of a workload, and of a ReplicaSet."""
    return note((live.get("spec") or {}).get("template") or {}, HASH)


def revision(item: Json) -> Revision:
    """A ReplicaSet or a ControllerRevision as a revision."""
    if "data" in item:
        template = copy.deepcopy(((item["data"] or {}).get("spec") or {}).get("template") or {})
        template.pop("$patch", None)
        order = int(item.get("revision") or 0)
    else:
        template = copy.deepcopy((item.get("spec") or {}).get("template") or {})
        order = int(note(item, _ORDER) or 0)
    ((template.get("metadata") or {}).get("labels") or {}).pop("pod-template-hash", None)
    return Revision(
        name=str(meta(item).get("name")),
        order=order,
        hash=note(template, HASH),
        template=template,
        created=moment(meta(item).get("creationTimestamp")),
        number=_number(note(item, NUMBER)),
        served=_seconds(note(item, SERVED)),
    )


def numbered(found: Iterable[Revision]) -> list[Revision]:
    """In the order of their numbers; those without one get the next, in the order in which the controller made them."""
    known = list(found)
    last = max((item.number for item in known), default=0)
    told = [item for item in known if item.number]
    for item in sorted((item for item in known if not item.number), key=lambda each: each.order):
        last += 1
        told.append(replace(item, number=last))
    return sorted(told, key=lambda item: item.number)


def current(kind: Kind, live: Json, revisions: Sequence[Revision]) -> Revision | None:
    """The one that the controller is at or on its way to; None while it has not looked."""
    if not observed(live):
        return None
    if kind == "Deployment":
        order = int(note(live, _ORDER) or 0)
        return next((item for item in revisions if item.order == order and order), None)
    if kind == "StatefulSet":
        name = (live.get("status") or {}).get("updateRevision")
        return next((item for item in revisions if item.name == name), None)
    return max(revisions, key=lambda item: item.order, default=None)


def observed(live: Json) -> bool:
    return int((live.get("status") or {}).get("observedGeneration") or 0) >= int(meta(live).get("generation") or 0)


def seen(kind: Kind, live: Json) -> Seen:
    status: Json = live.get("status") or {}

    def count(name: str) -> int:
        return int(status.get(name) or 0)

    if kind == "DaemonSet":
        wanted, total = count("desiredNumberScheduled"), count("currentNumberScheduled")
        return Seen(observed(live), wanted, count("updatedNumberScheduled"), count("numberAvailable"), total)
    asked = (live.get("spec") or {}).get("replicas")
    return Seen(
        observed(live),
        1 if asked is None else int(asked),
        count("updatedReplicas"),
        count("availableReplicas"),
        count("replicas"),
    )


def ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def going(pod: Json) -> bool:
    return bool(meta(pod).get("deletionTimestamp"))


def moment(text: Any) -> float:
    """Seconds since 1970 of a timestamp of the API; 0 for none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _seconds(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


# writing


def applied(live: Json, manager: str, template: Json | None = None, replicas: int | None = None) -> dict[str, Any]:
    """The workload as server-side apply takes it, with another template or number.

    All of it, since what a manager leaves out of what it applied before is taken away. Not the number of replicas where
    somebody else sets it: an autoscaler's word stays its own.
    """
    spec = copy.deepcopy(dict(live["spec"]))
    if template is not None:
        spec["template"] = copy.deepcopy(dict(template))
    if replicas is not None:
        spec["replicas"] = replicas
    elif not owns(live, manager, "f:spec", "f:replicas"):
        spec.pop("replicas", None)
    notes = {key: value for key, value in (meta(live).get("annotations") or {}).items() if key != _ORDER}
    kept = {key: meta(live)[key] for key in ("name", "namespace", "labels") if meta(live).get(key)}
    head = {**kept, **({"annotations": notes} if notes else {})}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": head, "spec": spec}


def owns(live: Json, manager: str, *steps: str) -> bool:
    """Whether a manager has applied the field that `managedFields` knows by these steps."""
    for entry in meta(live).get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for step in steps:
            fields = fields.get(step) if isinstance(fields, Mapping) else None
        if entry.get("manager") == manager and fields is not None:
            return True
    return False
