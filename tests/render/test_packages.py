"""The packages of an app: one list for its machine, each with who asks for it; two versions of one are refused."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.render.packages import packages_of
from anytier.spec import App, diagnose_bytes

HEAD = "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: shop}\n"


def app(workloads: dict[str, list[str]], jobs: dict[str, list[str]] | None = None) -> App:
    def bodies(of: dict[str, list[str]]) -> dict[str, Any]:
        return {name: {"host": {"command": ["run"], "packages": packages}} for name, packages in of.items()}

    data = {"metadata": {"name": "shop"}, "workloads": bodies(workloads), "jobs": bodies(jobs or {})}
    return App.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


def test_all_that_workloads_and_jobs_need_is_one_list_by_name() -> None:
    found = packages_of(app({"web": ["nginx"], "api": ["python3-pymysql"]}, {"migrate": ["python3-pymysql", "hello"]}))
    assert found == {
        "hello": "jobs.migrate.host.packages[1]",
        "nginx": "workloads.web.host.packages[0]",
        "python3-pymysql": "workloads.api.host.packages[0]",
    }


def test_one_with_a_version_covers_one_without() -> None:
    wanted = {"nginx=1.22.*": "workloads.api.host.packages[0]"}
    assert packages_of(app({"web": ["nginx"], "api": ["nginx=1.22.*"]})) == wanted
    assert packages_of(app({"api": ["nginx=1.22.*"], "web": ["nginx"]})) == wanted


def test_an_app_without_packages_needs_none() -> None:
    assert packages_of(app({"web": []})) == {}


@pytest.mark.parametrize(
    ("first", "second", "path", "words"),
    [
        ("[nginx=1.22.*]", "[hello, nginx=1.23.*]", "workloads.b.host.packages[1]", "workloads.a.host.packages[0]"),
        ("[nginx, nginx=1.2]", "[]", "workloads.a.host.packages[1]", "twice"),
        ("['nginx; reboot']", "[]", "workloads.a.host.packages[0]", "is not a package"),
        ("[nginx-]", "[]", "workloads.a.host.packages[0]", "is not a package"),
    ],
)
def test_what_cannot_be_installed_is_told_with_its_place(first: str, second: str, path: str, words: str) -> None:
    rows = "".join(
        f"  {name}: {{host: {{command: [run], packages: {packages}}}}}\n"
        for name, packages in (("a", first), ("b", second))
    )
    _, found = diagnose_bytes(f"{HEAD}workloads:\n{rows}".encode(), "app.yaml")
    (one,) = found
    assert one.path == path and words in one.what and one.do and one.severity == "error"


def test_the_same_version_twice_is_no_conflict() -> None:
    text = f"{HEAD}workloads:\n" + "".join(
        f"  {name}: {{host: {{command: [run], packages: [nginx=1.2]}}}}\n" for name in "ab"
    )
    assert diagnose_bytes(text.encode(), "app.yaml")[1] == []
