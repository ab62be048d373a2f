"""What `anytier scale` takes."""

from __future__ import annotations

import pytest

from anytier.cli.scale import parse
from anytier.errors import UsageError


@pytest.mark.parametrize(
    ("text", "wanted"), [("web=3", ("web", 3)), ("a-b=0", ("a-b", 0)), ("web=1000", ("web", 1000))]
)
def test_a_workload_and_its_replicas(text: str, wanted: tuple[str, int]) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["web", "web=", "=3", "web=-1", "web=1.5", "web=1000000000", "web=1001", "web=x", "web=²", "web=３", "web=3=4"],
)
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="is not WORKLOAD=REPLICAS -> such as web=3, from 0 to 1000"):
        parse(text)
