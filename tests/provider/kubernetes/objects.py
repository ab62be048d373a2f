"""Objects as the API gives them, in few words, for tests of what judges them."""

from __future__ import annotations

from typing import Any

from anytier.provider.kubernetes.kinds import HASH


def pod(name: str = "web-1", hash: str = "new", *statuses: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A pod that runs. `ready`, `going`, `phase`, `conditions`, `init` say otherwise."""
    ready = more.get("ready", True)
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *more.get("conditions", ())]
    meta = {"name": name, "uid": f"uid-{name}", "annotations": {HASH: hash}, "labels": {"anytier.dev/workload": "web"}}
    if more.get("going"):
        meta |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": more.get("grace", 30)}
    status = {
        "phase": more.get("phase", "Running"),
        "conditions": conditions,
        "containerStatuses": list(statuses) or [container()],
        "initContainerStatuses": more.get("init", []),
    }
    return {"metadata": meta, "spec": more.get("spec", {}), "status": status}


def container(name: str = "web", state: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "restartCount": 0,
        **more,
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, **more}}


def event(reason: str, message: str, uid: str = "uid-web-1") -> dict[str, Any]:
    return {"reason": reason, "message": message, "involvedObject": {"uid": uid}}


def replica_set(name: str, order: int, hash: str, **notes: str) -> dict[str, Any]:
    template = {
        "metadata": {"annotations": {HASH: hash}, "labels": {"pod-template-hash": name[-3:], "a": "b"}},
        "spec": {},
    }
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"deployment.kubernetes.io/revision": str(order), **notes},
            "ownerReferences": [{"uid": "uid-web"}],
        },
        "spec": {"template": template},
    }


def deployment(wanted: int | None = 2, hash: str = "new", order: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "uid-web",
            "generation": 2,
            "resourceVersion": "7",
            "annotations": {"deployment.kubernetes.io/revision": str(order), "kept": "yes"},
            "labels": {"app": "web"},
        },
        "spec": {
            **({} if wanted is None else {"replicas": wanted}),
            "selector": {"matchLabels": {"b": "2", "a": "1"}},
            "template": {"metadata": {"annotations": {HASH: hash}}},
        },
        "status": {"observedGeneration": 2, **status},
    }
