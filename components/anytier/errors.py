"""Every error that a user can meet, and nothing else.

Each has a path (the field or the thing), what is wrong, and what to do; a place that cannot be reached is never
confused with a place where something is missing.

    AnytierError
    ├── UsageError          the command line is wrong
    ├── SpecError           the app spec is wrong
    ├── ConfigError         the stack's config is wrong
    ├── CapabilityError     the spec asks for what the tier cannot carry
    ├── NotFound            the place answered: it is not there
    ├── Unreachable         the place did not answer
    ├── Denied              the place answered: not allowed
    ├── Conflict            somebody else has it: a port, a name, a lock
    ├── NoSpace             a disk or a quota is full
    ├── Rejected            the place answered: not like this (bad image, bad option)
    └── RolloutFailed       the new revision did not become healthy; says what still serves
"""

from __future__ import annotations


class AnytierError(Exception):
    """Base of all user-facing errors.

    `path` addresses a field (`workloads.web.scale.replicas`) or a thing (`container anytier-docker-app-web-r1-0`),
    `what` says what is wrong, `do` says how to mend it. `code` is stable, for `--json` and for documentation.
    """

    code = "error"

    def __init__(self, path: str, what: str, do: str = "") -> None:
        super().__init__(path, what, do)
        self.path, self.what, self.do = path, what, do

    def __str__(self) -> str:
        head = f"{self.path}: {self.what}" if self.path else self.what
        return f"{head} -> {self.do}" if self.do else head


class UsageError(AnytierError):
    code = "usage"


class SpecError(AnytierError):
    code = "spec"


class ConfigError(AnytierError):
    code = "config"


class CapabilityError(AnytierError):
    code = "capability"


class NotFound(AnytierError):
    code = "not-found"


class Unreachable(AnytierError):
    code = "unreachable"


class Denied(AnytierError):
    code = "denied"


class Conflict(AnytierError):
    code = "conflict"


class NoSpace(AnytierError):
    code = "no-space"


class Rejected(AnytierError):
    code = "rejected"


class RolloutFailed(AnytierError):
    code = "rollout-failed"


def leaves(error: BaseException) -> list[BaseException]:
    """The errors of a group, however deep; an error that is no group by itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for item in error.exceptions for leaf in leaves(item)]
    return [error]
