"""A spec file to an `App`, with everything that is wrong in it at once, each with its place in the file.

The only part of `spec`, with `secrets`, that reads files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import ValidationError

from anytier.errors import SpecError
from anytier.spec import checks, overrides, placeholders, score
from anytier.spec.diagnostic import Diagnostic, Finding, Path, dotted
from anytier.spec.document import MAX_BYTES, Document, no_collection, parse
from anytier.spec.mend import Mended, mend
from anytier.spec.messages import errors_of, explain, is_name
from anytier.spec.model import App, Tier
from anytier.spec.values import MAX_FILE, shown

TIERS: tuple[str, ...] = get_args(Tier)


def load(source: str | FilePath, tier: str | None = None) -> App:
    """The app in a file (or in a text of several lines), with the overrides of `tier` merged in.

    SpecError says what is wrong; a group of them where it is more than one thing.
    """
    app, found = diagnose(source, tier)
    wrong = (item for item in found if item.severity == "error")
    errors = [SpecError(f"{d.file}:{d.line}:{d.column}: {d.path}", d.what, d.do) for d in wrong]
    if len(errors) == 1:
        raise errors[0]
    if errors or app is None:
        raise ExceptionGroup(f"the spec has {len(errors)} errors", errors)
    return app


def diagnose(source: str | FilePath, tier: str | None = None) -> tuple[App | None, list[Diagnostic]]:
    """The app, or None with its errors in the order of the file. Never raises for what is in the file.

    Without `tier` the overrides of every tier are tried; with it, the app is the one of that tier.
    """
    if isinstance(source, str) and "\n" in source:
        return diagnose_bytes(source.encode("utf-8", "surrogatepass"), "<text>", tier)
    name = str(source)
    try:
        file = FilePath(source)
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return None, [Diagnostic(name, 1, 1, "", what, "give the path of an app spec")]
    return diagnose_bytes(raw, name, tier, file.absolute().parent)


def diagnose_bytes(
    raw: bytes, name: str, tier: str | None = None, folder: FilePath | None = None
) -> tuple[App | None, list[Diagnostic]]:
    """As `diagnose`, of a text that was read already. With `folder`, the files that the spec names are looked for."""
    with no_collection():
        reading = _Reading(name, parse(raw), folder)
        app = reading.app(tier)
    wrong = any(item.severity == "error" for item in reading.found)
    return (None if wrong else app), sorted(set(reading.found))


def locate(raw: bytes, name: str, findings: Iterable[Finding], tier: str | None = None) -> list[Diagnostic]:
    """What somebody else found about the app in this text (as `tier` sees it), each in its place in the file."""
    reading = _Reading(name, parse(raw), None)
    reading.place(findings, tier)
    return sorted(set(reading.found))


@dataclass
class _Reading:
    """One reading of one file: the findings as they come, each put in its place."""

    name: str
    document: Document
    folder: FilePath | None
    found: list[Diagnostic] = field(default_factory=list)
    converted: score.Converted | None = None

    def app(self, tier: str | None) -> App | None:
        data = self._plain()
        if data is None:
            return None
        mended = self._validate(data)
        if tier is not None and tier not in TIERS:
            self._add((), f"there is no tier {tier!r}", f"one of {', '.join(TIERS)}")
        self._add_all(overrides.findings(data))
        if mended is None:
            return None
        own = _findings(mended.app)
        self._add_all(mended.sure(own, mended.data))
        merged = {name: self._merged(mended, name, set(own)) for name in self._tiers(data, tier)}
        self._missing_files(mended)
        return merged.get(tier, mended.app) if tier is not None else mended.app

    def place(self, findings: Iterable[Finding], tier: str | None) -> None:
        self._plain()
        self.found.clear()
        for path, what, do in findings:
            inside: Path = ("overrides", tier or "", *path)
            self._add(inside if self.document.depth(inside) == len(inside) else path, what, do)

    # from text to plain data

    def _plain(self) -> dict[str, Any] | None:
        problems, data = self.document.problems, self.document.data
        self.found += [Diagnostic(self.name, p.line, p.column, dotted(p.path), p.what, p.do) for p in problems]
        if data is None:
            if not problems:
                self._add((), "the file is empty", "`anytier init` writes a first spec")
            return None
        if not isinstance(data, dict):
            self._add((), "must be a mapping", "begin with apiVersion: anytier.dev/v1")
            return None
        if not score.is_score(data):
            return data
        self.converted = score.to_app(data, self._text)
        for path, what, do in self.converted.errors:
            self._add(path, what, do, at_key=path != ("apiVersion",), there=path)
        for path, what, do in self.converted.warnings:
            self._add(path, what, do, severity="warning", there=path)
        return self.converted.data

    def _validate(self, data: dict[str, Any]) -> Mended | None:
        """The app, with stand-ins for what the model refuses. None where it cannot be mended."""
        told = {problem.path for problem in self.document.problems if problem.unread}
        unread = frozenset(self.converted.path(path) if self.converted else path for path in told)
        try:
            return Mended(App.model_validate(data), data, unread)
        except ValidationError as error:
            for item in errors_of(error):
                path, what, do = explain(App, item, lambda path: self.document.scalar(self._origin(path)))
                if self._origin(path) in told and item["type"] != "extra_forbidden":
                    continue
                if self.converted and path == ("workloads", self.converted.workload) and is_name(item):
                    continue  # it is the metadata's name, which is told
                if path and path[-1] == "apiVersion" and item["type"] == "literal_error":
                    do = "write anytier.dev/v1 (or score.dev/v1b1, in Score's own form)"
                self._add(path, what, do, at_key=_at_key(item))
            return mend(data, errors_of(error), unread)

    # overrides

    def _tiers(self, data: Mapping[str, Any], tier: str | None) -> list[str]:
        given = data.get("overrides")
        patched = [name for name in TIERS if isinstance(given, Mapping) and given.get(name)]
        return [tier] if tier in TIERS and tier is not None else patched if tier is None else []

    def _merged(self, mended: Mended, tier: str, own: set[Finding]) -> App | None:
        """The app of a tier; what is wrong with it and was not wrong before is the override's doing."""
        data = overrides.for_tier(mended.data, tier)
        try:
            merged: Mended | None = Mended(App.model_validate(data), data)
        except ValidationError as error:
            for item in errors_of(error):
                path, what, do = explain(App, item)
                if not mended.is_gone(path):
                    self._add_override(tier, mended.in_file(path), what, do, _at_key(item))
            merged = mend(data, errors_of(error))
        if merged is None:
            return None
        new = [found for found in _findings(merged.app) if found not in own]
        for path, what, do in mended.sure(merged.sure(new, merged.data), data):
            self._add_override(tier, path, what, do)
        return merged.app

    def _add_override(self, tier: str, path: Path, what: str, do: str, at_key: bool = False) -> None:
        inside: Path = ("overrides", tier, *path)
        there = self.document.depth(inside)
        if there == len(inside) or there - 2 > self.document.depth(path):
            self._add(inside, what, do, at_key)
        else:
            self._add(path, f"{what} (on tier {tier}, after its overrides)", do, at_key)

    # files beside the spec

    def _text(self, name: str) -> str | None:
        try:
            if self.folder is not None and "\0" not in name:
                with (self.folder / name).open("rb") as stream:
                    return stream.read(MAX_FILE + 1).decode()
        except (OSError, UnicodeDecodeError):
            pass
        return None

    def _missing_files(self, mended: Mended) -> None:
        """Score files travel without what they name, so there it is only worth a warning."""
        if self.folder is None:
            return
        severity = "warning" if self.converted is not None else "error"
        for path, name, kind in _named_files(mended.app):
            if mended.is_gone(path):
                continue
            there = self.folder / name
            try:
                fits = there.is_dir() if kind == "folder" else there.is_file()
                exists = fits or there.exists()
            except (OSError, ValueError):
                fits = exists = False
            if not fits:
                what = f"is not a {kind}" if exists else f"there is no {kind} {shown(name)} in {self.folder}"
                self._add(mended.in_file(path), what, "the path is from the spec's folder", severity=severity)

    # putting a finding in its place

    def _origin(self, path: Path) -> Path:
        return self.converted.origin(path) if self.converted is not None else path

    def _add_all(self, findings: list[Finding]) -> None:
        for path, what, do in findings:
            self._add(path, what, do)

    def _add(
        self,
        path: Path,
        what: str,
        do: str,
        at_key: bool = False,
        severity: Any = "error",
        there: Path | None = None,
    ) -> None:
        where = self._origin(path) if there is None else there
        line, column = self.document.locate(where, at_key)
        self.found.append(Diagnostic(self.name, line, column, dotted(where), what, do, severity))


def _findings(app: App) -> list[Finding]:
    return [*checks.findings(app), *placeholders.findings(app)]


def _at_key(item: Mapping[str, Any]) -> bool:
    return item["type"] in ("extra_forbidden", "missing") or is_name(item)


def _named_files(app: App) -> Iterator[tuple[Path, str, str]]:
    for path, item in checks.files(app):
        if item.source is not None:
            yield (*path, "source"), item.source, "file"
    for path, container in checks.containers(app):
        if container.build is not None:
            yield (*path, "build", "context"), container.build.context, "folder"
