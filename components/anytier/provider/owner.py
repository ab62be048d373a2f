"""Whose deployment something is: `user@host:folder#token`. Pure.

The token (`anytier:index:Identity`) lies in the state of the stack, so whoever holds the state is the owner, from
whichever machine and folder. What stands before it is for people. What an older version of ours recorded has none.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"(?P<who>.*)#(?P<token>[0-9a-f]{32})", re.DOTALL)


def who(owner: str) -> str:
    """`user@host:folder`, for a message."""
    found = _TOKEN.fullmatch(owner)
    return found["who"] if found else owner


def token(owner: str) -> str:
    """Empty where it has none."""
    found = _TOKEN.fullmatch(owner)
    return found["token"] if found else ""


def form(owner: object) -> str:
    """For `fields.normalise`: who deploys from where is no change; that there is a token from now on is one."""
    return token(str(owner))


def same(recorded: str, owner: str, before: str = "") -> bool:
    """Whether what is recorded at a place is `owner`'s; nobody's is everybody's. `before`: of the inputs that the state
    has: recorded are those of an import, and where that was done before there were tokens."""
    if not recorded or not owner or recorded == before:
        return True
    if token(recorded) and token(owner):
        return token(recorded) in (token(owner), token(before))
    return who(recorded) in (who(owner), who(before))


def another(recorded: str, owner: str) -> bool:
    """Whether what is recorded at a place is surely somebody else's, so that whoever is to delete it leaves it alone.
    Words alone are no proof: an older version of ours may have recorded them, from another folder."""
    return bool(token(recorded)) and not same(recorded, owner)


def told(recorded: str, owner: str) -> str:
    """Whose it is, for one who is another: of the same folder, that would not say enough."""
    also = ", by another stack or another state" if who(recorded) == who(owner) else ""
    return f"{who(recorded)}{also}"
