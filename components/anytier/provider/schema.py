"""The package schema, written from the models: what the engine and the SDK generators read. Pure."""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from anytier.provider import fields
from anytier.provider.fields import alternatives, is_list, is_mapping, is_model, item_type, own
from anytier.provider.registry import Registry
from anytier.provider.resource import AnyResource

ANY = {"$ref": "pulumi.json#/Any"}
SCALARS: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
Json = dict[str, Any]


def schema_text(registry: Registry, version: str) -> str:
    return json.dumps(schema(registry, version), sort_keys=True)


def schema(registry: Registry, version: str) -> Json:
    """The whole package."""
    types: Json = {}
    resources = {
        token: _resource(token, kind, types)
        for token in registry.tokens()
        if (kind := registry.load(token)) is not None
    }
    return {
        "name": "anytier",
        "version": version,
        "displayName": "anytier",
        "description": "One app spec. Any place to run it.",
        "license": "Apache-2.0",
        "meta": {"moduleFormat": "(.*)"},
        "config": {},
        "provider": {"description": "The anytier provider has no configuration."},
        "resources": resources,
        "types": types,
    }


def _resource(token: str, kind: type[AnyResource], types: Json) -> Json:
    inputs = _object(kind.inputs, token, types)
    outputs = _object(kind.outputs, token, types)
    return {
        "description": _doc(kind),
        "inputProperties": inputs["properties"],
        "requiredInputs": inputs["required"],
        "properties": outputs["properties"],
        "required": outputs["required"],
    }


def _object(model: type[BaseModel], token: str, types: Json) -> Json:
    found = fields.fields(model)
    return {
        "properties": {name: _property(info, token, types) for name, info in found.items()},
        "required": sorted(name for name, info in found.items() if info.is_required()),
    }


def _property(info: FieldInfo, token: str, types: Json) -> Json:
    how = own(info)
    spec = dict(_type(info.annotation, token, types))
    if info.description:
        spec["description"] = info.description
    if how.secret:
        spec["secret"] = True
    if how.replaces:
        spec["willReplaceOnChanges"] = True
    return spec


def _type(annotation: Any, token: str, types: Json) -> Json:
    kinds = alternatives(annotation)
    if len(kinds) > 1:
        members = [_type(kind, token, types) for kind in kinds]
        unique = [member for index, member in enumerate(members) if member not in members[:index]]
        return unique[0] if len(unique) == 1 else {"oneOf": unique}
    kind = kinds[0] if kinds else Any
    if is_model(kind):
        return {"$ref": f"#/types/{_named(kind, token, types)}"}
    if get_origin(kind) is Literal:
        return {"type": SCALARS[type(get_args(kind)[0])]}
    if is_mapping(kind):
        return {"type": "object", "additionalProperties": _type(item_type(kind), token, types)}
    if is_list(kind):
        return {"type": "array", "items": _type(item_type(kind), token, types)}
    return {"type": SCALARS[kind]} if kind in SCALARS else ANY


def _named(model: type[BaseModel], token: str, types: Json) -> str:
    """A model is a type of its resource's module. The entry is there before its fields: a type may hold itself."""
    name = f"{token.rpartition(':')[0]}:{model.__name__}"
    if name not in types:
        spec: Json = {"type": "object", "description": _doc(model)}
        types[name] = spec
        spec.update(_object(model, token, types))
    return name


def _doc(kind: type) -> str:
    """What a class says of itself; of one that says nothing, what its file says (a resource is one file)."""
    return cleandoc(kind.__dict__.get("__doc__") or sys.modules[kind.__module__].__doc__ or "")
