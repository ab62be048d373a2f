"""What a Dockerfile asks for, as far as we must know before the daemon does. Pure.

The daemon's own builder (the classic one) builds over the plain API; BuildKit's additions need BuildKit's client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anytier.errors import Rejected

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S.*?)\s*")
_HEREDOC = re.compile(r"(?:^|[\s;|&])\d*<<-?\s*[\"']?([A-Za-z_]\w*)[\"']?")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=|\s|$)")
# The classic builder knows no other ones.
_FLAGS = {
    "FROM": {"platform"},
    "COPY": {"from", "chown"},
    "ADD": {"chown"},
    "RUN": set(),
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}
_PLATFORM = re.compile(r"\$\{?((?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT))\b")
_MACHINES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", ""), "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6")}
_DO = "write it without, or build the image elsewhere (`docker buildx build --load`) and name it with `image`"


@dataclass(frozen=True)
class Instruction:
    line: int
    name: str
    rest: str


def instructions(text: str) -> Iterator[Instruction]:
    """Instructions with continued lines joined; the body of a here-document is not looked for."""
    escape = "\\"
    lines = text.removeprefix("\ufeff").splitlines()
    for line in lines:
        found = _DIRECTIVE.fullmatch(line.strip())
        if found is None:
            break
        if found[1].lower() == "escape":
            escape = found[2]
    joined, began = "", 0
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        began = began if joined else number
        if bare.endswith(escape):
            joined += bare[: -len(escape)] + " "
            continue
        name, _, rest = (joined + bare).strip().partition(" ")
        joined = ""
        if name:
            yield Instruction(began, name.upper(), rest.strip())
    if joined.strip():
        name, _, rest = joined.strip().partition(" ")
        yield Instruction(began, name.upper(), rest.strip())


def for_buildkit_only(text: str, path: str) -> Rejected | None:
    """The first thing in it that needs BuildKit, as an error with its line."""
    declared: set[str] = set()
    for item in instructions(text):
        declared |= {item.rest.partition("=")[0].strip()} if item.name == "ARG" else set()
        what = _beyond(item)
        if item.name == "FROM" and (found := _PLATFORM.search(item.rest)) and found[1] not in declared:
            what = f"with {found[1]}, without `ARG {found[1]}` before it,"
        if what:
            return Rejected(path, f"line {item.line}: {item.name} {what} needs BuildKit, which is not used here", _DO)
    return None


def predefined(text: str, facts: Mapping[str, Any], platform: str | None = None) -> dict[str, str]:
    """The arguments about platforms that BuildKit gives to whoever declares them: the builder's, from a daemon's facts,
    and that of the image, which is the same unless another `platform` is wanted."""
    own = platform_of(facts)
    values = {"TARGET": platform or own, "BUILD": own}
    declared = {item.rest.partition("=")[0].strip() for item in instructions(text) if item.name == "ARG"}
    known = {f"{side}{key}": value for side, text in values.items() for key, value in _parts(text).items()}
    return {key: value for key, value in known.items() if key in declared}


def from_scratch(text: str) -> bool:
    """Whether a stage begins with nothing."""
    return any(item.name == "FROM" and _words(item.rest)[:1] == ["scratch"] for item in instructions(text))


def _words(rest: str) -> list[str]:
    return [word for word in rest.split() if not word.startswith("--")]


def platform_of(facts: Mapping[str, Any]) -> str:
    """A daemon's own, such as `linux/amd64`."""
    system, machine = str(facts.get("OSType") or "linux"), str(facts.get("Architecture") or "")
    return "/".join(part for part in (system, *_MACHINES.get(machine, (machine, ""))) if part)


def _parts(platform: str) -> dict[str, str]:
    system, name, variant, *_ = [*platform.split("/"), "", ""]
    return {"PLATFORM": platform, "OS": system, "ARCH": name, "VARIANT": variant}


def _beyond(item: Instruction) -> str | None:
    known = _FLAGS.get(item.name)
    flags = list(_leading_flags(item.rest))
    if known is not None:
        strange = next((flag for flag in flags if flag not in known), None)
        if strange:
            return f"--{strange}"
    if item.name in ("RUN", "COPY", "ADD") and (found := _HEREDOC.search(_unquoted(item.rest))):
        # A shell's own here-document cannot span lines in the classic builder either.
        return f"<<{found[1]}"
    if item.name == "ADD" and re.search(r"(?:^|\s)(?:git@|https?://\S+\.git\b)", item.rest):
        return "of a git repository"
    return None


def _leading_flags(rest: str) -> Iterator[str]:
    while found := _FLAG.match(rest):
        yield found[1]
        rest = rest[found.end() - 1 :].lstrip("=")
        rest = rest if rest.startswith(" ") else re.sub(r"^(?:\"[^\"]*\"|\S)+", "", rest)
        rest = rest.lstrip()


def _unquoted(text: str) -> str:
    """Without what is in quotes: `echo "a << b"` is no here-document."""
    return re.sub(r"\"(?:\\.|[^\"])*\"|'[^']*'", lambda found: found[0] if "<<" not in found[0] else "", text)
