"""Jobs: by schedule, by hand, before and after; and when one runs again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.render.kubernetes.samples import finished, objects, rendered, spec, workload

from anytier.render.kubernetes.jobs import schedule


def job(**more: Any) -> dict[str, Any]:
    return objects(spec(jobs={"j": workload(**more)}))["job/j"]


def test_a_schedule_is_a_cron_job() -> None:
    made = job(schedule="@daily", timeZone="Europe/Berlin", concurrencyPolicy="Replace", backoffLimit=1, timeout="1h")
    assert made["kind"] == "CronJob"
    spec_ = made["spec"]
    assert (spec_["schedule"], spec_["timeZone"], spec_["concurrencyPolicy"]) == ("@daily", "Europe/Berlin", "Replace")
    assert spec_["jobTemplate"]["spec"]["backoffLimit"] == 1
    pod = spec_["jobTemplate"]["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["activeDeadlineSeconds"]) == ("Never", 3600)


def test_a_job_has_time_for_all_of_its_runs() -> None:
    made = job(trigger="preDeploy", backoffLimit=2, timeout=30)["spec"]
    assert made["template"]["spec"]["activeDeadlineSeconds"] == 30
    assert made["activeDeadlineSeconds"] == 3 * 30 + 10 + 20 + 120


def test_by_hand_is_a_suspended_cron_job() -> None:
    assert job()["spec"]["suspend"] is True and job(schedule="@daily")["spec"]["timeZone"] == "Etc/UTC"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0 3 * * 7", "0 3 * * 0"),
        ("0 3 * * 5-7", "0 3 * * 5,6,0"),
        ("0 3 * * 1,7", "0 3 * * 1,0"),
        ("0 3 * * sat-7", "0 3 * * 6,0"),
        ("0 3 * * 1-7/3", "0 3 * * 1,4,0"),
        ("0 3 * * 1-5", "0 3 * * 1-5"),
        ("*/7 7 7 7 *", "*/7 7 7 7 *"),
        ("@weekly", "@weekly"),
    ],
)
def test_sunday_is_0(text: str, wanted: str) -> None:
    assert schedule(text) == wanted


@given(st.integers(0, 7), st.integers(0, 7), st.integers(1, 4))
def test_the_days_stay_the_same(low: int, high: int, step: int) -> None:
    low, high = sorted((low, high))
    part = schedule(f"0 0 * * {low}-{high}/{step}").split(" ")[4]
    found: set[int] = set()
    for item in part.split(","):
        span, _, every = item.partition("/")
        first, _, last = span.partition("-")
        found |= {day % 7 for day in range(int(first), int(last or first) + 1, int(every or 1))}
    assert found == {day % 7 for day in range(low, high + 1, step)} and "7" not in part


def test_a_job_before_runs_again_when_it_changes_and_only_then() -> None:
    def name(image: str, job_image: str) -> str:
        jobs = {"j": workload({"image": job_image}, trigger="preDeploy")}
        found: str = objects(spec({"web": workload({"image": image})}, jobs=jobs))["job/j"]["metadata"]["name"]
        return found

    assert name("x", "a") == name("y", "a") != name("x", "b")


def test_a_job_after_runs_again_with_every_revision() -> None:
    secrets = {"one": {"from": "config"}}
    jobs = {"j": workload(trigger="postDeploy")}

    def made(image: str, value: str) -> dict[str, Any]:
        app = spec({"web": workload({"image": image, "secrets": {"A": "one"}})}, jobs=jobs, secrets=secrets)
        return finished(rendered(app)["job/j"].object, **{"secrets.one": value})

    first = made("x", "1")
    assert first["kind"] == "Job" and first["metadata"]["name"].startswith("j-")
    assert len({made("x", "1")["metadata"]["name"], made("y", "1")["metadata"]["name"]}) == 2
    assert made("x", "2")["metadata"]["name"] != first["metadata"]["name"]
    assert made("x", "2")["spec"] == first["spec"], "the secret is another workload's"


def test_the_order_is_the_specs() -> None:
    app = spec(
        {"db": workload(), "web": workload(dependsOn={"db": {}}), "other": workload()},
        jobs={"pre": workload(trigger="preDeploy", dependsOn={"db": {}}), "post": workload(trigger="postDeploy")},
    )
    found = rendered(app)
    assert "db" in found["job/pre"].after and "job/pre" not in found["db"].after
    assert {"db", "job/pre"} <= set(found["web"].after) and "job/pre" in found["other"].after
    assert {"db", "web", "other"} <= set(found["job/post"].after)
    assert found["job/pre"].waits == "job"
