"""Puts one app on one place: `App("guestbook", spec="app.yaml", place=...)` in any Pulumi program."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
from anytier import capabilities
from anytier.acme import Acme
from anytier.names import namespace
from anytier.resources import owned_by
from anytier.spec import App as Spec
from anytier.spec.load import load
from anytier.spec.walk import used_fields
from anytier.tiers.places import Place

# Place kind -> the runtime that accepts it; strings, so that a Docker stack never loads another runtime.
RUNTIMES: dict[str, str] = {
    "cluster": "anytier.runtimes.kubernetes:KubernetesRuntime",
    "docker": "anytier.runtimes.docker:DockerRuntime",
    "hosts": "anytier.runtimes.host:HostRuntime",
}


class App(pulumi.ComponentResource):
    """An app on a place. `exports` holds what a stack wants to export: `url` and the workloads' revisions.

    `spec` is a parsed app or the path of one; `ns` names everything at the place (`anytier-<stack>-<app>` unless
    given); `owner` says in words who deploys from where (the folder unless given), while an `anytier:index:Identity` in
    the state tells owners apart; `acme`: who issues certificates; `scale` overrides replicas by workload; `rollback`
    pins workloads to an earlier revision for this run.
    An ExceptionGroup of CapabilityErrors names every field that the place cannot carry; nothing is left out in silence.
    """

    def __init__(
        self,
        name: str,
        *,
        spec: Spec | str | Path,
        place: Place,
        ns: str | None = None,
        app_dir: Path | None = None,
        owner: str | None = None,
        acme: Acme | None = None,
        scale: Mapping[str, int] | None = None,
        rollback: Mapping[str, int] | None = None,
        secret_config: Callable[[str], str | None] = lambda key: None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if (machine := getattr(place, "lives_on", None)) is not None:
            # What is on a machine need not be taken down one by one when all of it goes; children inherit this.
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=machine))
        super().__init__("anytier:index:App", name, {}, opts)
        parsed = spec if isinstance(spec, Spec) else load(spec, place.tier)
        findings = capabilities.check(used_fields(parsed), place.tier, place.mode)
        if findings:
            raise ExceptionGroup("the place cannot carry this app", [finding.error() for finding in findings])
        folder = app_dir or (Path.cwd() if isinstance(spec, Spec) else Path(spec).absolute().parent)
        module, _, runtime = RUNTIMES[place.kind].partition(":")
        called = ns or namespace(pulumi.get_stack(), parsed.metadata.name)
        made: Any = getattr(importlib.import_module(module), runtime)(
            name,
            app=parsed,
            place=place,
            ns=called,
            app_dir=folder,
            owner=owned_by(owner or str(folder), called, pulumi.ResourceOptions(parent=self)),
            acme=acme,
            scale=scale or {},
            rollback=rollback or {},
            secret_config=secret_config,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.exports: dict[str, Any] = made.exports
        self.register_outputs(self.exports)
