"""The scalar types of the spec: names, quantities, durations, paths, images; each parses, checks and says what to do.

A type here knows one value only. What relates several fields lives in `spec.check`. The docstring below a type is its
row in docs/spec.md: a word for it, what it takes, and values that it takes.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import signal
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from anytier import packages
from anytier.spec.hidden import HIDDEN, has_login, image_has_login

# The longest `KEY=value` or argument that Linux takes (MAX_ARG_STRLEN), its closing NUL included.
MAX_VALUE = 128 * 1024
# What a Kubernetes ConfigMap holds; larger files belong into an image or a volume.
MAX_FILE = 1024 * 1024

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(
    r"(([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_HEADER = re.compile(r"[A-Za-z0-9_-]+")
_TYPE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ID = re.compile(r"(?=.{1,63}$)[a-z0-9]+(-+[a-z0-9]+)*(\.[a-z0-9]+(-+[a-z0-9]+)*)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_DNS = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(
    r"(?:(?P<host>(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)/)?"
    r"(?P<repo>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?P<digest>@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,})?"
)
_CPU = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})m?")
_MEMORY = re.compile(r"([0-9]{1,24}(?:\.[0-9]{1,12})?)(B|[KMGTPE]i?|k)")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_PERCENT = re.compile(r"(?:100|[1-9]?[0-9])%")
_CRON_PART = re.compile(r"(?:\*|([0-9A-Za-z]{1,3})(?:-([0-9A-Za-z]{1,3}))?)(?:/([0-9]{1,3}))?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# name, least, most, words for the numbers from the least on
_CRON = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")

_UNITS = {"B": 1, "k": 10**3} | {
    f"{unit}{suffix}": base ** (power + 1)
    for suffix, base in (("", 1000), ("i", 1024))
    for power, unit in enumerate("KMGTPE")
}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


def refuse(what: str, do: str) -> PydanticCustomError:
    """An error of one value. `what` must not contain the value where the value may be a secret."""
    return PydanticCustomError("anytier", "{what}", {"what": what, "do": do})


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, and never with a login in it."""
    if isinstance(value, str) and has_login(value):
        return HIDDEN
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"


def has_placeholder(text: str) -> bool:
    return "${" in text


# names


def _label(text: str) -> str:
    if _LABEL.fullmatch(text):
        return text
    if not text:
        raise refuse("is empty", "give it a name of a-z, 0-9 and -")
    if len(text) > 63:
        raise refuse(f"has {len(text)} characters", "a name has at most 63")
    near = near_name(text)
    rule = "a name has a-z, 0-9 and - only, and starts and ends with a letter or digit"
    raise refuse(f"{shown(text)} is not a name", f"{rule}: {near!r}?" if near else rule)


def near_name(text: str) -> str:
    """The name that somebody meant who wrote `text`; empty where that is none."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "-", text.lower())).strip("-")


def _env_key(text: str) -> str:
    if not _ENV.fullmatch(text):
        raise refuse(
            f"{shown(text)} is not the name of an environment variable",
            "letters, digits and _ only, not starting with a digit: no shell could read another one",
        )
    return text


def _meta_key(text: str) -> str:
    if len(text) > 316 or not _KEY.fullmatch(text):
        raise refuse(f"{shown(text)} is not a key", "letters, digits, -, _ and ., with an optional dns.prefix/")
    return text


def _label_value(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise refuse(
            f"{shown(text)} is not a label's value",
            "at most 63 letters, digits, -, _ and ., starting and ending with a letter or digit; "
            "free text belongs into annotations",
        )
    return text


def _of(pattern: re.Pattern[str], noun: str, do: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise refuse(f"{shown(text)} is not {noun}", do)
        return text

    return check


def _host_name(text: str) -> str:
    if not has_placeholder(text) and (len(text) > 253 or not _DNS.fullmatch(text)):
        raise refuse(
            f"{shown(text)} is not a host name", "such as shop.example.com or *.example.com, in lower case, no port"
        )
    return text


# text


def _free_text(text: str) -> str:
    if "\0" in text:
        raise refuse("holds a NUL character", "no argument, variable or path can carry one")
    if len(text) * 4 >= MAX_VALUE and len(text.encode("utf-8", "surrogatepass")) >= MAX_VALUE:
        raise refuse("is longer than 128 KiB", "put it into a file (`files`)")
    return _encodable(text)


def _encodable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise refuse("holds half a surrogate pair", "write the character itself, in UTF-8") from None
    return text


def _file_text(text: str) -> str:
    if len(text) * 4 > MAX_FILE and len(text.encode("utf-8", "surrogatepass")) > MAX_FILE:
        raise refuse("is larger than 1 MiB", "put it into the image, or onto a volume")
    return _encodable(text)


def _binary(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refuse("is not base64", "standard base64, as `base64 -w0 FILE` prints it") from None
    if len(raw) > MAX_FILE:
        raise refuse("is larger than 1 MiB", "put it into the image, or onto a volume")
    return text


def _target(text: str) -> str:
    if not text.startswith("/"):
        raise refuse(f"{shown(text)} is not an absolute path", "start it with /")
    parts = text.split("/")
    if ".." in parts or "." in parts:
        raise refuse(f"{shown(text)} has . or .. in it", "write the path out")
    if text.strip("/") == "":
        raise refuse("/ itself cannot be replaced", "name a path below it")
    return _path_text(text)


def _path_text(text: str) -> str:
    if not text:
        raise refuse("is empty", "give a path")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise refuse("holds a control character", "give a plain path")
    return _free_text(text)


def _sub_path(text: str) -> str:
    if ".." in text.split("/"):
        raise refuse(f"{shown(text)} leaves the volume", "a path below the volume's root, without ..")
    return _path_text(text)


def _url_path(text: str) -> str:
    if has_placeholder(text):
        return text
    if not text.startswith("/"):
        raise refuse(f"{shown(text)} does not start with /", f"write {shown('/' + text)}")
    if any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise refuse("holds a blank or a control character", "percent-encode it")
    return text


def _route_path(text: str) -> str:
    path = _url_path(text)
    if any(char in path for char in "?#*") or ".." in path.split("/"):
        raise refuse(f"{shown(text)} is not a path prefix", "no ?, #, * or ..: a route takes all below its path anyway")
    return path


# quantities


def parse_cpu(value: Any) -> float:
    """Cores."""
    do = 'cores such as 0.5, or thousandths such as "250m"'
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refuse(f"{_kind(value)} is not an amount of CPU", do)
    if isinstance(value, str):
        if not _CPU.fullmatch(value):
            raise refuse(f"{shown(value)} is not an amount of CPU", do)
        value = float(value[:-1]) / 1000 if value.endswith("m") else float(value)
    if not math.isfinite(value) or not 0.001 <= value <= 100_000:
        raise refuse(f"{value} is not an amount of CPU", f"{do}, at least 1m")
    return float(value)


def parse_memory(value: Any) -> int:
    """Bytes."""
    do = 'a number with a unit, such as "128Mi" (KiB, MiB, ... are Ki, Mi, Gi, Ti) or "500M"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise refuse(f"{value} has no unit", do)
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        bare = isinstance(value, str) and re.fullmatch(r"[0-9.]+", value)
        raise refuse(f"{shown(value)} has no unit" if bare else f"{shown(value)} is not an amount of memory", do)
    number, unit = match.groups()
    amount: int = int(number) * _UNITS[unit] if number.isdigit() else math.ceil(float(number) * _UNITS[unit])
    if not 1 <= amount < 2**63:
        raise refuse(f"{shown(value)} is out of range", "more than nothing and less than 8Ei")
    return amount


def format_memory(amount: int) -> str:
    """The shortest exact form: 134217728 is 128Mi, 1000 is 1K, 1001 is 1001B."""
    for unit in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "K"):
        if amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit}"
    return f"{amount}B"


def _duration(value: Any) -> float:
    do = 'seconds such as 10, or with units such as "1m30s" (ms, s, m, h, d)'
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refuse(f"{_kind(value)} is not a duration", do)
    if isinstance(value, str):
        matches = _DURATION.findall(value)
        if not matches or "".join(number + unit for number, unit in matches) != value:
            raise refuse(f"{shown(value)} is not a duration", do)
        value = math.fsum(float(number) * _SECONDS[unit] for number, unit in matches)
    if not math.isfinite(value) or not 0 <= value <= 366 * 86400:
        raise refuse(f"{value} is not a duration", do)
    return float(value)


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        raise refuse(f"{shown(value)} is not a number of seconds", "a plain number: the field's name says the unit")
    return _duration(value)


def _period(value: Any) -> float:
    seconds = _seconds(value)
    if seconds <= 0:
        raise refuse(f"{value} is no time at all", "more than 0 seconds")
    return seconds


def _kind(value: object) -> str:
    return {dict: "a mapping", list: "a list", type(None): "nothing", bool: "a boolean"}.get(type(value), shown(value))


def _port_ref(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return bounded(1, 65535, "a port")(value)
    if not isinstance(value, str):
        raise refuse(f"{_kind(value)} is not a port", "name one of the service's ports, or give its number")
    return _label(value)


def _count_or_percent(value: Any) -> int | str:
    do = 'a number from 1, or a percentage such as "25%"'
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    if isinstance(value, str) and _PERCENT.fullmatch(value) and value not in ("0%", "00%"):
        return value
    raise refuse(f"{_kind(value)} is neither a count nor a percentage", do)


def bounded(low: int, high: int, noun: str) -> Callable[[int], int]:
    """A whole number from `low` to `high`."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise refuse(f"{value} is not {noun}", f"a whole number from {low} to {high}")
        return value

    return check


# images, modes, users, signals, schedules


def _image(text: str) -> str:
    if not text:
        raise refuse("is empty", "name an image such as python:3.13-slim, or use `build`")
    if image_has_login(text):
        raise refuse(
            "holds credentials",
            "leave them out: the place's registry login is used, and an image's name is printed everywhere",
        )
    if has_placeholder(text):
        return _free_text(text)
    if "://" in text:
        raise refuse("is a URL", "an image is registry/name:tag, without https://")
    if len(text) > 1024:
        raise refuse(f"has {len(text)} characters", "an image's name has at most 1024")
    match = _IMAGE.fullmatch(text)
    if match and match["host"] and not _is_registry(match["host"]):
        match = None  # `Team/app`: the first part is no registry, so it must be lower-case like the rest
    if match is None:
        name = text.partition("@")[0]
        if name != name.lower() and _IMAGE.fullmatch(text.lower()):
            raise refuse(f"{shown(text)} has upper-case letters in its name", f"write {shown(text.lower())}")
        raise refuse(f"{shown(text)} is not an image", "registry/name:tag or registry/name@sha256:digest")
    return text


def _is_registry(host: str) -> bool:
    name, _, port = host.rpartition(":") if host[-1:].isdigit() and ":" in host else (host, "", "")
    if port and not 1 <= int(port) <= 65535:
        return False
    return "." in name or bool(port) or name.startswith("[") or name == name.lower()


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise refuse(f"{shown(text)} is not a file mode", 'three octal digits in quotes, such as "0644"')
    return text


def _user_before(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise refuse(f"{shown(text)} is not a user", 'a name or number, with an optional group: "app", "1000:1000"')
    return text


def _signal(text: str) -> str:
    if text not in signal.Signals.__members__ and not re.fullmatch(r"SIGRT(MIN(\+[0-9]+)?|MAX(-[0-9]+)?)", text):
        raise refuse(f"{shown(text)} is not a signal", "such as SIGTERM, SIGINT or SIGQUIT")
    return text


def _capability(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", text) or text.startswith("CAP_"):
        near = text.upper().removeprefix("CAP_")
        raise refuse(f"{shown(text)} is not a capability's name", f"without CAP_ and in upper case: {near}")
    return text


def _package(text: str) -> str:
    try:
        return packages.package(text)
    except packages.NoPackage as error:
        raise refuse(error.what, error.do) from None


def _schedule(text: str) -> str:
    if text in _MACROS:
        return text
    fields = text.split(" ")
    do = f"five fields (minute hour day month weekday) or one of {', '.join(_MACROS)}"
    if len(fields) != 5:
        raise refuse(f"{shown(text)} is not a schedule", do)
    for field, (noun, low, high, words) in zip(fields, _CRON, strict=True):
        for part in field.split(","):
            if not _cron_part(part, low, high, words):
                raise refuse(f"{shown(text)} is not a schedule: {shown(part)} is no {noun}", do)
    return text


def _cron_part(part: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None:
        return False
    first, last = (_cron_number(word, low, words) for word in match.groups()[:2])
    in_range = all(number is None or low <= number <= high for number in (first, last))
    ordered = first is None or last is None or first <= last
    return in_range and ordered and (match[3] is None or int(match[3]) > 0)


def _cron_number(word: str | None, low: int, words: tuple[str, ...]) -> int | None:
    """-1 for what is neither a number nor one of the words."""
    if word is None:
        return None
    if word.isdigit():
        return int(word)
    return low + words.index(word.lower()) if word.lower() in words else -1


def _time_zone(text: str) -> str:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        if zoneinfo.TZPATH and _has_zones(zoneinfo.TZPATH):
            raise refuse(
                f"{shown(text)} is not a time zone", "a name of the IANA list, such as Europe/Berlin"
            ) from None
    return text


def _has_zones(folders: Iterable[str]) -> bool:
    """Without a zone database on this machine nothing can be said against a zone's name."""
    from pathlib import Path

    return any((Path(folder) / "UTC").exists() for folder in folders)


def _schema(pattern: str | None = None, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string"} | ({"pattern": pattern} if pattern else {}) | more)


Name = Annotated[str, AfterValidator(_label), _schema(f"^{_LABEL.pattern}$")]
"""name: a-z, 0-9 and -, at most 63 characters, not - at its ends; such as `web`, `app-2`."""
EnvKey = Annotated[str, AfterValidator(_env_key), _schema(f"^{_ENV.pattern}$")]
"""variable: letters, digits and _, not a digit first; such as `DB_HOST`."""
MetaKey = Annotated[str, AfterValidator(_meta_key), _schema(f"^{_KEY.pattern}$")]
"""key: letters, digits, -, _ and ., at most 63, with an optional dns.prefix/ before; such as `team`,
`example.org/team`."""
LabelValue = Annotated[str, AfterValidator(_label_value), _schema(f"^{_LABEL_VALUE.pattern}$")]
"""label: at most 63 letters, digits, -, _ and ., or nothing; such as `backend`."""
HostName = Annotated[str, AfterValidator(_host_name), _schema()]
"""host: a DNS name in lower case without a port, perhaps of all below one; such as `shop.example.com`,
`"*.example.com"`."""
HeaderName = Annotated[
    str, AfterValidator(_of(_HEADER, "a header's name", "letters, digits, - and _")), _schema(f"^{_HEADER.pattern}$")
]
"""header: letters, digits, - and _; such as `X-Probe`."""
TypeName = Annotated[
    str,
    AfterValidator(_of(_TYPE, "a type", "letters, digits and -, at most 63, such as volume or postgres")),
    _schema(f"^{_TYPE.pattern}$"),
]
"""type: letters, digits and -, at most 63; such as `volume`."""
ResourceId = Annotated[
    str,
    AfterValidator(_of(_ID, "a resource's id", "a-z, 0-9, - and ., at most 63 characters, such as shop.orders-db")),
    _schema(f"^{_ID.pattern}$"),
]
"""id: a-z, 0-9, - and ., at most 63; such as `shop.orders-db`."""
Text = Annotated[str, AfterValidator(_free_text), _schema()]
"""text: any text of less than 128 KiB; what YAML would read as a number or as true wants quotes; such as `hello`,
`"1.0"`."""
FileText = Annotated[str, AfterValidator(_file_text), _schema()]
"""long text: any text of at most 1 MiB; such as `hello`."""
Base64 = Annotated[str, AfterValidator(_binary), _schema(contentEncoding="base64")]
"""base64: standard base64 of at most 1 MiB; such as `aGVsbG8=`."""
Target = Annotated[str, AfterValidator(_target), _schema("^/.+$")]
"""container path: an absolute path without . and .., and not / itself; such as `/etc/app.conf`."""
PathText = Annotated[str, AfterValidator(_path_text), _schema(minLength=1)]
"""path: a path without control characters; such as `web`, `../shared/web`."""
SubPath = Annotated[str, AfterValidator(_sub_path), _schema(minLength=1)]
"""volume path: one below the root of a volume, without ..; such as `mysql/data`."""
UrlPath = Annotated[str, AfterValidator(_url_path), _schema("^(/|.*\\$\\{)")]
"""URL path: with / first, or a placeholder in it; such as `/healthz`."""
RoutePath = Annotated[str, AfterValidator(_route_path), _schema("^(/|.*\\$\\{)")]
"""prefix: with / first, and no ?, #, * or ..; such as `/`, `/api`."""
Image = Annotated[str, AfterValidator(_image), _schema(minLength=1)]
"""image: registry/name:tag or registry/name@sha256:digest, without a login; such as `nginx:1.29`,
`registry.example.org/shop/web:1.2`."""
Mode = Annotated[str, AfterValidator(_mode), _schema("^0?[0-7]{3}$")]
"""mode: three octal digits in quotes; such as `"0644"`."""
User = Annotated[
    str, BeforeValidator(_user_before), AfterValidator(_user), WithJsonSchema({"type": ["string", "integer"]})
]
"""user: a name or a number, with an optional group; such as `app`, `1000`, `"1000:1000"`."""
Signal = Annotated[str, AfterValidator(_signal), _schema("^SIG[A-Z0-9+-]+$")]
"""signal: by its name; such as `SIGTERM`, `SIGRTMIN+3`."""
Capability = Annotated[str, AfterValidator(_capability), _schema("^[A-Z][A-Z0-9_]*$")]
"""capability: of Linux, without CAP_ and in upper case; such as `NET_BIND_SERVICE`."""
Package = Annotated[str, AfterValidator(_package), _schema(f"^{packages.PATTERN}$", maxLength=packages.LONGEST)]
"""package: of the distribution, a version after =, of which a * at the end is any rest; such as `nginx`,
`mariadb-server=1:10.11.*`."""
Schedule = Annotated[str, AfterValidator(_schedule), _schema()]
"""cron: minute, hour, day, month and weekday, or a word for it; such as `"30 3 * * mon-fri"`, `"@daily"`."""
TimeZone = Annotated[str, AfterValidator(_time_zone), _schema()]
"""zone: of the IANA list; such as `Europe/Berlin`."""

Cpu = Annotated[
    float,
    BeforeValidator(parse_cpu),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0.001}, {"type": "string", "pattern": f"^(?:{_CPU.pattern})$"}]}
    ),
]
"""CPU: cores, or thousandths with m, at least 1m; such as `0.5`, `250m`."""
Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    PlainSerializer(format_memory, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_MEMORY.pattern})$"}),
]
"""memory: a number with its unit, B, K, M, G, T, P, E, or Ki, Mi, Gi, ...; such as `128Mi`, `500M`."""
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^(?:{_DURATION.pattern})+$"}]}
    ),
]
"""duration: seconds, or with units ms, s, m, h, d, at most 366 days; such as `10`, `1m30s`."""
Seconds = Annotated[float, BeforeValidator(_seconds), WithJsonSchema({"type": "number", "minimum": 0})]
"""seconds: a number of seconds; such as `10`, `0.5`."""
Period = Annotated[float, BeforeValidator(_period), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
"""period: a number of seconds above 0; such as `2`."""
CountOrPercent = Annotated[
    int | str,
    BeforeValidator(_count_or_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 1000},
                {"type": "string", "pattern": f"^(?:{_PERCENT.pattern})$"},
            ]
        }
    ),
]
"""count or percentage: a whole number from 1 to 1000, or a percentage of the replicas; such as `2`, `25%`."""


def _whole(low: int, high: int, noun: str) -> Any:
    return (
        AfterValidator(bounded(low, high, noun)),
        WithJsonSchema({"type": "integer", "minimum": low, "maximum": high}),
    )


_PORT, _REPLICAS, _PERCENTAGE = (
    _whole(1, 65535, "a port"),
    _whole(0, 1000, "a number of replicas"),
    _whole(1, 100, "a percentage"),
)
_THRESHOLD, _RETRIES, _RETAIN = (
    _whole(1, 1000, "a threshold"),
    _whole(0, 100, "a number of retries"),
    _whole(1, 100, "a count"),
)
_GPUS, _LENGTH = _whole(1, 1024, "a number of GPUs"), _whole(8, 4096, "a length")
Port = Annotated[int, _PORT[0], _PORT[1]]
"""port: a whole number from 1 to 65535; such as `8080`."""
PortRef = Annotated[
    int | str, BeforeValidator(_port_ref), WithJsonSchema({"anyOf": [_PORT[1].json_schema, {"type": "string"}]})
]
"""port or name: of the workload's service, by name or number; such as `http`, `80`."""
Replicas = Annotated[int, _REPLICAS[0], _REPLICAS[1]]
"""replicas: a whole number from 0 to 1000; such as `2`."""
Percentage = Annotated[int, _PERCENTAGE[0], _PERCENTAGE[1]]
"""percent: a whole number from 1 to 100; such as `70`."""
Threshold = Annotated[int, _THRESHOLD[0], _THRESHOLD[1]]
"""threshold: a whole number from 1 to 1000; such as `3`."""
Retries = Annotated[int, _RETRIES[0], _RETRIES[1]]
"""retries: a whole number from 0 to 100; such as `2`."""
Retain = Annotated[int, _RETAIN[0], _RETAIN[1]]
"""revisions: a whole number from 1 to 100; such as `5`."""
Gpus = Annotated[int, _GPUS[0], _GPUS[1]]
"""GPUs: a whole number from 1 to 1024; such as `1`."""
Length = Annotated[int, _LENGTH[0], _LENGTH[1]]
"""length: a whole number from 8 to 4096; such as `32`."""
