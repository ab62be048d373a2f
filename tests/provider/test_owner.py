from __future__ import annotations

import pytest
from tests.provider.host.corner import Sink

from anytier.errors import Rejected
from anytier.provider.identity import IdentityInputs, IdentityOutputs, IdentityResource
from anytier.provider.owner import form, same, token, told, who
from anytier.provider.resource import Context

ONE, OTHER = "0" * 32, "a1" * 16


def context() -> Context:
    return Context("urn", "identity", Sink())


@pytest.mark.parametrize(
    ("recorded", "owner", "before", "ours"),
    [
        (f"me@here:/a#{ONE}", f"runner@there:/b#{ONE}", "", True),  # another machine, another folder, one state
        (f"me@here:/a#{ONE}", f"me@here:/a#{OTHER}", "", False),  # two states in one folder
        ("", f"me@here:/a#{ONE}", "", True),
        (f"me@here:/a#{ONE}", "", "", True),
        ("me@here:/a", f"me@here:/a#{ONE}", "", True),  # recorded before there were tokens
        ("me@here:/a", f"me@there:/b#{ONE}", "me@here:/a", True),
        ("me@here:/a", f"me@there:/b#{ONE}", f"me@here:/a#{ONE}", True),
        ("me@here:/a", f"me@there:/b#{ONE}", f"me@there:/b#{ONE}", False),
        (f"me@here:/a#{OTHER}", f"me@here:/a#{ONE}", f"me@here:/a#{OTHER}", True),  # imported
        (f"runner@there:/7#{OTHER}", f"me@here:/a#{ONE}", f"runner@there:/6#{OTHER}", True),  # deployed by two runners
        (f"me@here:/a#{OTHER}", f"me@here:/a#{ONE}", "me@here:/a", False),
        ("me@here:/a", "me@here:/b", "", False),
        ("me@here:/a#b", "me@here:/a#c", "", False),  # no tokens
    ],
)
def test_whoever_holds_the_state_is_the_owner(recorded: str, owner: str, before: str, ours: bool) -> None:
    assert same(recorded, owner, before) is ours


def test_a_message_shows_no_token() -> None:
    assert told(f"me@here:/a#{ONE}", f"you@there:/b#{OTHER}") == "me@here:/a"
    assert told(f"me@here:/a#{ONE}", f"me@here:/a#{OTHER}") == "me@here:/a, by another stack or another state"
    assert (who("/a#b"), token("/a#b")) == ("/a#b", "")


def test_only_the_token_of_an_owner_can_change() -> None:
    assert form(f"me@here:/a#{ONE}") == form(f"runner@there:/b#{ONE}")
    assert form("me@here:/a") == form("me@there:/b") != form(f"me@here:/a#{ONE}")


async def test_an_identity_is_made_once_and_stays() -> None:
    one, two = [(await IdentityResource().create(context(), IdentityInputs()))[1] for _ in range(2)]
    assert token(f"me#{one.token}") == one.token != two.token
    assert await IdentityResource().update(context(), "x", IdentityInputs(), one, IdentityInputs()) == one
    assert await IdentityResource().read(context(), "x", IdentityInputs(), one) == (IdentityInputs(), one)
    assert IdentityResource().planned(one, IdentityInputs()) == {"token": one.token}


async def test_a_lost_identity_is_imported_by_its_token() -> None:
    found = await IdentityResource().read(context(), ONE, None, None)
    assert found == (IdentityInputs(), IdentityOutputs(token=ONE))
    with pytest.raises(Rejected, match="the 32 hex digits"):
        await IdentityResource().read(context(), "me@here:/a", None, None)
