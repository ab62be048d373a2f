"""Packages without a machine: what dpkg and apt answer is read, what is decided from it, and what tier local says."""

from __future__ import annotations

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.marks import UNKNOWN
from anytier.packages import NoPackage, Package, parse
from anytier.provider.check import check, partial
from anytier.provider.host import packages as module
from anytier.provider.host.distributions import apt, aptget, deb
from anytier.provider.host.distributions.base import Installed
from anytier.provider.host.packages import PackagesInputs, PackagesOutputs, PackagesResource
from anytier.provider.resource import Context
from anytier.provider.values import plain

from .corner import Sink

SSH = {"kind": "ssh", "address": "web1"}
STATUS = """Package: nginx
Status: install ok installed
Maintainer: Someone
Version: 1.22.1-9
Description: server
 Version: 9.9

Package: hello
Status: deinstall ok config-files
Version: 2.10-3

Package: g++
Architecture: amd64
Status: install ok unpacked
Version: 4:12.2.0-3

Package: redis
Status: hold ok installed
Version: 5:7.0.15
"""

texts = st.text("abc019+.-~:", min_size=1, max_size=12)


# what is installed


def test_dpkgs_database_is_read_record_by_record() -> None:
    names = ["nginx", "hello", "g++", "redis", "absent"]
    assert deb.parse_status(STATUS, names) == {"nginx": "1.22.1-9", "redis": "5:7.0.15"}
    assert deb.parse_status(STATUS, ["redis"]) == {"redis": "5:7.0.15"}


@given(st.dictionaries(texts, st.tuples(st.sampled_from(["installed", "config-files", "unpacked"]), texts)))
def test_dpkg_querys_answer_comes_back(known: dict[str, tuple[str, str]]) -> None:
    answer = "".join(f"{name}\t{status}\t{version}\n" for name, (status, version) in known.items())
    expected = {name: version for name, (status, version) in known.items() if status == "installed"}
    assert deb.parse_query(answer) == expected
    assert deb.parse_query("dpkg-query: no packages found matching x\n" + answer) == expected


def test_a_name_is_one_argument_behind_the_options() -> None:
    assert deb.query(["a;b", "--x"])[-3:] == ["--", "a;b", "--x"]


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no dpkg on this machine")
def test_both_ways_to_look_agree_on_this_machine() -> None:
    names = ["dpkg", "base-files", "no-such-package"]
    done = subprocess.run(deb.query(names), capture_output=True, text=True)
    assert done.returncode == 1
    assert deb.parse_query(done.stdout) == deb.installed_here(names) != {}


# what aptget.py makes of apt's answers


def test_it_needs_no_newer_python_than_the_oldest_machine_has() -> None:
    source = Path(aptget.__file__).read_text()
    ast.parse(source, feature_version=(3, 8))
    assert "import anytier" not in source and "from anytier" not in source


def test_apt_cache_madisons_table_is_read_newest_first() -> None:
    table = (
        "     nginx | 1.22.1-9+deb12u11 | http://security bookworm-security/main amd64 Packages\n"
        "     nginx | 1.22.1-9+deb12u9 | http://deb bookworm/main amd64 Packages\n"
        "     nginx | 1.22.1-9+deb12u9 | http://other bookworm/main amd64 Packages\n"
        "     nginx | 1.99 | http://deb bookworm/main Sources\n"
        "N: Unable to locate package x\n"
    )
    assert aptget.versions(table) == {"nginx": ["1.22.1-9+deb12u11", "1.22.1-9+deb12u9"]}


def answering(monkeypatch: pytest.MonkeyPatch, **answers: str) -> list[tuple[str, ...]]:
    """aptget.py's commands, answered; those of which nothing is said fail. What was run is noted."""
    ran: list[tuple[str, ...]] = []

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        ran.append(argv)
        key = next((key for key in answers if " ".join(argv).startswith(key.replace("_", "-", 1))), None)
        return subprocess.CompletedProcess(argv, 0 if key else 100, answers.get(key or "", "E: refused\n"))

    monkeypatch.setattr(aptget, "run", run)
    return ran


MADISON = "nginx | 1.22.2 | x Packages\nnginx | 1.22.1 | x Packages\nnginx | 1.20 | x Packages\n"


@pytest.mark.parametrize(
    ("version", "word"), [(None, "nginx"), ("1.22.*", "nginx=1.22.2"), ("1.20", "nginx=1.20"), ("1.2*", "nginx=1.22.2")]
)
def test_a_version_is_the_newest_that_fits(monkeypatch: pytest.MonkeyPatch, version: str | None, word: str) -> None:
    answering(monkeypatch, apt_cache=MADISON, dpkg_query="")
    assert aptget.choose([["nginx", version]], False) == ([word], None)


def test_a_downgrade_is_made_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "nginx\tinstalled\t1.22.2\n"
    answering(monkeypatch, apt_cache=MADISON, dpkg_query=here, **{"dpkg --compare-versions 1.20 lt 1.22.2": ""})
    assert aptget.choose([["nginx", "1.20"]], False)[1] == {"kind": "downgrade", "name": "nginx", "here": "1.22.2"}
    assert aptget.choose([["nginx", "1.20"]], True) == (["nginx=1.20"], None)
    assert aptget.choose([["nginx", None]], False) == (["nginx"], None)


def test_the_lists_are_fetched_only_where_something_is_amiss(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = answering(monkeypatch, apt_cache=MADISON, dpkg_query="", **{"apt-get install": "", "apt-get update": ""})
    assert aptget.bring([["nginx", None]], False) is None
    assert not [argv for argv in ran if argv[:2] == ("apt-get", "update")]
    assert aptget.bring([["hello", None]], False) == {"kind": "unknown", "name": "hello", "said": ""}
    assert [argv[1] for argv in ran if argv[0] == "apt-get"] == ["install", "update"]


def test_what_apt_said_last_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, apt_cache=MADISON, dpkg_query="", **{"apt-get update": ""})
    problem = aptget.bring([["nginx", None]], False)
    assert problem == {"kind": "failed", "command": "apt-get install", "code": 100, "said": "E: refused"}


def test_no_option_lets_apt_remove_or_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = answering(monkeypatch, apt_cache=MADISON, dpkg_query="", **{"apt-get install": ""})
    aptget.bring([["nginx", "1.20"]], True)
    (install,) = [argv for argv in ran if argv[:2] == ("apt-get", "install")]
    assert {"--yes", "--no-remove", "--no-install-recommends", "--allow-downgrades"} <= set(install)
    assert install[-1] == "nginx=1.20" and aptget.ENVIRONMENT["DEBIAN_FRONTEND"] == "noninteractive"


def test_what_is_held_is_changed_by_us_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And held again though it came to nothing."""
    here = "nginx\tinstalled\t1.22.1\nsl\tconfig-files\t5\n"
    ran = answering(monkeypatch, dpkg_query=here, apt_mark="")
    with pytest.raises(KeyError), aptget.held(["nginx", "sl"]):
        assert ran[-1] == ("apt-mark", "unhold", "nginx")
        raise KeyError
    assert ran[-1] == ("apt-mark", "hold", "nginx")


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock and policy of the test's own."""
    for name in ("OURS", "POLICY", "KEPT"):
        monkeypatch.setattr(aptget, name, str(tmp_path / name))


THERE = "kubelet\tinstalled\nkubeadm\tconfig-files\nkubectl\tnot-installed\n"


@pytest.mark.usefixtures("quiet")
def test_what_goes_goes_with_its_configuration_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Purg kubelet [1.34.2-1.1]\nRemv kubeadm [1]\n"
    ran = answering(monkeypatch, dpkg_query=THERE, **{"apt-get --simulate": said, "apt-get purge": ""})
    asked = {"packages": ["kubelet", "kubeadm", "kubectl", "absent"]}
    assert aptget.remove(asked) == {"removed": ["kubelet", "kubeadm"]}
    assert ran[-1][:2] == ("apt-get", "purge") and ran[-1][-2:] == ("kubelet", "kubeadm")
    more = said + "Remv shop [1]\n"
    ran = answering(monkeypatch, dpkg_query=THERE, **{"apt-get --simulate": more, "apt-get purge": ""})
    assert aptget.remove(asked) == {"removed": [], "needed": ["shop"]}
    assert not [argv for argv in ran if argv[:2] == ("apt-get", "purge")]


@pytest.mark.usefixtures("quiet")
def test_what_does_not_go_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, dpkg_query=THERE, **{"apt-get --simulate": ""})
    problem = {"kind": "failed", "command": "apt-get purge", "code": 100, "said": "E: refused"}
    assert aptget.remove({"packages": ["kubelet"]}) == {"removed": [], "problem": problem}
    assert aptget.remove({"packages": ["absent"]}) == {"removed": []}


def test_the_units_of_packages_are_found_among_their_files() -> None:
    listing = (
        "/.\n/lib/systemd/system\n/lib/systemd/system/nginx.service\n/usr/lib/systemd/system/a.timer\n"
        "/lib/systemd/system/mariadb@.service\n/lib/systemd/system/x.d/drop.conf\n/etc/init.d/nginx\n"
        "/usr/share/doc/lib/systemd/system/not.service\n"
    )
    assert aptget.units_of(listing) == ({"nginx.service", "a.timer"}, {"nginx"})


def test_nothing_starts_meanwhile_and_somebody_elses_policy_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, kept = tmp_path / "policy", tmp_path / "kept"
    monkeypatch.setattr(aptget, "POLICY", str(policy))
    monkeypatch.setattr(aptget, "KEPT", str(kept))
    with pytest.raises(KeyError), aptget.no_starts():
        assert subprocess.run([policy]).returncode == 101
        raise KeyError
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 7\n")
    policy.chmod(0o755)
    with aptget.no_starts():
        assert subprocess.run([policy]).returncode == 101
    assert subprocess.run([policy]).returncode == 7 and not kept.exists()
    policy.rename(kept)  # as a power cut in the middle leaves it
    policy.write_bytes(aptget.RULE)
    with aptget.no_starts():
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 7\n" and not kept.exists()


def test_who_holds_a_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert aptget.holder({"locks": [str(lock), str(tmp_path / "absent")]}) == {}
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('x', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"x\n"
        found = aptget.holder({"locks": [str(lock)]})
        assert found == {"pid": other.pid, "name": aptget.name_of(other.pid), "lock": str(lock)}
        other.communicate(b"\n")
    assert aptget.holder({"locks": [str(lock)]}) == {}
    with lock.open("w") as mine:  # our own is not in our own way
        fcntl.lockf(mine, fcntl.LOCK_EX)
        assert aptget.holder({"locks": [str(lock)]}) == {}


# what a person reads


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        (
            {"kind": "unknown", "name": "nginx", "said": "W: no"},
            NotFound,
            ["workloads.web", "knows no package", "W: no"],
        ),
        ({"kind": "version", "name": "nginx", "offered": ["1.20", "1.19"]}, NotFound, ["nginx=1.2*", "1.20, 1.19"]),
        ({"kind": "downgrade", "name": "nginx", "here": "1.30"}, Conflict, ["1.30", "downgrades"]),
        (
            {"kind": "failed", "command": "apt-get install", "code": 100, "said": "E: a\nE: b"},
            Rejected,
            ["100", "E: b"],
        ),
    ],
)
def test_every_problem_is_told_with_the_way_out(problem: Any, kind: type[AnytierError], words: list[str]) -> None:
    error = apt.explain(problem, {Package("nginx", "1.2*"): "workloads.web.host.packages[0]"}, "web1")
    assert type(error) is kind and error.do and all(word in str(error) for word in words)


class Manager:
    """A machine's packages, in memory. Like apt it refuses what it does not know."""

    def __init__(self, there: dict[str, str], offered: dict[str, str], problem: AnytierError | None = None) -> None:
        self.there, self.offered, self.problem = there, offered, problem
        self.asked: list[dict[str, str]] = []

    async def installed(self, machine: Any, names: Sequence[str]) -> dict[str, str]:
        return {name: self.there[name] for name in names if name in self.there}

    async def install(
        self, machine: Any, asked: Mapping[Package, str], downgrades: bool, told: Callable[[str], None]
    ) -> Installed:
        self.asked.append({str(item): path for item, path in asked.items()})
        added = [item.name for item in asked if item.name not in self.there and item.name in self.offered]
        self.there |= {item.name: self.offered[item.name] for item in asked if item.name in self.offered}
        return Installed(added, [f"{name}.service" for name in added], self.problem)


def inputs(*packages: str, **more: Any) -> PackagesInputs:
    by = {package: f"workloads.web.host.packages[{index}]" for index, package in enumerate(packages)}
    given = {"machine": SSH, "ns": "anytier-test-shop", "packages": list(packages), "wantedBy": by, **more}
    return PackagesInputs.model_validate(given)


def context() -> Context:
    return Context("urn:pulumi:dev::shop::x::y", "y", Sink())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager({"nginx": "1.22"}, {"hello": "2.10", "redis": "7.0"})

    async def manager_of(*_: Any) -> Manager:
        return made

    monkeypatch.setattr(module, "manager_of", manager_of)
    return made


async def test_only_what_is_missing_is_installed_and_recorded_as_ours(machine: Manager) -> None:
    wanted = inputs("hello", "nginx")
    id, made = await PackagesResource().create(context(), wanted)
    assert id == "web1:22|anytier-test-shop/packages"
    assert machine.asked == [{"hello": "workloads.web.host.packages[0]"}]
    assert made == PackagesOutputs(
        installed={"hello": "2.10", "nginx": "1.22"}, added=["hello"], disabled=["hello.service"]
    )
    again = await PackagesResource().update(context(), id, wanted, made, wanted)
    assert again == made and len(machine.asked) == 1


async def test_what_was_removed_behind_our_back_is_drift_and_is_brought_again(machine: Manager) -> None:
    wanted = inputs("hello", "nginx")
    id, made = await PackagesResource().create(context(), wanted)
    assert PackagesResource().drifted(wanted, made) == []
    del machine.there["hello"]
    seen = await PackagesResource().read(context(), id, wanted, made)
    assert seen is not None and PackagesResource().drifted(wanted, seen[1]) == ["packages"]
    assert seen[1].added == []
    assert (await PackagesResource().update(context(), id, wanted, seen[1], wanted)).added == ["hello"]


async def test_a_failure_half_way_records_what_was_added(machine: Manager) -> None:
    machine.problem = Rejected("packages of web1", "apt-get ended with 100", "mend it")
    ctx = context()
    with pytest.raises(Rejected, match="ended with 100"):
        await PackagesResource().create(ctx, inputs("hello", "absent"))
    assert ctx.last_made is not None
    assert ctx.last_made.outputs == PackagesOutputs(
        installed={"hello": "2.10"}, added=["hello"], disabled=["hello.service"]
    )
    before = context()
    machine.offered.clear()
    with pytest.raises(Rejected):
        await PackagesResource().create(before, inputs("absent"))
    assert before.last_made is None


async def test_what_is_no_longer_asked_for_and_what_is_destroyed_stays(machine: Manager) -> None:
    id, made = await PackagesResource().create(context(), inputs("hello", "redis"))
    less = await PackagesResource().update(context(), id, inputs("hello", "redis"), made, inputs("hello"))
    assert less.installed == {"hello": "2.10"} and less.added == ["hello", "redis"]
    ctx = context()
    await PackagesResource().delete(ctx, id, inputs("hello"), less)
    assert {"hello", "redis", "nginx"} <= machine.there.keys()
    assert "hello" in ctx._sink.lines[0] and "redis" not in ctx._sink.lines[0]  # type: ignore[attr-defined]


# tier local


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "status"
    file.write_text(STATUS)
    monkeypatch.setattr(deb, "STATUS", file)
    return file


LOCAL = {"machine": {"kind": "local"}}


async def test_what_is_there_is_fine_on_this_machine(database: Path) -> None:
    wanted = inputs("nginx=1.22.*", "redis", **LOCAL)
    assert PackagesResource().check(wanted) == []
    id, made = await PackagesResource().create(context(), wanted)
    assert made == PackagesOutputs(installed={"nginx": "1.22.1-9", "redis": "5:7.0.15"})
    assert await PackagesResource().read(context(), id, wanted, made) == (wanted, made)


async def test_what_is_missing_on_this_machine_is_an_error_of_the_preview_with_the_command(database: Path) -> None:
    wanted = inputs("hello", "nginx=1.23*", "redis", **LOCAL)
    (error,) = PackagesResource().check(wanted)
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert error.do == f"`{sudo}apt-get install --no-install-recommends hello 'nginx=1.23*'`"
    assert "hello, for workloads.web.host.packages[0]" in error.what and "(1.22.1-9 is there)" in error.what
    assert "redis" not in str(error)
    with pytest.raises(NotFound):
        await PackagesResource().create(context(), wanted)
    with pytest.raises(NotFound):
        PackagesResource().planned(PackagesOutputs(), wanted)


def test_a_machine_without_dpkg_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "STATUS", tmp_path / "absent")
    (error,) = PackagesResource().check(inputs("nginx", **LOCAL))
    assert "dpkg" in error.what and "overrides" in error.do


def test_another_machine_is_not_asked_in_a_preview_also_while_its_host_key_is_unknown() -> None:
    assert PackagesResource().check(inputs("nginx")) == []
    tree = {**inputs("nginx").wire(), "machine": {**SSH, "hostKey": UNKNOWN}}
    filled, failures = check(PackagesInputs, tree, PackagesResource().check)
    assert failures == []
    assert PackagesResource().planned(None, partial(PackagesInputs, plain(filled))) == {}


@given(st.text(max_size=12))
def test_the_plugin_takes_no_package_that_the_spec_would_not(text: str) -> None:
    tree = {"machine": SSH, "ns": "anytier-test-shop", "packages": [text]}
    _, failures = check(PackagesInputs, tree)
    try:
        parse(text)
    except NoPackage:
        assert failures and failures[0].path == ("packages", 0)
    else:
        assert failures == []
