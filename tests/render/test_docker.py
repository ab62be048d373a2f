"""A container of a template as the body of Docker's create call: what Docker is told, and what it is never told."""

from __future__ import annotations

import json
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.docker import (
    FILES,
    SECRETS,
    TOOLS,
    Image,
    Setting,
    argv,
    body,
    gates,
    kept_files,
    links,
    needs_files,
    needs_tools,
    pause,
)
from anytier.render.template import Container, File, HttpGet, Limits, Mount, Port, Probe
from anytier.render.tokens import escape

WHERE = Setting(
    labels={"a": "b"},
    env={},
    hostname="web-r1-0",
    network="net",
    tools="tools",
    volumes={"data": "ns-data"},
    aliases=["r1-0.web"],
)
IMAGE = Image(entrypoint=["/entry"], command=["serve"], user="")
WITH_FILES = replace(WHERE, files_volume="files", files_path="/var/lib/docker/volumes/files/_data")
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
words = st.lists(text, max_size=4)


def item(**more: object) -> Container:
    return Container.model_validate({"name": "web", "image": "i:1", **more})


def test_a_plain_container_runs_as_its_image_says() -> None:
    made = body(item(), IMAGE, WHERE)
    assert "Entrypoint" not in made and "Cmd" not in made and "Healthcheck" not in made
    host = made["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"] and host["PidsLimit"] == 4096
    assert host["RestartPolicy"] == {"Name": "unless-stopped"} and host["Init"] is True
    assert host["Mounts"] == [] and "Tmpfs" not in host and "Privileged" not in host
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"net": {"Aliases": ["r1-0.web"]}}}


def test_all_that_a_template_says_is_told() -> None:
    said = item(
        command=["run"],
        args=["--x"],
        env={"A": "1"},
        user="7:8",
        working_dir="/w",
        stop_signal="SIGUSR1",
        stop_grace=2.5,
        cap_add=["NET_ADMIN"],
        cap_drop=["ALL"],
        read_only_root=True,
        limits=Limits(cpu=0.3, memory=2**26, memory_request=2**25, pids=9),
        mounts=[Mount(target="/data", volume="data", read_only=True)],
    )
    made = body(said, IMAGE, replace(WHERE, restart=False))
    assert (made["Entrypoint"], made["Cmd"], made["Env"]) == (["run"], ["--x"], ["A=1"])
    assert (made["User"], made["WorkingDir"], made["StopSignal"], made["StopTimeout"]) == ("7:8", "/w", "SIGUSR1", 3)
    host = made["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"], host["ReadonlyRootfs"]) == (["NET_ADMIN"], ["ALL"], True)
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (300_000_000, 2**26, 2**26)
    assert (host["MemoryReservation"], host["PidsLimit"], host["RestartPolicy"]) == (2**25, 9, {"Name": "no"})
    assert host["Mounts"] == [{"Type": "volume", "Source": "ns-data", "Target": "/data", "ReadOnly": True}]


def test_gpus_are_asked_of_the_daemon_only_where_the_spec_asks() -> None:
    host = body(item(limits=Limits(gpus=2)), IMAGE, WHERE)["HostConfig"]
    assert host["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]
    assert "DeviceRequests" not in body(item(), IMAGE, WHERE)["HostConfig"]


def test_args_alone_keep_the_images_entrypoint_and_a_command_drops_its_arguments() -> None:
    made = body(item(args=["a"]), IMAGE, WHERE)
    assert made["Cmd"] == ["a"] and "Entrypoint" not in made
    hidden = {"secret_env": {"P": "db"}}
    entry = [f"{TOOLS}/busybox", "sh", f"{TOOLS}/entry"]
    assert body(item(**hidden), IMAGE, WITH_FILES)["Entrypoint"] == [*entry, "/entry", "serve"]
    assert body(item(args=["a"], **hidden), IMAGE, WITH_FILES)["Entrypoint"] == [*entry, "/entry", "a"]
    assert body(item(command=["c"], **hidden), IMAGE, WITH_FILES)["Entrypoint"] == [*entry, "c"]


@given(env=st.dictionaries(st.text(string.ascii_letters + "_", min_size=1), text), args=words, command=words)
def test_words_and_variables_arrive_byte_for_byte(env: dict[str, str], args: list[str], command: list[str]) -> None:
    given = item(
        env={key: escape(value) for key, value in env.items()},
        args=[escape(word) for word in args],
        command=[escape(word) for word in command],
    )
    made = json.loads(json.dumps(body(given, IMAGE, WHERE)))
    assert dict(line.split("=", 1) for line in made["Env"]) == env
    assert (made["Entrypoint"], made["Cmd"]) == (command, args)


@given(value=text, secret=text, around=text, name=st.text(string.ascii_lowercase, min_size=1))
def test_a_secret_is_in_its_volume_and_not_in_what_docker_is_told(
    value: str, secret: str, around: str, name: str
) -> None:
    secret = f"canary{secret}"
    token = f"${{secrets.{name}}}"
    given = item(
        env={"PLAIN": escape(value), "URL": f"{escape(around)} {token}"},
        secret_env={"PASSWORD": name},
        files=[File(target="/f", content=f"{escape(around)} {token}"), File(target="/g", content=escape(value))],
    )
    made = json.dumps(body(given, IMAGE, WITH_FILES), ensure_ascii=False)
    assert "canary" not in made
    kept = {path: entry[0].decode() for path, entry in kept_files(given, {name: secret}).files.items()}
    assert kept["private/env/PASSWORD"] == kept[f"private/secrets/{name}"] == secret
    assert kept["private/env/URL"] == kept["private/files/0"] == f"{around} {secret}"
    assert kept["plain/1"] == value and "private/env/PLAIN" not in kept


@given(data=st.binary())
def test_binary_files_arrive_byte_for_byte(data: bytes) -> None:
    import base64

    given = item(files=[File(target="/f", binary=base64.b64encode(data).decode())])
    assert kept_files(given, {}).files["plain/0"] == (data, 0o644, 0, 0)


def test_files_have_their_mode_and_belong_to_who_runs_unless_said_otherwise() -> None:
    given = item(files=[File(target="/a", content="x", mode="0400"), File(target="/b", content="x", owner="5")])
    assert kept_files(given, {}, (7, 8)).files == {"plain/0": (b"x", 0o400, 7, 8), "plain/1": (b"x", 0o644, 5, 5)}
    binds = [mount for mount in body(given, IMAGE, WITH_FILES)["HostConfig"]["Mounts"] if mount["Type"] == "bind"]
    assert [(bind["Source"].rpartition("_data/")[2], bind["Target"]) for bind in binds] == [
        ("plain/0", "/a"),
        ("plain/1", "/b"),
    ]


def test_a_secret_file_is_a_link_to_tmpfs_or_bound_where_no_link_can_be() -> None:
    secret = {"files": [File(target="/etc/s", content="${secrets.db}", mode="0400")]}
    writable, fixed = item(**secret), item(**secret, read_only_root=True)
    assert links(writable) == {"/etc/s": f"{SECRETS}/.files/0"} and links(fixed) == {}
    assert set(kept_files(writable, {"db": "x"}).files) == {"private/files/0", "private/modes/0"}
    assert kept_files(fixed, {"db": "x"}, (7, 0)).files == {"plain/0": (b"x", 0o400, 7, 0)}
    host = body(fixed, IMAGE, replace(WITH_FILES, user=(7, 0)))["HostConfig"]
    assert {"/etc/s", FILES, TOOLS} == {mount["Target"] for mount in host["Mounts"]}
    assert all(mount["ReadOnly"] for mount in host["Mounts"])
    assert host["Tmpfs"][SECRETS].endswith("mode=0755,uid=7,gid=0") and "noexec" in host["Tmpfs"][SECRETS]


def test_nothing_of_ours_goes_in_where_nothing_needs_it() -> None:
    assert not needs_tools(item()) and not needs_files(item())
    assert needs_tools(item(readiness=Probe(exec=["true"]))), "commands run under our timeout"
    assert needs_tools(item(readiness=Probe(tcp_port=1))) and needs_tools(item(liveness=Probe(exec=["true"])))
    assert not needs_tools(item(files=[File(target="/f", content="x")]))
    assert needs_tools(item(secret_env={"A": "b"}))


@pytest.mark.parametrize(
    ("probe", "wanted"),
    [
        (Probe(exec=["a b", "$x"], timeout=2.2), [f"{TOOLS}/busybox", "timeout", "3", "a b", "$x"]),
        (Probe(tcp_port=5), [f"{TOOLS}/busybox", "sh", f"{TOOLS}/probe", "tcp", "1", "5"]),
        (
            Probe(http_get=HttpGet(path="/a?b", port=5, headers={"Host": "x y"})),
            [f"{TOOLS}/busybox", "sh", f"{TOOLS}/probe", "http", "1", "5", "/a?b", "--header", "Host: x y"],
        ),
        (
            Probe(http_get=HttpGet(port=5, scheme="HTTPS")),
            [f"{TOOLS}/busybox", "sh", f"{TOOLS}/probe", "https", "1", "5", "/"],
        ),
    ],
    ids=["exec", "tcp", "http", "https"],
)
def test_probes_are_commands(probe: Probe, wanted: list[str]) -> None:
    assert argv(probe) == wanted


def test_a_health_check_counts_for_startup_and_liveness_and_readiness_gates_only() -> None:
    live, start, ready = (
        Probe(tcp_port=1, period=2),
        Probe(tcp_port=2, period=1, failure_threshold=20),
        Probe(tcp_port=3),
    )
    check = body(item(liveness=live, startup=start, readiness=ready), IMAGE, WHERE)["Healthcheck"]
    assert check["Test"][:6] == ["CMD", f"{TOOLS}/busybox", "sh", f"{TOOLS}/check", "10", "0"]
    assert check["Test"][6:11] == ["1", "20", "2", "3", "6"] and check["Interval"] == 1_000_000_000
    assert check["StartPeriod"] == 20_000_000_000
    assert gates(item(liveness=live, startup=start, readiness=ready)) == [start, ready]
    assert gates(item(liveness=live)) == [live] and gates(item()) == []


def test_containers_that_share_a_network_leave_ports_and_names_to_its_holder() -> None:
    port = Port(name="tcp", port=9, target=90, http=False, expose="public")
    where = replace(WHERE, publish=[port])
    holder = pause(where, "tools:1")
    assert holder["HostConfig"]["PortBindings"] == {"90/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9"}]}
    assert holder["HostConfig"]["Memory"] == 16 * 2**20
    shared = body(item(), IMAGE, replace(where, share="holder"))
    assert shared["HostConfig"]["NetworkMode"] == "container:holder" and shared["HostConfig"]["PortBindings"] == {}
    assert "NetworkingConfig" not in shared and "Hostname" not in shared


def test_an_init_of_the_images_own_is_number_one() -> None:
    assert body(item(command=["/usr/bin/tini", "--", "x"]), IMAGE, WHERE)["HostConfig"]["Init"] is False
