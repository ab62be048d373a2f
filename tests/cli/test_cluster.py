"""`anytier cluster`: what it finds in a stack's state, and how it leaves a file with the admin's key."""

from __future__ import annotations

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anytier.cli import __main__ as frame
from anytier.cli import cluster, stack
from anytier.errors import ConfigError, Conflict, Denied, NotFound

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
KUBECONFIG = "apiVersion: v1\nkind: Config\n"


def sealed(value: Any) -> dict[str, Any]:
    return {**MARK, "plaintext": json.dumps(value)}


def resource(kind: str, name: str, **outputs: Any) -> dict[str, Any]:
    machine = {"kind": "ssh", "address": "10.0.0.11", "privateKey": sealed("the key")}
    inputs = {"name": name, "cluster": "anytier-dev", "machine": machine, "encryptionKey": sealed("x")}
    urn = f"urn:pulumi:dev::p::anytier:kubeadm:{kind}::{name}"
    return {"type": f"anytier:kubeadm:{kind}", "urn": urn, "inputs": inputs, "outputs": outputs}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found = [resource("ControlPlane", "cp", kubeconfig=sealed(KUBECONFIG)), resource("Worker", "w1")]
    monkeypatch.setattr(stack, "stack_state", lambda name, secrets=False: {"resources": found})
    monkeypatch.setattr(stack, "project_dir", lambda start=None: Path(__file__).parents[2])
    return found


def test_a_cluster_is_found_in_the_state_with_what_is_sealed_opened(state: list[dict[str, Any]]) -> None:
    found = cluster.cluster_of("dev")
    assert found["kubeconfig"] == KUBECONFIG and found["nodes"] == ["cp", "w1"]
    assert found["machine"]["privateKey"] == "the key" and "encryptionKey" not in found


def test_a_stack_without_a_cluster_is_told_from_one_that_is_not_there(state: list[dict[str, Any]]) -> None:
    del state[0]["outputs"]["kubeconfig"]
    with pytest.raises(NotFound, match="is not up"):
        cluster.cluster_of("dev")
    state[:] = [{"type": "anytier:host:Workload", "urn": "x::web"}]
    with pytest.raises(ConfigError, match="makes no cluster"):
        cluster.cluster_of("dev")
    state.clear()
    with pytest.raises(NotFound):
        cluster.cluster_of("dev")


def test_the_kubeconfig_is_for_its_owner_alone_and_replaces_nothing_unasked(
    state: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config"
    assert frame.main(["cluster", "kubeconfig", "-s", "dev", "-o", str(file)]) == 0
    assert file.read_text() == KUBECONFIG and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KUBECONFIG not in capsys.readouterr().out
    file.write_text("mine")
    assert frame.main(["cluster", "kubeconfig", "-s", "dev", "-o", str(file)]) == 1
    assert file.read_text() == "mine" and "is there already" in capsys.readouterr().err
    assert frame.main(["cluster", "kubeconfig", "-s", "dev", "-o", str(file), "--force"]) == 0
    assert file.read_text() == KUBECONFIG and [item.name for item in tmp_path.iterdir()] == ["config"]
    assert frame.main(["cluster", "kubeconfig", "-s", "dev"]) == 0
    assert capsys.readouterr().out.endswith(KUBECONFIG)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Denied):
        cluster.write(tmp_path / "none" / "config", "x", False)
    with pytest.raises(Conflict):
        cluster.write(tmp_path, "x", True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    with pytest.raises(Conflict):
        cluster.write(link, "x", False)
    cluster.write(link, "x", True)
    assert not link.is_symlink() and not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "line",
    [["status", "-s", "dev", "-o", "x"], ["status", "-s", "dev", "--force"], ["kubeconfig", "-s", "dev", "--json"]],
)
def test_an_option_of_the_other_action_is_wrong_usage(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["cluster", *line]) == 2
    assert "goes with" in capsys.readouterr().err


class Half(BaseHTTPRequestHandler):
    """An API server that answers, whose etcd is not well."""

    def do_GET(self) -> None:
        node = {"metadata": {"name": "cp"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        path, _, query = self.path.partition("?")
        answers = {
            "/version": (200, json.dumps({"gitVersion": "v1.34.2"})),
            "/api/v1/nodes": (200, json.dumps({"items": [node]})),
            "/readyz": (500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"),
        }
        code, text = answers[path]
        assert path != "/readyz" or "verbose" in query
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_cluster_that_is_half_dead_is_told_as_what_it_is(
    state: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Half)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        state[0]["outputs"]["kubeconfig"] = sealed(kubeconfig(f"http://127.0.0.1:{server.server_port}"))
        state[0]["inputs"]["machine"] = {"kind": "ssh", "address": "127.0.0.1", "port": 1, "user": "root"}
        assert frame.main(["cluster", "status", "-s", "dev", "--json"]) == 1
    finally:
        server.shutdown()
        server.server_close()
    found = json.loads(capsys.readouterr().out)
    assert found["api"] == {"ready": False, "failing": ["etcd"]} and found["etcd"] == {"healthy": False}
    assert [(item["name"], item["state"]) for item in found["nodes"]] == [("cp", "ready"), ("w1", "missing")]
    assert "127.0.0.1:1" in found["certificatesUnread"] and found["healthy"] is False


def kubeconfig(server: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    return json.dumps(config)


def test_a_cluster_that_does_not_answer_is_an_error_that_names_it(
    state: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its API server and its machine are both at ports on which nobody listens."""
    state[0]["outputs"]["kubeconfig"] = sealed(kubeconfig("https://127.0.0.1:1"))
    state[0]["inputs"]["machine"] = {"kind": "ssh", "address": "127.0.0.1", "port": 1, "user": "root"}
    assert frame.main(["cluster", "status", "-s", "dev"]) == 1
    said = capsys.readouterr()
    assert "cluster https://127.0.0.1:1: does not answer" in said.err and not said.out
