"""`anytier render`: every Kubernetes object of a stack's app as YAML, in the order in which they are applied.

Nothing is asked of a cluster, and no secret is read: what only a run knows stands as `${secrets.NAME}`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anytier.config import Settings
    from anytier.render.kubernetes import Rendered, Target
    from anytier.spec import App
    from anytier.tiers.places import Cluster


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="the stack; its tier is a Kubernetes one")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--output", metavar="DIR", help="into a file for each object, in a new or empty folder")
    form.add_argument("--json", action="store_true", help="machine-readable: a list of keys, objects and their order")


def run(args: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    items = rendered(args.stack)
    if args.json:
        print(json.dumps([as_json(item) for item in items], indent=2, ensure_ascii=False))
    elif args.output:
        written(items, Path(args.output))
        print(f"{len(items)} objects in {args.output}")
    else:
        print("".join(f"---\n{as_yaml(item)}" for item in items), end="")
    return 0


def rendered(stack: str) -> list[Rendered]:
    """A group of errors for all that is wrong in the stack's config or in the app."""
    from anytier import capabilities, config
    from anytier.cli.stack import project_dir, stack_config
    from anytier.render.kubernetes import render
    from anytier.spec.load import load
    from anytier.spec.walk import used_fields

    values = config.from_yaml(stack_config(stack))
    settings = config.read(values)
    cluster = offered(settings, stack)
    file = project_dir() / settings.app_file
    app = load(file, settings.tier)
    if wrong := config.check_against(values, app):
        raise ExceptionGroup("config", wrong)
    if refused := capabilities.check(used_fields(app), settings.tier, settings.mode):
        raise ExceptionGroup("the tier cannot carry this app", [finding.error() for finding in refused])
    return render(app, target_of(cluster, app, settings, stack), file.absolute().parent)


def offered(settings: Settings, stack: str) -> Cluster:
    """What the stack's cluster will offer. UsageError for a tier that is none."""
    from anytier.errors import UsageError
    from anytier.tiers.registry import tier_class

    component = tier_class(settings.tier)
    if not hasattr(component, "offered"):
        what = f"is of tier {settings.tier}, which takes no Kubernetes objects"
        raise UsageError(f"stack {stack}", what, "name a stack of a Kubernetes tier, such as kubeadm")
    made: Cluster = component.offered(settings.tier_args, port=settings.port, tls_port=settings.tls_port, stack=stack)
    return made


def target_of(place: Cluster, app: App, settings: Settings, stack: str) -> Target:
    """As the runtime has it; who deploys is not said, since nobody does."""
    from anytier.names import namespace
    from anytier.runtimes import target

    known = [
        each if isinstance(each, str) else f"${{addresses.{number}}}" for number, each in enumerate(place.addresses)
    ]
    return target.target_of(place, namespace(stack, app.metadata.name), known, scale=settings.scale, acme=settings.acme)


def as_json(item: Rendered) -> dict[str, Any]:
    from anytier.render.kubernetes.finish import shown

    waits = {"waits": item.waits} if item.waits else {}
    after = [*item.after, *([item.on] if item.on else [])]
    return {"key": item.key, "after": after, **waits, "object": shown(item.object)}


def as_yaml(item: Rendered) -> str:
    from anytier.render.kubernetes.finish import shown
    from anytier.render.yamltext import dumped

    waits = f", whose {item.waits} is waited for" if item.waits else ""
    text = dumped(shown(item.object), fast=True, allow_unicode=True, width=120)
    return f"# {item.key}{waits}\n{text}"


def written(items: Sequence[Rendered], folder: Path) -> None:
    """UsageError for a folder that holds something: what is no object of the app any more would stay among the rest."""
    from anytier.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError("--output", f"{folder} is not empty", "name a new folder")
        width = len(str(len(items)))
        for number, item in enumerate(items, 1):
            name = f"{number:0{width}}-{item.key.replace('/', '-')}.yaml"
            (folder / name).write_text(as_yaml(item), encoding="utf-8")
    except OSError as error:
        raise UsageError("--output", f"{folder}: {error.strerror}", "name a folder that can be written") from None
