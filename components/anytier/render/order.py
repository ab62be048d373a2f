"""What must be up before what: dependsOn, and jobs that run before or after the workloads. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from anytier.spec import App


def workload_order(app: App) -> list[str]:
    """The workloads' names, each after those it depends on. The spec has been checked for cycles."""
    done: dict[str, None] = {}
    for root in app.workloads:
        trail = [] if root in done else [root]
        while trail:
            missing = [name for name in sorted(app.workloads[trail[-1]].depends_on) if name not in done]
            if missing:
                trail.append(missing[0])
            else:
                done[trail.pop()] = None
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
