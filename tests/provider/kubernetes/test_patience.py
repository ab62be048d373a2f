"""When a rollout has failed: told by looks and a clock, without a cluster."""

from __future__ import annotations

from typing import Any

from tests.provider.kubernetes.objects import container, ended, pod, waiting

from anytier.provider.kubernetes.kinds import Seen
from anytier.provider.kubernetes.patience import Patience, coming

SEEN = Seen(True, 2, 1, 0, 2)


def patience() -> Patience:
    return Patience(healthy_deadline=10, progress_deadline=30, began=100)


def crashing(name: str = "web-1") -> dict[str, Any]:
    status = container(state=waiting("CrashLoopBackOff"), lastState=ended(1))
    return pod(name, "new", status, ready=False)


def test_a_pod_that_never_becomes_ready_fails_after_its_deadline() -> None:
    waits = patience()
    assert waits.judge(SEEN, [crashing()], 2, 100) is None
    assert waits.judge(SEEN, [crashing()], 2, 110) is None
    verdict = waits.judge(SEEN, [crashing()], 2, 110.1)
    assert verdict is not None and verdict.reason == "web-1 was not healthy within 10 s"
    assert [item["metadata"]["name"] for item in verdict.pods] == ["web-1"]


def test_an_image_on_its_way_is_not_held_against_the_app_until_nothing_moves() -> None:
    waits, making = patience(), pod("web-1", "new", container(state=waiting("ContainerCreating")), ready=False)
    assert coming(making)
    assert waits.judge(SEEN, [making], 2, 100) is None
    assert waits.judge(SEEN, [making], 2, 129) is None
    verdict = waits.judge(SEEN, [making], 2, 131)
    assert verdict is not None and verdict.reason == "nothing moved for 30 s" and len(verdict.pods) == 1


def test_every_pod_that_becomes_ready_and_every_old_one_that_goes_is_progress() -> None:
    waits = patience()
    assert waits.judge(SEEN, [], 2, 100) is None
    assert waits.judge(SEEN, [pod("a")], 2, 125) is None
    assert waits.judge(SEEN, [pod("a")], 1, 150) is None
    assert waits.judge(SEEN, [pod("a")], 1, 179) is None
    assert waits.judge(SEEN, [pod("a")], 1, 181) is not None


def test_going_up_and_down_is_no_progress() -> None:
    waits = patience()
    for second in range(0, 31, 5):
        assert waits.judge(SEEN, [pod("a", ready=second % 10 == 0)], 2, 100 + second) is None
    assert waits.judge(SEEN, [pod("a")], 2, 131) is not None


def test_a_pod_that_was_ready_gets_its_time_again() -> None:
    waits = patience()
    waits.judge(SEEN, [crashing()], 2, 100)
    waits.judge(SEEN, [pod("web-1")], 2, 105)
    assert waits.judge(SEEN, [crashing()], 2, 112) is None
    assert waits.judge(SEEN, [crashing()], 2, 123) is not None


def test_what_is_being_stopped_is_not_waited_for() -> None:
    waits = patience()
    for now in (100, 120):
        assert waits.judge(SEEN, [pod("web-1", ready=False, going=True)], 2, now) is None


def test_containers_that_have_begun_are_no_longer_coming() -> None:
    assert not coming(crashing())
    assert not coming(pod("a", "new", container(), ready=False))
    assert not coming(pod("a", "new", container(state=waiting("ImagePullBackOff")), ready=False))
    assert coming(pod("a", "new", container(state=waiting("PodInitializing")), init=[container("i", ended(0))]))
