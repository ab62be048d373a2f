"""YAML text to plain data, and from a path in that data back to its line and column. Knows nothing of the model.

Refuses what YAML allows and people regret: duplicate keys, alias bombs, several documents, odd keys and tags.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from anytier.spec.diagnostic import Path
from anytier.spec.hidden import SOURCES, has_login, image_has_login, in_secret, is_secret_key, is_unspaced

MAX_BYTES = 8 * 1024 * 1024
# Values after aliases are written out; a spec of 10,000 workloads has about 400,000.
MAX_NODES = 1_000_000
MAX_DEPTH = 60
_STR, _INT, _BOOL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool"
_MERGE = "tag:yaml.org,2002:merge"
_CONSTRUCTED = {_INT, _BOOL, "tag:yaml.org,2002:float", "tag:yaml.org,2002:null"}
# YAML 1.1 reads these specially, everybody else as the text that they are.
_AS_TEXT = {_STR, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_KINDS = {_INT: "number", "tag:yaml.org,2002:float": "number", _BOOL: "boolean", "tag:yaml.org,2002:null": "null"}
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Lines end here for YAML 1.1, but not for YAML 1.2, for JSON or for an editor.
_BREAKS = "\x85\u2028\u2029"
_ODD_BREAK = re.compile(f"[{_BREAKS}]")
_SURROGATES = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.S)
_PAIR = len(r"\ud83d\ude00")
SecretKey = Callable[[str], bool]


@dataclass(frozen=True)
class Problem:
    """Something wrong with the text itself, before it means anything."""

    line: int
    column: int
    path: Path
    what: str
    do: str
    unread: bool = False
    """No value could be made of it, so whatever else is said about that value is not the user's mistake."""


@dataclass
class Document:
    """`data` is None where nothing could be read."""

    text: str = ""
    data: Any = None
    root: yaml.Node | None = None
    problems: list[Problem] = field(default_factory=list)
    # line -> the columns, as the parser counts them, of characters that stand there as a pair of JSON escapes
    pairs: dict[int, list[int]] = field(default_factory=dict)

    def locate(self, path: Path, at_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` where that is a scalar, else of its key, else of what is above."""
        depth, key, node = self._find(path)
        at_value = depth == len(path) and not at_key and isinstance(node, yaml.ScalarNode)
        there = node if at_value or key is None else key
        return self.place(there.start_mark) if there is not None else (1, 1)

    def place(self, mark: Any) -> tuple[int, int]:
        """Line and column in the file, counted from 1."""
        pairs = self.pairs.get(mark.line)
        shift = sum(_PAIR - 1 for column in pairs if column < mark.column) if pairs else 0
        return mark.line + 1, mark.column + 1 + shift

    def depth(self, path: Path) -> int:
        """How many steps of `path` are there."""
        return self._find(path)[0]

    def scalar(self, path: Path) -> tuple[str, str] | None:
        """(kind, text) of an unquoted scalar that YAML does not read as text: ("boolean", "no")."""
        depth, _, node = self._find(path)
        if depth == len(path) and isinstance(node, yaml.ScalarNode) and not node.style and node.tag in _KINDS:
            return _KINDS[node.tag], node.value
        return None

    def _find(self, path: Path) -> tuple[int, yaml.Node | None, yaml.Node | None]:
        key, node = None, self.root
        for depth, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                return depth, key, node
            key, node = found
        return len(path), key, node

    def hidden(self, secret: SecretKey = is_secret_key) -> list[tuple[int, int, int, int]]:
        """(line, column, end line, end column) of every scalar that may be a secret's value, counted from 0: by its
        form, or because `secret` says so of a key at or above it."""
        found = _hidden(self.root, secret, False, 0) if self.root is not None else ()
        places = [(self.place(node.start_mark), self.place(node.end_mark)) for node in found]
        return [(start[0] - 1, start[1] - 1, end[0] - 1, end[1] - 1) for start, end in places]


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode):
        if isinstance(step, int) and step < len(node.value):
            return node.value[step], node.value[step]
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
        for source in _merged(node):
            found = _child(source, step)
            if found:
                return found
    return None


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    for key, value in node.value:
        if key.tag == _MERGE:
            yield from value.value if isinstance(value, yaml.SequenceNode) else (value,)


def _hidden(node: yaml.Node, is_secret: SecretKey, below: bool, depth: int) -> Iterator[yaml.Node]:
    if depth > MAX_DEPTH:
        return
    if isinstance(node, yaml.ScalarNode):
        if below or has_login(node.value):
            yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _hidden(item, is_secret, below, depth + 1)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            text = value.value if isinstance(value, yaml.ScalarNode) else ""
            if _is_both(key, value) and is_unspaced(name, below):
                yield key
            if name == "image" and image_has_login(text):
                yield value
            elif not (below and name == "from" and text in SOURCES):
                yield from _hidden(value, is_secret, below or is_secret(name), depth + 1)


def _is_both(key: yaml.Node, value: yaml.Node) -> bool:
    """Whether there is nothing behind the key, not even a colon: `{a:b}`."""
    plain = isinstance(key, yaml.ScalarNode) and not key.style
    return plain and bool(key.end_mark.index == value.start_mark.index)


def parse(raw: bytes) -> Document:
    """Never raises: what is wrong stands in `problems`."""
    document = Document()
    if len(raw) > MAX_BYTES:
        do = "put large files beside it, and name them by `source`"
        return _failed(document, Problem(1, 1, (), f"is larger than {MAX_BYTES // 2**20} MiB", do))
    try:
        document.text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        return _failed(document, Problem(line, column, (), "is not UTF-8", "save the file as UTF-8"))
    if not _is_json(document.text) and (found := _ODD_BREAK.search(document.text)):
        return _failed(document, _odd_break(document.text, found.start()))
    source, stand_ins = _prepared(document)
    document.root = _compose(document, source)
    _build(document, stand_ins)
    return document


def _build(document: Document, stand_ins: dict[int, str]) -> None:
    if document.root is not None:
        builder = _Builder(document, stand_ins)
        data = builder.build(document.root, ())
        if builder.stopped:
            document.root = None  # endless: nobody may walk it
        else:
            document.data = data
    elif not document.problems:
        document.problems.append(Problem(1, 1, (), "the file is empty", "`anytier init` writes a first spec"))


@contextmanager
def no_collection() -> Iterator[None]:
    """Reading makes many objects and little garbage: the collector would take half of the time, and more than double
    for double the spec."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] == "{"


def _odd_break(text: str, at: int) -> Problem:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    escape = "\\x85" if text[at] == "\x85" else f"\\u{ord(text[at]):04x}"
    what = f"holds U+{ord(text[at]):04X}, which ends a line for some readers of YAML and not for others"
    return Problem(line, column, (), what, f'write it as an escape in double quotes: "{escape}"')


def _prepared(document: Document) -> tuple[str, dict[int, str]]:
    """The text as the parser reads it rightly, and what to put back for its stand-ins."""
    text = _without_pairs(document, document.text)
    if not any(char in text for char in _BREAKS):
        return text, {}
    unused = [code for code in range(0xE000, 0xF000) if chr(code) not in text][: len(_BREAKS)]
    stand_ins = dict(zip(unused, _BREAKS, strict=False))
    return text.translate({ord(char): chr(code) for code, char in stand_ins.items()}), stand_ins


def _without_pairs(document: Document, text: str) -> str:
    """JSON writes a character beyond U+FFFF as two escapes, which YAML does not know."""
    if not _is_json(text) or "\\ud" not in text.lower():
        return text
    out, position, line, column = "", 0, 0, 0
    for match in _SURROGATES.finditer(text):
        before = text[position : match.start()]
        line += before.count("\n")
        column = len(before) - before.rfind("\n") - 1 if "\n" in before else column + len(before)
        made = match[0]
        if match[1]:
            made = (match[0].encode().decode("unicode_escape")).encode("utf-16", "surrogatepass").decode("utf-16")
            document.pairs.setdefault(line, []).append(column)
        out += before + made
        column, position = column + len(made), match.end()
    return out + text[position:]


def _failed(document: Document, problem: Problem) -> Document:
    document.problems.append(problem)
    return document


class _Loader(_Safe):  # type: ignore[misc]
    """Remembers what a plain scalar is: a spec says the same few words over and over."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._resolved: dict[Any, str] = {}

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        known = self._resolved.get((kind, value, implicit))
        if known is None:
            known = self._resolved[kind, value, implicit] = super().resolve(kind, value, implicit)
        return known


def _compose(document: Document, source: str) -> yaml.Node | None:
    try:
        if _too_deep(document, source):
            return None
        loader = _Loader(source)
        try:
            node: yaml.Node | None = loader.get_single_node()
            return node
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        document.problems.append(_problem(document, source, error))
    except (yaml.YAMLError, ValueError) as error:
        document.problems.append(_unmarked(source, error))
    return None


def _too_deep(document: Document, source: str) -> bool:
    """The C composer recurses without a limit and would take the process down, so depth is counted first."""
    loader = _Loader(source)
    depth = 0
    try:
        while True:
            event = loader.get_event()
            kind = type(event)
            if kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                depth += 1
                if depth > MAX_DEPTH:
                    line, column = document.place(event.start_mark)
                    what = f"is nested more than {MAX_DEPTH} deep"
                    document.problems.append(Problem(line, column, (), what, "flatten it"))
                    return True
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                depth -= 1
            elif kind is yaml.StreamEndEvent:
                return False
    finally:
        loader.dispose()


def _problem(document: Document, source: str, error: yaml.MarkedYAMLError) -> Problem:
    problem, mark = str(error.problem or error.context), _mark(error)
    line, column = document.place(mark) if mark else (1, 1)
    if "single document" in str(error.context):
        return Problem(line, column, (), "is a second document", "one app a file: put it into a file of its own")
    if "undefined alias" in problem:
        # the alias is the user's own name for a place, never a value
        return Problem(line, column, (), "is an alias of nothing", "define it with & above, or write the value out")
    if mark and source[mark.index : mark.index + 1] == "\t":
        return Problem(line, column, (), "has a tab where YAML wants blanks", "indent with spaces")
    where = f" ({error.context})" if error.context and error.context != problem else ""
    return Problem(line, column, (), f"is not YAML: {problem}{where}", _YAML_HELP.get(problem, "mend the YAML"))


def _mark(error: yaml.MarkedYAMLError) -> Any:
    if error.problem == "found unexpected end of stream":
        return error.context_mark  # where the quotes open
    return error.problem_mark or error.context_mark


def without_text(error: Exception) -> str:
    """Why a file cannot be read, on one line. YAML's own message has a piece of the file, which may be a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    mark = _mark(error)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{error.problem or error.context}"


_YAML_HELP = {
    "mapping values are not allowed in this context": "check the indentation, and quote text that has `: ` in it",
    "could not find expected ':'": "write `key: value`, or check the indentation",
    "did not find expected key": "check the indentation, and the quotes above",
    "did not find expected '-' indicator": "check the indentation",
    "did not find expected ',' or '}'": "close the { of this mapping",
    "did not find expected ',' or ']'": "close the [ of this list",
    "found unexpected end of stream": "close the quotes",
    "found invalid Unicode character escape code": "write the character itself, in UTF-8",
    "found unknown escape character": "write \\\\ for a backslash, or use single quotes",
}


def _unmarked(text: str, error: Exception) -> Problem:
    position = getattr(error, "position", None)
    line = column = 1
    if isinstance(position, int) and 0 <= position <= len(text):
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    what = "holds a control character" if "not allowed" in str(error) else "is not YAML"
    return Problem(line, column, (), what, 'write it as an escape in double quotes, such as "\\x07"')


class _Builder:
    """Composed nodes to plain data; what is odd goes into the document's problems."""

    def __init__(self, document: Document, stand_ins: dict[int, str]) -> None:
        self.document, self.stand_ins, self.count, self.stopped = document, stand_ins, 0, False
        self.constructor = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if self.count > MAX_NODES or len(path) > MAX_DEPTH:
            return self._stop(node)
        if type(node) is yaml.ScalarNode:
            if node.tag not in _AS_TEXT:
                return self._scalar(node, path)
            return node.value.translate(self.stand_ins) if self.stand_ins else node.value
        if type(node) is yaml.SequenceNode:
            if node.tag != "tag:yaml.org,2002:seq":
                self._odd(node, path, f"has the tag {_tag(node)}", "leave the tag out")
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        lines: dict[str, int] = {}
        if node.tag != "tag:yaml.org,2002:map":
            self._odd(node, path, f"has the tag {_tag(node)}", "leave the tag out")
        for key_node, value_node in node.value:
            if self.stopped:
                break
            if key_node.tag == _MERGE:
                continue
            if type(key_node) is not yaml.ScalarNode:
                self._odd(key_node, path, "is not a key", "write a plain name before the colon")
                continue
            key = key_node.value
            if self.stand_ins:
                key = key_node.value = key.translate(self.stand_ins)
            if _is_both(key_node, value_node) and is_unspaced(key, in_secret((*path, ""))):
                key = key.partition(":")[0]
                do = "write a blank between the colon and the value"
                self._odd(key_node, (*path, key), "has no blank after its colon", do, unread=True)
            if key in out:
                what = f"stands here twice (first on line {lines[key]})"
                self._odd(key_node, (*path, key), what, "keep one of the two")
                continue
            lines[key] = key_node.start_mark.line + 1
            out[key] = self.build(value_node, (*path, key))
        for source in _merged(node):
            inherited = self.build(source, (*path, "<<")) if not self.stopped else None
            if isinstance(inherited, dict):
                out = {**inherited, **out}
            elif not self.stopped:
                self._odd(source, path, "is merged but is no mapping", "merge an alias of a mapping")
        return out

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag not in _CONSTRUCTED:
            self._odd(node, path, f"has the tag {_tag(node)}", "leave the tag out", unread=True)
            return None
        try:
            if node.tag == _INT and len(node.value) > 40:
                raise ValueError  # no number here has so many digits, and reading it takes time
            return self.constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, LookupError):
            self._odd(node, path, "is not a value that YAML can read", "put it in quotes", unread=True)
            return None

    def _stop(self, node: yaml.Node) -> None:
        if not self.stopped:
            self.stopped = True
            self._odd(node, (), "grows without end through its aliases", "write it out without & and *")

    def _odd(self, node: yaml.Node, path: Path, what: str, do: str, unread: bool = False) -> None:
        line, column = self.document.place(node.start_mark)
        self.document.problems.append(Problem(line, column, path, what, do, unread))


def _tag(node: yaml.Node) -> str:
    tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
    return tag if len(tag) <= 60 else tag[:57] + "..."
