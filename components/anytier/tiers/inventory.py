"""A stack's list of machines in a YAML file of its own. What is wrong in it is told with its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from anytier.errors import ConfigError
from anytier.suggest import did_you_mean

ModelT = TypeVar("ModelT", bound=BaseModel)

KEY = "anytier:baremetal.inventory"
_FORM = "a list such as `- {name: web1, address: web1.example.org}`"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST = 1024 * 1024  # bytes


def read(file: str, model: type[ModelT], key: str = KEY) -> list[ModelT]:
    """Each item as a `model`. A group of ConfigErrors for all that is wrong. `key`: where the file is named."""
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        what = f"cannot read {file}: {(error.strerror or str(error)).lower()}"
        raise ConfigError(key, what, "give its path from the project's folder") from None
    return parse(data, file, model)


def parse(data: bytes, file: str, model: type[ModelT]) -> list[ModelT]:
    root = _compose(data, file)
    if not isinstance(root, yaml.SequenceNode):
        line = root.start_mark.line + 1 if root else 1
        raise ConfigError(f"{file}:{line}", "is no list of machines", f"write {_FORM}")
    made, errors = list[ModelT](), list[ConfigError]()
    for node in root.value:
        value, wrong = _plain(node, file)
        errors += wrong
        if wrong:
            continue
        if not isinstance(value, dict):
            errors.append(_error(file, node, "", "is no machine", f"each item is one: {_FORM}"))
            continue
        try:
            made.append(model.model_validate(value))
        except ValidationError as error:
            errors += [_told(file, node, item, model) for item in error.errors(include_url=False)]
    if errors:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("inventory", errors)
    return made


def _compose(data: bytes, file: str) -> yaml.Node | None:
    if len(data) > _MOST:
        raise ConfigError(file, "is larger than 1 MiB", "is it the right file?")
    try:
        text = data.decode("utf-8-sig")
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                where = f"{file}:{event.start_mark.line + 1}" if event.start_mark else file
                raise ConfigError(where, "aliases are not read here", "write the machine out")
        found: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError:
        raise ConfigError(file, "is not UTF-8", "save it as UTF-8") from None
    except RecursionError:
        raise ConfigError(file, "is nested too deeply", f"write {_FORM}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigError(where, f"is no YAML: {getattr(error, 'problem', None) or error}", f"write {_FORM}") from None
    return found


def _plain(node: yaml.Node, file: str, depth: int = 0) -> tuple[Any, list[ConfigError]]:
    """A node as data. Keys twice, aliases' bombs and tags are refused with their line."""
    if depth > 8:
        return None, [_error(file, node, "", "is nested too deeply", f"write {_FORM}")]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        errors: list[ConfigError] = []
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                errors.append(_error(file, key, name, "is there twice", "keep one of the two"))
            found[name], wrong = _plain(value, file, depth + 1)
            errors += wrong
        return found, errors
    if isinstance(node, yaml.SequenceNode):
        items = [_plain(item, file, depth + 1) for item in node.value]
        return [value for value, _ in items], [error for _, wrong in items for error in wrong]
    try:
        return yaml.safe_load(yaml.serialize(node)), []
    except (yaml.YAMLError, ValueError):
        return None, [_error(file, node, "", "is no plain value", "write a text, a number, true or false")]


def _told(file: str, node: yaml.Node, item: Any, model: type[BaseModel]) -> ConfigError:
    loc = item["loc"]
    path = ".".join(str(part) for part in loc)
    known = [info.alias or name for name, info in model.model_fields.items()]
    if item["type"] == "extra_forbidden":
        near = did_you_mean(str(loc[-1]), known)
        return _error(file, _at(node, loc), path, f"is not an option{near}", f"one of {', '.join(known)}")
    message = item["msg"][:1].lower() + item["msg"][1:]
    return _error(file, _at(node, loc), path, message, f"a machine has {', '.join(known)}")


def _at(node: yaml.Node, loc: Sequence[str | int]) -> yaml.Node:
    """The deepest node on the way to a place in it."""
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            below = [(key, value) for key, value in node.value if str(key.value) == str(step)]
            if not below:
                return node
            node = below[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    return node


def _error(file: str, node: yaml.Node, path: str, what: str, do: str) -> ConfigError:
    where = f"{file}:{node.start_mark.line + 1}"
    return ConfigError(f"{where}: {path}" if path else where, what, do)
