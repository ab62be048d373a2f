"""What the project's apps register on each tier that is built, held as files: `pytest tests/runtimes --accept`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.runtimes.record import Recording, Secret, record

from anytier import program
from anytier.provider.check import check
from anytier.provider.registry import Registry
from anytier.provider.values import plain

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
ONE = {"address": "10.0.0.1", "user": "deploy", "sudo": True}
THREE = [
    {"name": "a", "labels": {"disk": "ssd"}, **ONE},
    {"name": "b", "address": "10.0.0.2", "privateAddress": "192.168.0.2", "user": "root", "ingress": False},
    {"name": "c", "address": "10.0.0.3", "user": "root", "jump": {"address": "bastion"}},
]
TIERS = {
    "local": {"anytier:local": json.dumps({"supervisor": "supervisord", "stateDir": "/state"})},
    "libvirt": {"anytier:libvirt": json.dumps({"image": "https://example.org/debian.qcow2", "sha256": "ab" * 32})},
    "docker": {"anytier:docker": json.dumps({"host": "unix:///var/run/docker.sock"})},
    "baremetal": {"anytier:baremetal": json.dumps({"machines": [ONE]})},
    "fleet": {"anytier:tier": "baremetal", "anytier:baremetal": json.dumps({"machines": THREE})},
}
CASES = [(app, tier) for app in ("guestbook", "conformance") for tier in TIERS]
CASES += [
    ("shop", tier) for tier in ("local", "docker", "baremetal")
]  # its database must be pinned on several machines
SECRETS = {"conformance": {"anytier:canary": "the value of canary"}}


def whole_program() -> None:
    """As __main__.py has it."""
    stack = program.load()
    program.check(stack)
    program.deploy(stack)


def deployed(app: str, tier: str) -> Recording:
    spec = str(ROOT / "apps" / app / "app.yaml")
    return record(whole_program, {"anytier:app": spec, "anytier:tier": tier, **TIERS[tier], **SECRETS.get(app, {})})


def text_of(recording: Recording) -> str:
    resources = {
        f"{item.type} {item.name}": {
            "parent": item.parent,
            **({"dependsOn": list(item.depends)} if item.depends else {}),
            **({"inputs": _stable(item.inputs)} if item.inputs else {}),
        }
        for item in recording.resources
    }
    return yaml.safe_dump(
        {"resources": resources, "exports": _stable(recording.exports)}, width=110, allow_unicode=True
    )


def _stable(value: Any, key: str = "") -> Any:
    """Without what belongs to this machine, this clone or the sources' content. A secret shows that it is one."""
    if isinstance(value, Secret):
        return {"SECRET": _stable(value.value)}
    if isinstance(value, dict):
        return {name: _stable(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_stable(item, key) for item in value]
    if key in ("contextHash", "release", "owner"):
        return f"<{key}>"
    return value.replace(str(ROOT), "<project>") if isinstance(value, str) else value


@pytest.mark.parametrize(("app", "tier"), CASES)
def test_an_app_registers_what_it_did(app: str, tier: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / f"{app}-{tier}.yaml"
    text = text_of(deployed(app, tier))
    if request.config.getoption("--accept"):
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"no {file.name} yet: run pytest tests/runtimes --accept, and look at it"
    assert text == file.read_text(encoding="utf-8"), "changed: if that is meant, run pytest tests/runtimes --accept"


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.yaml")), ids=lambda file: file.stem)
def test_no_golden_holds_this_machine_or_a_secrets_value_in_the_open(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    open_text = re.sub(r"SECRET:( \S.*|\n(\s+)\S.*(\n\2.*)*)", "", text)
    assert str(Path.home()) not in text and str(ROOT) not in text
    assert "the value of canary" in text or "conformance" not in file.name
    assert "the value of canary" not in open_text and "generated" not in open_text


@pytest.mark.parametrize(("app", "tier"), CASES)
def test_the_same_program_registers_the_same_twice(app: str, tier: str) -> None:
    assert text_of(deployed(app, tier)) == text_of(deployed(app, tier))


@pytest.mark.parametrize(("app", "tier"), CASES)
def test_what_is_registered_needs_nothing_filled_in(app: str, tier: str) -> None:
    """The plugin tells at once that such inputs are those of before: see anytier.provider.settled."""
    registry = Registry()
    for item in deployed(app, tier).resources:
        kind = registry.load(item.type)
        if kind is not None:
            given = {key: value for key, value in _open(item.inputs).items() if value is not None}
            tree, failures = check(kind.inputs, given)
            assert failures == [] and plain(tree) == given, item.name


def _open(value: Any) -> Any:
    """Secrets as the plain values that they hold."""
    if isinstance(value, Secret):
        return _open(value.value)
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    return [_open(item) for item in value] if isinstance(value, list) else value
