"""Layers become one folder: as a simple model has it, whatever is in them, and never anything outside of it."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.provider.host import unpack

Entry = dict[str, Any]  # name, kind (file, folder, link, hard, device), data


def archive(entries: list[Entry]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as out:
        for entry in entries:
            info = tarfile.TarInfo(entry["name"])
            info.uid, info.gid, info.mode = os.getuid(), os.getgid(), entry.get("mode", 0o644)
            data = str(entry.get("data", ""))
            kinds = {
                "folder": tarfile.DIRTYPE,
                "link": tarfile.SYMTYPE,
                "hard": tarfile.LNKTYPE,
                "device": tarfile.CHRTYPE,
            }
            info.type = kinds.get(entry["kind"], tarfile.REGTYPE)
            if entry["kind"] in ("link", "hard"):
                info.linkname = data
            if entry["kind"] == "folder":
                info.mode = entry.get("mode", 0o755)
            info.size = len(data.encode()) if entry["kind"] == "file" else 0
            out.addfile(info, io.BytesIO(data.encode()) if entry["kind"] == "file" else None)
    return made.getvalue()


def file(name: str, data: str = "", **more: Any) -> Entry:
    return {"name": name, "kind": "file", "data": data, **more}


def of_kind(kind: str, name: str, data: str = "", **more: Any) -> Entry:
    return {"name": name, "kind": kind, "data": data, **more}


def asked(folder: Path, layers: list[list[Entry]], packed: bool = True, **more: Any) -> dict[str, Any]:
    found = []
    for number, entries in enumerate(layers):
        plain = archive(entries)
        data = gzip.compress(plain, 1) if packed else plain
        paths = []
        for at in range(0, len(data), 1000):  # in pieces, as they come over SSH
            path = folder / f"layer-{number}.{at}"
            path.write_bytes(data[at : at + 1000])
            paths.append(str(path))
        digests = ["sha256:" + hashlib.sha256(item).hexdigest() for item in (data, plain)]
        found.append({"parts": paths, "digest": digests[0], "diffId": digests[1]})
    return {"layers": found, "into": str(folder / "image"), "record": {"digest": "x"}, "limit": 1 << 30, **more}


def unpacked(folder: Path, layers: list[list[Entry]], **more: Any) -> dict[str, str]:
    """Path -> what is there, as text."""
    unpack.unpack(asked(folder, layers, **more))
    return look(folder / "image" / "rootfs")


def look(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "/"
        else:
            found[name] = path.read_text()
    return found


# a simple model: paths without links on the way

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
ENTRIES = st.one_of(
    st.builds(file, PATHS, st.sampled_from(["", "one", "two"])),
    st.builds(of_kind, st.just("folder"), PATHS.map(lambda path: f"./{path}/")),
    st.builds(of_kind, st.just("link"), PATHS.map(lambda path: f"{path}/l"), st.sampled_from(["/a", "../..", "x"])),
    st.builds(lambda path: file(str(Path(path).parent / f".wh.{Path(path).name}")), PATHS),
    st.builds(lambda path: file(f"{path}/.wh..wh..opq"), PATHS),
    st.builds(of_kind, st.just("device"), PATHS.map(lambda path: f"{path}/d")),
)


def modelled(layers: list[list[Entry]]) -> dict[str, str]:
    tree: dict[str, str] = {}

    def clear(path: str) -> None:
        for known in [key for key in tree if key.startswith(path + "/")]:
            del tree[known]

    def put(path: str, what: str) -> None:
        steps = path.split("/")
        for count in range(1, len(steps)):
            above = "/".join(steps[:count])
            if tree.get(above) != "/":
                tree[above] = "/"
        if what != "/":
            clear(path)
        tree[path] = what

    for layer in layers:
        for entry in layer:
            folder, name = os.path.split(entry["name"])
            if name == ".wh..wh..opq":
                clear(folder)
            elif name.startswith(".wh."):
                gone = os.path.join(folder, name[4:])
                tree.pop(gone, None)
                clear(gone)
        for entry in layer:
            path = os.path.normpath(entry["name"])
            if os.path.basename(path).startswith(".wh."):
                continue
            if entry["kind"] == "device":
                put(os.path.dirname(path), "/") if tree.get(os.path.dirname(path)) != "/" else None
            else:
                kinds = {"folder": "/", "link": f"-> {entry['data']}"}
                put(path, kinds.get(entry["kind"], entry["data"]))
    return tree


@given(layers=st.lists(st.lists(ENTRIES, max_size=6), max_size=3), packed=st.booleans())
@settings(max_examples=150)
def test_layers_are_what_the_model_says(
    layers: list[list[Entry]], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert unpacked(tmp_path_factory.mktemp("x"), layers, packed=packed) == modelled(layers)


# hostile ones

HOSTILE_STEPS = st.sampled_from(["a", "b", "l", "..", ".", "", ".wh.a", ".wh.l", ".wh..wh..opq"])
HOSTILE_PATHS = st.tuples(st.sampled_from(["", "/", "./"]), st.lists(HOSTILE_STEPS, min_size=1, max_size=4)).map(
    lambda parts: parts[0] + "/".join(parts[1])
)
TARGETS = st.one_of(HOSTILE_PATHS, st.sampled_from(["/", "..", "../../../../outside", "/outside", "l", "a/l"]))
HOSTILE = st.builds(of_kind, st.sampled_from(["file", "folder", "link", "hard", "device"]), HOSTILE_PATHS, TARGETS)


@given(layers=st.lists(st.lists(HOSTILE, max_size=8), min_size=1, max_size=3))
@settings(max_examples=250)
def test_nothing_outside_is_touched_and_nothing_half_made_is_left(
    layers: list[list[Entry]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("x")
    (folder / "outside").mkdir()
    wanted = asked(folder, layers)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    try:
        unpack.unpack(wanted)
    except unpack.Wrong:
        assert not (folder / "image").exists()
    inside = folder / "image"
    after = [path for path in folder.rglob("*") if not path.is_relative_to(inside)]
    assert {path: path.read_bytes() for path in after if path.is_file()} == before
    assert not any((folder / "outside").iterdir()) and not (folder / "image.new").exists()


def test_a_write_through_a_link_stays_inside(tmp_path: Path) -> None:
    """As in a container: `/etc` of the image is the image's, and not the machine's."""
    layers = [
        [of_kind("folder", "usr/bin"), of_kind("link", "bin", "usr/bin"), of_kind("link", "conf", "/etc")],
        [of_kind("folder", "etc"), file("bin/sh", "shell"), file("conf/passwd", "mine")],
        [of_kind("link", "up", "../../../.."), file("up/top", "here")],
    ]
    found = unpacked(tmp_path, layers)
    assert (found["usr/bin/sh"], found["etc/passwd"], found["top"], found["bin"]) == (
        "shell",
        "mine",
        "here",
        "-> usr/bin",
    )


def test_an_absolute_path_begins_at_the_images_own_root(tmp_path: Path) -> None:
    """As ko writes them."""
    layers = [
        [of_kind("folder", "/ko-app"), file("/ko-app/web", "x"), of_kind("hard", "/ko-app/also", "/ko-app/web")],
        [file("/ko-app/.wh.web"), file("//etc/passwd", "mine")],
    ]
    assert unpacked(tmp_path, layers) == {"ko-app": "/", "ko-app/also": "x", "etc": "/", "etc/passwd": "mine"}
    with pytest.raises(unpack.Wrong, match="leads out"):
        unpacked(tmp_path, [[file("/../etc/passwd", "mine")]])


def test_hard_links_are_one_file(tmp_path: Path) -> None:
    layers = [[file("a/x", "one"), of_kind("hard", "a/y", "a/x")], [of_kind("hard", "z", "a/x"), file("a/.wh.x")]]
    with pytest.raises(unpack.Wrong, match="hard link"):
        unpacked(tmp_path, layers)
    layers[1] = [of_kind("hard", "z", "a/y")]
    assert unpacked(tmp_path, layers) == {"a": "/", "a/x": "one", "a/y": "one", "z": "one"}
    assert (tmp_path / "image/rootfs/z").stat().st_nlink == 3


def test_modes_are_kept_and_devices_left_out(tmp_path: Path) -> None:
    layers = [[of_kind("folder", "d", mode=0o1777), file("d/f", "x", mode=0o4711), of_kind("device", "d/null")]]
    assert unpacked(tmp_path, layers) == {"d": "/", "d/f": "x"}
    root = tmp_path / "image/rootfs"
    assert [(root / name).stat().st_mode & 0o7777 for name in ("d", "d/f")] == [0o1777, 0o4711]


def test_users_are_read_from_inside_wherever_a_link_leads(tmp_path: Path) -> None:
    passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:4321:4320::/srv:/bin/false\nbroken\napp:x:1:1::/x:/y\n"
    layers = [
        [file("lib/passwd", passwd), of_kind("link", "etc/passwd", "../../lib/passwd")],
        [file("etc/group", "a:x:7:app,b\n")],
    ]
    unpacked(tmp_path, layers)
    record = json.loads((tmp_path / "image/image.json").read_text())
    assert record["users"] == {"root": [0, 0, "/root"], "app": [4321, 4320, "/srv"]}
    assert record["groups"] == {"a": [7, ["app", "b"]]} and record["digest"] == "x"


# what is spoilt


def test_what_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    for key in ("digest", "diffId"):
        wanted = asked(tmp_path, [[file("a", "x")]])
        wanted["layers"][0][key] = "sha256:" + "0" * 64
        with pytest.raises(unpack.Wrong, match="not what it should be"):
            unpack.unpack(wanted)


def test_a_layer_that_is_cut_short_or_no_archive_is_refused(tmp_path: Path) -> None:
    wanted = asked(tmp_path, [[file("a", "x" * 5000)]])
    path = Path(wanted["layers"][0]["parts"][0])
    data = path.read_bytes()
    for spoilt in (data[: len(data) // 2], b"no archive at all" * 100, b"\x1f\x8bno gzip either", b""):
        path.write_bytes(spoilt)
        with pytest.raises(unpack.Wrong):
            unpack.unpack(wanted)
    assert not (tmp_path / "image").exists() and not (tmp_path / "image.new").exists()


def test_a_bomb_is_stopped_before_it_is_on_the_disk(tmp_path: Path) -> None:
    wanted = asked(tmp_path, [[file("a", "0" * 3_000_000)]], limit=1 << 20)
    with pytest.raises(unpack.Wrong, match="more than there is room for"):
        unpack.unpack(wanted)


def test_zstd_goes_by_the_machines_own_program_or_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = archive([file("a", "packed")])
    bin = tmp_path / "bin"
    bin.mkdir()
    tool = bin / "zstd"
    magic = "b'\\x28\\xb5\\x2f\\xfd'"
    tool.write_text(
        f"#!{sys.executable}\nimport sys\nd = sys.stdin.buffer.read()\nassert d[:4] == {magic}\n"
        "sys.stdout.buffer.write(d[4:])\n"
    )
    tool.chmod(0o755)
    data = b"\x28\xb5\x2f\xfd" + plain
    (tmp_path / "layer").write_bytes(data)
    digests = ["sha256:" + hashlib.sha256(item).hexdigest() for item in (data, plain)]
    layer = {"parts": [str(tmp_path / "layer")], "digest": digests[0], "diffId": digests[1]}
    wanted = {"layers": [layer], "into": str(tmp_path / "image"), "record": {}, "limit": 1 << 20}
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(unpack.Wrong, match="install zstd"):
        unpack.unpack(wanted)
    monkeypatch.setenv("PATH", str(bin))
    unpack.unpack(wanted)
    assert look(tmp_path / "image/rootfs") == {"a": "packed"}


def test_as_a_program_it_answers_in_json(tmp_path: Path) -> None:
    def run(wanted: dict[str, Any]) -> Any:
        done = subprocess.run(
            [sys.executable, "-I", "-S", unpack.__file__],
            input=json.dumps(wanted).encode(),
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run(asked(tmp_path, [[file("a", "x")]]))["entries"] == 1
    assert "leads out" in run(asked(tmp_path, [[file("../a", "x")]]))["what"]
    assert run({**asked(tmp_path, []), "into": f"{tmp_path}/layer-0.0/x"})["errno"] == 20


@pytest.mark.parametrize("program", ["unpack.py", "contain.py"])
def test_what_runs_on_a_machine_is_python_3_8_and_needs_the_standard_library_only(program: str) -> None:
    tree = ast.parse(Path(unpack.__file__).with_name(program).read_text(), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)
