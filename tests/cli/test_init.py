"""`anytier init`: what it writes is valid, nothing is overwritten, and it fits the project that it lands in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.console import Done, anytier

from anytier import capabilities
from anytier.cli.init import workload_names
from anytier.spec import diagnose
from anytier.spec.walk import used_fields

PROJECT = "name: p\nruntime: python\nplugins: {providers: [{name: anytier, path: bin}]}\n"


def written(done: Done, cwd: Path) -> dict[str, Path]:
    names = [line.removeprefix("wrote ") for line in done.out.splitlines() if line.startswith("wrote ")]
    assert names and all((cwd / name).is_file() for name in names)
    return {name: cwd / name for name in names}


def carried(spec: Path, tier: str) -> bool:
    app, found = diagnose(spec, tier)
    assert app is not None and not found
    modes = (None, *capabilities.MODES.get(tier, ()))
    return not any(capabilities.check(used_fields(app), tier, mode) for mode in modes)


def test_outside_of_a_project_it_writes_all_that_a_project_needs(tmp_path: Path) -> None:
    done = anytier("init", "Web_Shop", cwd=tmp_path)
    assert done.code == 0
    files = written(done, tmp_path)
    folder = tmp_path / "Web_Shop"
    assert set(files) == {
        f"Web_Shop/{name}"
        for name in (
            "app.yaml",
            "app.schema.json",
            "web/server.py",
            "web/Dockerfile",
            "stacks/Pulumi.local.yaml",
            "stacks/Pulumi.docker.yaml",
            "Pulumi.yaml",
            "__main__.py",
            "bin/pulumi-resource-anytier",
            ".gitignore",
            ".anytier/passphrase",
        )
    }
    assert carried(folder / "app.yaml", "local") and carried(folder / "app.yaml", "docker")
    stacks = {tier: yaml.safe_load((folder / f"stacks/Pulumi.{tier}.yaml").read_text()) for tier in ("local", "docker")}
    ports = [stacks[tier]["config"].get("anytier:port") for tier in ("local", "docker")]
    assert ports == [None, 8081], "both can run side by side; 8080 is the one that needs no saying"
    assert yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"] == "web-shop"
    assert (folder / ".anytier/passphrase").stat().st_mode & 0o777 == 0o600
    assert len((folder / ".anytier/passphrase").read_text()) > 32
    assert (folder / "bin/pulumi-resource-anytier").stat().st_mode & 0o111
    assert "/.anytier/" in (folder / ".gitignore").read_text().splitlines()
    assert str(tmp_path) not in "".join(file.read_text() for file in files.values()), "a path of this machine"


def test_it_ends_with_the_two_commands_to_go_on_with(tmp_path: Path) -> None:
    done = anytier("init", "shop", cwd=tmp_path)
    assert done.out.endswith("\nnext:\n  anytier validate shop/app.yaml\n  cd shop && anytier up -s local\n")
    assert anytier("validate", "shop/app.yaml", cwd=tmp_path).code == 0
    for stack in ("local", "docker"):
        assert anytier("validate", "-s", stack, cwd=tmp_path / "shop").code == 0


def test_the_modeline_gives_completion_without_a_network(tmp_path: Path) -> None:
    anytier("init", "shop", cwd=tmp_path)
    spec = tmp_path / "shop" / "app.yaml"
    schema = spec.parent / spec.read_text().splitlines()[0].rpartition("=")[2]
    assert json.loads(schema.read_text())["title"] == "anytier app"


def test_without_a_folder_it_takes_the_one_it_is_in(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")
    done = anytier("init", "--name", "shop", cwd=tmp_path)
    assert done.code == 0 and (tmp_path / "app.yaml").is_file()
    assert "\n  anytier up -s local\n" in done.out
    assert (tmp_path / ".gitignore").read_text() == "*.log\n"
    assert "kept  .gitignore" in done.out and "add to .gitignore:" in done.out and "/.anytier/" in done.out


def test_nothing_is_ever_overwritten_nor_half_written(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("mine\n")
    (tmp_path / "__main__.py").symlink_to("nowhere")
    done = anytier("init", "--name", "shop", cwd=tmp_path)
    assert done.code == 1
    assert "app.yaml: is there already" in done.err and "__main__.py: is there already" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["__main__.py", "app.yaml"]
    assert (tmp_path / "app.yaml").read_text() == "mine\n"


def test_in_a_project_it_adds_an_app_and_its_stacks_on_a_port_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT + "stackConfigDir: where\n")
    (tmp_path / "where").mkdir()
    (tmp_path / "where" / "Pulumi.local.yaml").write_text("config: {}\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    done = anytier("init", "--name", "shop", cwd=tmp_path / "deep" / "er")
    assert done.code == 0
    assert not (tmp_path / "__main__.py").exists() and not (tmp_path / ".anytier").exists()
    for tier, port in (("local", 8081), ("docker", 8082)):
        config = yaml.safe_load((tmp_path / "where" / f"Pulumi.shop-{tier}.yaml").read_text())["config"]
        assert config == {"anytier:app": "apps/shop/app.yaml", "anytier:tier": tier, "anytier:port": port}
    assert anytier("validate", "-s", "shop-docker", cwd=tmp_path).code == 0
    assert "anytier up -s shop-local\n" in done.out


def test_a_project_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: go\n")
    done = anytier("init", "shop", cwd=tmp_path)
    assert done.code == 1 and "has a program of its own" in done.err
    assert not (tmp_path / "shop").exists()


def test_from_an_image_it_writes_an_app_for_docker(tmp_path: Path) -> None:
    images = ("ghcr.io/acme/Web_App", "postgres:16@sha256:" + "0" * 64)
    done = anytier(
        "init", "shop", "--port", "3000", *(f"--from-image={image.lower()}" for image in images), cwd=tmp_path
    )
    assert done.code == 0 and "anytier up -s docker" in done.out
    app, found = diagnose(tmp_path / "shop" / "app.yaml")
    assert app is not None and not found
    assert [*app.workloads] == ["web-app", "postgres"] and app.routes[0].workload == "web-app"
    assert app.workloads["web-app"].containers["main"].image == images[0].lower()
    assert carried(tmp_path / "shop" / "app.yaml", "docker")
    assert not (tmp_path / "shop" / "stacks" / "Pulumi.local.yaml").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--from-image", "Nginx"], "upper-case"),
        (["--from-image", "nginx", "--port", "80800"], "80800 is not a port"),
        (["--name", "!!!"], "is not a name"),
        (["--from-image", 'a"b: {c'], "image"),
    ],
    ids=["image", "port", "name", "hostile"],
)
def test_what_would_not_be_valid_is_not_written(tmp_path: Path, args: list[str], said: str) -> None:
    done = anytier("init", "shop", *args, cwd=tmp_path)
    assert done.code == 2 and said in done.err
    assert list(tmp_path.iterdir()) == []


def test_workloads_are_named_after_their_images() -> None:
    images = ["nginx", "ghcr.io/acme/Web_App:1.2@sha256:ab", "nginx:2", "localhost:5000/nginx", "localhost:5000/x:1"]
    assert workload_names(images) == ["nginx", "web-app", "nginx-2", "nginx-3", "x"]
