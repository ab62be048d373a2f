"""Units say exactly what they are given: whatever the characters, systemd reads back the same words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.render import systemd
from anytier.render.unit import Bind, Scope, Unit

UNIT = Unit(
    name="anytier-dev-shop-web-r3-0",
    description="web",
    argv=["/usr/bin/python3", "-I", "/srv/launch.py", "run", "/srv/a b"],
    prepare=["/usr/bin/python3", "prepare"],
    own_user="anytier-0123456789ab",
    reads=["/srv/lib"],
    writes=["/srv/volumes/data"],
    binds=[Bind(source="/srv/files/app.conf", target="/etc/app.conf")],
    credentials={"secret": "/srv/secret.json"},
    log="/srv/log",
    memory=64 * 2**20,
    cpu=0.25,
    pids=32,
)
# What a unit file can carry on one line; a newline in an argument is escaped, in a path it cannot be.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
paths = st.text(
    st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs", "Zl", "Zp", "Cc"]), min_size=1
).filter(lambda text: text == text.strip() and not text.endswith("\\"))


def value(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def split(text: str) -> list[str]:
    """systemd's own reading of a quoted list, after systemd.syntax(7): C escapes, then specifiers, then variables."""
    found = [re.sub(r"\\(x[0-9a-f]{2}|.)", _unescape, item) for item in re.findall(r'"((?:[^"\\]|\\.)*)"', text)]
    return [item.replace("%%", "%").replace("$$", "$") for item in found]


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    plain = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "v": "\v"}
    return chr(int(code[1:], 16)) if code[0] == "x" and len(code) == 3 else plain.get(code, code)


@given(st.lists(words, min_size=1, max_size=5))
@settings(max_examples=500)
def test_any_argv_comes_back(argv: list[str]) -> None:
    line = systemd.command(argv)
    assert "\n" not in line and "\r" not in line
    assert split(line) == argv


@given(paths)
def test_any_path_is_one_word(path: str) -> None:
    assert re.fullmatch(r'"((?:[^"\\]|\\.)*)"', systemd.word(path))
    assert split(systemd.word(path).replace("$", "$$")) == [path]


@given(words)
def test_a_description_cannot_open_a_second_line(text: str) -> None:
    unit = UNIT.model_copy(update={"description": text})
    assert len(systemd.render(unit, "system").splitlines()) == len(systemd.render(UNIT, "system").splitlines())


@pytest.mark.parametrize("path", ["/a\nExecStart=/bin/sh", "/a\0", "/a\\"])
def test_what_no_unit_file_can_say_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        systemd.render(UNIT.model_copy(update={"reads": [path]}), "system")


def test_root_gives_each_app_a_user_and_a_sandbox() -> None:
    text = systemd.render(UNIT, "system")
    for line in (
        "DynamicUser=yes",
        "User=anytier-0123456789ab",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=tmpfs",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "SystemCallFilter=@system-service",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "CapabilityBoundingSet=",
        'ReadWritePaths="/srv/volumes/data"',
        'BindReadOnlyPaths="/srv/files/app.conf":"/etc/app.conf"',
        "LoadCredential=secret:/srv/secret.json",
    ):
        assert line in text.splitlines(), line


def test_a_user_unit_asks_for_nothing_that_needs_root() -> None:
    text = systemd.render(UNIT, "user")
    assert value(text, "NoNewPrivileges") == ["yes"]
    assert not any(value(text, key) for key in ("User", "ProtectSystem", "BindPaths", "ExecStartPre", "PrivateTmp"))
    assert value(text, "WantedBy") == ["default.target"]


def test_limits_are_the_templates() -> None:
    text = systemd.render(UNIT, "system")
    assert value(text, "MemoryMax") == [str(64 * 2**20)]
    assert value(text, "CPUQuota") == ["25%"]
    assert value(text, "TasksMax") == ["32"]


def test_a_service_is_restarted_for_ever_and_a_job_never() -> None:
    service, job = systemd.render(UNIT, "system"), systemd.render(UNIT.model_copy(update={"restart": False}), "system")
    assert value(service, "Restart") == ["always"] and value(service, "StartLimitIntervalSec") == ["0"]
    assert value(job, "Restart") == ["no"] and value(job, "RemainAfterExit") == ["yes"] and "[Install]" not in job


@pytest.mark.parametrize("said", ["INT", "SIGINT", "int"])
def test_a_stop_signal_may_be_said_in_any_way(said: str) -> None:
    assert value(systemd.render(UNIT.model_copy(update={"stop_signal": said}), "system"), "KillSignal") == ["SIGINT"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("scope", ["system", "user"])
def test_systemd_itself_finds_nothing_to_say_against_it(scope: Scope, tmp_path: Path) -> None:
    argv = ["/bin/true", "%n $HOME ${X}", 'a"b\\', "line\nline", "; #"]
    path = tmp_path / "anytier-test.service"
    path.write_text(systemd.render(UNIT.model_copy(update={"argv": argv, "prepare": ["/bin/true"]}), scope))
    # `--user` wants a running user manager; a user unit is a subset of a system unit.
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "anytier-test" in line]
    assert complaints == []
