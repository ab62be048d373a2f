"""Jobs: a Job before or after the deployment, a CronJob by schedule, and a suspended CronJob to be run by hand.

A Job is immutable, so the hash of what it is stands in its name, and another one is another Job. One after the
deployment runs again with every new revision of a workload.
"""

from __future__ import annotations

from collections.abc import Iterable

from anytier.render.kubernetes.finish import content_hash, joined
from anytier.render.kubernetes.names import filled, fitted
from anytier.render.kubernetes.pod import Pod, pod
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json

# For a CronJob that is suspended: it has to have one.
_NEVER = "0 0 1 1 *"
_START = 120  # seconds until a node has taken it
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def job(scope: Scope, name: str, revisions: Iterable[str] = ()) -> tuple[Json, Pod]:
    """`revisions`: the hashes of what a postDeploy job comes after."""
    body = scope.app.jobs[name]
    made = pod(scope, "job", name)
    spec = _spec(scope, name, made)
    if body.trigger in ("preDeploy", "postDeploy"):
        called = joined(f"{fitted(name, 52)}-", content_hash([spec, *revisions]))
        return scope.of_part("batch/v1", "Job", called, "job", name, spec=spec), made
    timed = body.trigger == "schedule" and body.schedule is not None
    cron = filled(
        schedule=schedule(body.schedule) if timed and body.schedule else _NEVER,
        timeZone=(body.time_zone or "Etc/UTC") if timed else None,
        suspend=None if timed else True,
        concurrencyPolicy=body.concurrency_policy if timed else None,
        jobTemplate={"metadata": {"labels": scope.part_labels("job", name)}, "spec": spec},
    )
    return scope.of_part("batch/v1", "CronJob", fitted(name, 52), "job", name, spec=cron), made


def _spec(scope: Scope, name: str, made: Pod) -> Json:
    """The timeout is one run's, so it is the pod's. The job as a whole has time for all of its runs: else one that no
    node takes would never end.
    """
    body = scope.app.jobs[name]
    seconds = max(1, round(body.timeout))
    spec = {**made.spec, "restartPolicy": "Never", "activeDeadlineSeconds": seconds}
    marks = filled(labels=scope.part_labels("job", name), annotations=scope.annotations("job", name))
    template = {"metadata": marks, "spec": spec}
    whole = patience(seconds, body.backoff_limit)
    return {"backoffLimit": body.backoff_limit, "activeDeadlineSeconds": whole, "template": template}


def patience(seconds: int, retries: int) -> int:
    """Time for all runs: before each try again Kubernetes waits twice as long, from 10 s to 10 min."""
    return seconds * (retries + 1) + sum(min(10 << number, 600) for number in range(retries)) + _START


def schedule(text: str) -> str:
    """Kubernetes has no weekday 7: Sunday is 0 there."""
    fields = text.split(" ")
    if len(fields) != 5 or "7" not in fields[4]:
        return text
    days = ",".join(dict.fromkeys(day for part in fields[4].split(",") for day in _weekdays(part)))
    return " ".join([*fields[:4], days])


def _weekdays(part: str) -> list[str]:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if "7" not in (first, last):
        return [part]
    low = _DAYS.index(first.lower()) if first.lower() in _DAYS else int(first)
    return [str(day % 7) for day in range(low, 8, int(step or 1))]
