"""What an installed cloud SDK says of a resource or a function: names, types, what is required.

The SDK's generated Python is read as text and never imported: importing one of its modules costs seconds, and only the
few classes that one token needs are parsed. What was found is kept on disk by the SDK's version.

A *kind* is JSON: `"string" | "integer" | "number" | "boolean" | "asset" | "any"`, `["list", kind]`, `["map", kind]`,
`["enum", [value, ...]]`, `["union", [kind, ...]]`, or `["object", ref]` with its fields in `Shape.objects`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Kind = Any
PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
ASSETS = ("Asset", "Archive", "AssetOrArchive")


@dataclass(frozen=True)
class Shape:
    """A resource's inputs and outputs, or a function's. `objects` has the fields of every object that these mention.

    `inputs` and objects' fields: name -> `{"kind": ..., "required": ...}`; `outputs`: name -> kind.
    """

    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, Kind]
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


class Sdk:
    """One installed SDK, such as `pulumi_aws`. ModuleNotFoundError says that it is not installed."""

    def __init__(self, package: str, cache: Path | None = None) -> None:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        self.folder = Path(spec.origin).parent
        self.version = version(package.replace("_", "-"))
        self._cache = (cache or _cache_home()) / f"{package}-{self.version}-{_own_digest()}"
        self._known: dict[str, Shape | None] = {}
        self._files: dict[Path, Source] = {}

    def resource(self, token: str) -> Shape | None:
        """The shape behind `aws:ec2/vpc:Vpc`; None for what the SDK does not know."""
        return self._recall(f"resource {token}", lambda: self._read_resource(token))

    def function(self, token: str) -> Shape | None:
        """The shape behind `aws:index/getRegion:getRegion`; None for what the SDK does not know."""
        return self._recall(f"function {token}", lambda: self._read_function(token))

    def provider(self) -> Shape:
        """What the provider itself can be configured with."""
        file = self.folder / "provider.py"
        shape = self._recall("provider", lambda: self._resource_in(self._source(file), "Provider"))
        assert shape is not None, "an SDK without a provider"
        return shape

    # from text

    def _read_resource(self, token: str) -> Shape | None:
        source = self._holding(token)
        return None if source is None else self._resource_in(source, token.rpartition(":")[2])

    def _resource_in(self, source: Source, name: str) -> Shape | None:
        result = source.klass(name)
        if result is None:
            return None
        reader = Reader(source, self._source)
        own = (
            f"{name}InitArgs" if source.klass(f"{name}InitArgs") else f"{name}Args"
        )  # where a nested type has that name
        inputs = reader.fields(own)
        outputs = {wire: reader.kind(note) for wire, note in getters(result)}
        return Shape(inputs, outputs, reader.objects)

    def _read_function(self, token: str) -> Shape | None:
        source = self._holding(token)
        name = snake(token.rpartition(":")[2])
        node = source.function(f"{name}_output") if source else None
        if source is None or node is None:
            return None
        reader = Reader(source, self._source)
        inputs = {
            wire: {"kind": reader.kind(note), "required": not _optional_twice(note)}
            for wire, note in function_arguments(node)
        }
        camel = token.rpartition(":")[2]
        result = source.klass(f"{camel[:1].upper()}{camel[1:]}Result")
        outputs = {wire: reader.kind(note) for wire, note in getters(result)} if result else {}
        return Shape(inputs, outputs, reader.objects)

    def _holding(self, token: str) -> Source | None:
        """The file that registers a token: by its name in the usual case, else whichever of its folder has it."""
        _, module, name = token.split(":")
        folder = self.folder / ("" if module.startswith("index/") else module.partition("/")[0])
        if not folder.is_dir():
            return None
        usual = folder / f"{snake(name)}.py"
        for file in [usual, *sorted(folder.glob("*.py"))]:
            if file.is_file() and f"'{token}'" in self._source(file).text:
                return self._source(file)
        return None

    def _source(self, file: Path) -> Source:
        if file not in self._files:
            self._files[file] = Source(file)
        return self._files[file]

    # on disk

    def _recall(self, what: str, read: Callable[[], Shape | None]) -> Shape | None:
        if what not in self._known:
            file = self._cache / f"{re.sub('[^A-Za-z0-9]+', '-', what)}.json"
            try:
                kept = json.loads(file.read_text())
            except (OSError, ValueError):
                shape = read()
                _keep(file, json.dumps(shape and asdict(shape)))
            else:
                shape = kept and Shape(**kept)
            self._known[what] = shape
        return self._known[what]


class Source:
    """A generated file, of which single classes and functions are parsed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.text = file.read_text(encoding="utf-8") if file.is_file() else ""

    @cached_property
    def _starts(self) -> dict[str, tuple[int, int]]:
        """Name of a class or function -> where its text begins and ends."""
        places = [(match.start(), match[1]) for match in re.finditer(r"^(?:class|def) (\w+)", self.text, re.M)]
        ends = [match.start() for match in re.finditer(r"^[^\s#)]", self.text, re.M)] + [len(self.text)]
        found: dict[str, tuple[int, int]] = {}
        index = 0
        for start, name in places:
            while ends[index] <= start:
                index += 1
            found[name] = (start, ends[index])
        return found

    def klass(self, name: str) -> ast.ClassDef | None:
        node = self._parse(name)
        return node if isinstance(node, ast.ClassDef) else None

    def function(self, name: str) -> ast.FunctionDef | None:
        node = self._parse(name)
        return node if isinstance(node, ast.FunctionDef) else None

    def _parse(self, name: str) -> ast.stmt | None:
        if name not in self._starts:
            return None
        start, end = self._starts[name]
        return ast.parse(self.text[start:end]).body[0]


class Reader:
    """Annotations of one file as kinds; collects the objects that they mention."""

    def __init__(self, source: Source, sources: Any) -> None:
        folder = source.file.parent
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self._own = source
        self._inputs: Source = sources(folder / "_inputs.py")
        self._outputs: Source = sources(folder / "outputs.py")
        self._enums: Source = sources(folder / "_enums.py")

    def fields(self, name: str) -> dict[str, dict[str, Any]]:
        """The fields of a class of arguments, by their names on the wire."""
        node = self._own.klass(name) or self._inputs.klass(name)
        if node is None:
            return {}
        wires = dict(_getter_names(node))
        init = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        return {
            wires.get(arg.arg, arg.arg): {"kind": self.kind(arg.annotation), "required": default is None}
            for arg, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
        }

    def kind(self, note: ast.expr | None) -> Kind:
        if isinstance(note, ast.Constant) and isinstance(note.value, str):
            return self._named(note.value)
        if isinstance(note, ast.Attribute):
            return PLAIN.get(note.attr, "asset" if note.attr in ASSETS else "any")
        if isinstance(note, ast.Name):
            return PLAIN.get(note.id, "any")
        if not isinstance(note, ast.Subscript):
            return "any"
        outer = note.value.attr if isinstance(note.value, ast.Attribute) else getattr(note.value, "id", "")
        if outer == "Union":
            return self._union(note.slice)
        if outer == "Sequence":
            return ["list", self.kind(note.slice)]
        if outer == "Mapping":
            assert isinstance(note.slice, ast.Tuple)
            return ["map", self.kind(note.slice.elts[1])]
        return self.kind(note.slice)  # Input, Output, Optional, Awaitable

    def _union(self, members: ast.expr) -> Kind:
        assert isinstance(members, ast.Tuple)
        notes = list(members.elts)
        names = {item.value for item in notes if isinstance(item, ast.Constant)}
        if any(str(name).endswith("Args") for name in names):  # beside its dictionary and its output
            notes = [n for n in notes if not isinstance(n, ast.Constant) or str(n.value).endswith("Args")]
        kinds: list[Kind] = []
        for item in map(self.kind, notes):
            if item not in kinds:
                kinds.append(item)
        if "string" in kinds:  # an enum beside `str` is a hint, a resource beside `str` its id
            kinds = [item for item in kinds if not (isinstance(item, list) and item[0] == "enum")]
        return kinds[0] if len(kinds) == 1 else ["union", kinds]

    def _named(self, name: str) -> Kind:
        outer, _, inner = name.rpartition(".")
        if outer == "outputs":
            return self._object(self._outputs, inner, "outputs.")
        if outer:
            return "any"  # of another module: none of those that the tiers use
        enum = self._enums.klass(name)
        if enum is not None:
            return ["enum", enum_values(enum)]
        if name.endswith("Args") and self._inputs.klass(name) is not None:
            return self._object(self._inputs, name, "")
        return "string"  # a resource: its id goes over the wire

    def _object(self, source: Source, name: str, prefix: str) -> Kind:
        ref = prefix + name
        if ref not in self.objects:
            self.objects[ref] = {}  # types may mention themselves
            node = source.klass(name)
            if prefix and node is not None:
                found = {wire: {"kind": self.kind(note), "required": False} for wire, note in getters(node)}
            else:
                found = self.fields(name)
            self.objects[ref] = found
        return ["object", ref]


def getters(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    """The properties of a class: their names on the wire, and their annotations."""
    notes = {item.name: item.returns for item in node.body if isinstance(item, ast.FunctionDef)}
    for function, wire in _getter_names(node):
        yield wire, notes[function]


def _getter_names(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            for mark in item.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pulumi.getter":
                    yield item.name, str(ast.literal_eval(mark.keywords[0].value))
                elif ast.unparse(mark) == "pulumi.getter":
                    yield item.name, item.name


def function_arguments(node: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    """The arguments of `get_..._output`, by the names under which it sends them."""
    notes = {arg.arg: arg.annotation for arg in (*node.args.args, *node.args.kwonlyargs)}
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Subscript):
            target = item.targets[0]
            if ast.unparse(target.value) == "__args__" and isinstance(item.value, ast.Name):
                yield str(ast.literal_eval(target.slice)), notes[item.value.id]


def _optional_twice(note: ast.expr | None) -> bool:
    """`Input[Optional[Optional[...]]]`: all arguments are optional in Python, these are for the provider too."""
    return ast.unparse(note).count("Optional[") > 1 if note is not None else True


def enum_values(node: ast.ClassDef) -> list[Any]:
    return [
        item.value.value for item in node.body if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
    ]


def snake(name: str) -> str:
    """The SDK's file name: `getEKSCluster` -> `get_eks_cluster`."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


def _cache_home() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "anytier" / "standins"


def _own_digest() -> str:
    """Changes with this file, so that an older one's findings are not used."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def _keep(file: Path, text: str) -> None:
    """A cache that cannot be written is none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(text)
        draft.replace(file)
    except OSError:
        return
