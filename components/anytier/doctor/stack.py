"""One stack of any tier: its config and its app."""

from __future__ import annotations

import os
from collections.abc import Iterator

from anytier.doctor.check import Finding, Subject, missing, of_error, ok


def config(subject: Subject) -> Iterator[Finding]:
    for error in subject.errors:
        yield of_error("config", error)
    if subject.settings is not None and not subject.errors:
        mode = f" ({subject.settings.mode})" if subject.settings.mode else ""
        yield ok("config", f"tier {subject.tier}{mode}, port {subject.settings.port}")


def app(subject: Subject) -> Iterator[Finding]:
    """Valid and carried by the tier; what is wrong is told in full by `anytier validate`."""
    from anytier import capabilities
    from anytier.spec import diagnose
    from anytier.spec.walk import used_fields

    if subject.settings is None:
        return
    file = subject.project / subject.settings.app_file
    shown, do = os.path.relpath(file), f"anytier validate -s {subject.stack}"
    spec, found = diagnose(file, subject.tier)
    errors = [item for item in found if item.severity == "error"]
    if spec is None or errors:
        first = errors[0]
        yield missing("app", f"{shown} has {len(errors)} mistakes; the first: {first.path} {first.what}".strip(), do)
        return
    refused = capabilities.check(used_fields(spec), subject.tier, subject.settings.mode)
    if refused:
        yield missing("app", f"{shown} has {len(refused)} fields that tier {subject.tier} does not carry", do)
    else:
        yield ok("app", f"{shown}: {spec.metadata.name}, {len(spec.workloads)} workloads")
