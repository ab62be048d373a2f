"""Docker on a machine: what is done for a daemon, what is left alone, and a real machine that gets it from its apt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.provider.sink import Sink

from anytier.errors import AnytierError, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.docker.client import Endpoint, close_all, daemon, located
from anytier.provider.host import dockerengine, machines
from anytier.provider.host.distributions.docker import OWN, removed, why
from anytier.provider.host.dockerengine import (
    DockerEngineInputs,
    DockerEngineOutputs,
    DockerEngineResource,
    holds,
    last_words,
)
from anytier.provider.host.transport import Result
from anytier.provider.resource import Context

from .bare_box import bare_box
from .ssh_box import SshBox

INPUTS = DockerEngineInputs.model_validate({"machine": {"address": "box.test", "user": "root"}})
NOTHING: Mapping[str, Any] = {"/containers/json?all=1": [], "/volumes": {"Volumes": None}, "/images/json": []}


class Fake:
    """A machine whose daemon answers `answers`; None: none runs there. `run` refuses what it does not know."""

    name = "box.test"

    def __init__(self, answers: Mapping[str, Any] | None, unit: bool = True, packages: Sequence[str] = ()) -> None:
        self.answers, self.unit, self.packages = answers, unit, set(packages)
        self.commands: list[list[str]] = []
        self.simulated = ""
        self.apt_fails = ""

    async def open_unix(self, path: str) -> tuple[asyncio.StreamReader, Any]:
        if self.answers is None:
            raise FileNotFoundError(2, "none")
        reader = asyncio.StreamReader()
        return reader, Writer(reader, self.answers)

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        return {}

    async def run(self, argv: Sequence[str], timeout: float = 60, env: Any = None) -> Result:
        self.commands.append(list(argv))
        match argv[0], argv[1]:
            case "systemctl", "cat":
                return Result(0 if self.unit else 1, "", "")
            case "systemctl", "enable":
                self.answers = {"/version": {"Version": "20.10"}}
                return Result(0, "", "")
            case "dpkg-query", _:
                return Result(0, "".join(f"installed {name}\n" for name in sorted(self.packages)), "")
            case "apt-get", "--simulate":
                return Result(0, self.simulated, "")
            case "systemd-run", _:
                return self.apt(list(argv[argv.index("/bin/sh") + 4 :]))
            case "journalctl", _:
                return Result(0, self.apt_fails, "")
        raise AssertionError(argv)

    def apt(self, argv: list[str]) -> Result:
        if self.apt_fails:
            return Result(100, "", "")
        if argv[0] == "install":
            self.packages |= {"docker.io", "containerd", "libexample1", "ca-certificates"}
            self.unit = True
        elif argv[0] == "remove":
            self.packages -= set(argv)
        return Result(0, "", "")


class Writer:
    """Answers one request as a daemon does."""

    def __init__(self, reader: asyncio.StreamReader, answers: Mapping[str, Any]) -> None:
        self.reader, self.answers = reader, answers

    def write(self, data: bytes) -> None:
        path = data.split(b" ")[1].decode()
        body = json.dumps(self.answers.get(path)).encode()
        status = 200 if path in self.answers else 404
        self.reader.feed_data(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async def drain(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def ctx(sink: Sink) -> Context:
    return Context("urn:pulumi:t::t::t::t", "t", sink)


def on(monkeypatch: pytest.MonkeyPatch, fake: Fake) -> DockerEngineResource:
    monkeypatch.setattr(dockerengine, "machine_of", lambda ref: fake)
    return DockerEngineResource()


async def test_a_daemon_that_answers_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    fake = Fake({"/version": {"Version": "27.1"}})
    id, found = await on(monkeypatch, fake).create(ctx, INPUTS)
    assert (id, found.version, found.installed, fake.commands) == ("root@box.test:22", "27.1", [], [])


async def test_the_way_to_the_machine_may_take_longer_than_the_daemons_answer(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    class Far(Fake):
        async def open_unix(self, path: str) -> tuple[asyncio.StreamReader, Any]:
            await asyncio.sleep(0.3)
            return await super().open_unix(path)

    monkeypatch.setattr(dockerengine, "_ANSWER", 0.2)
    resource = on(monkeypatch, Far({"/version": {"Version": "27.1"}}))
    seen = await resource.read(ctx, "root@box.test:22", INPUTS, DockerEngineOutputs(version="27.1"))
    assert seen is not None and seen[1].version == "27.1"


async def test_docker_that_is_stopped_is_started_and_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    fake = Fake(None, unit=True)
    _, found = await on(monkeypatch, fake).create(ctx, INPUTS)
    assert found.version == "20.10" and found.installed == []
    assert [argv[:2] for argv in fake.commands] == [["systemctl", "cat"], ["systemctl", "enable"]]


async def test_a_machine_without_docker_gets_its_distributions_and_what_came_is_on_record(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    fake = Fake(None, unit=False, packages=["ca-certificates"])
    _, found = await on(monkeypatch, fake).create(ctx, INPUTS)
    assert found == DockerEngineOutputs(version="20.10", installed=["containerd", "docker.io", "libexample1"])
    assert ctx.last_made is not None and ctx.last_made.outputs == found.model_copy(update={"version": ""})


async def test_another_installation_of_the_machine_gets_docker_again(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    resource, state = on(monkeypatch, Fake(None, unit=False)), DockerEngineOutputs(version="20.10", installed=["runc"])
    other = INPUTS.model_copy(update={"incarnation": "two"})
    assert resource.changed(INPUTS, other) and resource.replaces(INPUTS, other) == []
    found = await resource.update(ctx, "root@box.test:22", INPUTS, state, other)
    assert found.version == "20.10" and {"docker.io", "runc"} <= set(found.installed)


async def test_an_install_that_fails_tells_apts_own_reason_and_is_on_record(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    fake = Fake(None, unit=False)
    fake.apt_fails = "Reading package lists...\nE: Unable to locate package docker.io\n"
    with pytest.raises(NotFound, match=r"knows no docker\.io"):
        await on(monkeypatch, fake).create(ctx, INPUTS)
    assert ctx.last_made is not None and ctx.last_made.id == "root@box.test:22"
    assert [argv[argv.index("/bin/sh") + 4] for argv in fake.commands if argv[0] == "systemd-run"] == [
        "install",
        "update",
    ]


async def test_a_daemon_that_is_away_is_drift_and_what_was_installed_stays_on_record(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    fake = Fake(None)
    resource, state = on(monkeypatch, fake), DockerEngineOutputs(version="20.10", installed=["docker.io"])
    found = await resource.read(ctx, "", INPUTS, state)
    assert found is not None and found[1] == DockerEngineOutputs(installed=["docker.io"])
    assert resource.drifted(*found) == ["machine"] and resource.drifted(INPUTS, state) == []
    updated = await resource.update(ctx, "", INPUTS, found[1], INPUTS)
    assert updated == state


async def test_docker_that_was_there_before_us_is_never_touched(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    fake = Fake(NOTHING, packages=["docker.io"])
    await on(monkeypatch, fake).delete(ctx, "", INPUTS, DockerEngineOutputs(version="20.10"))
    assert fake.commands == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"/containers/json?all=1": [{"Id": "1"}]}, "1 container"),
        ({"/volumes": {"Volumes": [{"Name": "a"}, {"Name": "b"}]}}, "2 volumes"),
        ({"/images/json": [{"Id": "1"}], "/volumes": {"Volumes": [{"Name": "a"}]}}, "1 volume, 1 image"),
    ],
)
async def test_docker_of_ours_stays_as_long_as_it_holds_anything(
    monkeypatch: pytest.MonkeyPatch, ctx: Context, sink: Sink, held: Mapping[str, Any], said: str
) -> None:
    fake = Fake({**NOTHING, **held}, packages=["docker.io"])
    await on(monkeypatch, fake).delete(ctx, "", INPUTS, DockerEngineOutputs(installed=["docker.io"]))
    assert fake.commands == [] and f"it holds {said}" in str(vars(sink))


async def test_docker_of_ours_stays_where_its_daemon_does_not_say_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    for answers in (None, {"/containers/json?all=1": []}):
        fake = Fake(answers, packages=["docker.io"])
        await on(monkeypatch, fake).delete(ctx, "", INPUTS, DockerEngineOutputs(installed=["docker.io"]))
        assert fake.commands == []


async def test_docker_of_ours_that_holds_nothing_goes_and_its_libraries_stay(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    packages = ["containerd", "docker.io", "libexample1"]
    fake = Fake(NOTHING, packages=[*packages, "vim"])
    fake.simulated = "Remv docker.io [20.10.24]\nRemv containerd [1.6.20]\n"
    await on(monkeypatch, fake).delete(ctx, "", INPUTS, DockerEngineOutputs(installed=packages))
    assert fake.packages == {"libexample1", "vim"}


async def test_docker_of_ours_stays_where_something_of_others_would_go_with_it(
    monkeypatch: pytest.MonkeyPatch, ctx: Context, sink: Sink
) -> None:
    fake = Fake(NOTHING, packages=["docker.io"])
    fake.simulated = "Remv ci-runner [1]\nRemv docker.io [20.10.24]\n"
    await on(monkeypatch, fake).delete(ctx, "", INPUTS, DockerEngineOutputs(installed=["docker.io"]))
    assert fake.packages == {"docker.io"} and "ci-runner would go with it" in str(vars(sink))


def test_the_socket_is_known_in_a_preview() -> None:
    assert DockerEngineResource().planned(None, INPUTS) == {"socket": "/run/docker.sock"}


# apt's words


@pytest.mark.parametrize(
    ("said", "kind", "what"),
    [
        (["E: Unable to locate package docker.io"], NotFound, "knows no docker.io"),
        (["E: Package 'docker.io' has no installation candidate"], NotFound, "knows no docker.io"),
        (["Err:1 http://x", "E: Failed to fetch http://x  Could not connect"], Unreachable, "does not reach"),
        (["E: You don't have enough free space in /var/cache/apt/archives/."], NoSpace, "no room"),
        (["E: Could not get lock /var/lib/dpkg/lock-frontend."], Rejected, "Could not get lock"),
        (["dpkg: error", "sub-process failed"], Rejected, "sub-process failed"),
        ([], Rejected, "it said nothing"),
    ],
)
def test_why_apt_failed(said: list[str], kind: type[AnytierError], what: str) -> None:
    error = why("box", said)
    assert type(error) is kind and what in error.what and error.do and error.path == "docker on box"


@given(st.lists(st.text()))
def test_whatever_apt_says_becomes_one_error(said: list[str]) -> None:
    assert why("box", said).what


@given(st.sets(st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True)), st.text())
def test_what_a_simulation_would_remove_is_read_off_its_lines(names: set[str], noise: str) -> None:
    quiet = "".join(f"# {line}\n" for line in noise.splitlines())
    said = quiet + "".join(f"Remv {name} [1.0] [other:amd64 ]\n" for name in sorted(names))
    assert removed(said) == names
    assert removed(said.replace("Remv", "Purg")) == names


def test_only_dockers_own_may_be_removed() -> None:
    assert not OWN & {"iptables", "ca-certificates", "apparmor", "libc6"}


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([], ""),
        (["one", " two ", ""], "two"),
        (["time=x level=info msg=a", "failed to start daemon: no driver", "docker.service: exit"], "failed to start"),
    ],
)
def test_the_last_words_are_the_reason(lines: list[str], last: str) -> None:
    assert last_words(lines).startswith(last)


def test_an_import_names_the_machine_as_its_other_resources_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[box.test]:2222 {key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    endpoint, name = located("deploy@box.test:2222|anytier-dev-shop/web")
    assert name == "anytier-dev-shop/web" and endpoint.host == "unix:///var/run/docker.sock"
    assert endpoint.machine is not None and endpoint.machine.sudo and endpoint.machine.host_key == key


# a real machine


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBox]:
    with bare_box(tmp_path_factory.mktemp("box")) as made:
        yield made


@pytest.fixture
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()
    await machines.close_all()


@pytest.mark.e2e
@pytest.mark.docker
async def test_a_bare_machine_gets_docker_keeps_it_while_it_is_used_and_loses_it_after(
    box: SshBox, connections: None, ctx: Context, sink: Sink
) -> None:
    resource = DockerEngineResource()
    inputs = DockerEngineInputs(machine=box.ref())
    assert box.run("sh", "-c", "command -v dockerd").returncode != 0
    read = await resource.read(ctx, "", inputs, None)
    assert read is not None and resource.drifted(*read) == ["machine"]

    id, made = await resource.create(ctx, inputs)
    assert id == f"deploy@127.0.0.1:{box.port}" and made.version and {"docker.io", "runc"} <= set(made.installed)
    assert box.run("systemctl", "is-enabled", "docker").stdout.strip() == "enabled"
    assert await resource.update(ctx, id, inputs, made, inputs) == made

    # the login is in no group docker, and its sshd need not forward
    there = await daemon(Endpoint(host=f"unix://{made.socket}", machine=inputs.machine))
    assert there.facts["ServerVersion"] == made.version and not there.local
    await there.post("volumes/create", {"Name": "somebodys"})
    await resource.delete(ctx, id, inputs, made)
    assert "it holds 1 volume" in str(vars(sink)) and await holds(machines.machine_of(inputs.machine)) == "1 volume"

    box.run("systemctl", "stop", "docker.socket", "docker.service")
    gone = await resource.read(ctx, id, inputs, made)
    assert gone is not None and resource.drifted(*gone) == ["machine"]
    with pytest.raises(Unreachable, match=r"nothing listens there|is not running"):
        await there.get("volumes")
    assert await resource.update(ctx, id, inputs, gone[1], inputs) == made

    await there.delete("volumes/somebodys")
    await resource.delete(ctx, id, inputs, made)
    assert box.run("sh", "-c", "command -v dockerd").returncode != 0
    await resource.delete(ctx, id, inputs, made)  # gone already
