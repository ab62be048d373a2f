"""A spec file to an `App`, with everything that is wrong in it at once. The only part of `spec` that reads files."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from anytier.errors import SpecError
from anytier.spec import checks, placeholders, score
from anytier.spec.diagnostic import Diagnostic, Path, dotted
from anytier.spec.document import Document, parse
from anytier.spec.messages import explain
from anytier.spec.model import App
from anytier.spec.overrides import for_tier


def load(source: str | FilePath, tier: str | None = None) -> App:
    """The app in a file, with the overrides of `tier` merged in. SpecError (or a group of them) names what is wrong."""
    app, found = diagnose(source, tier)
    errors = [
        SpecError(f"{d.file}:{d.line}:{d.column}: {d.path}", d.what, d.do) for d in found if d.severity == "error"
    ]
    if len(errors) == 1:
        raise errors[0]
    if errors or app is None:
        raise ExceptionGroup(f"{source} has {len(errors)} errors", errors)
    return app


def diagnose(source: str | FilePath, tier: str | None = None) -> tuple[App | None, list[Diagnostic]]:
    """The app, or None with its errors in the order of the file. Never raises for what is in the file."""
    name = str(source)
    try:
        raw = FilePath(source).read_bytes()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        return None, [Diagnostic(name, 1, 1, "", what, "give the path of an app spec")]
    return diagnose_bytes(raw, name, tier)


def diagnose_bytes(raw: bytes, name: str, tier: str | None = None) -> tuple[App | None, list[Diagnostic]]:
    """As `diagnose`, of a text that was read already."""
    document = parse(raw)
    found = [Diagnostic(name, p.line, p.column, dotted(p.path), p.what, p.do) for p in document.problems]
    if document.data is None or (found and not isinstance(document.data, dict)):
        return None, found
    app, problems = _model(document.data, tier)
    moved = _score_name(document.data)
    found += [_at(document, name, path, what, do, moved) for path, what, do in problems]
    return (None if found else app), sorted(set(found))


def _score_name(data: Any) -> str | None:
    if not score.is_score(data) or not isinstance(data.get("metadata"), dict):
        return None
    name = data["metadata"].get("name")
    return name if isinstance(name, str) else None


def _at(document: Document, name: str, path: Path, what: str, do: str, moved: str | None) -> Diagnostic:
    there = score.origin(path, moved) if moved else path
    line, column = document.locate(there)
    return Diagnostic(name, line, column, dotted(there), what, do)


def _model(data: Any, tier: str | None) -> tuple[App | None, list[checks.Finding]]:
    if not isinstance(data, dict):
        return None, [((), "must be a mapping", "begin with apiVersion: anytier.dev/v1")]
    plain = score.to_app(data) if score.is_score(data) else data
    if "apiVersion" not in plain:
        return None, [((), "has no apiVersion", "begin with apiVersion: anytier.dev/v1")]
    wrong = _validate(plain)[1]
    if wrong:
        return None, wrong
    app, wrong = _validate(for_tier(plain, tier) if tier else plain)
    if app is None:
        return None, [(path, f"{what} (after overrides.{tier})", do) for path, what, do in wrong]
    return app, checks.findings(app) + placeholders.findings(app)


def _validate(data: dict[str, Any]) -> tuple[App | None, list[checks.Finding]]:
    try:
        return App.model_validate(data), []
    except ValidationError as error:
        return None, [explain(App, data, item) for item in error.errors(include_url=False, include_context=True)]
