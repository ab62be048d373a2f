"""`anytier validate` as a process: all mistakes at once, in their places, for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.console import ANYTIER, anytier

from anytier.capabilities import TIERS

PROJECT = Path(__file__).parents[2]
BAD = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers:
      web: {image: NGINX, variables: {API_TOKEN: [hunter2]}}
    scale: {replica: 2}
    dependsOn: {stroe: {condition: healthy}}
  store:
    containers: {store: {image: nginx}}
"""
LIMITED = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers: {web: {image: nginx, resources: {limits: {cpu: 100m}}}}
    host: {command: [python3, -V]}
    placement: {hosts: [a]}
"""


def spec(tmp_path: Path, text: str, name: str = "app.yaml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_every_mistake_is_told_at_once_in_its_place_with_a_way_out(tmp_path: Path) -> None:
    spec(tmp_path, BAD)
    done = anytier("validate", "app.yaml", cwd=tmp_path)
    assert done.code == 1 and not done.err
    for line in (
        "app.yaml:7:20: error: workloads.web.containers.web.image: 'NGINX' has upper-case letters in its name",
        " 8 |     scale: {replica: 2}",
        "   |             ^^^^^^^",
        "app.yaml:9:17: error: workloads.web.dependsOn.stroe: there is no workload 'stroe' (did you mean 'store'?)",
        "app.yaml: 4 errors",
    ):
        assert line in done.out.splitlines(), done.out
    assert "(did you mean 'replicas'?)" in done.out


def test_a_value_that_may_be_a_secret_is_never_shown(tmp_path: Path) -> None:
    spec(tmp_path, BAD)
    for form in ([], ["--json"]):
        done = anytier("validate", *form, "app.yaml", cwd=tmp_path)
        assert "variables.API_TOKEN" in done.out
        assert "hunter2" not in done.out + done.err


def test_what_a_program_gets_is_the_same_and_nothing_else(tmp_path: Path) -> None:
    spec(tmp_path, BAD)
    done = anytier("validate", "--json", "app.yaml", cwd=tmp_path)
    found = json.loads(done.out)
    assert done.code == 1 and len(found) == 4
    keys = ["file", "line", "column", "path", "code", "what", "do", "severity"]
    assert all(list(item) == keys for item in found)
    (replica,) = (item for item in found if item["path"] == "workloads.web.scale.replica")
    assert (replica["file"], replica["line"], replica["column"]) == ("app.yaml", 8, 13)
    assert (replica["code"], replica["severity"]) == ("spec", "error") and "replicas" in replica["do"]


def test_good_files_say_so(tmp_path: Path) -> None:
    apps = sorted(str(path) for path in PROJECT.glob("apps/*/app.yaml"))
    done = anytier("validate", *apps)
    assert (done.code, done.out) == (0, f"{len(apps)} files: no mistakes\n")
    assert json.loads(anytier("validate", "--json", *apps).out) == []


def test_files_are_told_apart(tmp_path: Path) -> None:
    spec(tmp_path, BAD, "bad.yaml")
    spec(tmp_path, LIMITED, "good.yaml")
    done = anytier("validate", "good.yaml", "bad.yaml", "good.yaml", cwd=tmp_path)
    assert done.code == 1 and done.out.endswith("\n2 files: 4 errors\n")


def test_a_field_that_the_tier_does_not_carry_is_told_in_its_place(tmp_path: Path) -> None:
    spec(tmp_path, LIMITED)
    assert anytier("validate", "app.yaml", cwd=tmp_path).code == 0
    done = anytier("validate", "--json", "--tier", "docker", "app.yaml", cwd=tmp_path)
    assert done.code == 1
    (found,) = json.loads(done.out)
    assert (found["path"], found["line"], found["column"]) == ("workloads.web.placement.hosts", 8, 17)
    assert found["code"] == "capability" and "not supported on tier docker" in found["what"] and found["do"]


def test_a_field_that_only_a_mode_of_the_tier_refuses_is_a_warning(tmp_path: Path) -> None:
    spec(tmp_path, LIMITED.replace("    placement: {hosts: [a]}\n", ""))
    done = anytier("validate", "--json", "--tier", "local", "app.yaml", cwd=tmp_path)
    (found,) = json.loads(done.out)
    assert done.code == 0
    assert found["severity"] == "warning" and "only where supervisord runs it" in found["what"]


def test_an_override_for_the_tier_is_taken_into_account_and_is_where_it_is_told(tmp_path: Path) -> None:
    base = LIMITED.replace("    placement: {hosts: [a]}\n", "")
    spec(tmp_path, base + "overrides: {docker: {workloads: {web: {placement: {hosts: [b]}}}}}\n")
    done = anytier("validate", "--json", "--tier", "docker", "app.yaml", cwd=tmp_path)
    assert [(item["path"], item["line"]) for item in json.loads(done.out)] == [
        ("overrides.docker.workloads.web.placement.hosts", 8)
    ]
    spec(tmp_path, LIMITED + "overrides: {docker: {workloads: {web: {placement: null}}}}\n")
    assert anytier("validate", "--tier", "docker", "app.yaml", cwd=tmp_path).code == 0


def test_an_unknown_tier_is_wrong_usage(tmp_path: Path) -> None:
    spec(tmp_path, LIMITED)
    done = anytier("validate", "--tier", "dcoker", "app.yaml", cwd=tmp_path)
    assert done.code == 2 and "(did you mean 'docker'?)" in done.err


def test_a_stack_brings_its_app_and_its_tier() -> None:
    done = anytier("validate", "-s", "docker", cwd=PROJECT)
    assert (done.code, done.out) == (0, "2 files: no mistakes\n")
    done = anytier("validate", "-s", "dcoker", cwd=PROJECT)
    assert done.code == 1 and "(did you mean 'docker'?)" in done.err


def test_a_stacks_own_mistakes_are_told_in_their_places_together_with_those_of_its_app(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
    (tmp_path / "sub").mkdir()
    spec(tmp_path, BAD)
    spec(tmp_path, STACK, "Pulumi.s.yaml")
    done = anytier("validate", "-s", "s", "--json", cwd=tmp_path / "sub")
    found = [(item["file"], item["line"], item["path"], item["code"]) for item in json.loads(done.out)]
    assert done.code == 1 and found[:4] == [
        ("../Pulumi.s.yaml", 1, "anytier:tier", "config"),
        ("../Pulumi.s.yaml", 3, "anytier:port", "config"),
        ("../Pulumi.s.yaml", 4, "anytier:prot", "config"),
        ("../Pulumi.s.yaml", 6, "anytier:scale.web", "config"),
    ]
    assert {item[0] for item in found[4:]} == {"../app.yaml"} and len(found) == 8
    told = anytier("validate", "-s", "s", cwd=tmp_path)
    assert " 3 |   anytier:port: 80abc\n   |                 ^^^^^\n" in told.out
    assert told.out.endswith("2 files: 8 errors\n") and "hunter2" not in told.out


STACK = """\
config:
  anytier:app: app.yaml
  anytier:port: 80abc
  anytier:prot: 1
  anytier:scale:
    web: -1
"""


def test_a_score_file_is_a_spec_too(tmp_path: Path) -> None:
    text = "apiVersion: score.dev/v1b1\nmetadata: {name: hello}\ncontainers: {web: {image: nginx, commands: [a]}}\n"
    spec(tmp_path, text, "score.yaml")
    done = anytier("validate", "score.yaml", cwd=tmp_path)
    assert done.code == 1 and "score.yaml:3:" in done.out and "'command'" in done.out
    spec(tmp_path, text.replace("commands", "command"), "score.yaml")
    assert anytier("validate", "score.yaml", cwd=tmp_path).code == 0


DATABASE = """\
apiVersion: score.dev/v1b1
metadata: {name: hello}
containers: {web: {image: nginx, variables: {DB: "${resources.db.host}"}}}
resources:
  db: {type: postgres, params: {version: 16}}
"""


def test_a_field_that_no_tier_carries_is_a_warning_and_an_error_of_each_tier(tmp_path: Path) -> None:
    spec(tmp_path, DATABASE, "score.yaml")
    done = anytier("validate", "--json", "score.yaml", cwd=tmp_path)
    (found,) = json.loads(done.out)
    assert done.code == 0
    assert (found["path"], found["line"], found["column"]) == ("resources.db.type", 5, 14)
    assert (found["code"], found["severity"]) == ("capability", "warning")
    assert found["what"] == "is carried by no tier: only `volume` is built" and found["do"]
    for tier in TIERS:
        done = anytier("validate", "--json", "--tier", tier, "score.yaml", cwd=tmp_path)
        (found,) = (item for item in json.loads(done.out) if item["severity"] == "error")
        assert done.code == 1 and (found["path"], found["code"]) == ("resources.db.type", "capability")


def test_what_some_tier_carries_is_no_warning_without_a_tier(tmp_path: Path) -> None:
    spec(tmp_path, LIMITED + "resources: {data: {type: volume, params: {size: 2Gi}}}\n")
    assert anytier("validate", "--json", "app.yaml", cwd=tmp_path).out == "[]\n"
    done = anytier("validate", "--json", "--tier", "docker", "app.yaml", cwd=tmp_path)
    assert "resources.data.params" in [item["path"] for item in json.loads(done.out)]


def test_standard_input_is_a_file_too() -> None:
    done = anytier("validate", "-", stdin=BAD.encode())
    assert done.code == 1 and "-:8:13: error:" in done.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n# nothing\n", "the file is empty"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "is not UTF-8"),
        (b"\x00\x01\x02", "control character"),
        (b"a: [1, 2\nb: 3\n", "is not YAML"),
        (b"a: &a [*a]\n", ""),
        (b"\xff\xfea\x00", "is not UTF-8"),
        (b"- a\n", "must be a mapping"),
    ],
    ids=["empty", "comments", "binary", "nul", "broken", "endless", "utf-16", "list"],
)
def test_what_is_no_spec_is_said_plainly(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "app.yaml").write_bytes(content)
    done = anytier("validate", "app.yaml", cwd=tmp_path)
    assert done.code == 1 and "app.yaml:" in done.out and said in done.out
    assert done.out.endswith("1 error\n")


def test_what_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("missing.yaml", "folder", "a\x01b"):
        done = anytier("validate", name, cwd=tmp_path)
        assert done.code == 1 and "error: cannot be read: " in done.out and "  -> " in done.out
    assert "\x01" not in done.out


def test_no_file_is_wrong_usage() -> None:
    assert anytier("validate").code == 2


def big(workloads: int) -> bytes:
    head = "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: big}\nworkloads:\n"
    body = """\
  w{0}:
    containers:
      web:
        image: nginx:1.27
        variables: {{A: "1", B: "${{workloads.w{1}.host}}"}}
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}}}
        resources: {{requests: {{cpu: 100m, memory: 32Mi}}, limits: {{memory: 64Mi}}}}
    service: {{ports: {{http: {{port: 80, targetPort: 8080}}}}}}
    scale: {{replicas: 2}}
"""
    return (head + "".join(body.format(i, (i + 1) % workloads) for i in range(workloads))).encode()


def cpu_seconds(file: Path) -> float:
    """CPU time of the whole process: how busy the machine is does not matter."""

    def once() -> float:
        child = subprocess.Popen([str(ANYTIER), "validate", str(file)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return usage.ru_utime + usage.ru_stime

    return min(once() for _ in range(2))


def test_a_thousand_workloads_take_less_than_two_seconds_and_time_grows_linearly(tmp_path: Path) -> None:
    taken = {}
    for count in (250, 1000):
        file = tmp_path / f"{count}.yaml"
        file.write_bytes(big(count))
        taken[count] = cpu_seconds(file)
    assert taken[1000] < 2
    assert taken[1000] < 5 * taken[250]
