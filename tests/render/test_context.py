from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anytier.errors import NotFound, Rejected
from anytier.render.context import DEFAULT_IGNORE, context_hash, entries

FROM = "FROM scratch\n"


def tree(root: Path, *names: str) -> Path:
    """Folders where a name ends with a slash, otherwise files that hold their name."""
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    return root


def test_folders_come_before_their_content_in_one_order(tmp_path: Path) -> None:
    tree(tmp_path, "b/y", "b/x", "a", "b.c", "empty/")
    assert list(entries(tmp_path)) == ["a", "b", "b/x", "b/y", "b.c", "empty"]


def test_what_no_app_needs_is_left_out_where_there_is_no_ignore_file(tmp_path: Path) -> None:
    tree(tmp_path, ".git/config", "a/__pycache__/x.pyc", "a/main.py", ".venv/bin/python", ".gitignore")
    assert list(entries(tmp_path)) == [".gitignore", "a", "a/main.py"]
    (tmp_path / ".dockerignore").write_text("")
    assert ".git/config" in entries(tmp_path)
    assert all(pattern.startswith("**/") for pattern in DEFAULT_IGNORE)


def test_an_ignored_folder_is_looked_into_for_what_is_taken_back(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/keep.py", "a/b/drop.txt", "c/d/e.py", "c/d/f")
    (tmp_path / ".dockerignore").write_text("*\n!**/*.py\n")
    assert list(entries(tmp_path)) == ["a/b/keep.py", "c/d/e.py"]


def test_an_ignored_folder_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "big/x", "a/y")
    (tmp_path / ".dockerignore").write_text("big")
    opened, scan = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened.append(Path(path).name) or scan(path))
    assert list(entries(tmp_path)) == [".dockerignore", "a", "a/y"]
    assert opened == [tmp_path.name, "a"]


def test_a_dockerfile_may_have_an_ignore_file_of_its_own(tmp_path: Path) -> None:
    tree(tmp_path, "Dockerfile", "web.Dockerfile", "a", "b")
    (tmp_path / ".dockerignore").write_text("a")
    (tmp_path / "web.Dockerfile.dockerignore").write_text("b\n*ocker*")
    assert [name for name in entries(tmp_path) if len(name) == 1] == ["b"]
    assert list(entries(tmp_path, "web.Dockerfile")) == ["a"]
    assert "a" not in entries(tmp_path, "Dockerfile")


def test_links_are_themselves_and_not_followed(tmp_path: Path) -> None:
    tree(tmp_path / "outside", "secret")
    context = tree(tmp_path / "context", "a")
    (context / "folder").symlink_to("../outside")
    (context / "loop").symlink_to(".")
    (context / "dangling").symlink_to("nowhere")
    assert list(entries(context)) == ["a", "dangling", "folder", "loop"]
    before = context_hash(context, "", {}, None)
    (tmp_path / "outside" / "secret").write_text("changed")
    assert context_hash(context, "", {}, None) == before
    (context / "dangling").unlink()
    (context / "dangling").symlink_to("elsewhere")
    assert context_hash(context, "", {}, None) != before


def test_sockets_and_pipes_are_no_content(tmp_path: Path) -> None:
    tree(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    assert list(entries(tmp_path)) == ["a"]


def test_names_of_any_bytes(tmp_path: Path) -> None:
    tree(tmp_path, "a")
    name = os.fsdecode(b"\xff\xfe \n*")
    (tmp_path / name).write_text("x")
    before = context_hash(tmp_path, "", {}, None)
    assert name in entries(tmp_path)
    (tmp_path / ".dockerignore").write_bytes(b"\xff*\n.d*")
    assert list(entries(tmp_path)) == ["a"]
    assert context_hash(tmp_path, "", {}, None) != before


def test_a_bad_pattern_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("a\n[")
    with pytest.raises(Rejected, match=r"\.dockerignore, line 2"):
        context_hash(tmp_path, "", {}, None)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not a folder"):
        context_hash(tmp_path / "none", "Dockerfile", {}, None)
    with pytest.raises(NotFound, match="no such Dockerfile"):
        context_hash(tmp_path, "Dockerfile", {}, None)


def test_a_file_that_goes_away_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a", "b")
    listed = list(entries(tmp_path))
    (tmp_path / "b").unlink()
    monkeypatch.setattr("anytier.render.context.entries", lambda *_: iter(listed))
    with pytest.raises(Rejected, match=r"b: cannot be read: No such file"):
        context_hash(tmp_path, "", {}, None)


# the hash

PARTS = st.text("ab.-", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=20), st.sampled_from([0o644, 0o755, 0o600])), max_size=6)
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(root: Path, files: dict[str, tuple[bytes, int]]) -> dict[str, object] | None:
    """Writes the files; what is there afterwards, or None where a name is a file and a folder at once."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    names = set(files)
    if any(above in names for name in names for above in folders(name)):
        return None
    for name, (content, mode) in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    return {**files, **{above: "folder" for name in names for above in folders(name)}}


def folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


@EXAMPLES
@given(FILES, FILES)
def test_the_hash_is_the_same_exactly_when_the_content_is(
    tmp_path: Path, one: dict[str, tuple[bytes, int]], other: dict[str, tuple[bytes, int]]
) -> None:
    first, second = write(tmp_path / "one", one), write(tmp_path / "two", other)
    if first is None or second is None:
        return
    same = context_hash(tmp_path / "one", "", {}, None) == context_hash(tmp_path / "two", "", {}, None)
    assert same == (first == second)


@EXAMPLES
@given(FILES.filter(bool), st.data())
def test_every_change_of_a_file_changes_the_hash(
    tmp_path: Path, files: dict[str, tuple[bytes, int]], data: st.DataObject
) -> None:
    root = tmp_path / "context"
    if write(root, files) is None:
        return
    before = context_hash(root, "", {}, None)
    path = root / data.draw(st.sampled_from(sorted(files)))
    os.utime(path, (1, 1))
    assert context_hash(root, "", {}, None) == before, "times do not count"
    mode = path.stat().st_mode
    match data.draw(st.sampled_from(["content", "mode", "name", "kind", "folder mode"])):
        case "content":
            path.write_bytes(path.read_bytes() + b"\0")
        case "mode":
            path.chmod(mode ^ 0o010)
        case "name":
            path.rename(path.with_name(f"{path.name}~"))
        case "kind":
            path.unlink()
            path.mkdir()
        case "folder mode":
            (root / "new folder").mkdir(mode=0o700)
            with_folder = context_hash(root, "", {}, None)
            (root / "new folder").chmod(0o755)
            assert context_hash(root, "", {}, None) != with_folder
    assert context_hash(root, "", {}, None) != before


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.none() | st.text(min_size=1, max_size=3),
    st.none() | st.text(min_size=1, max_size=3),
)
def test_how_an_image_is_built_is_part_of_the_hash(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, str], other: dict[str, str], a: str | None, b: str | None
) -> None:
    root = tree(tmp_path_factory.getbasetemp() / "args")
    same = context_hash(root, "", one, a) == context_hash(root, "", other, b)
    assert same == (one == other and a == b)


def test_the_dockerfile_counts_even_where_it_is_ignored(tmp_path: Path) -> None:
    tree(tmp_path, "Dockerfile")
    (tmp_path / ".dockerignore").write_text("*")
    before = context_hash(tmp_path, "Dockerfile", {}, None)
    (tmp_path / "Dockerfile").write_text("FROM other")
    assert context_hash(tmp_path, "Dockerfile", {}, None) != before


def test_what_is_ignored_does_not_count(tmp_path: Path) -> None:
    tree(tmp_path, "a", "log")
    (tmp_path / ".dockerignore").write_text("log")
    before = context_hash(tmp_path, "", {}, None)
    (tmp_path / "log").write_text("more")
    assert context_hash(tmp_path, "", {}, None) == before


def test_a_large_file_is_not_held_as_a_whole(tmp_path: Path) -> None:
    import tracemalloc

    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        context_hash(tmp_path, "", {}, None)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
