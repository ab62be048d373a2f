"""`anytier cluster`: the cluster that a stack of tier kubeadm made: how it is, and the way to it for kubectl."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from anytier.cli.day2 import plain, stack_argument

if TYPE_CHECKING:
    from pathlib import Path

PLANE, WORKER = "anytier:kubeadm:ControlPlane", "anytier:kubeadm:Worker"


def configure(parser: argparse.ArgumentParser) -> None:
    what = "status: nodes, certificates, API server, etcd; kubeconfig: what kubectl reads, with the admin's key"
    parser.add_argument("action", choices=("status", "kubeconfig"), help=what)
    stack_argument(parser)
    parser.add_argument("--json", action="store_true", help="with status: machine-readable")
    parser.add_argument("-o", "--output", metavar="FILE", help="with kubeconfig: write it there, for you alone (0600)")
    parser.add_argument("--force", action="store_true", help="with -o: replace a file that is there")


def run(args: argparse.Namespace) -> int:
    from anytier.errors import UsageError

    if args.action == "status":
        if args.output or args.force:
            raise UsageError("--output", "goes with `kubeconfig` only", f"`anytier cluster kubeconfig -s {args.stack}`")
        return status(args.stack, args.json)
    if args.json:
        raise UsageError("--json", "goes with `status` only", f"`anytier cluster status -s {args.stack} --json`")
    return kubeconfig(args.stack, args.output, args.force)


def status(stack: str, json_wanted: bool) -> int:
    import asyncio
    import json
    from datetime import UTC, datetime

    from anytier.cli.terminal import room
    from anytier.provider.kubeadm.look import look
    from anytier.report.cluster import as_json, as_text, healthy, rows

    made = cluster_of(stack)
    seen = asyncio.run(look(made["kubeconfig"], made["machine"]))
    now = datetime.now(UTC)
    nodes = rows(seen.nodes, made["nodes"])
    if json_wanted:
        print(json.dumps(as_json(made["name"], seen, nodes, now), indent=2))
    else:
        print(as_text(made["name"], seen, nodes, now, room()))
    return 0 if healthy(seen, nodes, now) else 1


def kubeconfig(stack: str, output: str | None, force: bool) -> int:
    from pathlib import Path

    text = str(cluster_of(stack)["kubeconfig"])
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return 0
    file = Path(output).expanduser()
    write(file, text, force)
    print(f"wrote {file}; `export KUBECONFIG={file.absolute()}` makes kubectl use it")
    return 0


def cluster_of(stack: str) -> dict[str, Any]:
    """Of the stack's state: the cluster's `name`, its `kubeconfig`, the control plane's `machine`, its `nodes`' names.

    NotFound if nothing is deployed or it is not up; ConfigError for a stack that makes no cluster.
    """
    from anytier.cli.stack import not_deployed, resources_of, stack_state
    from anytier.errors import ConfigError, NotFound

    state = stack_state(stack, secrets=True)
    planes, workers = resources_of(state, PLANE), resources_of(state, WORKER)
    if not planes:
        if not state.get("resources"):
            raise not_deployed(stack)
        raise ConfigError(f"stack {stack}", "makes no cluster", "a stack of tier kubeadm does")
    inputs = plain(planes[0].get("inputs") or {})
    text = plain((planes[0].get("outputs") or {}).get("kubeconfig"))
    if not text:
        what = f"cluster {inputs.get('cluster')} is not up"
        raise NotFound(f"stack {stack}", what, f"`anytier up -s {stack}` goes on where it ended")
    nodes = [plain(item.get("inputs") or {}).get("name", "") for item in (*planes, *workers)]
    return {"name": inputs["cluster"], "kubeconfig": text, "machine": inputs["machine"], "nodes": nodes}


def write(file: Path, text: str, force: bool) -> None:
    """Whole or not at all, for its owner alone from the first byte on. Conflict for a file that is there."""
    import os
    import tempfile

    from anytier.errors import Conflict, Denied

    if file.is_dir() or (os.path.lexists(file) and not force):
        do = "choose another file; --force replaces this one, and the clusters that it knows with it"
        raise Conflict(str(file), "is there already", do)
    try:
        handle, new = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(new, file)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as error:
        raise Denied(str(file), f"cannot be written: {error.strerror}", "choose a file in a folder of yours") from None
