from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anytier.provider.docker.tar import pack, unpack, write_context

PARTS = st.text(min_size=1, max_size=120).filter(lambda part: not {"/", "\0"} & set(part) and part not in (".", ".."))
NAMES = st.lists(PARTS.filter(lambda part: part.isprintable()), min_size=1, max_size=3).map("/".join)
ENTRIES = st.tuples(st.binary(max_size=2000), st.integers(0, 0o7777), st.integers(0, 1 << 30), st.integers(0, 1 << 30))


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {item.name: item for item in tar.getmembers()}


@given(st.dictionaries(NAMES, ENTRIES, max_size=5))
def test_what_was_packed_is_unpacked(files: dict[str, tuple[bytes, int, int, int]]) -> None:
    data = pack(files)
    assert unpack(data) == {name: content for name, (content, *_) in files.items()}
    found = members(data)
    for name, (content, mode, uid, gid) in files.items():
        assert (found[name].size, found[name].mode, found[name].uid, found[name].gid) == (len(content), mode, uid, gid)


@given(st.dictionaries(NAMES, ENTRIES, max_size=5))
def test_the_same_files_are_the_same_bytes(files: dict[str, tuple[bytes, int, int, int]]) -> None:
    assert pack(files) == pack(dict(reversed(files.items())))


def test_folders_come_before_what_is_in_them_and_can_be_entered() -> None:
    found = members(pack({"a/b/c": (b"x", 0o600, 0, 0), "a/d": (b"", 0o644, 0, 0)}))
    assert list(found) == ["a", "a/b", "a/b/c", "a/d"]
    assert found["a"].isdir()
    assert found["a/b"].mode == 0o755


def test_links() -> None:
    found = members(pack({}, {"/bin/sh": "/bin/busybox"}))
    assert (found["bin/sh"].issym(), found["bin/sh"].linkname) == (True, "/bin/busybox")
    assert unpack(pack({}, {"a": "b"})) == {}


CONTENT = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
FILES = st.dictionaries(
    st.text("aé *.\n", min_size=1, max_size=8).filter(lambda name: name.strip(".") != ""),
    st.tuples(st.binary(max_size=100), st.sampled_from([0o644, 0o600, 0o755, 0o4755])),
    max_size=5,
)


@CONTENT
@given(FILES)
def test_a_context_is_sent_as_it_is_but_owned_by_root(tmp_path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    for item in tmp_path.iterdir():
        item.unlink()
    for name, (content, mode) in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    out = io.BytesIO()
    write_context(tmp_path, sorted(files), out)
    assert unpack(out.getvalue()) == {name: content for name, (content, _) in files.items()}
    for name, item in members(out.getvalue()).items():
        assert (item.mode, item.uid, item.gid, item.uname, item.gname) == (files[name][1], 0, 0, "", "")
        assert item.mtime == 1_000_000_000


def test_kinds_of_a_context(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "one").write_text("same")
    os.link(tmp_path / "one", tmp_path / "two")
    (tmp_path / "link").symlink_to("/somewhere/else")
    name = os.fsdecode(b"\xff" * 150)
    (tmp_path / name).write_text("bytes")
    out = io.BytesIO()
    write_context(tmp_path, ["folder", "link", "two", "one", name], out)
    found = members(out.getvalue())
    assert (found["folder"].isdir(), found["folder"].mode) == (True, 0o700)
    assert found["link"].linkname == "/somewhere/else"
    assert unpack(out.getvalue()) == {"one": b"same", "two": b"same", name: b"bytes"}


def test_a_file_that_shrinks_is_an_error_and_not_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    look = tarfile.TarFile.gettarinfo

    def shrink(self: tarfile.TarFile, *args: object, **more: object) -> tarfile.TarInfo:
        found = look(self, *args, **more)  # type: ignore[arg-type]
        os.truncate(tmp_path / "a", 10)
        return found

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", shrink)
    with pytest.raises(OSError, match="unexpected end of data"):
        write_context(tmp_path, ["a"], io.BytesIO())
