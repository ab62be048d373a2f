"""Health from a row of answers: what counts, how often, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from anytier.provider.judge import SETTLED, Answer, Judge

GOOD, BAD = Answer(True, "200"), Answer(False, "answered 503")


@dataclass(frozen=True)
class Asked:
    period: float = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def judged(judge: Judge, *answers: Answer, asked: Asked = Asked(), attached: bool = False) -> list[str]:
    return [judge.judge([asked], [answer], attached) for answer in answers]


def test_a_good_answer_makes_healthy_and_a_bad_one_before_it_is_only_starting() -> None:
    assert judged(Judge(), BAD, BAD, BAD, BAD, GOOD) == ["starting"] * 4 + ["healthy"]


def test_as_many_good_answers_in_a_row_as_asked() -> None:
    twice = Asked(success_threshold=2)
    assert judged(Judge(), GOOD, BAD, GOOD, GOOD, asked=twice) == ["starting", "starting", "starting", "healthy"]


def test_a_healthy_one_may_fail_as_often_as_its_probe_allows() -> None:
    assert judged(Judge(), GOOD, BAD, BAD, GOOD, BAD, BAD, BAD) == [
        "healthy", "healthy", "healthy", "healthy", "healthy", "healthy", "unhealthy",
    ]  # fmt: skip


def test_one_that_serves_is_given_time_too_since_looks_come_fast() -> None:
    clock = Time()
    judge = Judge(clock)
    assert judged(judge, GOOD, BAD, BAD, BAD, BAD, attached=True)[-1] == "healthy"
    clock.now += 2.9
    assert judged(judge, BAD, attached=True) == ["healthy"]
    clock.now += 0.2
    assert judged(judge, BAD, attached=True) == ["unhealthy"]


def test_nobody_is_given_time_for_ever() -> None:
    clock = Time()
    judge, slow = Judge(clock), Asked(period=60)
    assert judged(judge, GOOD, BAD, BAD, asked=slow, attached=True)[-1] == "healthy"
    clock.now += SETTLED
    assert judged(judge, BAD, asked=slow, attached=True) == ["unhealthy"]


def test_all_that_gate_must_answer_well() -> None:
    judge = Judge()
    assert judge.judge([Asked(), Asked()], [GOOD, BAD], False) == "starting"
    assert judge.said == "answered 503"
    assert judge.judge([Asked(), Asked()], [GOOD, GOOD], False) == "healthy"
    assert judge.said == ""


def test_the_strictest_of_several_probes_decides() -> None:
    judge, lax = Judge(), Asked(failure_threshold=10)
    answers = [judge.judge([lax, Asked(failure_threshold=1)], [answer, GOOD], False) for answer in (GOOD, BAD)]
    assert answers == ["healthy", "unhealthy"]


def test_without_a_probe_running_is_healthy() -> None:
    assert Judge().judge([], [], False) == "healthy"


def test_one_that_ended_proves_itself_anew() -> None:
    judge = Judge()
    assert judged(judge, GOOD) == ["healthy"]
    assert judge.ended() == "exited"
    assert judged(judge, BAD, GOOD) == ["starting", "healthy"]


def test_restarts_count_from_the_first_look_and_are_remembered() -> None:
    judge = Judge()
    assert [judge.has_restarted(count) for count in (4, 4, 5, 5)] == [False, False, True, False]
    assert judge.restarted
