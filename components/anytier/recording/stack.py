"""A stack of a project, planned: its config and its app by anytier's own program, whatever program the project has.

So that a stranger's pull request can be planned, nothing that its files say is run, no secret is read, and no file
outside of the repository is.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anytier import program
from anytier.errors import AnytierError, ConfigError, SpecError
from anytier.recording import Recording, record
from anytier.spec import App, checks
from anytier.spec.document import without_text
from anytier.spec.values import shown


def plan(project: Path, stack: str, config: Mapping[str, Any]) -> Recording:
    """`config` as the stack's file has it. AnytierErrors, in groups too, for all that is wrong in it or in the app."""
    given = as_given(config, project.name)
    root = repository(project)
    refuse_outside("Pulumi.yaml", project / "Pulumi.yaml", root)
    with _working_in(project):
        _refuse_outside(given, root)

        def whole() -> None:
            """As a project's __main__.py has it."""
            loaded = program.load()
            if wrong := list(outside(loaded.app, loaded.app_dir, root)):
                raise ExceptionGroup("files", wrong)
            program.check(loaded)
            program.deploy(loaded)

        return record(whole, stack=stack, project=_name(project), config=given, folder=project)


def as_given(config: Mapping[str, Any], project: str) -> dict[str, str]:
    """A stack file's `config` in the engine's form. What is encrypted is an empty text: it is not read."""
    found = {}
    for key, value in config.items():
        name = str(key) if ":" in str(key) else f"{project}:{key}"
        if isinstance(value, dict) and set(value) == {"secure"}:
            found[name] = ""
        else:
            found[name] = value if isinstance(value, str) else json.dumps(value)
    return found


def repository(project: Path) -> Path:
    """The folder whose files are the project's to read: the whole repository, where it is in one."""
    here = project.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def inside(path: Path, root: Path) -> bool:
    """Whether it is a file of the repository, links followed. What git keeps for itself is none: tokens lie there."""
    found = path.resolve()
    return found.is_relative_to(root) and ".git" not in found.relative_to(root).parts


def refuse_outside(name: str, path: Path, root: Path) -> None:
    """ConfigError for a file of the project's own that a link leads elsewhere."""
    if not inside(path, root):
        what = f"leads out of {root.name}, and a plan reads nothing there"
        raise ConfigError(name, what, "put the file itself there")


def outside(app: App, folder: Path, root: Path) -> Iterator[AnytierError]:
    """Files and folders that the app names and that lie outside of `root`, links followed."""
    named = [((*path, "source"), item.source) for path, item in checks.files(app) if item.source is not None]
    builds = [((*path, "build", "context"), item.build) for path, item in checks.containers(app) if item.build]
    for path, name in (*named, *((path, build.context) for path, build in builds)):
        if not inside(folder / name, root):
            what = f"{shown(name)} is outside of {root.name}, and a plan reads nothing there"
            yield SpecError(".".join(map(str, path)), what, "move it into the repository; `pulumi preview` reads it")


def _refuse_outside(given: Mapping[str, str], root: Path) -> None:
    """The same for the files that the config names: the app, and an inventory."""
    named = {"anytier:app": given.get("anytier:app")}
    for key in ("anytier:baremetal", "anytier:kubeadm"):
        with contextlib.suppress(ValueError, AttributeError):  # what is wrong in it is told by those who read it
            named[f"{key}.inventory"] = json.loads(given.get(key) or "{}").get("inventory")
    wrong = [
        ConfigError(key, f"{name!r} is outside of {root.name}, and a plan reads nothing there", "name a file in it")
        for key, name in named.items()
        if isinstance(name, str) and "\0" not in name and not inside(Path(name), root)
    ]
    if wrong:
        raise ExceptionGroup("files", wrong)


def _name(project: Path) -> str:
    """As Pulumi.yaml has it."""
    import yaml

    file = project / "Pulumi.yaml"
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError("Pulumi.yaml", f"cannot be read: {without_text(error)}", "mend the file") from None
    name = loaded.get("name") if isinstance(loaded, dict) else None
    if not isinstance(name, str) or not name or "::" in name:
        raise ConfigError("Pulumi.yaml", "has no `name`", "give the project one")
    return name


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """The program names files from the project's folder on, as it does where the engine runs it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
