"""Recommendations: by rules over rows, the same each time, and never what a stated need rules out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.compare.made import DAY, eks, kubeadm

from anytier.cli.compare import COMPLIANCE as OFFERED
from anytier.report.compare import words
from anytier.report.compare.facts import NEEDS
from anytier.report.compare.model import Comparison
from anytier.report.compare.recommend import COMPLIANCE, Needs, Ranked, recommend
from anytier.report.compare.rows import compared

NEEDED = st.builds(
    Needs,
    team=st.none() | st.integers(1, 20),
    budget=st.none() | st.floats(0, 1000),
    compliance=st.lists(st.sampled_from(COMPLIANCE), unique=True).map(tuple),
    burst=st.none() | st.floats(1, 50),
)


def found(price: float | None = None) -> Comparison:
    auto = eks(stack="auto", mode="auto")
    failed = eks(stack="failed", graph=None, errors=("x: is wrong -> mend it",))
    return compared([kubeadm(), eks(), auto, failed], DAY, price)


FOUND, PRICED = found(), found(40)


def verdicts(item: Ranked) -> dict[str, str]:
    return {judgement.need: judgement.verdict for judgement in item.judgements}


def by_name(comparison: Comparison, needs: Needs) -> dict[str, Ranked]:
    return {item.stack: item for item in recommend(comparison, needs).ranking}


def test_what_is_offered_is_what_there_are_facts_of() -> None:
    assert OFFERED == COMPLIANCE and {f"need.{name}" for name in OFFERED} == set(NEEDS)


def test_with_no_need_the_least_to_patch_wins() -> None:
    advice = recommend(FOUND, Needs())
    assert advice.best and advice.best.stack == "auto"
    assert [item.stack for item in advice.ranking] == ["auto", "eks", "kubeadm", "failed"]
    assert words.verdict(advice) == "auto. It meets every need."


def test_own_hardware_is_never_a_clouds() -> None:
    advice = recommend(FOUND, Needs(compliance=("own-hardware",), team=3))
    assert advice.best and advice.best.stack == "kubeadm"
    assert {item.stack for item in advice.ranking if not item.possible} == {"eks", "auto", "failed"}
    assert "runs on hardware of your own" in advice.decided


def test_a_small_team_is_pointed_to_what_others_patch() -> None:
    judged = by_name(FOUND, Needs(team=1))
    assert verdicts(judged["kubeadm"])["a team of 1"] == "against"
    assert verdicts(judged["eks"])["a team of 1"] == "for"
    assert verdicts(by_name(FOUND, Needs(team=3))["kubeadm"])["a team of 3"] == "for"


def test_a_budget_rules_out_what_is_known_to_cost_more_and_nothing_else() -> None:
    need = "$200.00 a month"
    judged = by_name(FOUND, Needs(budget=200))
    assert verdicts(judged["eks"])[need] == "never" and verdicts(judged["kubeadm"])[need] == "unknown"
    assert "if they were rented" in judged["kubeadm"].judgements[1].why
    assert verdicts(by_name(PRICED, Needs(budget=200))["kubeadm"])[need] == "for"
    assert verdicts(by_name(FOUND, Needs(budget=300))["eks"])["$300.00 a month"] == "for"
    assert "1 NAT gateway" in by_name(FOUND, Needs(budget=300))["eks"].judgements[1].why


def test_a_burst_wants_instances_and_machines() -> None:
    judged = by_name(FOUND, Needs(burst=5))
    need = "5 times the usual load"
    assert verdicts(judged["auto"])[need] == "for" and verdicts(judged["eks"])[need] == "against"
    assert need not in verdicts(by_name(FOUND, Needs(burst=1))["eks"])


def test_where_nothing_will_do_nothing_is_recommended() -> None:
    advice = recommend(FOUND, Needs(compliance=("own-hardware", "sla")))
    assert advice.best is None and words.verdict(advice) == "None of these stacks meets it."


@settings(max_examples=60)
@given(NEEDED)
def test_what_is_recommended_is_possible_and_explained(needs: Needs) -> None:
    advice = recommend(FOUND, needs)
    assert advice == recommend(FOUND, needs)
    assert sorted(item.column for item in advice.ranking) == [0, 1, 2, 3]
    best = advice.best
    assert (best is None) == all(not item.possible for item in advice.ranking)
    if best is not None:
        assert all(judgement.verdict != "never" for judgement in best.judgements)
        assert all(best.counts("against") <= item.counts("against") for item in advice.ranking if item.possible)
    for item in advice.ranking:
        for judgement in item.judgements:
            assert judgement.why and set(judgement.rows) <= set(FOUND.rows)
    assert words.reason(advice)


@settings(max_examples=30)
@given(NEEDED, st.floats(1, 400))
def test_more_money_never_takes_a_stack_away(needs: Needs, more: float) -> None:
    if needs.budget is None:
        return
    richer = needs.model_copy(update={"budget": needs.budget + more})
    before = {item.stack for item in recommend(FOUND, needs).ranking if item.possible}
    assert before <= {item.stack for item in recommend(FOUND, richer).ranking if item.possible}
