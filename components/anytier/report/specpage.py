"""The tables of docs/spec.md: every field of the model with its type, default and meaning; every type of value. Pure.

Types are read from the source, where they have the names that people gave them; defaults are the model's own.
`python -m anytier.report.specpage docs/spec.md` writes the tables anew; a test holds them fresh.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from anytier.spec import container, model, schema, values
from anytier.spec.container import Node

_BLOCK = re.compile(r"<!-- (?P<what>fields:\w+|values) -->\n.*?<!-- end -->", re.DOTALL)
_VALUE = re.compile(r"(?P<word>[^:]+): (?P<takes>.+); such as (?P<examples>`.+`)\.")
# Fields whose default is known only beside another one; the docstring says it.
_SEE = "see its meaning"


def refreshed(page: str) -> str:
    """The page with every block between `<!-- fields:CLASS -->` or `<!-- values -->` and `<!-- end -->` made anew."""
    kinds, sources = classes(), _annotations()

    def block(found: re.Match[str]) -> str:
        what = found["what"]
        rows = _values() if what == "values" else _fields(kinds[what.removeprefix("fields:")], sources)
        return "\n".join([f"<!-- {what} -->", *rows, "<!-- end -->"])

    return _BLOCK.sub(block, page)


def classes() -> dict[str, type[Node]]:
    """Every mapping of the spec, by its class's name."""
    found = {**vars(container), **vars(model)}
    return {
        name: kind
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, Node) and kind is not Node
    }


# fields


def _fields(kind: type[Node], sources: dict[tuple[str, str], str]) -> Iterator[str]:
    docs = schema.field_docs()
    yield from ("| field | type | default | meaning |", "|---|---|---|---|")
    for name, info in kind.model_fields.items():
        owner = next(base.__name__ for base in kind.__mro__ if (base.__name__, name) in sources)
        said = _typed(ast.parse(sources[owner, name], mode="eval").body)
        doc = docs.get((owner, name), "")
        yield f"| `{info.alias or name}` | {said} | {_default(info)} | {_cell(doc)} |"


def _annotations() -> dict[tuple[str, str], str]:
    """(class, field) -> the annotation as it is written."""
    found: dict[tuple[str, str], str] = {}
    for module in (container, model):
        kinds = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
        for kind in kinds:
            for item in kind.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    found[kind.name, item.target.id] = ast.unparse(item.annotation)
    return found


_ALIASES: dict[str, Callable[[], str]] = {
    "Labels": lambda: "map of [label](#values) by [key](#values)",
    "Annotations": lambda: "map of [text](#values) by [key](#values)",
    "JsonObject": lambda: "mapping of anything",
    "Tier": lambda: "tier",
    "bool": lambda: "true or false",
}


def _typed(node: ast.expr) -> str:
    """An annotation in words: `v.Port | None` is a port, what may be left out says its default."""
    match node:
        case ast.BinOp(left=left, right=ast.Constant(value=None)):
            return _typed(left)
        case ast.Attribute(value=ast.Name(id="v"), attr=name):
            return f"[{value_docs()[name][0]}](#values)"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            words = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return ", ".join(f"`{ast.literal_eval(word)}`" for word in words)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"list of {_typed(inner)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return f"map of {_typed(value)} by {_typed(key)}"
        case ast.Name(id=name) if name in _ALIASES:
            return _ALIASES[name]()
        case ast.Name(id=name) if name in classes():
            return f"[{name}](#{name.lower()})"
    raise LookupError(f"no words for the type {ast.unparse(node)}")


def _default(info: Any) -> str:
    if info.is_required():
        return "needed"
    if info.default_factory is not None:
        return {dict: "none", list: "none"}.get(info.default_factory, _SEE)
    if info.default is None or info.default is PydanticUndefined or isinstance(info.default, Node):
        return "none" if info.default is None else "its defaults"
    if isinstance(info.default, float) and info.default.is_integer():
        return f"`{int(info.default)}`"
    return f"`{info.default}`" if isinstance(info.default, str) else f"`{json.dumps(info.default)}`"


# values


def _values() -> Iterator[str]:
    yield from ("| type | what it takes | such as |", "|---|---|---|")
    for word, takes, examples in sorted(value_docs().values(), key=lambda row: row[0].lower()):
        yield f"| {word} | {_cell(takes)} | {', '.join(f'`{item}`' for item in examples)} |"


def value_docs() -> dict[str, tuple[str, str, list[str]]]:
    """Type -> a word for it, what it takes, and values as YAML: the docstring below it in `spec.values`."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    body = ast.parse(inspect.getsource(values)).body
    for node, below in itertools.pairwise(body):
        match node, below:
            case (ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(doc)))):
                parts = _VALUE.fullmatch(" ".join(doc.split()))
                if parts is None:
                    raise LookupError(f"spec.values.{name}: its docstring is not `word: what it takes; such as ...`")
                found[name] = parts["word"], parts["takes"], re.findall("`([^`]+)`", parts["examples"])
    return found


def _cell(text: str) -> str:
    return "".join(
        piece.replace("|", "\\|") if number % 2 else re.sub(r"([\\*_<>|])", r"\\\1", piece)
        for number, piece in enumerate(re.split("(`[^`]*`)", text))
    )


def main(argv: list[str]) -> int:
    (file,) = map(Path, argv)
    file.write_text(refreshed(file.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
