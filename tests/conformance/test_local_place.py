"""What the suite reads from this machine."""

from __future__ import annotations

import pytest

from anytier.conformance.check import Failed
from anytier.conformance.places.local import unit_of


@pytest.mark.parametrize(
    "groups",
    [
        "0::/system.slice/anytier-t-app-web-r1-0.service\n",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/anytier-t-app-web-r1-0.service\n",
        "2:memory:/user.slice/user@1000.service\n1:name=systemd:/user.slice/user@1000.service/app.slice/anytier-t-app-web-r1-0.service\n",
    ],
)
def test_the_unit_of_a_process(groups: str) -> None:
    assert unit_of(groups, "anytier-t-app") == "anytier-t-app-web-r1-0.service"


def test_a_process_of_no_unit_of_ours_is_not_touched() -> None:
    with pytest.raises(Failed, match="no unit of anytier-t-app"):
        unit_of("0::/user.slice/user@1000.service/session.scope\n", "anytier-t-app")
