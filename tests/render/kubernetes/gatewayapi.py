"""The definitions of Gateway API's objects (the standard channel) and of GKE's policies, as the Go modules that
tools/gateway-api pins have them. Nothing of them is in the repository: Go gets the modules and compares their hashes.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml
from tests.render.kubernetes import apiserver

from bootstrap import modules
from bootstrap.paths import Paths
from bootstrap.say import run

FOLDERS = {
    "sigs.k8s.io/gateway-api": "config/crd/standard",
    "github.com/GoogleCloudPlatform/gke-gateway-api": "config/crd",
}


def definitions() -> list[dict[str, Any]]:
    paths = Paths.here()
    go = modules.toolchain(paths, ["gateway-api"])
    argv = [go.program, "mod", "download", "-json", *FOLDERS]
    text, found = run(argv, modules.DO, env=go.env, cwd=paths.root / "tools" / "gateway-api"), []
    while text := text.lstrip():
        told, end = json.JSONDecoder().raw_decode(text)
        found += sorted(Path(told["Dir"], FOLDERS[told["Path"]]).glob("*.yaml"))
        text = text[end:]
    items = [item for file in found for item in yaml.safe_load_all(file.read_text())]
    return [item for item in items if item["kind"] == "CustomResourceDefinition"]


def define(server: apiserver.Server) -> None:
    """All of them, and the server knows them. AssertionError if it does not come to that."""
    wanted: dict[str, set[str]] = {}
    for item in definitions():
        server.apply(item, dry=False)
        wanted.setdefault(item["spec"]["group"], set()).add(item["spec"]["names"]["plural"])
    until = time.monotonic() + 60
    for group, plurals in wanted.items():
        while not plurals <= _known(server, group):
            assert time.monotonic() < until, f"{group} is not served"
            time.sleep(0.2)


def _known(server: apiserver.Server, group: str) -> set[str]:
    try:
        versions = [item["groupVersion"] for item in server.ask("GET", f"/apis/{group}")["versions"]]
        return {each["name"] for path in versions for each in server.ask("GET", f"/apis/{path}")["resources"]}
    except apiserver.Refused:
        return set()
