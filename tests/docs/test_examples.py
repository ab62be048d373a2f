"""What the documents show is true: specs load, stacks are read without an error, every key and option is described."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from anytier import config
from anytier.spec.load import load
from anytier.tiers.registry import REGISTRY, tier_class

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
STACKS = (ROOT / "docs" / "stacks.md").read_text()


def blocks(text: str, containing: str) -> list[str]:
    found = re.findall(r"^( *)```yaml\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [plain for _, block in found if containing in (plain := textwrap.dedent(block))]


def stacks() -> list[Any]:
    """Every stack that a page shows, by the page's name."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [pytest.param(block, id=page.stem) for page in pages for block in blocks(page.read_text(), "anytier:tier")]


def test_the_spec_of_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = blocks(README, "kind: App")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "server.py").touch()
    (tmp_path / "web" / "Dockerfile").touch()
    (tmp_path / "app.yaml").write_text(block)
    app = load(tmp_path / "app.yaml")
    assert app.metadata.name == "hello" and app.workloads["web"].scale.replicas == 2


def test_its_modeline_leads_to_the_schema() -> None:
    (block,) = blocks(README, "kind: App")
    place, target = re.findall(r"^# (apps/\S+)|\$schema=(\S+)", block, re.MULTILINE)
    assert ((ROOT / place[0]).parent / target[1]).resolve().is_file()


@pytest.mark.parametrize("block", stacks())
def test_a_shown_stack_is_read_without_an_error(block: str) -> None:
    values = config.from_yaml(yaml.safe_load(block)["config"])
    settings = config.read(values)
    assert (ROOT / settings.app_file).is_file()
    assert config.check_against(values, load(ROOT / settings.app_file)) == []


def test_the_program_of_the_readme_uses_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run as it stands, with the two components written down instead of registered."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    made: list[tuple[str, dict[str, Any]]] = []
    for path, name in (("anytier.app", "App"), ("anytier.tiers.docker", "DockerTier")):
        real = inspect.signature(getattr(importlib.import_module(path), name))

        def noted(*args: Any, _real: inspect.Signature = real, _name: str = name, **options: Any) -> Any:
            made.append((_name, dict(_real.bind(*args, **options).arguments)))
            return SimpleNamespace(place="the place")

        monkeypatch.setattr(f"{path}.{name}", noted)
    exec(compile(block, "README.md", "exec"), {})
    assert [name for name, _ in made] == ["DockerTier", "App"]
    assert made[1][1]["place"] == "the place"


def test_every_key_of_a_stack_is_described() -> None:
    assert {key for key in config.KEYS if f"| `anytier:{key}` |" not in STACKS} == set()


@pytest.mark.parametrize("tier", sorted(REGISTRY))
def test_every_option_of_a_tier_is_described(tier: str) -> None:
    component: Any = tier_class(tier)
    section = STACKS.split(f"## Tier {tier}\n")[1].split("\n## ")[0]
    described = set(re.findall(r"`(\w+)`(?=[^|]*\|)", "\n".join(re.findall(r"^\| (`.*?\|)", section, re.MULTILINE))))
    assert described == {info.alias or to_camel(name) for name, info in component.args_type.model_fields.items()}


def test_every_built_tier_is_in_the_readmes_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", README, re.MULTILINE))
    assert {tier for tier, state in rows.items() if state == "built"} == set(REGISTRY)


def programs() -> list[Any]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [
        (page, block) for page in pages for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    return [pytest.param(block, id=page.stem) for page, block in found]


@pytest.mark.parametrize("block", programs())
def test_what_a_shown_program_imports_is_there(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            assert all(importlib.import_module(alias.name) for alias in node.names)
