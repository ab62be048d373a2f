"""Fills a bundle's folder from where its parts are published. What is there already, and right, is not fetched again.

Every file has a published SHA-256 and is held against it; a download that broke off goes on where it ended. Without
bundle.yaml the folder is no bundle: it goes before the first file changes, and is written when all is there.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from anytier.bundle import archive, software
from anytier.bundle.manifest import FILE, Bundle, Manifest, checksum, inside, write
from anytier.bundle.software import Download
from anytier.errors import AnytierError, NoSpace, NotFound, Rejected, Unreachable, UsageError

Say = Callable[[str, int, int], None]  # what, bytes so far, bytes in all (0: not known)
Pull = Callable[[str, str, Path, Say], None]  # asked for under, named, archive to write
PARTS = ".parts"
_SECONDS = 60.0  # without a byte
_CHUNK = 1 << 18
_LOCAL = re.compile(r"localhost|::1|127(\.\d{1,3}){3}")
_VERSION = re.compile(r"1\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")


def fill(
    folder: Path, version: str, arch: str, pull: Pull, say: Say, *, mirror: str = "", registry: str = ""
) -> Bundle:
    """The bundle, whole. `mirror` and `registry` as in `software`. Errors say what could not be had, and from where."""
    check(version, arch, mirror)
    begin(folder)
    files: list[str] = []
    for item in software.downloads(version, arch, mirror):
        files += fetch(folder, item, say)
    references = [*listed(folder / "bin/kubeadm", version), *software.IMAGES]
    images = {software.file_of(reference): [reference] for reference in references}
    for relative, (reference,) in images.items():
        if archive.references(folder / relative) != [reference]:
            _changes(folder)
            pull(software.asked_of(reference, registry), reference, folder / relative, say)
    sums = {relative: checksum(folder / relative) for relative in (*files, *images)}
    _changes(folder)
    _forget(folder, sums)
    write(folder, Manifest(kubernetes=f"v{version}", arch=arch, files=sums, images=images))
    return Bundle.read(folder)


def check(version: str, arch: str, mirror: str) -> None:
    """UsageError for what no bundle can be made of."""
    if not _VERSION.fullmatch(version):
        raise UsageError("--kubernetes", f"{version!r} is not a version", f"such as {software.KUBERNETES}")
    if arch not in software.ARCHES:
        raise UsageError("--arch", f"{arch!r} is not known", f"one of {', '.join(software.ARCHES)}")
    url = urllib.parse.urlsplit(mirror)
    if mirror and not (url.scheme == "https" or (url.scheme == "http" and _LOCAL.fullmatch(url.hostname or ""))):
        raise UsageError("--mirror", f"{mirror!r} has no TLS", "an address such as https://mirror.example.org/files")


def begin(folder: Path) -> None:
    """A folder to fill: a new or empty one, or one that was begun, or is a bundle. UsageError for any other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = (folder / FILE).exists() or (folder / PARTS).exists()
        if not ours and any(folder.iterdir()):
            raise UsageError("-o", f"{folder} is not empty and no bundle", "name a new folder")
        for name in ("bin", "cni", "images", PARTS):
            (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise _disk(folder, error) from None


def _changes(folder: Path) -> None:
    """From here on it is no bundle, until all is there. A run that gets nothing leaves a whole one as it is."""
    (folder / FILE).unlink(missing_ok=True)


def fetch(folder: Path, item: Download, say: Say) -> list[str]:
    """What it gives to the bundle, as relative paths."""
    wanted = published(item)
    part = folder / PARTS / f"{item.name}-{wanted[:16]}"
    kept = item.takes.get("")
    try:
        if kept and (folder / kept).is_file() and checksum(folder / kept) == f"sha256:{wanted}":
            say(item.name, 1, 1)
            return [kept]
        if not part.is_file() or checksum(part) != f"sha256:{wanted}":
            _load(item, part, say)
            if checksum(part) != f"sha256:{wanted}":
                part.unlink()
                raise Rejected(item.url, "does not have its published checksum", "run it again; else tell its makers")
        _changes(folder)
        if kept:
            part.chmod(0o755)
            part.replace(folder / kept)
        else:
            _unpack(item, part, folder)
    except OSError as error:
        raise _disk(folder, error) from None
    return list(item.takes.values())


def published(item: Download) -> str:
    """The SHA-256 of a download, as 64 digits, from the file beside it."""
    with _open(item.sums) as answer:
        text = _read(item.sums, answer, 4096).decode(errors="replace")
    found = re.match(r"\s*([0-9a-fA-F]{64})\b", text)
    if found is None:
        raise Rejected(item.sums, "holds no SHA-256", "is this a mirror of the right files?")
    return found[1].lower()


def listed(kubeadm: Path, version: str) -> list[str]:
    """The images of a control plane and of pods' pause, by the kubeadm that was fetched."""
    argv = [str(kubeadm.absolute()), "config", "images", "list", "--kubernetes-version", f"v{version}"]
    do = "build the bundle on Linux, on a machine of the kind that it is for"
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or "does not answer"
        raise Rejected(str(kubeadm), f"cannot be asked which images it needs: {reason}", do) from None
    found = done.stdout.split()
    if done.returncode or not found or not all(inside(software.file_of(item)) for item in found):
        raise Rejected(str(kubeadm), f"does not say which images it needs: {done.stderr.strip()[-300:]}", do)
    return found


def _load(item: Download, part: Path, say: Say) -> None:
    """The rest of a file that was begun, else all of it. An answer that breaks off is an error; what came, stays."""
    begun = part.stat().st_size if part.is_file() else 0
    with _open(item.url, {"Range": f"bytes={begun}-"} if begun else {}) as answer:
        goes_on = answer.status == 206
        begun = begun if goes_on else 0
        left = int(answer.headers.get("Content-Length") or 0)
        done, total = begun, begun + left if left else 0
        with part.open("ab" if goes_on else "wb") as out:
            while data := _read(item.url, answer, _CHUNK):
                out.write(data)
                done += len(data)
                say(item.name, done, total)
    if left and done != total:
        raise Unreachable(item.url, f"broke off after {done} of {total} bytes", "run it again: it goes on from there")


def _unpack(item: Download, part: Path, folder: Path) -> None:
    """Single files by their names; whatever else an archive holds is not written anywhere."""
    missing = dict(item.takes)
    try:
        with tarfile.open(part) as tar:
            for member in tar:
                target = missing.pop(member.name.rpartition("/")[2], None) if member.isfile() else None
                if target is None:
                    continue
                source = tar.extractfile(member)
                assert source is not None  # it is a file
                _place(source, folder / target)
    except (tarfile.TarError, EOFError) as error:
        raise Rejected(item.url, f"is no archive that can be read: {error}", "tell its makers") from None
    if missing:
        raise Rejected(item.url, f"has no {next(iter(missing))}", "tell its makers")


def _place(source: IO[bytes], target: Path) -> None:
    new = target.with_name(f".{target.name}.new")
    with new.open("wb") as out:
        while data := source.read(_CHUNK):
            out.write(data)
    new.chmod(0o755)
    new.replace(target)


def _forget(folder: Path, kept: Iterable[str]) -> None:
    """Downloads that are unpacked, and what an earlier bundle in this folder had."""
    wanted = {folder / relative for relative in kept}
    for name in ("bin", "cni", "images", PARTS):
        for file in (folder / name).iterdir():
            if file not in wanted and file.is_file():
                file.unlink()
    (folder / PARTS).rmdir()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """From TLS to TLS only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError("it redirects to where there is no TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "anytier", **(headers or {})})
    direct = [urllib.request.ProxyHandler({})] if _LOCAL.fullmatch(urllib.parse.urlsplit(url).hostname or "") else []
    try:
        return urllib.request.build_opener(_Redirects(), *direct).open(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise _status(url, error.code) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from None


def _read(url: str, answer: Any, size: int) -> bytes:
    try:
        data: bytes = answer.read(size)
        return data
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from None


def _status(url: str, code: int) -> AnytierError:
    if code == 416:
        return Unreachable(url, "has another length than what came of it", "remove the folder .parts, then again")
    if code in (403, 404, 410):
        return NotFound(url, f"is not there (status {code})", "is the version right? a mirror may lack it")
    return Unreachable(url, f"answers with status {code}", "run it again later")


def _unreachable(url: str, error: BaseException) -> Unreachable:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
    do = "is this network open? a mirror can be named with --mirror; run again: what came is kept"
    return Unreachable(url, f"cannot be reached: {reason}", do)


def _disk(folder: Path, error: OSError) -> AnytierError:
    kind = NoSpace if error.errno in (28, 122) else Rejected
    return kind(
        str(error.filename or folder), error.strerror or str(error), "name a folder with room that you may write"
    )
