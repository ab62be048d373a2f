"""What `pulumi up` runs, in three steps: load the stack's config and the spec, check them, deploy.

Every mistake of a user ends here as one `pulumi.RunError` without a traceback, before any resource is registered.
"""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

import pulumi
from anytier import capabilities, config, planning
from anytier.acme import Acme
from anytier.errors import AnytierError, leaves
from anytier.frozen import Frozen
from anytier.names import ROLLBACK_ENV, namespace
from anytier.spec import App, Diagnostic, diagnose, locate
from anytier.spec.walk import used_fields
from anytier.tiers.registry import tier_class

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Stack:
    """A stack, read and validated. `mode` is the capability table's; `scale` and `rollback` are by workload."""

    name: str
    tier: str
    mode: str | None
    tier_args: Frozen
    app: App
    app_file: Path
    port: int
    tls_port: int
    acme: Acme | None = None
    scale: Mapping[str, int] = field(default_factory=dict)
    rollback: Mapping[str, int] = field(default_factory=dict)

    @property
    def app_dir(self) -> Path:
        return self.app_file.absolute().parent

    @property
    def ns(self) -> str:
        return namespace(self.name, self.app.metadata.name)


def _clear_errors(step: Callable[P, R]) -> Callable[P, R]:
    """Turn user-facing errors into the one form that Pulumi prints without a traceback; a plan prints them itself."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if planning.active():
            return step(*args, **kwargs)
        try:
            return step(*args, **kwargs)
        except AnytierError as error:
            raise pulumi.RunError(str(error)) from None
        except ExceptionGroup as group:
            errors = leaves(group)
            if not all(isinstance(error, AnytierError) for error in errors):
                raise
            raise pulumi.RunError("\n".join(str(error) for error in errors)) from None

    return run


@_clear_errors
def load() -> Stack:
    """The stack's config and its app. Whatever is wrong in either is told at once."""
    end_quietly_when_interrupted()
    values = _config()
    settings, errors = _settings(values)
    app, found = _app(values)
    errors += [_located(item) for item in found if item.severity == "error"]
    errors += config.check_against(values, app)
    if errors or settings is None or app is None:
        raise ExceptionGroup("stack", errors)
    for item in found:
        pulumi.log.warn(str(_located(item)))
    return Stack(
        name=pulumi.get_stack(),
        tier=settings.tier,
        mode=settings.mode,
        tier_args=settings.tier_args,
        app=app,
        app_file=settings.app_file,
        port=settings.port,
        tls_port=settings.tls_port,
        acme=settings.acme,
        scale=settings.scale,
        rollback=_rollback(app),
    )


def end_quietly_when_interrupted() -> None:
    """The engine interrupts the program once a resource has failed; Python would add a traceback to the reason."""
    if not isinstance(get_monitor(), MockMonitor):
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))


def _config() -> dict[str, str]:
    """This stack's `anytier:` keys. The engine hands all of them over; Pulumi's own class only knows single ones."""
    space = "anytier:"
    given = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return {key.removeprefix(space): value for key, value in given.items() if key.startswith(space)}


def _settings(values: Mapping[str, str]) -> tuple[config.Settings | None, list[AnytierError]]:
    try:
        return config.read(values), []
    except ExceptionGroup as group:
        return None, [error for error in group.exceptions if isinstance(error, AnytierError)]


def _app(values: Mapping[str, str]) -> tuple[App | None, list[Diagnostic]]:
    """The app that the config names, as its tier sees it; nothing at all where none is named."""
    file, tier = values.get("app"), values.get("tier")
    if not file:
        return None, []
    return diagnose(Path(file), tier=tier if tier in capabilities.TIERS else None)


def _located(item: Diagnostic) -> AnytierError:
    where = f"{item.file}:{item.line}:{item.column}:" + (f" {item.path}" if item.path else "")
    return AnytierError(where, item.what, item.do)


def _rollback(app: App) -> dict[str, int]:
    wanted: dict[str, int] = json.loads(os.environ.get(ROLLBACK_ENV) or "{}")
    return {name: int(revision) for name, revision in wanted.items() if name in app.workloads}


@_clear_errors
def check(stack: Stack) -> None:
    """Refuse what the tier cannot carry: every such field at once, by the capability table."""
    findings = capabilities.check(used_fields(stack.app), stack.tier, stack.mode)
    if findings:
        told = [(item.path, item.what, item.cell.instead) for item in findings]
        found = locate(stack.app_file.read_bytes(), str(stack.app_file), told, stack.tier)
        raise ExceptionGroup("capabilities", [_located(item) for item in found])


@_clear_errors
def deploy(stack: Stack) -> None:
    """Make the place, put the app on it, export where it serves."""
    from anytier.app import App as AppComponent

    values = _config()
    tier = tier_class(stack.tier)(stack.tier, stack.tier_args, port=stack.port, tls_port=stack.tls_port)
    app = AppComponent(
        stack.app.metadata.name,
        spec=stack.app,
        place=tier.place,
        ns=stack.ns,
        app_dir=stack.app_dir,
        owner=owner(),
        acme=stack.acme,
        scale=stack.scale,
        rollback=stack.rollback,
        secret_config=lambda key: values.get(f"secret.{key}") or values.get(key),
    )
    for name, value in {**getattr(tier, "exports", {}), **app.exports}.items():
        pulumi.export(name, value)


def owner() -> str:
    """Who deploys from where: tells two projects with the same names apart on one machine."""
    if planning.active():
        return planning.stand_in("plan", "owner")
    return f"{getpass.getuser()}@{socket.gethostname()}:{Path.cwd()}"
