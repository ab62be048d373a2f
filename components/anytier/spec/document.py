"""YAML text to plain data with the position of every key and value. Knows nothing of the model.

Refuses what YAML allows and people regret: duplicate keys, alias bombs, several documents, odd keys, odd tags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from anytier.spec.diagnostic import Path

MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 2_000_000
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Problem:
    """Something wrong with the text itself, before it means anything."""

    line: int
    column: int
    path: Path
    what: str
    do: str


@dataclass
class Document:
    """`data` is None where nothing could be read. `marks`: path -> (line, column) of its key, or of the item."""

    data: Any = None
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def locate(self, path: Path) -> tuple[int, int]:
        """The nearest known position at or above `path`."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))


def parse(raw: bytes) -> Document:
    """Never raises: what is wrong stands in `problems`."""
    document = Document()
    if len(raw) > MAX_BYTES:
        document.problems.append(Problem(1, 1, (), f"the file has {len(raw)} bytes", f"keep it under {MAX_BYTES}"))
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(line, 1, (), "is not UTF-8", "save the file as UTF-8"))
        return document
    node = _compose(text, document)
    if node is not None:
        builder = _Builder(document, _Loader(""))
        document.data = builder.build(node, ())
    elif not document.problems:
        document.problems.append(Problem(1, 1, (), "the file is empty", "`anytier init` writes a first spec"))
    return document


def _compose(text: str, document: Document) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.composer.ComposerError as error:
        do = "one app a file" if "single document" in str(error) else "mend the YAML"
        document.problems.append(_problem(error, do))
    except yaml.MarkedYAMLError as error:
        do = "indent with spaces" if "\\t" in str(error.problem) else "mend the YAML"
        document.problems.append(_problem(error, do))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        document.problems.append(Problem(1, 1, (), f"is not YAML: {str(error).splitlines()[0]}", "mend the YAML"))
    else:
        return node
    finally:
        loader.dispose()
    return None


def _problem(error: yaml.MarkedYAMLError, do: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(line, column, (), f"is not YAML: {error.problem or error.context}", do)


class _Builder:
    def __init__(self, document: Document, loader: Any) -> None:
        self.document, self.loader = document, loader
        self.count = 0
        self.stack: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.marks.setdefault(path, mark)
        if self.count > MAX_NODES or len(path) > 100 or id(node) in self.stack:
            self._once(mark, path, "aliases make it too large or endless", "write it out without aliases")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, mark)
        self.stack.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self.stack.discard(id(node))

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.problems.append(Problem(*mark, path, "a key must be a string", "write a plain name"))
                continue
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                self.document.problems.append(
                    Problem(*mark, path, "merge keys are not supported", "write the keys out")
                )
                continue
            below = (*path, key)
            if key in out:
                self.document.problems.append(Problem(*mark, below, "stands here twice", "keep one of the two"))
                continue
            self.document.marks[below] = mark
            out[key] = self.build(value_node, below)
        return out

    def _scalar(self, node: yaml.ScalarNode, path: Path, mark: tuple[int, int]) -> Any:
        if node.tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary", "tag:yaml.org,2002:value"):
            return node.value  # 2024-01-01 is a string here, as in YAML 1.2
        if node.tag not in _SCALARS:
            self.document.problems.append(Problem(*mark, path, f"has the tag {node.tag}", "leave the tag out"))
            return None
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self.document.problems.append(Problem(*mark, path, "is not a value that YAML can read", "put it in quotes"))
            return None

    def _once(self, mark: tuple[int, int], path: Path, what: str, do: str) -> None:
        if not any(problem.what == what for problem in self.document.problems):
            self.document.problems.append(Problem(*mark, path, what, do))
