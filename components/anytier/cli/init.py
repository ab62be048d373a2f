"""`anytier init`: a first app spec with its stacks, in this project or as a project of its own. Overwrites nothing."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTER = Path(__file__).with_name("starter")
PORT = 8080


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="where (default: apps/NAME in a project, else here)")
    parser.add_argument("--name", help="the app's name (default: the folder's)")
    image = "an app of this image instead of the example (may be repeated); needs the docker tier"
    parser.add_argument("--from-image", action="append", default=[], metavar="IMAGE", help=image)
    parser.add_argument("--port", type=int, default=PORT, help=f"the port that IMAGE listens on (default {PORT})")


@dataclass(frozen=True)
class File:
    path: Path
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Place:
    """Where the files go. `project` is the folder with Pulumi.yaml; `fresh` if that is still to be written."""

    name: str
    folder: Path
    project: Path
    fresh: bool

    @property
    def spec(self) -> Path:
        return self.folder / "app.yaml"

    def stack(self, tier: str) -> str:
        return tier if self.fresh else f"{self.name}-{tier}"


def run(args: argparse.Namespace) -> int:
    place = find(args.dir, args.name)
    files = [*app_files(place, args.from_image, args.port), *stack_files(place, bool(args.from_image))]
    if place.fresh:
        files += project_files(place)
    check(place, files)
    kept = write(files)
    tell(place, files, kept, "docker" if args.from_image else "local")
    return 0


# where


def find(folder: str | None, name: str | None) -> Place:
    """In a project of anytier's the app gets a folder of its own; elsewhere the folder becomes a project."""
    start = Path(folder or ".").absolute()
    project = project_above(start)
    if folder is None and project is not None:
        start = project / "apps" / app_name(name or start.name)
    return Place(app_name(name or start.name), start, project or start, project is None)


def project_above(start: Path) -> Path | None:
    """ConfigError if there is one that would not run the app."""
    from anytier.cli.stack import project_dir
    from anytier.errors import ConfigError

    try:
        project = project_dir(start)
    except ConfigError:
        return None
    if "anytier" in (project / "Pulumi.yaml").read_text(encoding="utf-8", errors="replace"):
        return project
    what = f"is in the Pulumi project {project}, which has a program of its own"
    raise ConfigError(str(start), what, "choose a folder outside of it, or call anytier.app.App there")


def app_name(text: str) -> str:
    """A name as the spec wants it. UsageError for one that has no letter or digit to make it of."""
    import re

    from anytier.errors import UsageError

    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    if not made:
        raise UsageError("--name", f"{text!r} is not a name", "a name has a-z, 0-9 and - only")
    return made


# what


def app_files(place: Place, images: Sequence[str], port: int) -> Iterator[File]:
    schema = schema_file(place)
    known = {"NAME": place.name, "SCHEMA": os.path.relpath(schema, place.folder)}
    if place.fresh:
        from anytier.spec.schema import text

        yield File(schema, text())
    if images:
        yield File(place.spec, filled(IMAGES, known | image_parts(images, port)))
        return
    for name in ("app.yaml", "web/server.py", "web/Dockerfile"):
        yield File(place.folder / name, filled((STARTER / "app" / name).read_text(), known))


def schema_file(place: Place) -> Path:
    """The project's own copy, which editors find without a network; in anytier's clone it is the one in the package."""
    from anytier.spec.schema import FILE

    return FILE if not place.fresh and FILE.is_relative_to(place.project) else place.project / "app.schema.json"


IMAGES = """# yaml-language-server: $schema=@SCHEMA@
apiVersion: anytier.dev/v1
kind: App
metadata: {name: @NAME@}

workloads:
@WORKLOADS@
routes:
  - {path: /, workload: @FIRST@, port: http}
"""
WORKLOAD = """  @WORKLOAD@:
    containers:
      main:
        image: @IMAGE@
        readinessProbe: {tcpSocket: {port: @PORT@}, periodSeconds: 2}
    service: {ports: {http: {port: 80, targetPort: @PORT@}}} # targetPort: where the image listens
"""


def image_parts(images: Sequence[str], port: int) -> dict[str, str]:
    import json

    names = workload_names(images)
    bodies = [
        filled(WORKLOAD, {"WORKLOAD": name, "IMAGE": json.dumps(image, ensure_ascii=False), "PORT": str(port)})
        for name, image in zip(names, images, strict=True)
    ]
    return {"WORKLOADS": "\n".join(bodies), "FIRST": names[0]}


def workload_names(images: Sequence[str]) -> list[str]:
    """`ghcr.io/acme/Web_App:1.2@sha256:...` -> `web-app`; the second of a name gets a number."""
    names: list[str] = []
    for image in images:
        last = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        base = app_name(last or "web")
        number = sum(name == base or name.rpartition("-")[0] == base for name in names)
        names.append(f"{base}-{number + 1}" if number else base)
    return names


def stack_files(place: Place, images_only: bool) -> Iterator[File]:
    """On `local` an image alone cannot run yet, so such an app has no stack for it. Both can run side by side."""
    ports = free_ports(place)
    app = os.path.relpath(place.spec, place.project)
    for tier, where in (("local", "This machine"), ("docker", "A Docker host: the local socket")):
        if tier == "docker" or not images_only:
            port = next(ports)
            lines = [f"# {where}. The app serves at http://localhost:{port}/", "config:", f"  anytier:app: {app}"]
            lines += [f"  anytier:tier: {tier}", *([f"  anytier:port: {port}"] if port != PORT else [])]
            yield File(stacks(place) / f"Pulumi.{place.stack(tier)}.yaml", "\n".join([*lines, ""]))


def stacks(place: Place) -> Path:
    from anytier.cli.stack import stacks_dir

    return place.project / "stacks" if place.fresh else stacks_dir(place.project)


def free_ports(place: Place) -> Iterator[int]:
    """Those from 8080 on that no other stack of the project has."""
    import re

    if place.fresh:
        return iter(range(PORT, 65536))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in stacks(place).glob("Pulumi.*.yaml")]
    given = [re.search(r"anytier:port[\"']?: *[\"']?(\d+)", text) for text in texts]
    used = {int(found[1]) if found else PORT for found in given}
    return (port for port in range(PORT, 65536) if port not in used)


def project_files(place: Place) -> Iterator[File]:
    import secrets

    folder = STARTER / "project"
    for source, target, mode in (
        ("Pulumi.yaml", "Pulumi.yaml", 0o644),
        ("__main__.py", "__main__.py", 0o644),
        ("bin/pulumi-resource-anytier", "bin/pulumi-resource-anytier", 0o755),
        ("gitignore", ".gitignore", 0o644),
    ):
        yield File(place.project / target, filled((folder / source).read_text(), {"NAME": place.name}), mode)
    yield File(place.project / ".anytier" / "passphrase", secrets.token_urlsafe(32) + "\n", 0o600)


def filled(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"@{name}@", value)
    return text


# writing


def check(place: Place, files: Sequence[File]) -> None:
    """Nothing is written if any file is there already, or if the spec would not be valid. All of it is told at once."""
    from anytier.errors import AnytierError, Conflict, UsageError
    from anytier.spec import diagnose_bytes

    do = "choose another folder or --name; init never overwrites"
    wrong: list[AnytierError] = [
        Conflict(shown(item.path), "is there already", do)
        for item in files
        if os.path.lexists(item.path) and item.path.name != ".gitignore"
    ]
    (spec,) = (item for item in files if item.path == place.spec)
    for found in diagnose_bytes(spec.text.encode(), "app.yaml")[1]:
        wrong.append(UsageError(found.path, found.what, found.do))
    if wrong:
        raise ExceptionGroup("init", wrong)


def write(files: Sequence[File]) -> list[File]:
    """Gives those that were there already and so were kept."""
    kept = []
    for item in files:
        item.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(item.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, item.mode)
        except FileExistsError:
            kept.append(item)
            continue
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(item.text)
        if item.path.name == "passphrase":
            (item.path.parent / "state").mkdir(exist_ok=True)
    return kept


def tell(place: Place, files: Sequence[File], kept: Sequence[File], tier: str) -> None:
    for item in files:
        print(f"{'kept ' if item in kept else 'wrote'} {shown(item.path)}")
    for item in kept:
        print(f"\nadd to {shown(item.path)}:\n{item.text}", end="")
    here = shown(place.project)
    cd = f"cd {here} && " if place.fresh and here != "." else ""
    print(f"\nnext:\n  anytier validate {shown(place.spec)}\n  {cd}anytier up -s {place.stack(tier)}")


def shown(path: Path) -> str:
    """Relative where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)
