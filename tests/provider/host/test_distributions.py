"""Which machines an app can be put on, from what their agent says of them. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import Denied, Rejected
from anytier.provider.host.distributions import DISTRIBUTIONS, distribution, unfit

GOOD: dict[str, Any] = {
    "distribution": "debian",
    "version": "12",
    "pretty": "Debian GNU/Linux 12",
    "systemd": 252,
    "uid": 0,
    "user": "root",
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_entry_leads_to_a_distribution(name: str) -> None:
    found = distribution(name)
    assert found is not None and found.oldest


@pytest.mark.parametrize("known", [("debian", "11"), ("debian", "12"), ("debian", ""), ("ubuntu", "22.04")])
def test_these_will_do(known: tuple[str, str]) -> None:
    assert unfit("machine a", {**GOOD, "distribution": known[0], "version": known[1]}) is None


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({"distribution": "fedora", "pretty": "Fedora Linux 40"}, Rejected, "Fedora Linux 40"),
        ({"distribution": "", "pretty": ""}, Rejected, "unknown system"),
        ({"distribution": "ubuntu", "version": "20.04", "pretty": "Ubuntu 20.04"}, Rejected, "Ubuntu 22.04"),
        ({"version": "10"}, Rejected, "Debian 11"),
        ({"systemd": 0}, Rejected, "systemd"),
        ({"uid": 1000, "user": "deploy"}, Denied, "deploy"),
    ],
)
def test_others_are_refused_with_the_way_out(change: dict[str, Any], kind: type[Exception], word: str) -> None:
    error = unfit("machine a", {**GOOD, **change})
    assert isinstance(error, kind) and word in str(error)
