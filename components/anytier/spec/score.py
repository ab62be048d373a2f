"""A plain score.dev/v1b1 Workload as a one-workload app. Pure: plain data in, plain data out.

The order of keys and the places of errors are kept: `Moved` tells where a piece of the app stood in the Score file.
"""

from __future__ import annotations

from typing import Any

from anytier.spec.diagnostic import Path

API_VERSION = "score.dev/v1b1"
_BODY = ("containers", "service")


def is_score(data: Any) -> bool:
    return isinstance(data, dict) and data.get("apiVersion") == API_VERSION


def to_app(data: dict[str, Any]) -> dict[str, Any]:
    """The app. Keys that Score does not have stay at the top, where the model refuses them by name."""
    metadata = data.get("metadata")
    known = dict(metadata) if isinstance(metadata, dict) else metadata
    name = known.get("name") if isinstance(known, dict) else None
    body = {key: _containers(data[key]) if key == "containers" else data[key] for key in _BODY if key in data}
    rest = {key: value for key, value in data.items() if key not in (*_BODY, "apiVersion", "metadata", "resources")}
    app: dict[str, Any] = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": _metadata(known), **rest}
    if isinstance(name, str):
        app["workloads"] = {name: body}
    app["resources"] = data.get("resources") or {}
    return app


def _metadata(metadata: Any) -> Any:
    """Score's metadata takes any key; what is not ours is kept as an annotation."""
    if not isinstance(metadata, dict):
        return metadata
    ours = {key: metadata[key] for key in ("name", "labels", "annotations") if key in metadata}
    others = {key: str(value) for key, value in metadata.items() if key not in ours}
    if others:
        ours["annotations"] = {**(ours.get("annotations") or {}), **others}
    return ours


def _containers(containers: Any) -> Any:
    if not isinstance(containers, dict):
        return containers
    return {name: _container(item) for name, item in containers.items()}


def _container(item: Any) -> Any:
    """Score lets files and volumes be lists with a target; an app has them by target."""
    if not isinstance(item, dict):
        return item
    out = dict(item)
    for key in ("files", "volumes"):
        if isinstance(out.get(key), list):
            out[key] = {
                str(entry.get("target", f"#{index}")): {k: v for k, v in entry.items() if k != "target"}
                for index, entry in enumerate(out[key])
                if isinstance(entry, dict)
            }
    return out


def origin(path: Path, workload: str) -> Path:
    """Where in the Score file a path of the app stands."""
    if path[:2] == ("workloads", workload):
        return path[2:]
    return path
