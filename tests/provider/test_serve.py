"""The plugin as a process, talked to as the engine talks: how it starts, how much it needs, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from tests.provider.inmemory import Place
from tests.provider.stack import ROOT, plugin_script

from anytier.provider import values

URN = "urn:pulumi:s::p::test:index:Group$anytier:test:Thing::"


@pytest.fixture
def plugin_file(tmp_path: Path) -> Path:
    return plugin_script(tmp_path)


@contextmanager
def running(file: Path, place: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    env = {**os.environ, "ANYTIER_TEST_PLACE": str(place)}
    process = subprocess.Popen([file, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def stub(port: int) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def create(name: str) -> provider_pb2.CreateRequest:
    return provider_pb2.CreateRequest(urn=URN + name, properties=values.write({"name": name, "tags": {"k": "v" * 100}}))


def memory(pid: int) -> float:
    """Resident MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def gone(pid: int, within: float) -> bool:
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_five_hundred_resources_in_little_memory(plugin_file: Path, tmp_path: Path) -> None:
    with running(plugin_file, tmp_path / "place") as (process, port), stub(port) as plugin:
        calls = [plugin.Create.future(create(f"t{index}")) for index in range(500)]
        assert {call.result().id for call in calls} == {f"t{index}" for index in range(500)}
        assert memory(process.pid) < 150


def test_after_cancel_an_interrupt_ends_it_at_once(plugin_file: Path, tmp_path: Path) -> None:
    with running(plugin_file, tmp_path / "place") as (process, port), stub(port) as plugin:
        plugin.Cancel(Empty())
        with pytest.raises(grpc.RpcError, match="cancelled before it began"):
            plugin.Create(create("a"))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
        assert (process.returncode, out, err) == (0, "", "")
        assert time.monotonic() - began < 1


def test_an_interrupt_waits_for_cancel_and_work_is_recorded(plugin_file: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.faults("slow")
    with running(plugin_file, place.root) as (process, port), stub(port) as plugin:
        call = plugin.Create.future(create("a"))
        while place.get("a") is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)  # Ctrl-C goes to the whole process group
        time.sleep(0.3)
        assert not call.done()
        plugin.Cancel(Empty())
        error: Any = call.exception()
        assert error.code() == grpc.StatusCode.ABORTED
        assert "cancelled" in error.details()
        assert any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata())
        assert process.wait(timeout=5) == 0


def test_it_does_not_outlive_the_engine(plugin_file: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.faults("slow")
    script = f"{plugin_file} & echo pid $!; wait"
    env = {**os.environ, "ANYTIER_TEST_PLACE": str(place.root)}
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, env=env) as engine:
        assert engine.stdout is not None
        lines = [engine.stdout.readline() for _ in range(2)]
        pid = next(int(line.split()[1]) for line in lines if line.startswith("pid"))
        engine.kill()
        assert gone(pid, within=6)


def test_strangers_are_refused_in_one_line(plugin_file: Path, tmp_path: Path) -> None:
    with running(plugin_file, tmp_path / "place") as (_, port), stub(port) as plugin:
        with pytest.raises(grpc.RpcError, match="anytier has no resource anytier:test:Thin; did you mean"):
            plugin.Create(provider_pb2.CreateRequest(urn="urn:pulumi:s::p::anytier:test:Thin::a"))
        with pytest.raises(grpc.RpcError, match="anytier has no function anytier:test:f"):
            plugin.Invoke(provider_pb2.InvokeRequest(tok="anytier:test:f"))


def test_the_protocol_comes_without_the_sdk_and_the_sdk_still_works() -> None:
    code = """
        import sys
        from anytier.provider.protocol import import_alone
        import_alone()
        import anytier.provider.serve
        assert "pulumi" not in sys.modules
        import pulumi
        from pulumi.runtime.proto import provider_pb2
        assert provider_pb2 is sys.modules["pulumi.runtime.proto.provider_pb2"]
        assert pulumi.Output and pulumi.runtime.settings
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT / "components")}
    program = "\n".join(line.strip() for line in code.splitlines())
    subprocess.run([sys.executable, "-c", program], check=True, env=env)


def test_the_launcher_starts_the_plugin(tmp_path: Path) -> None:
    link = tmp_path / "pulumi-resource-anytier"
    link.symlink_to(ROOT / "bin" / "pulumi-resource-anytier")
    (tmp_path / "grpc.py").write_text("raise SystemExit('the project's own file was imported')")
    env = {"PATH": os.environ["PATH"], "VIRTUAL_ENV": sys.prefix}
    shown = subprocess.run([link, "--version"], check=True, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert shown.stdout.count(".") == 2
