"""The spec's scalar types: names, quantities, durations, ports, references. Parsing is pure and total.

A quantity is parsed to one unit (cores, bytes, seconds), so that nobody behind the model parses again.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

_MEMORY = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MEMORY |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_TEXT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_IMAGE = re.compile(
    r"(?:(?P<host>[a-z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d{1,5})?|\[[0-9a-fA-F:]+\](?::\d{1,5})?)/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
MAX_VALUE = 128 * 1024


def cpu(value: Any) -> float:
    """`0.5`, `2`, `"250m"` -> cores."""
    text = _number_or_text(value, "a CPU quantity")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    if not match or not math.isfinite(float(match[1])):
        raise ValueError(f"{value!r} is not a CPU quantity; write cores such as 0.5, or millicores such as 250m")
    cores = float(match[1]) / (1000 if match[2] else 1)
    if not 0 < cores <= 4096:
        raise ValueError(f"{value!r} is out of range; write more than 0 and at most 4096 cores")
    return cores


class Bytes(int):
    """A size that was parsed already, told apart from a bare number in a file."""


def memory(value: Any) -> Bytes:
    """`"128Mi"`, `"1G"` -> bytes. A bare number is refused: nobody knows whether it was meant as bytes."""
    if isinstance(value, Bytes):
        return value
    text = _number_or_text(value, "a memory quantity")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)", text)
    if not match:
        raise ValueError(f"{value!r} is not a memory quantity; write a number with a unit such as 128Mi or 1Gi")
    size = Bytes(float(match[1]) * _MEMORY[match[2]])
    if size < 1:
        raise ValueError(f"{value!r} is less than a byte; write something such as 128Mi")
    return size


def duration(value: Any) -> float:
    """`30`, `"10s"`, `"1m30s"`, `"500ms"` -> seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and _DURATION_TEXT.fullmatch(value):
        seconds = sum(float(n) * _DURATION[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", value))
    else:
        raise ValueError(f"{value!r} is not a duration; write seconds, or something such as 10s or 1m30s")
    if not math.isfinite(seconds) or not 0 <= seconds <= 31_536_000:
        raise ValueError(f"{value!r} is out of range; write from 0 seconds to a year")
    return seconds


def text(value: Any) -> str:
    """A string. YAML's `no`, `1` or `1.10` are told apart from what was meant."""
    if isinstance(value, bool):
        raise ValueError(f"is read by YAML as the boolean {str(value).lower()}; put it in quotes")
    if isinstance(value, (int, float)):
        raise ValueError(f"is read by YAML as the number {value}; put it in quotes")
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if "\0" in value:
        raise ValueError("has a NUL byte, which neither a process nor a file name can carry; take it out")
    if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE:
        raise ValueError("is longer than 128 KiB, the kernel's limit; put it in a file")
    return value


def image(value: Any) -> str:
    reference = text(value)
    if reference == ".":
        return reference  # Score: "the image is given at deployment"
    if not reference:
        raise ValueError("is empty; write an image such as nginx:1.27, or use build")
    if "@" in reference and "@sha256:" not in reference:
        raise ValueError("looks as if it held credentials; log in to the registry instead (`docker login`)")
    name = reference.split("/", 1)[-1] if "/" in reference else reference
    if name.split("@")[0].split(":")[0] != name.split("@")[0].split(":")[0].lower():
        raise ValueError(f"{reference!r} has upper-case letters in its name; image names are lower-case")
    if not _IMAGE.fullmatch(reference):
        raise ValueError(f"{reference!r} is not an image reference; write something such as nginx:1.27")
    return reference


def absolute_path(value: Any) -> str:
    path = text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is not an absolute path; begin it with / and leave out ..")
    return path


def relative_path(value: Any) -> str:
    path = text(value)
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} leaves the spec's folder; write a path below it")
    return path


def url_path(value: Any) -> str:
    path = text(value)
    if not path.startswith("/"):
        raise ValueError(f"{path!r} does not begin with /; write /{path}")
    if any(ch.isspace() or ord(ch) < 33 for ch in path):
        raise ValueError(f"{path!r} has white space in it; encode it as %20")
    return path


def env_name(value: Any) -> str:
    name = text(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is not an environment variable's name; use letters, digits and _, no digit first")
    return name


def file_mode(value: Any) -> str:
    """`"0644"`; YAML reads an unquoted 0644 as the number 420, which is refused."""
    mode = text(value)
    if not re.fullmatch(r"0?[0-7]{3}", mode):
        raise ValueError(f'{mode!r} is not a file mode; write four octal digits in quotes, such as "0644"')
    return mode.rjust(4, "0")


def label_name(value: Any) -> str:
    name = text(value)
    if not re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", name):
        raise ValueError(
            f"{name[:80]!r} is not a name; use 1 to 63 lower-case letters, digits and -, a letter or digit at both ends"
        )
    return name


def port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a port; write a number from 1 to 65535")
    if not 1 <= value <= 65535:
        raise ValueError(f"{value} is not a port; write a number from 1 to 65535")
    return value


def port_text(value: Any) -> str:
    """A port named or numbered: both as text."""
    return str(port(value)) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def parallel(value: Any) -> int | str:
    """`2` or `"25%"`."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    if isinstance(value, str) and re.fullmatch(r"(?:[1-9]\d?|100)%", value):
        return value
    raise ValueError(f"{value!r} is neither a number of replicas nor a percentage; write 1, or 25%")


def _number_or_text(value: Any, kind: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"must be {kind}")
    return format(value, "f").rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


_NUMBER_OR_STRING = ["number", "string"]

Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": "string"})]
Name = Annotated[
    str,
    BeforeValidator(label_name),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}),
]
EnvName = Annotated[
    str, BeforeValidator(env_name), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
]
Cpu = Annotated[float, BeforeValidator(cpu), WithJsonSchema({"type": _NUMBER_OR_STRING, "examples": [0.5, "250m"]})]
Memory = Annotated[int, PlainValidator(memory), WithJsonSchema({"type": "string", "examples": ["128Mi", "1Gi"]})]
Duration = Annotated[
    float, BeforeValidator(duration), WithJsonSchema({"type": _NUMBER_OR_STRING, "examples": [30, "1m30s"]})
]
Image = Annotated[str, BeforeValidator(image), WithJsonSchema({"type": "string", "minLength": 1})]
AbsolutePath = Annotated[str, BeforeValidator(absolute_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
RelativePath = Annotated[str, BeforeValidator(relative_path), WithJsonSchema({"type": "string", "pattern": "^[^/]"})]
UrlPath = Annotated[str, BeforeValidator(url_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
Mode = Annotated[str, BeforeValidator(file_mode), WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$"})]
PortNumber = Annotated[int, BeforeValidator(port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})]
PortRef = Annotated[str, BeforeValidator(port_text), WithJsonSchema({"type": ["string", "integer"]})]
Parallel = Annotated[
    int | str, BeforeValidator(parallel), WithJsonSchema({"type": ["integer", "string"], "examples": [1, "25%"]})
]
Count = Annotated[int, Field(strict=True, ge=0, le=1000)]
Positive = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Argument = Text
NonEmpty = Annotated[str, BeforeValidator(text), StringConstraints(min_length=1)]
