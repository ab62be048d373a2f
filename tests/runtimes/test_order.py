"""What waits for what: dependsOn, jobs before and after, and what everything stands on."""

from __future__ import annotations

import pytest
from tests.runtimes.apps import PLACES, job, registered, spec, workload
from tests.runtimes.record import Recording

HTTP = {"ports": {"http": {"port": 80, "targetPort": 8080}}}
HEALTHY = {"condition": "healthy"}

both = pytest.mark.parametrize("place", PLACES)


def order(recording: Recording) -> dict[str, set[str]]:
    """Workload or job -> the workloads and jobs that come up before it."""
    ours = {item.name for item in recording.resources if item.type.endswith((":Workload", ":Job"))}
    return {name: recording.after(name) & ours for name in ours}


@both
def test_a_workload_waits_for_those_it_depends_on(place: str) -> None:
    app = spec(
        {
            "web": workload(dependsOn={"api": HEALTHY, "cache": HEALTHY}),
            "api": workload(dependsOn={"store": HEALTHY}),
            "cache": workload(),
            "store": workload(),
        }
    )
    assert order(registered(app, place)) == {
        "web": {"api", "cache", "store"},
        "api": {"store"},
        "cache": set(),
        "store": set(),
    }


@both
def test_jobs_before_come_before_all_workloads_and_jobs_after_after_all(place: str) -> None:
    jobs = {"migrate": job(), "seed": job(), "check": job() | {"trigger": "postDeploy"}}
    found = order(registered(spec({"web": workload(), "api": workload()}, jobs=jobs), place))
    assert found["web"] == found["api"] == {"job-migrate", "job-seed"}
    assert found["job-check"] == {"web", "api", "job-migrate", "job-seed"}
    assert found["job-migrate"] == found["job-seed"] == set()


@both
def test_a_job_before_that_needs_a_workload_runs_after_it_and_before_the_others(place: str) -> None:
    workloads = {
        "web": workload(),
        "store": workload(dependsOn={"disk": HEALTHY}),
        "disk": workload(),
    }
    jobs = {"migrate": job(dependsOn={"store": HEALTHY})}
    found = order(registered(spec(workloads, jobs=jobs), place))
    assert found["store"] == {"disk"} and found["disk"] == set()
    assert found["job-migrate"] == {"store", "disk"}
    assert found["web"] == {"job-migrate", "store", "disk"}


@both
def test_a_job_that_needs_another_jobs_workload_does_not_wait_for_that_job(place: str) -> None:
    workloads = {"web": workload(), "store": workload()}
    jobs = {"migrate": job(dependsOn={"store": HEALTHY}), "clear": job()}
    found = order(registered(spec(workloads, jobs=jobs), place))
    assert found["store"] == set() and found["job-clear"] == set()
    assert found["web"] == {"job-migrate", "job-clear", "store"}


@both
def test_a_job_after_runs_again_when_a_workload_has_a_new_revision(place: str) -> None:
    jobs = {"check": job() | {"trigger": "postDeploy"}, "migrate": job()}
    found = registered(spec({"web": workload(), "api": workload()}, jobs=jobs), place)
    assert found["job-check"].inputs["trigger"] == [3, 3]  # what the provider said are their revisions
    assert found["job-migrate"].inputs["trigger"] == []


@both
def test_everything_that_runs_stands_on_the_volumes_and_the_proxy(place: str) -> None:
    app = spec({"web": workload(service=HTTP)}, resources={"data": {"type": "volume"}}, jobs={"seed": job()})
    found = registered(app, place)
    base = {"anytier-dev-shop-data", "anytier-dev-shop-proxy"} | ({"anytier-dev-shop"} if place == "docker" else set())
    assert base <= found.after("web") and base <= found.after("job-seed")
    if place == "docker":
        assert found["anytier-dev-shop-proxy"].depends == ("anytier-dev-shop", "anytier-dev-shop-identity")
        others = [*found.of("docker:Image"), *found.of("docker:Volume")]
        assert others and all("anytier-dev-shop" in item.depends for item in others)


@both
def test_without_http_there_is_no_proxy(place: str) -> None:
    found = registered(spec({"db": workload(service={"ports": {"sql": {"port": 5432}}})}), place)
    assert found.of(f"{'docker' if place == 'docker' else 'host'}:Proxy") == []
    assert "proxy" not in found["db"].inputs and found["db"].inputs["pools"] == {}


@both
def test_the_components_stand_in_each_other(place: str) -> None:
    found = registered(spec(), place)
    parents = {item.type: item.parent for item in found.resources}
    kind = "Docker" if place == "docker" else "Host"
    assert parents["anytier:index:App"] == "anytier-dev"
    assert parents[f"anytier:runtime:{kind}"] == "shop"
    assert found["web"].parent == "shop"


def test_packages_come_before_all_that_runs_and_an_app_without_any_registers_none() -> None:
    host = {"command": ["run"], "packages": ["nginx"]}
    app = spec(
        {"web": workload(host=host), "api": workload()}, jobs={"once": job(host={**host, "packages": ["hello"]})}
    )
    found = registered(app, "local")
    (made,) = found.of("host:Packages")
    assert made.inputs["packages"] == ["hello", "nginx"]
    assert made.inputs["wantedBy"]["hello"] == "jobs.once.host.packages[0]"
    assert all(made.name in found.after(name) for name in ("web", "api", "job-once"))
    assert registered(spec(), "local").of("host:Packages") == []
    assert not [item for item in registered(app, "docker").resources if "Packages" in item.type]
