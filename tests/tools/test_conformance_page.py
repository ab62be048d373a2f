"""The page of results: what a run says, and that a column can be added beside those of other days."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "conformance_page.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    import sys

    spec = spec_from_file_location("conformance_page", TOOL)
    assert spec and spec.loader
    module = sys.modules["conformance_page"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(
    tier: str, *checks: tuple[str, str, float], mode: str | None = None, date: str = "2026-01-02"
) -> dict[str, Any]:
    listed = [
        {"id": id, "title": f"about {id}", "status": status, "seconds": seconds, "evidence": "a.b: cannot"}
        for id, status, seconds in checks
    ]
    counts = {status: sum(item["status"] == status for item in listed) for status in ("pass", "fail", "unsupported")}
    environment = {"tier": tier, "mode": mode, "date": f"{date}T00:00:00", "stack": "s", "pulumi": "v1"}
    return {"environment": environment, "counts": counts, "seconds": 12.3, "checks": listed}


LOCAL = run("local", ("env", "pass", 0.2), ("grpc", "unsupported", 0.0), mode="systemd")
DOCKER = run("docker", ("env", "fail", 2.4), ("grpc", "pass", 0.0))


def test_a_row_a_check_and_a_column_a_run(tool: Any) -> None:
    assert tool.table([tool.column(LOCAL), tool.column(DOCKER)]).splitlines() == [
        "| check | what is proved | `local`, systemd | `docker` |",
        "|---|---|---|---|",
        "| `env` | about env | passes | **fails**, 2 s |",
        "| `grpc` | about grpc | unsupported | passes |",
        "",
        "- `local`, systemd: 1 passed, 1 unsupported; 12 s on 2026-01-02 with pulumi v1.",
        "  - `grpc` is unsupported: a.b: cannot",
        "- `docker`: 1 passed, 1 failed; 12 s on 2026-01-02 with pulumi v1.",
    ]


def test_a_column_is_added_with_its_own_date_and_the_others_stay(tool: Any) -> None:
    text = tool.table([tool.column(LOCAL), tool.column(DOCKER)])
    libvirt = tool.column(run("libvirt", ("env", "pass", 9.0), date="2026-03-04"))
    added = tool.table(tool.joined(tool.columns(text), [libvirt]))
    assert added.splitlines()[2:4] == [
        "| `env` | about env | passes | **fails**, 2 s | passes, 9 s |",
        "| `grpc` | about grpc | unsupported | passes | not run |",
    ]
    assert "12 s on 2026-01-02" in added and "12 s on 2026-03-04" in added
    assert added.count("is unsupported") == 1


def test_a_run_takes_the_place_of_the_column_with_its_name(tool: Any) -> None:
    text = tool.table([tool.column(LOCAL), tool.column(DOCKER)])
    again = tool.column(run("docker", ("env", "pass", 0.1), ("grpc", "pass", 0.1), date="2026-03-04"))
    found = tool.joined(tool.columns(text), [again])
    assert [item.name for item in found] == ["`local`, systemd", "`docker`"]
    assert "**fails**" not in tool.table(found)


def test_the_page_itself_is_read_back_as_it_is(tool: Any) -> None:
    written = tool.block(tool.PAGE.read_text())
    assert tool.table(tool.columns(written)) + "\n" == written
