"""The app made to be tested must itself be right: it reports truly, and misbehaves only as told."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from .servers import APPS, free_port, run, serving, start, wait_for

FOLDER = APPS / "conformance"


def test_it_reports_what_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    given = tmp_path / "etc" / "settings"
    given.write_bytes(b"\x00\xff")
    given.chmod(0o640)
    env = {"CONF_VERSION": "v7", "CONF_SECRETS": "TOKEN,ABSENT", "TOKEN": "hush", "CONF_FILES": "/etc/settings,/none"}
    with serving(
        "app.py", "serve", "a b", folder=FOLDER, ANYTIER_FILES=str(tmp_path), VOLUME_DATA=str(tmp_path), **env
    ) as app:
        report = app.json("GET", "/report")
        assert "hush" not in json.dumps(report)
        assert report["argv"] == ["serve", "a b"]
        assert report["env"]["CONF_VERSION"] == report["version"] == "v7"
        assert report["secrets"] == {"TOKEN": hashlib.sha256(b"hush").hexdigest()}
        facts = report["files"]["/etc/settings"]
        assert (facts["mode"], facts["size"], facts["sha256"]) == ("0640", 2, hashlib.sha256(b"\x00\xff").hexdigest())
        assert "error" in report["files"]["/none"]
        assert report["instance"].endswith(f":{app.port}")


def test_health_fails_on_command_and_recovers() -> None:
    with serving("app.py", folder=FOLDER) as app:
        assert app.request("GET", "/health/ready")[0] == 200
        app.json("POST", "/fail-health?kind=ready&seconds=0.3")
        assert app.request("GET", "/health/ready")[0] == 503
        assert app.request("GET", "/health/live")[0] == 200
        time.sleep(0.4)
        assert app.request("GET", "/health/ready")[0] == 200


def test_the_probe_mode_agrees_with_the_endpoint() -> None:
    with serving("app.py", folder=FOLDER, CONF_BEHAVIOUR="never-healthy") as app:
        codes = [run("app.py", "probe", kind, folder=FOLDER, PORT=str(app.port))[0] for kind in ("ready", "live")]
        assert codes == [1, 0]


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("exit", 3, "told to exit at once"),
        ("needs=CONF_NEEDED", 4, "CONF_NEEDED is not set"),
        ("die-after=0.1", 6, "died after 0.1 s"),
    ],
)
def test_a_bad_release_ends_with_its_own_words(behaviour: str, code: int, words: str) -> None:
    ended, output = run("app.py", "serve", folder=FOLDER, PORT=str(free_port()), CONF_BEHAVIOUR=behaviour)
    assert ended == code
    assert words in output


def test_the_wrong_port_is_one_further() -> None:
    port = free_port()
    process = start("app.py", "serve", folder=FOLDER, PORT=str(port), CONF_BEHAVIOUR="wrong-port")
    try:
        wait_for(port + 1, process)
    finally:
        process.kill()
        process.communicate()


def test_echo_answers_lines_and_reports_itself() -> None:
    port = free_port()
    process = start("app.py", "echo", folder=FOLDER, PORT=str(port), CONF_VERSION="v3")
    try:
        wait_for(port, process)
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rw") as stream:
            stream.write("ping\nreport\n")
            stream.flush()
            assert stream.readline() == "ping\n"
            assert json.loads(stream.readline())["version"] == "v3"
    finally:
        process.kill()
        process.communicate()


def test_a_job_leaves_its_mark_and_the_signal_that_stops_it_too(tmp_path: Path) -> None:
    assert run("app.py", "mark", "job", folder=FOLDER, VOLUME_DATA=str(tmp_path), CONF_VERSION="v2")[0] == 0
    assert json.loads((tmp_path / "job").read_text())["version"] == "v2"
    with serving("app.py", folder=FOLDER, VOLUME_DATA=str(tmp_path)) as app:
        app.request("PUT", "/volume/kept", "data")
        assert app.json("GET", "/volume/kept")["content"] == "data"
        app.end()
    assert (tmp_path / "stopped-by-SIGTERM").exists()


def test_a_slow_request_is_finished_before_the_end() -> None:
    answers: list[int] = []
    with serving("app.py", folder=FOLDER) as app:
        asking = threading.Thread(target=lambda: answers.append(app.request("GET", "/slow?ms=800")[0]))
        asking.start()
        time.sleep(0.3)
        assert "conformance: stopped" in app.end()
        asking.join()
    assert answers == [200]
