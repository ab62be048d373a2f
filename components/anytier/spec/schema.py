"""The JSON Schema of the spec, generated from the model; `app.schema.json` beside this file is what editors load.

`python -m anytier.spec.schema` writes that file. What the schema cannot say (references, cycles, sums) only the loader
checks; whatever the loader accepts, the schema accepts too.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anytier.spec import container, model
from anytier.spec.container import Node
from anytier.spec.model import App

FILE = Path(__file__).with_name("app.schema.json")


def schema() -> dict[str, Any]:
    """Draft 2020-12, for anytier's own files; Score's files have Score's schema."""
    body = App.model_json_schema(by_alias=True)
    docs = field_docs()
    for name, kind in _models():
        part = body if kind is App else body["$defs"].get(name)
        if part is not None:
            _describe(part, kind, docs)
            part |= _exactly_one(kind)
    body["anyOf"] = [_has("workloads"), _has("jobs")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://anytier.dev/app.schema.json",
        "title": "anytier app",
        **_plain(body),
    }


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def field_docs() -> dict[tuple[str, str], str]:
    """(class, field) -> the docstring below the field. Read from the source, so that importing the model stays fast."""
    found: dict[tuple[str, str], str] = {}
    for module in (container, model):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                found |= {(node.name, field): doc for field, doc in _docs_of(node)}
    return found


def _docs_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for pair in zip(node.body, node.body[1:], strict=False):
        match pair:
            case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc)))):
                yield name, " ".join(doc.split())


def _models() -> Iterator[tuple[str, type[Node]]]:
    for name in {**vars(container), **vars(model)}:
        kind = vars(model).get(name) or vars(container).get(name)
        if isinstance(kind, type) and issubclass(kind, Node):
            yield name, kind


def _describe(part: dict[str, Any], kind: type[Node], docs: dict[tuple[str, str], str]) -> None:
    owners = [base.__name__ for base in kind.__mro__]
    for name, info in kind.model_fields.items():
        doc = next((docs[owner, name] for owner in owners if (owner, name) in docs), None)
        if doc is not None:
            part["properties"][info.alias or name]["description"] = doc


def _exactly_one(kind: type[Node]) -> dict[str, Any]:
    return {"oneOf": [_has(name) for name in kind.exactly_one]} if kind.exactly_one else {}


def _has(name: str) -> dict[str, Any]:
    """null is the same as leaving it out."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _plain(part: Any) -> Any:
    """Without pydantic's noise (titles made of names, null as a default), and with unknown names refused."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    out = {key: _plain(value) for key, value in part.items() if not _noise(key, value)}
    if "patternProperties" in out:
        ((pattern, value),) = out.pop("patternProperties").items()
        out |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    return out


def _noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, dict))
    )


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
