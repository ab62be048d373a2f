"""Programs read back by supervisord's own parser: whatever the characters, the same words."""

from __future__ import annotations

import re
import shlex
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anytier.render import supervisor
from anytier.render.unit import Unit

UNIT = Unit(name="anytier-dev-shop-web-r3-0", description="web", argv=["python3", "launch.py"], log="/srv/log")
words = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=30)


def parsed(folder: Path, *units: Unit) -> dict[str, object]:
    """What supervisord makes of it, by its own code."""
    from supervisor.options import ServerOptions

    (folder / "programs").mkdir(exist_ok=True)
    for unit in units:
        (folder / "programs" / f"{unit.name}.conf").write_text(supervisor.program(unit), encoding="utf-8")
    config = folder / "supervisord.conf"
    config.write_text(supervisor.daemon(str(folder), str(folder / "s.sock"), "test"), encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(config)])
    return {group.name: group.process_configs[0] for group in options.process_group_configs}


@given(st.lists(words, min_size=1, max_size=5))
@settings(max_examples=500)
def test_any_argv_comes_back(argv: list[str]) -> None:
    line = supervisor.command(argv)
    assert shlex.split(line.replace("%%", "%")) == argv


names = st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)
# What a value, which has no quotes, can say; everything else is refused.
plain = words.map("x".__add__).filter(
    lambda text: text == text.strip() and not re.search(r"\s[;#]", text) and "/" not in text
)
units = st.builds(
    Unit,
    name=names,
    description=words,
    argv=st.lists(words, max_size=4).map(lambda argv: ["/bin/x", *argv]),
    log=plain,
    restart=st.booleans(),
    stop_signal=st.sampled_from(["TERM", "SIGINT", "usr1", "9"]),
    stop_grace=st.floats(0, 3600),
)


@given(st.lists(units, min_size=1, max_size=4, unique_by=lambda unit: unit.name))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_supervisord_reads_any_programs_back(tmp_path: Path, programs: list[Unit]) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    programs = [unit.model_copy(update={"log": f"{folder}/{unit.log}"}) for unit in programs]
    made = parsed(folder, *programs)
    assert set(made) == {unit.name for unit in programs}
    for unit in programs:
        config: Any = made[unit.name]
        assert shlex.split(config.command) == unit.argv
        assert config.stdout_logfile == unit.log and config.redirect_stderr
        assert bool(config.autostart) == bool(config.autorestart) == unit.restart
        assert config.stopwaitsecs >= max(1, unit.stop_grace) and config.stopwaitsecs - unit.stop_grace <= 1
        assert config.stopsignal == (9 if unit.stop_signal == "9" else signal_of(unit.stop_signal))
        assert config.stopasgroup and config.killasgroup and not config.environment


def signal_of(said: str) -> int:
    return int(getattr(signal, f"SIG{said.upper().removeprefix('SIG')}"))


folders = plain.filter(lambda text: not set(text) & set("*?[") and len(text.encode()) < 100)


@given(folders, plain, names)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_supervisord_reads_its_own_configuration_back(tmp_path: Path, name: str, socket: str, identifier: str) -> None:
    from supervisor.options import ServerOptions

    folder, socket = Path(tempfile.mkdtemp(dir=tmp_path)) / name, f"/srv/{socket}"
    folder.mkdir()
    config = folder / "supervisord.conf"
    config.write_text(supervisor.daemon(str(folder), socket, identifier), encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(config)])
    assert [(server["file"], server["chmod"]) for server in options.server_configs] == [(socket, 0o600)]
    assert options.identifier == identifier and options.nocleanup and options.childlogdir == str(folder)
    assert [options.logfile, options.pidfile] == [f"{folder}/supervisord.{end}" for end in ("log", "pid")]


def test_a_comment_sign_after_a_space_is_no_comment(tmp_path: Path) -> None:
    argv = ["/bin/x", "a ;b", "c #d", "%(ENV_HOME)s", "it's", '"']
    config: object = parsed(tmp_path, UNIT.model_copy(update={"argv": argv}))[UNIT.name]
    assert shlex.split(config.command) == argv  # type: ignore[attr-defined]


def test_a_service_is_restarted_for_ever_and_a_job_never(tmp_path: Path) -> None:
    job = UNIT.model_copy(update={"name": "job", "restart": False})
    made = parsed(tmp_path, UNIT, job)
    service, once = made[UNIT.name], made["job"]
    assert service.autostart and service.autorestart and service.startretries > 10**9  # type: ignore[attr-defined]
    assert not once.autostart and not once.autorestart  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/a ;b", "/a\nfiles=/x", " /a", "/a #b"])
def test_what_the_format_cannot_say_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        supervisor.program(UNIT.model_copy(update={"log": path}))


@pytest.mark.parametrize("name", ["a:b", "a]", "a\n[program:b]", ""])
def test_a_name_cannot_open_another_section(name: str) -> None:
    with pytest.raises(ValueError):
        supervisor.program(UNIT.model_copy(update={"name": name}))


def test_only_its_user_may_talk_to_the_daemon(tmp_path: Path) -> None:
    text = supervisor.daemon(str(tmp_path), str(tmp_path / "s.sock"), "x")
    assert "chmod = 0600" in text and "inet_http_server" not in text
