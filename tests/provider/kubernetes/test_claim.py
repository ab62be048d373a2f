"""A claim on a cluster that does not know us yet: asked again, given up, and not where nobody can log in at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.provider.sink import Sink

from anytier.errors import AnytierError, Denied
from anytier.provider.kubernetes import claim
from anytier.provider.kubernetes.claim import ClaimInputs, ClaimOutputs, ClaimResource
from anytier.provider.kubernetes.client import refused
from anytier.provider.resource import Context

GIVEN = ClaimInputs.model_validate({"kubeconfig": "x", "ns": "anytier-dev-shop", "owner": "me"})
PATH = "/api/v1/namespaces/anytier-dev-shop"
NOT_YET = "waiting until the cluster knows who we are"


class Api:
    """Answers with each of these codes in turn, and with the last one from then on."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.code = 0

    async def find(self, path: str) -> None:
        assert path == PATH
        self.code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if self.code in (401, 403):
            raise refused(self.code, {"message": "no"}, path)

    async def answer(self, path: str) -> tuple[int, str]:
        return self.code, ""


class Nobody:
    """Where the kubeconfig's command fails."""

    error = Denied("cluster", "no login: kubelogin: not found")

    async def find(self, path: str) -> None:
        raise self.error

    async def answer(self, path: str) -> tuple[int, str]:
        raise self.error


async def claimed(there: Any, monkeypatch: pytest.MonkeyPatch, patience: float) -> tuple[Any, Sink]:
    monkeypatch.setattr(claim, "PAUSE", 0)
    monkeypatch.setattr(claim, "PATIENCE", patience)
    monkeypatch.setattr(claim, "api", lambda kubeconfig: there)
    sink = Sink()
    try:
        return await ClaimResource().create(Context("urn", "x", sink), GIVEN), sink
    except AnytierError as error:
        return error, sink


@pytest.mark.parametrize("code", [401, 403])
async def test_a_cluster_that_does_not_know_us_yet_is_asked_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, sink = await claimed(Api(code, code, 404), monkeypatch, 60)
    assert made == ("anytier-dev-shop", ClaimOutputs()) and sink.lines == [NOT_YET, NOT_YET]


async def test_one_that_never_does_is_told_by_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made, sink = await claimed(Api(403), monkeypatch, 0.05)
    assert isinstance(made, Denied) and made.do and sink.lines


async def test_where_nobody_can_log_in_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made, sink = await claimed(Nobody(), monkeypatch, 60)
    assert made is Nobody.error and not sink.lines


async def test_whoever_is_known_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made, sink = await claimed(Api(404), monkeypatch, 60)
    assert made == ("anytier-dev-shop", ClaimOutputs()) and not sink.lines
