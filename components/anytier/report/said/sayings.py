"""Every message of an error that stands in the source, as a pattern: what a run puts into it is `…`. Pure over text.

A message is what is given to one of the classes of `anytier.errors`, or what a check of the spec, of a machine or of
`anytier doctor` yields. What is another program's own text (a daemon's, an API's, a registry's) is in no source, and so
not here.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

HOLE = "…"
MOST = 8  # ways in which one text may end: more, and the part that differs is a hole
# Class -> the word for it in a table: the `code` of `anytier.errors`, which `--json` has, too.
KINDS = {
    "AnytierError": "error",
    "UsageError": "usage",
    "SpecError": "spec",
    "ConfigError": "config",
    "CapabilityError": "capability",
    "NotFound": "not-found",
    "Unreachable": "unreachable",
    "Denied": "denied",
    "Conflict": "conflict",
    "NoSpace": "no-space",
    "Rejected": "rejected",
    "NoLogin": "denied",  # a Denied that a preview bears with
    "AdminGone": "rejected",  # a Rejected that some know what to do with
    "RolloutFailed": "rollout-failed",
    "Stopped": "cancelled",
    "SetupError": "set-up",
    "RunError": "error",
}
# Of a call that makes an error: kind, which argument is the path, what is wrong, what to do.
_Call = tuple[str, int | None, int, int]
_CALLS: Mapping[str, _Call] = {
    **{name: (kind, 0, 1, 2) for name, kind in KINDS.items() if name not in ("SetupError", "RunError")},
    "RunError": ("error", None, 0, 1),
    "SetupError": ("set-up", None, 0, 1),
    "refuse": ("spec", None, 0, 1),
    "NoPackage": ("spec", None, 0, 1),
    "Problem": ("spec", None, 3, 4),
    "Diagnostic": ("spec", None, 4, 5),
    "missing": ("doctor", None, 1, 2),
    "note": ("doctor", None, 1, 2),
    "Back": ("rollout-failed", None, 0, 9),
    "GiveUp": ("rollout-failed", None, 0, 9),
}
# What other parts call so is something else.
_ONLY_IN = {"missing": "doctor/", "note": "doctor/", "Back": "rollout/", "GiveUp": "rollout/"}
_OPAQUE = {"shown"}  # functions that only put a value into a form
_FIELD = re.compile(r"\{[a-z_]+\}")  # of `format`
_ARGUMENTS = {"path": 0, "what": 1, "do": 2}


@dataclass(frozen=True, order=True)
class Saying:
    """`file` is below the folder that was read. `path` is the error's, where it is not made up of holes alone."""

    file: str
    what: str
    do: str
    kind: str
    path: str = ""


@dataclass
class _Module:
    """A module's tree, with the way up from each node: what a name stands for depends on where it is used."""

    tree: ast.Module
    above: Mapping[ast.AST, ast.AST] = field(default_factory=dict)
    functions: Mapping[str, list[ast.expr]] = field(default_factory=dict)
    helpers: Mapping[str, _Call] = field(default_factory=dict)
    given: Mapping[ast.AST, Mapping[str, list[ast.expr]]] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    def of(self, use: ast.Name) -> list[ast.expr]:
        """The values that a name may have there: what was assigned last before it, whichever way the program came."""
        node: ast.AST = use
        if use.id not in self.given[self.tree]:
            return []
        while node in self.above:
            upper = self.above[node]
            for block in (getattr(upper, part, None) for part in ("body", "orelse", "finalbody")):
                if isinstance(block, list) and node in block:
                    before = block if isinstance(upper, ast.Module) else block[: block.index(node)]
                    if found := self.left(use.id, before):
                        return found
            if isinstance(upper, ast.For | ast.comprehension) and use.id in _names(upper.target):
                return []
            node = upper
        return []

    def left(self, name: str, block: Sequence[ast.AST]) -> list[ast.expr]:
        """What a block leaves in a name: of an `if` both ways, of one without `else` what was there before, too."""
        found: list[ast.expr] = []
        for statement in reversed(block):
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if values := self.given[statement].get(name):
                found = [*values, *found]
                if isinstance(statement, ast.Assign | ast.AnnAssign) or self._both_ways(name, statement):
                    break
        return found

    def _both_ways(self, name: str, statement: ast.AST) -> bool:
        if not isinstance(statement, ast.If) or not statement.orelse:
            return False
        return all(self.left(name, block) for block in (statement.body, statement.orelse))


def read(file: str, source: str) -> list[Saying]:
    """The messages of one module, sorted, each once."""
    module = _module(source)
    found: set[Saying] = set()
    for node in ast.walk(module.tree):
        found |= {Saying(file, what, do, kind, path) for kind, path, what, do in _at(node, module, file)}
    return sorted(_whole(found))


def _module(source: str) -> _Module:
    tree = ast.parse(source)
    above = {below: node for node in ast.walk(tree) for below in ast.iter_child_nodes(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    given: dict[ast.AST, dict[str, list[ast.expr]]] = {}
    _gather(tree, given)
    helpers = {node.name: call for node in functions if (call := _helper(node))}
    return _Module(tree, above, {node.name: _returned(node) for node in functions}, helpers, given)


def _helper(function: ast.FunctionDef | ast.AsyncFunctionDef) -> _Call | None:
    """What a function is that makes an error of the `what` and `do` that it is given."""
    names = [item.arg for item in function.args.args if item.arg != "self"]
    kinds = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in KINDS]
    if "what" not in names or not kinds or function.name in _CALLS:
        return None
    place = {name: names.index(name) if name in names else None for name in ("path", "what", "do")}
    return KINDS[kinds[0]], place["path"], names.index("what"), 9 if place["do"] is None else place["do"]


def _gather(node: ast.AST, given: dict[ast.AST, dict[str, list[ast.expr]]]) -> dict[str, list[ast.expr]]:
    """For each node what is assigned in it and below, in order."""
    mine = given[node] = {}
    for name, value in _assigned(node):
        mine.setdefault(name, []).append(value)
    for below in ast.iter_child_nodes(node):
        for name, values in _gather(below, given).items():
            mine.setdefault(name, []).extend(values)
    return mine


def _whole(found: set[Saying]) -> Iterator[Saying]:
    """Without what has no word of its own, and without the poorer of two that differ by their path alone."""
    best: dict[tuple[str, str, str], Saying] = {}
    for item in sorted(found, key=lambda item: (item.path != "", item)):
        if telling(item.what) or (HOLE in item.what and telling(item.do)):
            best[item.what, item.do, item.kind] = item
    yield from best.values()


def telling(text: str) -> bool:
    """Whether something is left of a pattern that a person could look for."""
    return sum(sign.isalpha() for sign in text.replace(HOLE, "")) >= 4


# where messages stand


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _names(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, other)


def _returned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]


_TUPLES = {
    "spec/": "spec",
    "hypervisors/": "config",
    "provider/kubernetes/reasons.py": "rollout-failed",
}


def _at(node: ast.AST, module: _Module, file: str) -> Iterator[tuple[str, str, str, str]]:
    """(kind, path, what, do) of what stands at a node."""
    if isinstance(node, ast.Call):
        for call in _called(node.func, module, file):
            yield from _call(call, node, module)
    kind = next((kind for start, kind in _TUPLES.items() if file.startswith(start)), None)
    if kind is None:
        return
    if isinstance(node, ast.Tuple) and len(node.elts) in (2, 3) and not any(_starred(item) for item in node.elts):
        what, do = node.elts[-2:]
        if _sentence(what, module) and _gives(node, module):
            yield from ((kind, "", one, other) for one in texts(what, module) for other in texts(do, module))
    if isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr) and _sentence(node.value, module):
        yield from ((kind, "", one, "") for one in texts(node.value, module))


def _starred(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def _gives(node: ast.AST, module: _Module) -> bool:
    """Whether a tuple is what a function gives, what a list of findings gets, or an entry of a table."""
    upper = module.above.get(node)
    if isinstance(upper, ast.IfExp | ast.BoolOp):
        return _gives(upper, module)
    if isinstance(upper, ast.Call):
        return isinstance(upper.func, ast.Attribute) and upper.func.attr == "append"
    return isinstance(upper, ast.Yield | ast.Return | ast.Dict)


def _sentence(node: ast.expr | None, module: _Module) -> bool:
    """A text with a blank in it, and none that is part of a path or of an expression."""
    return node is not None and any(telling(text) and " " in text.strip() for text in texts(node, module))


def _called(callee: ast.expr, module: _Module, file: str) -> list[_Call]:
    """Of `Rejected`, `errors.Rejected`, `KINDS.get(code, Rejected)`, a name one was given to, a helper around one."""
    name = callee.attr if isinstance(callee, ast.Attribute) else callee.id if isinstance(callee, ast.Name) else ""
    if name in _CALLS and (isinstance(callee, ast.Name) or name in KINDS):
        return [_CALLS[name]] if file.startswith(_ONLY_IN.get(name, "")) else []
    if name in module.helpers:
        return [module.helpers[name]]
    places: list[ast.expr] = module.of(callee) if isinstance(callee, ast.Name) else []
    if isinstance(callee, ast.Call | ast.IfExp):
        places = [callee]
    given = [node.id for place in places for node in ast.walk(place) if isinstance(node, ast.Name)]
    return [_CALLS[name] for name in dict.fromkeys(given) if name in KINDS]


def _call(call: _Call, node: ast.Call, module: _Module) -> Iterator[tuple[str, str, str, str]]:
    kind, *places = call
    given = {index: value for index, value in enumerate(node.args) if not isinstance(value, ast.Starred)}
    stars = [index for index, value in enumerate(node.args) if isinstance(value, ast.Starred)]
    if stars:  # what comes of a star, and after it, is not where it stands
        given = {index: value for index, value in given.items() if index < stars[0]}
    named = {_ARGUMENTS[word.arg]: word.value for word in node.keywords if word.arg in _ARGUMENTS}
    found: list[list[str]] = []
    for part, place in enumerate(places):
        value = (given.get(place) if place is not None else None) or named.get(part)
        found.append(texts(value, module) if value is not None else [""])
    paths = [path if telling(path) else "" for path in found[0]]
    yield from ((kind, path, what, do) for path, what, do in itertools.product(dict.fromkeys(paths), *found[1:]))


# what an expression says


def texts(node: ast.expr, module: _Module) -> list[str]:
    """Every text that an expression can be, each once, with holes for what only a run knows."""
    found = list(dict.fromkeys(_plain(text) for text in _texts(node, module)))
    return found if 0 < len(found) <= MOST else [HOLE]


def _plain(text: str) -> str:
    text = _FIELD.sub(HOLE, " ".join(text.split())).replace(f"{HOLE}...", HOLE)
    while HOLE * 2 in text:
        text = text.replace(HOLE * 2, HOLE)
    return text


def _texts(node: ast.expr, module: _Module) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return _joined([_texts(value, module) for value in values])
        case ast.FormattedValue(value=value):
            found = _texts(value, module)
            return found if len(found) <= 3 else [HOLE]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([_texts(left, module), _texts(right, module)])
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, module), *_texts(orelse, module)]
        case ast.BoolOp(op=ast.Or(), values=values):
            return [text for value in values for text in _texts(value, module)]
        case ast.Name(id=name):
            return _of_name(name, module.of(node), module)
        case ast.Call(func=ast.Name(id=name)):
            return [HOLE] if name in _OPAQUE else _of_name(f"{name}()", list(module.functions.get(name, ())), module)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return [text]
        case ast.NamedExpr(value=value) | ast.Await(value=value):
            return _texts(value, module)
    return [HOLE]


def _of_name(name: str, values: list[ast.expr], module: _Module) -> list[str]:
    if not values or len(values) > MOST or name in module.busy:
        return [HOLE]
    module.busy.add(name)
    try:
        return [text for value in values for text in _texts(value, module)]
    finally:
        module.busy.discard(name)


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
    total = 1
    for part in parts:
        total *= len(part)
    if total > MOST * 2:
        parts = [part if len(part) == 1 else [HOLE] for part in parts]
    return ["".join(combination) for combination in itertools.product(*parts)]
