"""How long a pod that is being stopped is waited for: told by a clock, without a cluster."""

from __future__ import annotations

from tests.provider.kubernetes.objects import pod

from anytier.provider.kubernetes.going import MARGIN, Going


def test_each_pod_has_its_own_grace_period_from_when_it_was_first_seen_to_go() -> None:
    going = Going()
    first, second = pod("web-1", going=True, grace=10), pod("web-2", going=True, grace=40)
    assert going.left([first], 100) == [first]
    assert going.left([first, second], 110 + MARGIN) == [first, second]
    assert going.left([first, second], 110.1 + MARGIN) == [second]
    assert going.left([second], 150 + 2 * MARGIN) == [second]
    assert going.left([second], 150.1 + 2 * MARGIN) == []


def test_nothing_is_left_when_all_have_gone() -> None:
    assert Going().left([], 100) == []


def test_a_pod_that_says_no_period_is_waited_for_a_little() -> None:
    going, one = Going(), pod("web-1", going=True, grace=None)
    assert going.left([one], 0) == [one] and going.left([one], MARGIN + 1) == []
