"""Which Jobs go when the wanted one has ended well, and which when the job itself goes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.provider.host.corner import Sink

from anytier.provider.kubernetes import job
from anytier.provider.kubernetes.job import JOB, RunInputs, RunOutputs, RunResource
from anytier.provider.resource import Context

HERE = "/apis/batch/v1/namespaces/shop/jobs"
DONE = {"conditions": [{"type": "Complete", "status": "True"}]}
INPUTS = RunInputs.model_validate({"kubeconfig": "{}", "ns": "shop", "job": "migrate", "name": "migrate-1"})


def made(name: str, label: str = "migrate", **more: Any) -> dict[str, Any]:
    head = {"name": name, "uid": f"uid-{name}", "labels": {JOB: label}, **more}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": head, "spec": {}, "status": DONE}


class Api:
    """A namespace's Jobs."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = {item["metadata"]["name"]: item for item in jobs}

    async def get(self, path: str) -> Any:
        return self.jobs[path.removeprefix(f"{HERE}/")]

    async def items(self, path: str, labelSelector: str) -> list[Any]:
        key, _, value = labelSelector.partition("=")
        return [item for item in self.jobs.values() if path == HERE and item["metadata"]["labels"].get(key) == value]

    async def delete(self, path: str) -> None:
        del self.jobs[path.removeprefix(f"{HERE}/")]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Api:
    by_cron = [{"kind": "CronJob", "name": "migrate"}]
    api = Api(made("migrate-1"), made("migrate-2"), made("other", "other"), made("cron", ownerReferences=by_cron))
    monkeypatch.setattr(job, "api", lambda kubeconfig: api)
    return api


async def test_the_jobs_of_another_spec_go_once_the_wanted_one_has_ended_well(there: Api) -> None:
    await RunResource().create(Context("urn", "job", Sink()), INPUTS)
    assert set(there.jobs) == {"migrate-1", "other", "cron"}


async def test_a_job_goes_with_its_run_and_what_a_cronjob_has_started_does_not(there: Api) -> None:
    await RunResource().delete(Context("urn", "job", Sink()), "shop/migrate", INPUTS, RunOutputs())
    assert set(there.jobs) == {"other", "cron"}
