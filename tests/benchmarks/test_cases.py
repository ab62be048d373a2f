"""The pure parts of the benchmarks, and that what they deploy is what they say."""

from __future__ import annotations

import os
import signal
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from anytier.spec.load import diagnose
from benchmarks import __main__ as bench
from benchmarks import machine
from benchmarks.cases import proxy, replicas, validate
from benchmarks.measure import CommandFailed
from benchmarks.programs import BOMBARDIER, COMPOSE, PEBBLE, TOFU, TOFU_LIBVIRT, Program, pinned
from benchmarks.registry import CASES


@pytest.mark.parametrize("name", CASES)
def test_every_benchmark_is_where_the_registry_says(name: str) -> None:
    module, _, function = CASES[name][0].partition(":")
    assert callable(getattr(import_module(module), function))


def test_the_large_spec_is_valid_and_as_large_as_it_says(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(validate.spec(12)))
    app, found = diagnose(file)
    assert found == []
    assert app is not None
    assert len(app.workloads) == 12
    assert app.workloads["w0011"].containers["main"].variables["PEER"].startswith("http://${workloads.w0010")


def test_growth_leaves_the_start_out() -> None:
    samples = {1: [0.5, 0.6], 1000: [1.5], 2000: [2.5]}
    assert validate.growth(samples).ratio == pytest.approx(2.0)
    assert validate.growth(samples).verdict == "met"
    assert validate.growth({**samples, 2000: [3.5]}).verdict == "missed"


def test_both_sides_of_the_replicas_are_the_same_thing() -> None:
    app, found = diagnose(replicas.spec(50))
    assert app is not None and found == []
    ours = app.workloads["app"].containers["app"]
    service = yaml.safe_load(yaml.safe_dump(replicas.compose_file(50)))["services"]["app"]
    theirs = [part.replace("$$", "$") for part in [*service["entrypoint"], *service["command"]]]
    assert [*ours.command, *ours.args] == theirs
    assert ours.image == service["image"]
    assert app.workloads["app"].scale.replicas == service["deploy"]["replicas"]


def test_the_fast_instance_of_the_proxys_benchmark_is_valid() -> None:
    app, found = diagnose(proxy.FAST.replace("$CADDY", "/x/caddy"))
    assert app is not None and found == []


def test_an_answer_that_is_no_answer_makes_no_rate() -> None:
    good = {"req1xx": 0, "req2xx": 100, "req3xx": 0, "req4xx": 0, "req5xx": 0, "others": 0, "timeTakenSeconds": 2.0}
    assert proxy.rate_in(good, "u") == 50
    for wrong in ({"req5xx": 1}, {"others": 1}, {"req2xx": 0}):
        with pytest.raises(CommandFailed, match="did not always answer"):
            proxy.rate_in({**good, **wrong}, "u")


@pytest.mark.parametrize("program", [COMPOSE, BOMBARDIER, PEBBLE, TOFU, TOFU_LIBVIRT], ids=lambda program: program.name)
def test_programs_are_pinned_with_every_hash(program: Program) -> None:
    version = pinned(program, (program.folder / "go.mod").read_text())
    assert version.startswith("v")
    assert f"{program.module} {version} h1:" in (program.folder / "go.sum").read_text()


def test_a_module_that_pins_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="does not pin"):
        pinned(COMPOSE, "module x\n\ngo 1.24\n")


def test_the_machine_is_told_without_its_name() -> None:
    assert machine.processor("processor: 0\nmodel name\t: Some CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert machine.memory("MemTotal:        8041112 kB\n") == 8
    assert machine.machine().keys() == {"cores", "processor", "memory GiB", "kernel", "python"}


def test_one_that_a_time_limit_ends_takes_down_what_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken_down: list[str] = []

    def measured(name: str, options: object, commit: str) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            taken_down.append(name)

    monkeypatch.setattr(bench, "measured", measured)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert bench.main(["--quick", "--only", "help"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert taken_down == ["help"]
