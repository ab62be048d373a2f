"""Units say exactly what they are given: whatever the characters, systemd reads back the same words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.render import unitfile

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
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
# What a unit file can carry on one line; a newline in an argument is escaped, in a path it cannot be.
paths = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=30).map("/".__add__)
plain_paths = paths.filter(lambda text: text == text.strip() and not text.endswith("\\"))
programs = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs", "Cc"])).map("/bin/".__add__)
commands = st.tuples(programs, st.lists(words, max_size=5)).map(lambda made: [made[0], *made[1]])
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
units = st.builds(
    Unit,
    name=names.map("anytier-".__add__),
    description=words,
    argv=commands,
    prepare=st.none() | commands,
    user=st.none() | names,
    own_user=names,
    reads=st.lists(paths, max_size=3),
    writes=st.lists(paths, max_size=3),
    binds=st.lists(st.builds(Bind, source=paths, target=paths, read_only=st.booleans()), max_size=3),
    credentials=st.dictionaries(names, plain_paths, max_size=2),
    log=st.just("/srv/log"),
    restart=st.booleans(),
    stop_signal=st.sampled_from(["TERM", "SIGINT", "usr1", "9"]),
    stop_grace=st.floats(0, 3600),
    memory=st.none() | st.integers(1, 2**40),
    cpu=st.none() | st.floats(0.001, 64),
    pids=st.none() | st.integers(1, 10_000),
    low_ports=st.booleans(),
    privileged=st.booleans(),
)


def value(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


@given(units)
@settings(max_examples=400, deadline=None)
def test_a_whole_unit_is_read_back_as_it_was_meant(unit: Unit) -> None:
    read = unitfile.parse(systemd.render(unit, "system"))
    service = read["Service"]
    assert unitfile.command(service["ExecStart"][0])[1] == unit.argv
    before = [unitfile.command(line) for line in service.get("ExecStartPre", [])]
    assert [argv for _, argv in before] == ([unit.prepare] if unit.prepare else [])
    assert all("+" in prefixes for prefixes, _ in before)
    said = [unitfile.specified(line).partition(":")[::2] for line in service.get("LoadCredential", [])]
    assert dict(said) == unit.credentials
    assert service.get("MemoryMax", []) == ([str(unit.memory)] if unit.memory is not None else [])
    assert 0 < float(service["TimeoutStopSec"][0]) <= unit.stop_grace + 0.002
    assert (service["Restart"] == ["always"]) == unit.restart == ("Install" in read)
    assert unitfile.specified(read["Unit"]["Description"][0]).split() == unit.description.rstrip("\\ ").split() or (
        unit.description.rstrip().endswith("\\")
    )
    if not unit.privileged:
        reads_back_its_folders(service, unit)


def reads_back_its_folders(service: dict[str, list[str]], unit: Unit) -> None:
    def binds(key: str) -> list[list[str]]:
        return [unitfile.paths(line) for line in service.get(key, [])]

    read_only = [[bind.source, bind.target] for bind in unit.binds if bind.read_only]
    writable = [[bind.source, bind.target] for bind in unit.binds if not bind.read_only]
    assert binds("BindReadOnlyPaths") == [*([path] for path in unit.reads), *read_only]
    assert binds("BindPaths") == [*([path] for path in unit.writes), *writable]
    assert binds("ReadWritePaths") == [[path] for path in unit.writes]
    assert service["User"] == [unit.user or unit.own_user] and ("DynamicUser" in service) == (unit.user is None)


@given(units)
@settings(max_examples=100, deadline=None)
def test_no_string_opens_a_line_or_a_section_of_its_own(unit: Unit) -> None:
    for scope in ("system", "user"):
        read = unitfile.parse(systemd.render(unit, scope))  # type: ignore[arg-type]
        assert set(read) <= {"Unit", "Service", "Install"} and len(read["Service"]["ExecStart"]) == 1


@given(commands)
@settings(max_examples=500)
def test_any_argv_comes_back(argv: list[str]) -> None:
    line = systemd.command(argv)
    assert "\n" not in line and "\r" not in line
    assert unitfile.command(line)[1] == argv


@pytest.mark.parametrize("argv", [[], ["python3"], ["-/bin/true"], ["/bin/a\0b"], ["/bin/true", "\0"]])
def test_what_is_no_program_is_refused(argv: list[str]) -> None:
    with pytest.raises(ValueError):
        systemd.command(argv)


@given(paths)
def test_any_path_is_one_word(path: str) -> None:
    assert unitfile.paths(systemd.word(path)) == [path]
    assert unitfile.paths(f"{systemd.word(path)}:{systemd.word('/t')}") == [path, "/t"]


@given(words)
def test_a_description_cannot_open_a_second_line(text: str) -> None:
    unit = UNIT.model_copy(update={"description": text})
    assert len(systemd.render(unit, "system").splitlines()) == len(systemd.render(UNIT, "system").splitlines())


@pytest.mark.parametrize("path", ["/a\nExecStart=/bin/sh", "/a\0", "/a\rb"])
def test_what_no_unit_file_can_say_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        systemd.render(UNIT.model_copy(update={"reads": [path]}), "system")


@pytest.mark.parametrize("path", ["/a\\", "/a ", "/a\nb"])
def test_a_credentials_path_is_not_quoted_and_must_do_without(path: str) -> None:
    with pytest.raises(ValueError):
        systemd.render(UNIT.model_copy(update={"credentials": {"secret": path}}), "system")


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


def test_no_grace_is_a_moment_and_not_for_ever() -> None:
    """systemd takes TimeoutStopSec=0 for infinity."""
    assert value(systemd.render(UNIT.model_copy(update={"stop_grace": 0}), "system"), "TimeoutStopSec") == ["0.001"]


has_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
AWKWARD = [
    "%n $HOME ${X}",
    'a"b\\',
    "line\nline",
    "; #",
    ";",
    "",
    "a ",
    "\\",
    "\x01\x7f",
    "é☃𝄞",
    "'",
    "%%",
    "$$",
    "-x",
    "\t",
]


def analyze(path: Path, *options: str, debug: bool = False) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **({"SYSTEMD_LOG_LEVEL": "debug"} if debug else {})}
    return subprocess.run(["systemd-analyze", *options, str(path)], capture_output=True, text=True, env=env)


@has_systemd
@pytest.mark.parametrize("scope", ["system", "user"])
def test_systemd_itself_finds_nothing_to_say_against_it(scope: Scope, tmp_path: Path) -> None:
    path = tmp_path / "anytier-test.service"
    argv = ["/bin/true", *AWKWARD]
    path.write_text(systemd.render(UNIT.model_copy(update={"argv": argv, "prepare": ["/bin/true"]}), scope))
    # `--user` wants a running user manager; a user unit is a subset of a system unit.
    done = analyze(path, "verify", "--man=no")
    assert [line for line in done.stderr.splitlines() if "anytier-test" in line] == []


@has_systemd
def test_systemd_itself_reads_back_what_our_reader_reads(tmp_path: Path) -> None:
    """Its debug log shows each command line as it understood it, before variables: those stay doubled."""
    path = tmp_path / "anytier-test.service"
    odd = "/a b:c\\'d\"%n$X/\\"
    unit = UNIT.model_copy(update={"argv": ["/bin/true", *AWKWARD], "reads": [odd], "stop_grace": 0})
    path.write_text(systemd.render(unit, "system"))
    said = analyze(path, "verify", "--man=no", debug=True).stdout
    line = next(line for line in said.splitlines() if "Command Line: /bin/true" in line)
    shown = re.sub(r"\\([0-7]{3})", lambda code: f"\\x{int(code[1], 8):02x}", line.partition("Command Line: ")[2])
    assert unitfile.words(shown.replace("\\$", "$").replace("\\`", "`")) == [
        "/bin/true",
        *(item.replace("$", "$$") for item in AWKWARD),
    ]
    assert f"BindReadOnlyPaths: {odd}:{odd}:rbind" in said
    assert "TimeoutStopSec: 1ms" in said
