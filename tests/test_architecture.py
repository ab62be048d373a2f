"""The arrows of docs/architecture.md, and what a newcomer may rely on: one direction, nothing loaded in vain."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from anytier import app, capabilities
from anytier.cli.registry import VERBS
from anytier.conformance.places.registry import PLACES
from anytier.conformance.registry import CHECKS
from anytier.frozen import Frozen
from anytier.provider.registry import RESOURCES, Registry
from anytier.provider.resource import Resource
from anytier.tiers.places import Place
from anytier.tiers.registry import REGISTRY, tier_class

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "components" / "anytier"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of the others. Who wants an arrow that is not here changes the design first.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "names": set(),
    "planning": set(),
    "acme": {"frozen"},
    "cgroups": set(),
    "logins": set(),
    "marks": set(),
    "packages": set(),
    "suggest": set(),
    "frozen": set(),
    "hypervisors": set(),
    "resources": {"planning"},
    "bundle": {"errors", "frozen"},
    "clusterobjects": set(),
    "spec": {"errors", "frozen", "packages", "suggest"},
    "capabilities": {"errors", "spec"},
    "rollout": {"errors"},
    "render": {"acme", "errors", "frozen", "packages", "spec"},
    "policy": {"errors", "frozen", "hypervisors", "marks", "render", "suggest"},
    "policypack": {"", "errors", "policy", "provider"},
    "provider": {
        "",
        "bundle",
        "cgroups",
        "errors",
        "frozen",
        "hypervisors",
        "logins",
        "marks",
        "names",
        "packages",
        "render",
        "rollout",
    },
    "tiers": {
        "bundle",
        "capabilities",
        "cgroups",
        "clusterobjects",
        "errors",
        "frozen",
        "hypervisors",
        "logins",
        "planning",
        "render",
        "resources",
        "suggest",
    },
    "runtimes": {"acme", "clusterobjects", "errors", "planning", "render", "resources", "spec", "tiers.places"},
    "app": {"acme", "capabilities", "names", "resources", "runtimes", "spec", "tiers.places"},
    "config": {"acme", "capabilities", "errors", "frozen", "policy", "spec", "suggest", "tiers.registry"},
}
PURE = (
    "acme",
    "errors",
    "hypervisors",
    "logins",
    "marks",
    "names",
    "planning",
    "packages",
    "suggest",
    "frozen",
    "spec",
    "capabilities",
    "policy",
    "rollout",
    "render",
)
# What reaches a place, or the engine.
TRANSPORTS = {
    "pulumi",
    "aiodocker",
    "aiohttp",
    "asyncssh",
    "grpc",
    "http",
    "libvirt",
    "socket",
    "ssl",
    "urllib",
    "xmlrpc",
}
CLOUD_SDKS = {"pulumi_aws", "pulumi_gcp", "pulumi_azure_native", "pulumi_kubernetes", "libvirt"}


def part(file: Path) -> str:
    steps = file.relative_to(PACKAGE).with_suffix("").parts
    return "" if steps == ("__init__",) else steps[0]


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, save what only the type checker sees."""
    tree = ast.parse(file.read_text())
    hidden = {id(below) for node in ast.walk(tree) if _for_types(node) for below in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            whole = node.module or ""
            yield from ([f"anytier.{alias.name}" for alias in node.names] if whole == "anytier" else [whole])


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def ours(module: str) -> str | None:
    """`anytier.spec.load` -> `spec`; of tiers, the module too: places and the registry are for all."""
    first, _, rest = module.partition(".")
    if first != "anytier":
        return None
    if rest.startswith("__"):
        return ""
    return ".".join(rest.split(".")[:2]) if rest.startswith("tiers.") else rest.split(".")[0]


def test_the_scan_sees_the_package() -> None:
    assert len(MODULES) > 100
    assert {part(file) for file in MODULES} >= set(ARROWS)


@pytest.mark.parametrize("name", ARROWS)
def test_data_goes_one_way(name: str) -> None:
    for file in (file for file in MODULES if part(file) == name):
        found = {target for module in imports(file) if (target := ours(module)) is not None}
        found = {target for target in found if target.split(".")[0] != name}
        assert found <= ARROWS[name], f"{file.relative_to(PROJECT)} imports {sorted(found - ARROWS[name])}"


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_knows_neither_pulumi_nor_any_transport(name: str) -> None:
    for file in (file for file in MODULES if part(file) == name):
        found = {module.split(".")[0] for module in imports(file) if module != "urllib.parse"} & TRANSPORTS
        assert not found, f"{file.relative_to(PROJECT)} imports {sorted(found)}"


def test_only_what_reads_secrets_runs_a_command_in_the_spec() -> None:
    users = {file.name for file in MODULES if part(file) == "spec" and "subprocess" in set(imports(file))}
    assert users == {"secrets.py"}


def test_the_plugin_uses_pulumis_protocol_and_nothing_of_its_program_side() -> None:
    for file in (file for file in MODULES if part(file) == "provider"):
        found = {module for module in imports(file) if module.split(".")[0] == "pulumi"}
        assert all(module.startswith("pulumi.runtime") for module in found), f"{file.name}: {sorted(found)}"


def test_a_clouds_sdk_is_imported_in_its_own_tier_only() -> None:
    for file in MODULES:
        found = {module.split(".")[0] for module in imports(file)} & CLOUD_SDKS
        if file.is_relative_to(PACKAGE / "provider" / "libvirt"):
            assert file.name == "connection.py" or not found, file
            continue
        if file.name == "clusterobjects.py":
            assert found == {"pulumi_kubernetes"}, file
            continue
        if part(file) not in ("tiers", "runtimes"):
            assert not found, f"{file.relative_to(PROJECT)} imports {sorted(found)}"
        assert len(found) <= 2, file


# what is loaded


def loaded(code: str, *path: Path) -> set[str]:
    """The modules that a fresh Python has after `code`."""
    setup = f"import sys; sys.path[:0] = {[*map(str, path), str(PACKAGE.parent)]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{setup}{code}\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def tops(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """Every cloud's SDK is there, and must not be touched."""
    for name in CLOUD_SDKS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    return tmp_path


def test_the_command_line_starts_with_neither_pydantic_nor_pulumi() -> None:
    found = loaded("import anytier.cli.__main__")
    assert not tops(found) & {"pydantic", "pydantic_core", "pulumi", "yaml", "grpc", "asyncio", "aiodocker"}


def test_help_loads_no_verb() -> None:
    found = loaded("from anytier.cli.__main__ import parser; parser().format_help()")
    assert not {module for module, _ in VERBS.values()} & found


@pytest.mark.parametrize("kind", sorted(app.RUNTIMES))
def test_a_stack_never_loads_what_another_tier_needs(kind: str, traps: Path) -> None:
    tier, other = ("docker", "host") if kind == "docker" else ("local", "docker")
    tier_module, runtime_module = REGISTRY[tier].partition(":")[0], app.RUNTIMES[kind].partition(":")[0]
    found = loaded(f"import anytier.program, anytier.app, {tier_module}, {runtime_module}", traps)
    assert tier_module in found and runtime_module in found
    assert not tops(found) & (CLOUD_SDKS | {"aiodocker", "asyncssh", "aiohttp"})
    assert not {module for module in found if module.startswith(f"anytier.runtimes.{other}")}
    assert not {module for module in found if module.startswith(("anytier.provider", "anytier.conformance"))}
    others = {name.partition(":")[0] for key, name in REGISTRY.items() if key != tier}
    assert not others & found


SDK_OF = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
PLANNED = """
from pathlib import Path
import yaml
from anytier.recording.stack import plan
root = Path({root!r})
plan(root, {tier!r}, yaml.safe_load((root / "stacks" / "Pulumi.{tier}.yaml").read_text())["config"])
"""


@pytest.mark.parametrize("tier", ["local", "docker", "baremetal", "libvirt"])
def test_a_whole_run_of_a_stack_without_a_cluster_loads_no_clouds_sdk(tier: str, traps: Path) -> None:
    """From its config to its last resource; each of the SDKs is there, and would end the run."""
    found = loaded(PLANNED.format(root=str(PROJECT), tier=tier), traps)
    assert "anytier.app" in found and REGISTRY[tier].partition(":")[0] in found
    assert not tops(found) & CLOUD_SDKS


@pytest.mark.parametrize("tier", SDK_OF)
def test_a_managed_stack_loads_its_own_clouds_sdk_alone(tier: str, tmp_path: Path) -> None:
    pytest.importorskip(SDK_OF[tier], reason="make test-clouds")
    for name in set(SDK_OF.values()) - {SDK_OF[tier]}:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    found = loaded(PLANNED.format(root=str(PROJECT), tier=tier), tmp_path)
    assert tops(found) & set(SDK_OF.values()) == {SDK_OF[tier]}


@pytest.mark.parametrize("tier", SDK_OF)
def test_who_asks_what_a_managed_tier_offers_loads_no_sdk(tier: str, traps: Path) -> None:
    asked = f"from anytier.tiers.registry import tier_class; kind = tier_class({tier!r}); kind.mode(kind.args_type())"
    assert not tops(loaded(asked, traps)) & CLOUD_SDKS


def test_a_resource_of_the_plugin_loads_no_other_kind_of_place(traps: Path) -> None:
    code = "from anytier.provider.registry import Registry; Registry().load('anytier:{}:Workload')"
    on_host, on_docker = loaded(code.format("host"), traps), loaded(code.format("docker"), traps)
    assert not {name for name in on_host if name.startswith("anytier.provider.docker")}
    assert not tops(on_host) & {"aiodocker", "asyncssh", "aiohttp"}
    assert not {name for name in on_docker if name.startswith("anytier.provider.host.workload")}
    assert "xmlrpc.client" not in on_docker


def test_validating_a_spec_loads_no_pulumi() -> None:
    found = loaded("from anytier.spec.load import diagnose; import anytier.capabilities")
    assert not tops(found) & {"pulumi", "grpc", "asyncio", "aiodocker"}


# registries: strings that all lead somewhere


def resolve(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_its_module_and_one_line_of_help(verb: str) -> None:
    name, line = VERBS[verb]
    module = importlib.import_module(name)
    assert callable(module.configure) and callable(module.run)
    assert line and not line.endswith(".") and len(line) < 80


@pytest.mark.parametrize("token", RESOURCES)
def test_a_resource_keeps_the_plugins_contract(token: str) -> None:
    kind = Registry().load(token)
    assert kind is not None and issubclass(kind, Resource)
    assert issubclass(kind.inputs, Frozen) and issubclass(kind.outputs, Frozen)
    assert kind.create is not Resource.create


@pytest.mark.parametrize("tier", REGISTRY)
def test_a_tier_keeps_its_contract(tier: str) -> None:
    kind = tier_class(tier)
    assert tier in capabilities.BUILT
    assert kind.config_key == tier and issubclass(kind.args_type, BaseModel)
    assert kind.mode(kind.args_type()) in (None, *capabilities.MODES.get(tier, ()))


def test_every_built_tier_has_a_component_and_a_place_in_the_suite() -> None:
    assert set(REGISTRY) == set(PLACES) == set(capabilities.BUILT)
    for name in PLACES.values():
        assert isinstance(resolve(name), type)


def test_every_kind_of_place_has_a_runtime_or_no_tier_that_makes_it() -> None:
    kinds = {kind.__dataclass_fields__["kind"].default for kind in get_args(Place)}
    assert set(app.RUNTIMES) <= kinds
    for name in app.RUNTIMES.values():
        assert isinstance(resolve(name), type)


def test_every_check_of_the_suite_is_there_and_proves_a_row() -> None:
    for check in CHECKS:
        assert callable(resolve(f"anytier.conformance.{check.run}")), check
        for field in check.fields:
            assert capabilities.lookup(*_field(field)), check


def _field(field: str) -> tuple[str, str, None, str | None]:
    path, _, value = field.partition("=")
    return path, "docker", None, value or None


# what every file has, and what none may have


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_module_says_what_lives_there(file: Path) -> None:
    doc = ast.get_docstring(ast.parse(file.read_text()))
    assert (doc and len(doc.split()) >= 4 and doc.rstrip().endswith((".", "!", "`", ":", ")"))) or "\n" in (doc or "")


def tracked() -> list[Path]:
    """The files of the repository, save this one, which names what none may have."""
    done = subprocess.run(["git", "-C", str(PROJECT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        files = [PROJECT / name for name in done.stdout.split("\0") if name]
        return [file for file in files if file.is_file() and file != Path(__file__)]
    # a copy without its history
    return [
        f
        for f in PROJECT.rglob("*")
        if f.is_file() and not {".venv", ".git", "__pycache__"} & set(f.parts) and f != Path(__file__)
    ]


PRIVATE = re.compile("|".join(("/work/", "/root/[a-z.]", "shared/(?:design|reference|hooks)", "/tmp/brief")))


def test_nothing_names_a_machine_or_what_is_not_part_of_the_project() -> None:
    files = tracked()
    assert len(files) > 200
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        for number, line in enumerate(text.splitlines(), 1):
            assert not PRIVATE.search(line), f"{file.relative_to(PROJECT)}:{number}: {line.strip()[:100]}"


def test_no_key_or_password_is_in_the_repository() -> None:
    pattern = re.compile("-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}")
    for file in tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = pattern.search(text)
        assert not found, f"{file.relative_to(PROJECT)} holds {found[0][:20] if found else ''}..."
