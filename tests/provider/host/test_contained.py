"""What an instance of an image is started with: the image's own word where the spec has none, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import NotFound, Rejected
from anytier.provider.host import contained as c
from anytier.provider.host.layout import Layout
from anytier.provider.host.program import Program, Site, problems, program
from anytier.provider.host.transport import Facts
from anytier.provider.oci.manifest import ImageConfig
from anytier.render import systemd
from anytier.render.template import File, HostProcess, ImageRun, Mount, Port, Template

DIGEST = "sha256:" + "ab" * 32
SITE = Site(
    Layout("/srv/shop", "anytier-dev-shop"), Facts(0, "root", "/root", "/usr/bin/python3", "/bin"), "systemd-system"
)
IMAGE = c.ImageRecord(
    digest=DIGEST,
    config=ImageConfig(
        entrypoint=["/entry"], cmd=["serve"], env={"A": "image", "B": "image"}, user="app", working_dir="/srv",
        stop_signal="SIGQUIT",
    ),
    users={"root": (0, 0, "/root"), "app": (4321, 4320, "/home/app"), "other": (7, 7, "")},
    groups={"app": (4320, []), "extra": (50, ["app", "other"]), "wheel": (10, ["other"])},
)  # fmt: skip
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
PLAIN = TEXT.map(lambda text: text.replace("$", "€"))  # a `$` begins a token


def made(image: c.ImageRecord = IMAGE, secrets: Any = (), ports: Any = (), run: Any = (), **process: Any) -> Program:
    template = Template(process=HostProcess(image=ImageRun(digest=DIGEST, **dict(run)), **process), ports=list(ports))
    volumes = {"data": "/srv/shop/volumes/data"}
    given = ("x-r1-0", "/srv/shop/instances/x-r1-0", template, dict(secrets), volumes, {"PORT": "10000"}, "/none")
    return program(SITE, *given, restart=True, image=image)


def launch(found: Program) -> Any:
    return json.loads(next(file.data or b"" for file in found.files if file.path.endswith("/launch.json")))


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ({}, ["/entry", "serve"]),
        ({"args": ["a"]}, ["/entry", "a"]),
        ({"args": []}, ["/entry"]),
        ({"command": ["c"]}, ["c"]),
        ({"command": ["c"], "args": ["a"]}, ["c", "a"]),
    ],
)
def test_command_and_args_replace_as_in_kubernetes(run: dict[str, Any], wanted: list[str]) -> None:
    assert launch(made(run=run))["argv"] == wanted


def test_an_image_without_a_command_needs_one() -> None:
    with pytest.raises(Rejected, match="what to run"):
        made(c.ImageRecord(digest=DIGEST))


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        (None, (4321, 4320, [50, 4320], "/home/app")),
        ("app", (4321, 4320, [50, 4320], "/home/app")),
        ("4321", (4321, 4320, [50, 4320], "/home/app")),
        ("app:wheel", (4321, 10, [10], "/home/app")),
        ("99", (99, 0, [0], "/")),
        ("99:98", (99, 98, [98], "/")),
        ("root", (0, 0, [0], "/root")),
        ("other", (7, 7, [7, 10, 50], "/")),
    ],
)
def test_users_are_the_images_own(user: str | None, wanted: tuple[int, int, list[int], str]) -> None:
    found = launch(made(user=user))
    assert (found["uid"], found["gid"], found["groups"], found["env"]["HOME"]) == wanted


@pytest.mark.parametrize("user", ["nobody-knows", "app:nothing"])
def test_a_user_that_the_image_has_not_is_told(user: str) -> None:
    with pytest.raises(NotFound, match="of the image"):
        made(user=user)


def test_no_user_at_all_is_root_and_run_as_non_root_refuses_it() -> None:
    bare = c.ImageRecord(digest=DIGEST, config=ImageConfig(cmd=["x"]))
    assert launch(made(bare))["uid"] == 0
    with pytest.raises(Rejected, match="the image runs as root"):
        made(bare, run={"run_as_non_root": True})
    assert launch(made(bare, run={"run_as_non_root": True}, user="5"))["uid"] == 5


def test_the_environment_is_the_images_then_the_specs_then_ours() -> None:
    env = launch(made(env={"B": "spec", "PORT": "1"}))["env"]
    assert (env["A"], env["B"], env["PORT"], env["PATH"]) == ("image", "spec", "10000", c.PATH)


@given(st.lists(PLAIN, max_size=4), st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), PLAIN, max_size=3))
def test_any_string_arrives_as_it_is_and_none_is_in_the_unit(args: list[str], env: dict[str, str]) -> None:
    found = made(run={"command": ["x", *args]}, env=env)
    said = launch(found)
    assert said["argv"] == ["x", *args]
    assert {key: value for key, value in said["env"].items() if key in env} == {
        **env,
        **{k: said["env"][k] for k in env if k == "PORT"},
    }
    assert systemd.render(found.unit, "system") == systemd.render(made().unit.model_copy(), "system")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8))
def test_a_secret_is_in_its_file_and_nowhere_else(value: str) -> None:
    found = made(
        secrets={"db": value}, secret_env={"PASSWORD": "db"}, files=[File(target="/k", content="${secrets.db}")]
    )
    hidden = {file.path.rpartition("/")[2]: file for file in found.files if file.data is not None}
    assert json.loads(hidden["secret.json"].data or b"") == {"PASSWORD": value} and hidden["secret.json"].mode == 0o600
    assert hidden["0"].data == value.encode()
    assert launch(found) == launch(
        made(secrets={"db": "other"}, secret_env={"PASSWORD": "db"}, files=[File(target="/k")])
    )


def test_files_and_volumes_are_bound_at_their_paths_for_the_images_user() -> None:
    files = [File(target="/etc/x"), File(target="rel/../y", owner="other:wheel", mode="0400")]
    found = made(files=files, mounts=[Mount(target="/data", volume="data")])
    binds = {bind["target"]: bind for bind in launch(found)["binds"]}
    assert set(binds) == {"/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/data", "/etc/x", "/y"}
    assert binds["/data"] == {"source": "/srv/shop/volumes/data", "target": "/data", "readOnly": False}
    owners = {file.path.rpartition("/")[2]: (file.owner, file.mode) for file in found.files if file.owner}
    assert owners == {"0": ("4321:4320", 0o644), "1": ("7:10", 0o400)}
    assert found.unit.writes == ["/srv/shop/instances/x-r1-0/layer", "/srv/shop/volumes/data"]
    assert launch(found)["owned"] == ["/srv/shop/volumes/data"] and launch(found)["env"]["VOLUME_DATA"] == "/data"


def test_signals_working_folder_and_ports_below_1024() -> None:
    assert made().unit.stop_signal == "SIGQUIT" and made(stop_signal="SIGINT").unit.stop_signal == "SIGINT"
    assert launch(made())["cwd"] == "/srv" and launch(made(working_dir="w"))["cwd"] == "/w"
    low = [Port(name="http", port=80, target=80)]
    assert launch(made(ports=low))["ambient"] == [10] and launch(made())["ambient"] == []


@pytest.mark.parametrize("said", ["TERM\nExecStart=/bin/sh", "", "x y", "SIGTERM %h", "ſIGTERM", "9;"])
def test_a_signal_that_is_none_gets_into_no_unit(said: str) -> None:
    image = IMAGE.model_copy(update={"config": IMAGE.config.model_copy(update={"stop_signal": said or "-" * 40})})
    with pytest.raises(Rejected, match="is no signal"):
        made(image)
    assert made(image, stop_signal="SIGINT").unit.stop_signal == "SIGINT"


def test_what_is_wrong_whatever_the_image_is_known_before_it_is_pulled() -> None:
    def found(run: dict[str, Any], root: bool = True, supervisor: str = "systemd-system", **process: Any) -> list[str]:
        template = Template(process=HostProcess(image=ImageRun(digest="", **run), **process))
        return [str(item) for item in problems(template, root, "me", supervisor)]

    assert found({}) == []
    for supervisor, root in (("systemd-user", False), ("supervisord", True)):
        assert "root's own systemd" in found({}, root, supervisor)[0]
    assert "command[1]" in found({"command": ["x", "${secrets.a}"]})[0]
    assert "runAsNonRoot" in found({"run_as_non_root": True}, user="root:app")[0]
    assert "SYS_NOTHING" in found({"cap_add": ["SYS_NOTHING"]})[0]
