"""What must be up before what: dependsOn, and jobs that run before or after the workloads. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from anytier.spec import App


def workload_order(app: App) -> list[str]:
    """The workloads' names, each after those it depends on. The spec has been checked for cycles."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for dependency in sorted(app.workloads[name].depends_on):
            if dependency not in done:
                visit(dependency)
        done[name] = None

    for name in app.workloads:
        if name not in done:
            visit(name)
    return list(done)


def jobs_with(app: App, trigger: str) -> list[str]:
    return [name for name, job in app.jobs.items() if job.trigger == trigger]


def before_jobs(app: App) -> Mapping[str, set[str]]:
    """preDeploy job -> the workloads it needs, with all that those need in turn: they come up before the job."""
    return {job: closure(app, set(app.jobs[job].depends_on)) for job in jobs_with(app, "preDeploy")}


def closure(app: App, names: set[str]) -> set[str]:
    """`names` and everything they depend on."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += list(app.workloads[name].depends_on)
    return seen
