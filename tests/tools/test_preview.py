"""tools/preview.sh by itself: what it sets up, what it leaves behind, and that a failure is never silence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
echo "$@" >>{folder}/called
for word in "$@"; do [ "$last" = --save ] && printf '[]' >"$word"; last=$word; done
printf '<!-- anytier preview -->\\n\\nall of it\\n'
echo "::error::a stranger's text" >&2
exit {code}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "project"
    (made / "stacks").mkdir(parents=True)
    (made / "Pulumi.yaml").write_text("name: a\nruntime: python\nstackConfigDir: stacks\n")
    return made


def run(project: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "tools" / "preview.sh"), *args],
        cwd=project.parent,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def stand_in(project: Path, code: int = 0, text: str = STAND_IN) -> str:
    file = project.parent / "anytier"
    file.write_text(text.format(folder=project.parent, code=code))
    file.chmod(0o755)
    return str(file)


def test_it_sets_up_what_the_stacks_name_and_nothing_else(project: Path) -> None:
    stacks = {
        "one": "config:\n  anytier:tier: eks\n",
        "two": "config: {anytier:app: a, 'anytier:tier': \"docker\"}\n",
        "three": "config:\n  anytier:tier: libvirt # virtual machines\n",
        "four": "config:\n  anytier:tier: ../../etc\n",
        "five": "config:\n  anytier:tier: $(touch was-run)\n",
        "six": "config:\n  anytier:tier: dev\n",
    }
    for name, text in stacks.items():
        (project / "stacks" / f"Pulumi.{name}.yaml").write_text(text)
    assert run(project, "tiers", "project").stdout.split() == ["baremetal", "docker", "eks"]
    assert run(project, "tiers", "project", ANYTIER_ENGINE="true").stdout.split() == ["docker", "eks", "libvirt"]
    assert not list(project.parent.rglob("was-run"))


def test_its_own_stacks_need_every_tier() -> None:
    done = subprocess.run(
        ["sh", "tools/preview.sh", "tiers", "."], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wanted = set(done.stdout.split())
    assert wanted == {"local", "docker", "baremetal", "kubeadm", "eks", "gke", "aks"}
    assert all((ROOT / "requirements" / f"{tier}.lock").is_file() for tier in wanted)


@pytest.mark.parametrize("code", [0, 1])
def test_it_leaves_a_comment_and_its_json_and_prints_nothing_of_a_stranger(project: Path, code: int) -> None:
    done = run(project, "run", "project", "--timeout", "5", ANYTIER=stand_in(project, code), ANYTIER_BASE="abc")
    out = project.parent / "preview"
    assert done.returncode == code, done.stderr
    called = (project.parent / "called").read_text()
    assert called == f"preview --all --base abc --markdown --save {out}/preview.json --timeout 5\n"
    assert (out / "comment.md").read_text() == "<!-- anytier preview -->\n\nall of it\n"
    assert (out / "preview.json").read_text() == "[]"
    assert "stranger" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", [STAND_IN.replace("{code}", "2"), "#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n"])
def test_where_nothing_could_be_previewed_the_comment_says_so(project: Path, text: str) -> None:
    out = project.parent / "preview"
    out.mkdir()
    (out / "comment.md").write_text("of a run before: no changes")
    (out / "preview.json").write_text("[]")
    done = run(project, "run", "project", ANYTIER=stand_in(project, 0, text))
    assert done.returncode == 2
    said = (out / "comment.md").read_text()
    assert said.startswith("<!-- anytier preview -->\n") and "Nothing could be previewed" in said
    assert not (out / "preview.json").exists()


def test_the_engine_is_asked_where_one_says_so(project: Path) -> None:
    run(project, "run", "project", ANYTIER=stand_in(project), ANYTIER_ENGINE="true")
    assert (project.parent / "called").read_text().startswith("preview --all --base HEAD^1 --markdown")
    assert "--engine" in (project.parent / "called").read_text()


def test_a_project_that_is_a_link_or_none_is_refused(project: Path) -> None:
    (project.parent / "link").symlink_to(project)
    done = run(project, "run", "link", ANYTIER=stand_in(project))
    assert done.returncode == 2 and "a link is on the way" in done.stderr
    (project / "Pulumi.yaml").unlink()
    assert run(project, "run", "project", ANYTIER=stand_in(project)).returncode == 2
    assert not (project.parent / "called").exists()


def test_a_wrong_command_line_is_told(project: Path) -> None:
    assert run(project, "nothing", "project").returncode == 2
    assert run(project, "run").returncode == 2
