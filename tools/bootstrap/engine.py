"""Which Pulumi engine this clone uses: one on PATH, else the official release, else one built from Go modules."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap import modules, release
from bootstrap.paths import Paths
from bootstrap.pins import ENGINE, compatible
from bootstrap.say import SetupError, line, short

HOST = "pulumi-language-python"


@dataclass(frozen=True)
class Engine:
    """A folder with `pulumi` and its Python language host. `stamp` tells whether somebody replaced it since."""

    folder: str
    version: str
    source: str  # path | release | modules
    stamp: list[int]


def ensure(paths: Paths, source: str | None = None) -> Engine:
    """The engine that was found last time if it is still there, else the first way that works. `source` forces one."""
    known = remembered(paths)
    if known and source in (None, known.source):
        return known
    for name, way in WAYS.items():
        if source in (None, name) and (folder := way(paths)):
            made = Engine(str(folder), version_of(folder / "pulumi"), name, stamp(folder / "pulumi"))
            note(paths).write_text(json.dumps(asdict(made)))
            line("engine", f"pulumi {made.version} from {SAID[name]}: {short(folder)}")
            return made
    raise SetupError(f"no Pulumi engine by way of {source!r}", "without --engine, every way is tried")


SAID = {"path": "your PATH", "release": "the official release", "modules": "pinned Go modules"}


def note(paths: Paths) -> Path:
    return paths.notes / "engine.json"


def remembered(paths: Paths) -> Engine | None:
    try:
        known = Engine(**json.loads(note(paths).read_text()))
        same = stamp(Path(known.folder) / "pulumi") == known.stamp
    except (OSError, ValueError, TypeError):
        return None
    return known if same and compatible(known.version) else None


def stamp(file: Path) -> list[int]:
    found = file.stat()
    return [found.st_mtime_ns, found.st_size]


def version_of(pulumi: Path) -> str:
    """What `pulumi version` prints, without its v; "" if it does not run."""
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run([str(pulumi), "version"], env=env, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v") if done.returncode == 0 else ""


def on_path(paths: Paths) -> Path | None:
    """A folder on PATH with a `pulumi` that is good enough. Our own launcher does not count."""
    own = str(paths.venv / "bin")
    search = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part and part != own]
    found = shutil.which("pulumi", path=os.pathsep.join(search))
    if found is None:
        return None
    file = Path(found).resolve() if (Path(found).resolve().parent / HOST).exists() else Path(found)
    version = version_of(file)
    if not compatible(version):
        line("engine", f"{found} is {version or 'broken'}; anytier needs {ENGINE} or newer: getting one of its own")
        return None
    if not (file.parent / HOST).exists() and shutil.which(HOST, path=os.pathsep.join(search)) is None:
        line("engine", f"{found} has no {HOST} beside it: getting one of its own")
        return None
    return file.parent


def cached(paths: Paths, kind: str) -> bool:
    """The cache holds a whole engine: it is renamed into place only when it is."""
    return (paths.engine / kind).is_file()


def from_release(paths: Paths) -> Path | None:
    return _made(paths, "release", lambda stage: release.fetch(stage))


def from_modules(paths: Paths) -> Path | None:
    return _made(paths, "modules", lambda stage: modules.build(paths, stage))


def _made(paths: Paths, kind: str, make: release.Maker) -> Path | None:
    """The engine in the cache, made now if it is not there. None if this way is closed on this machine."""
    with alone(paths.tools):
        if cached(paths, kind):
            return paths.engine
        stage = paths.tools / f".making-{paths.engine.name}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            if not make(stage):
                return None
            found = version_of(stage / "pulumi")
            if not compatible(found) or not (stage / HOST).exists():
                raise SetupError(
                    f"the new engine says it is {found or 'broken'}, not {ENGINE}", "this is a bug: report it"
                )
            (stage / kind).touch()
            shutil.rmtree(paths.engine, ignore_errors=True)
            stage.rename(paths.engine)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return paths.engine


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One set-up at a time in this cache; another one waits and then finds the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            line("engine", "another set-up is at work in the cache: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


WAYS = {"path": on_path, "release": from_release, "modules": from_modules}
