"""The agent by itself: its frames, what it answers as a program of its own, and that an old Python could run it."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.provider.host import agent

FILE = Path(agent.__file__)
JSON = st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none() | st.booleans(), max_size=4)


@given(frames=st.lists(st.tuples(JSON, st.binary(max_size=50)), max_size=5))
def test_frames_come_out_as_they_went_in(frames: list[tuple[dict[str, Any], bytes]]) -> None:
    assert unpack(b"".join(agent.pack(head, data) for head, data in frames)) == frames


@given(contents=st.lists(st.binary(max_size=20)))
def test_contents_are_told_apart_by_their_sizes(contents: list[bytes]) -> None:
    assert agent.split(b"".join(contents), [len(item) for item in contents]) == contents


def test_it_is_python_3_8_and_needs_the_standard_library_only() -> None:
    tree = ast.parse(FILE.read_text(), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_it_ends_with_its_input_also_in_the_middle_of_a_frame(cut: int, tmp_path: Path) -> None:
    asked = agent.pack({"id": 1, "do": "put", "files": [[f"{tmp_path}/f", 3, None, None]]}, b"abc")
    said = talk(asked[: len(asked) - cut])
    assert (tmp_path / "f").exists() == (cut == 0)
    assert len(said) == (0 if cut else 1)


def test_what_it_does_not_know_or_cannot_do_is_an_answer(tmp_path: Path) -> None:
    asked = [{"id": 1, "do": "dance"}, {"id": 2, "do": "list"}, {"id": 3, "do": "run", "argv": [], "env": None}]
    said = {head["id"]: head for head, _ in talk(b"".join(agent.pack(head) for head in asked))}
    assert {number: bool(head["what"]) for number, head in said.items()} == {1: True, 2: True, 3: True}


def test_what_a_command_prints_is_never_taken_for_a_frame() -> None:
    said = talk(agent.pack({"id": 1, "do": "run", "argv": ["sh", "-c", "printf '\\0\\0\\0\\0'"], "env": None}))
    assert said == [({"id": 1, "code": 0, "out": 4}, b"\0\0\0\0")]


def test_os_release_is_read_as_a_shell_would(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text("# x\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian 12'\n\nbroken\n")
    assert agent.os_release(str(file)) == {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian 12"}
    assert agent.os_release(str(tmp_path / "none")) == {}


def talk(asked: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """What the agent answers before it ends. Its input stays open until then, unless the frame is cut."""
    process = subprocess.Popen([sys.executable, "-I", "-S", FILE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(asked)
    process.stdin.flush()
    count = 0
    rest = io.BytesIO(asked)
    while len(lengths := rest.read(8)) == 8:
        size, more = agent.LENGTHS.unpack(lengths)
        count += len(rest.read(size + more)) == size + more
    said = process.stdout.read(len(agent.READY))
    assert said == agent.READY
    found = []
    for _ in range(count):
        size, more = agent.LENGTHS.unpack(process.stdout.read(8))
        found.append((json.loads(process.stdout.read(size)), process.stdout.read(more)))
    rest_of_it, _ = process.communicate(timeout=10)
    assert rest_of_it == b"" and process.returncode == 0
    return found


def unpack(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    stream, found = io.BytesIO(data), []
    while lengths := stream.read(agent.LENGTHS.size):
        size, more = agent.LENGTHS.unpack(lengths)
        found.append((json.loads(stream.read(size)), stream.read(more)))
    return found


def test_a_file_that_has_its_name_is_whole_also_after_a_power_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is switched off keeps what was written to its disk: of a new file that may be its name alone."""
    path, calls = tmp_path / "record.json", list[tuple[str, int, bool]]()
    sync, replace = os.fsync, os.replace

    def fsync(number: int) -> None:
        calls.append(("sync", os.fstat(number).st_size, path.exists()))
        sync(number)

    def renamed(old: str, new: str) -> None:
        calls.append(("name", os.stat(old).st_size, path.exists()))
        replace(old, new)

    monkeypatch.setattr(agent.os, "fsync", fsync)
    monkeypatch.setattr(agent.os, "replace", renamed)
    agent.put([(str(path), b"{}", None, None)])
    assert calls == [("sync", 2, False), ("name", 2, False)]
