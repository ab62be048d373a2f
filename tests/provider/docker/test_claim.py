"""Whose the workloads on a daemon are, for whoever asks: stacks of one name, states that moved, older versions."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import Conflict
from anytier.provider.docker import claim, labels
from anytier.provider.docker.client import Daemon, Endpoint

OLD, OLD_ELSEWHERE = "me@here:/a", "runner@there:/b"  # what an older version recorded: no tokens
OURS, OURS_ELSEWHERE = f"{OLD}#{'0' * 32}", f"{OLD_ELSEWHERE}#{'0' * 32}"
THEIRS = f"you@there:/c#{'1' * 32}"


class Running(Daemon):
    """A daemon on which these workloads run, each with its store that says whose it is."""

    def __init__(self, **owners: str) -> None:
        super().__init__(Endpoint(), None)  # type: ignore[arg-type]
        self.owners = owners

    async def get(self, path: str, about: str = "", **params: Any) -> Any:
        assert path == "containers/json" and params == {"all": True, "filters": labels.filters(namespace="shop")}
        return [item for name, owner in self.owners.items() for item in _pair(name, owner)]


def _pair(workload: str, owner: str) -> list[dict[str, Any]]:
    marks = {labels.WORKLOAD: workload}
    return [
        {"State": "running", "Labels": marks | {labels.ROLE: "workload"}},
        {"State": "created", "Labels": marks | {labels.ROLE: "store", labels.OWNER: owner}},
    ]


async def test_a_workload_is_deleted_by_what_its_own_store_says() -> None:
    """Another stack took over the one, whose spec has no other."""
    there = Running(web=THEIRS, api=OURS)
    assert not await claim.is_anothers(there, "shop", OURS, "api")
    assert await claim.is_anothers(there, "shop", OURS, "web")
    assert await claim.is_anothers(there, "shop", OURS), "what all share"


async def test_what_is_recorded_without_a_token_is_deleted() -> None:
    """The update of an older state from another folder ended after the first workload."""
    there = Running(web=OURS_ELSEWHERE, api=OLD)
    assert not await claim.is_anothers(there, "shop", OURS_ELSEWHERE, "web")
    assert not await claim.is_anothers(there, "shop", OLD, "api")
    assert not await claim.is_anothers(there, "shop", OURS_ELSEWHERE)


async def test_an_older_state_does_not_delete_what_another_stack_has_taken_over() -> None:
    assert await claim.is_anothers(Running(web=THEIRS), "shop", OLD, "web")
    assert not await claim.is_anothers(Running(web=THEIRS), "shop", "", "web"), "it cannot say who it is"


@pytest.mark.parametrize("before", ["", OLD, OURS_ELSEWHERE])
async def test_what_a_state_holds_is_updated_beside_workloads_without_a_token(before: str) -> None:
    """An older state from another folder: its proxy, its jobs and volumes had no owner on record, its workloads had."""
    for there in (Running(web=OLD, api=OLD), Running(web=OURS_ELSEWHERE, api=OLD)):
        await claim.require_ours(there, "shop", OURS_ELSEWHERE, before)


async def test_an_update_of_an_older_state_goes_on_where_it_ended() -> None:
    """One workload had its token, then the run failed."""
    there = Running(web=OURS_ELSEWHERE, api=OLD)
    await claim.require_ours(there, "shop", OURS_ELSEWHERE, OURS_ELSEWHERE, "web")
    await claim.require_ours(there, "shop", OURS_ELSEWHERE, OLD, "api")
    await claim.require_ours(there, "shop", OURS_ELSEWHERE, None, "new")


@pytest.mark.parametrize(
    ("owners", "owner", "before", "workload"),
    [
        ({"web": OLD}, OURS_ELSEWHERE, None, ""),  # nothing says that this state has anything to do with it
        ({"web": OLD}, OURS_ELSEWHERE, None, "api"),
        ({"web": OLD}, OURS_ELSEWHERE, OURS_ELSEWHERE, "web"),  # an older version's, which came after ours
        ({"web": OURS, "api": THEIRS}, OURS, OURS, ""),
        ({"web": OURS, "api": THEIRS}, OURS, OURS, "web"),
        ({"web": OURS, "api": THEIRS}, OURS, None, ""),
        ({"web": OLD}, OLD_ELSEWHERE, OLD_ELSEWHERE, ""),  # neither has a token: words are all there is
    ],
)
async def test_another_owners_workloads_refuse_a_change(
    owners: dict[str, str], owner: str, before: str | None, workload: str
) -> None:
    with pytest.raises(Conflict, match="is deployed here from"):
        await claim.require_ours(Running(**owners), "shop", owner, before, workload)
