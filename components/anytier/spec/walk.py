"""Which fields an app really uses: what the capability table is asked about. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from anytier.spec.diagnostic import Path
from anytier.spec.model import App


def used_fields(app: App) -> Iterator[tuple[Path, object]]:
    """(path, value) of every field that was written and says something other than its default.

    Facts that are not fields are told as values: a workload without `host` that is an image (`host=image`) or is built
    (`host=absent`), one with several containers (`containers=several`), a container whose user is a name that only the
    image knows (`user=named`), and one whose image is not built and must end by another signal (`stopSignal=image`).
    What a resource other than a volume takes depends on its type, and so is no field by itself.
    """
    for place, value in _model(app, (), App):
        if place[-1] != "params" or app.resources[str(place[1])].type == "volume":
            yield place, value
    for kind, bodies in (("workloads", app.workloads), ("jobs", app.jobs)):
        for name, body in bodies.items():
            if body.host is None:
                built = any(item.image is None for item in body.containers.values())
                yield (kind, name, "host"), "absent" if built else "image"
            if len(body.containers) > 1:
                yield (kind, name, "containers"), "several"
            for key, item in body.containers.items():
                path: Path = (kind, name, "containers", key)
                if item.user is not None and not _numbered(item.user):
                    yield (*path, "user"), "named"
                if item.image is not None and item.stop_signal not in (None, "SIGTERM"):
                    yield (*path, "stopSignal"), "image"


def _numbered(user: str) -> bool:
    return all(step.isdigit() or step == "root" for step in user.split(":"))


def _model(item: BaseModel, path: Path, model: type[BaseModel]) -> Iterator[tuple[Path, object]]:
    for name, info in model.model_fields.items():
        if name not in item.model_fields_set:
            continue
        value = getattr(item, name)
        if value is not None and value != _default(item, info):
            yield from _value(value, (*path, info.alias or name))


def _default(item: BaseModel, info: FieldInfo) -> Any:
    """As pydantic has it; what it would copy first is only looked at here, and there are many."""
    if info.default_factory is None:
        return info.default
    return info.get_default(call_default_factory=True, validated_data=dict(item))


def _value(value: Any, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, BaseModel):
        yield from _model(value, path, type(value))
    elif isinstance(value, dict) and value and all(isinstance(item, BaseModel) for item in value.values()):
        for key, item in value.items():
            yield from _value(item, (*path, key))
    elif isinstance(value, list) and value and all(isinstance(item, BaseModel) for item in value):
        for index, item in enumerate(value):
            yield from _value(item, (*path, index))
    else:
        yield path, value


def all_fields() -> Iterator[str]:
    """The path, with `*`, of every field that the model has: what the table must cover."""
    yield from _all(App, "")


def _all(model: type[BaseModel], path: str) -> Iterator[str]:
    from anytier.spec.messages import unwrap

    for name, info in model.model_fields.items():
        here = f"{path}.{info.alias or name}" if path else (info.alias or name)
        below = [deep for kind in unwrap(info.annotation) for deep in _models(kind, here)]
        if not below:
            yield here
        for inner, inner_path in below:
            yield from _all(inner, inner_path)


def _models(kind: Any, path: str) -> Iterator[tuple[type[BaseModel], str]]:
    from typing import get_args

    from anytier.spec.messages import unwrap

    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind, path
    elif getattr(kind, "__origin__", None) in (dict, list):
        for inner in unwrap(get_args(kind)[-1]) or (get_args(kind)[-1],):
            yield from _models(inner, f"{path}.*")
