from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.records import Problem
from recipes.rollouts.ledger import SolveRate
from recipes.rollouts.selection import Dropped, SelectionError, SelectionRules, select_problems


def problem(name: str, **metadata: object) -> Problem:
    return Problem(name, "?", "1", metadata)


def rate(correct: int, rollouts: int = 16, tokens: int = 3000) -> SolveRate:
    return SolveRate(correct, rollouts, tokens * rollouts, 0)


PROBLEMS = [problem("easy"), problem("edge"), problem("hard"), problem("never")]
RATES = {"easy": rate(7), "edge": rate(6), "hard": rate(0)}


def test_hard_problems_by_hand() -> None:
    """1.0: problems that more than 6 of 16 rollouts solved are dropped."""
    selection = select_problems(PROBLEMS, SelectionRules(max_solve_rate=0.375), RATES, 2)
    assert [kept.id for kept in selection.kept] == ["edge", "hard", "never"]
    assert selection.dropped == (Dropped("easy", "max_solve_rate", 0.4375),)
    assert selection.counts == {"max_solve_rate": 1}
    assert selection.unseen_kept == 1
    assert selection.report() == (
        "3 of 4 problems take part; left out: 1 by prompts.max_solve_rate=0.375; 1 of those kept were never tried"
    )


def test_unseen_problems_may_go() -> None:
    rules = SelectionRules(min_solve_rate=0.1, max_solve_rate=0.375, unseen="drop")
    selection = select_problems(PROBLEMS, rules, RATES, 1)
    assert [kept.id for kept in selection.kept] == ["edge"]
    assert selection.counts == {"min_solve_rate": 1, "max_solve_rate": 1, "unseen": 1}
    assert selection.as_dict(["runs/math2"])["dropped"][-1] == {"problem_id": "never", "rule": "unseen", "found": None}


def test_lengths_of_the_teacher_come_before_those_of_the_rollouts() -> None:
    """Math stage 1: responses of 2K to 4K tokens, bounds included."""
    problems = [
        problem("short", teacher_tokens=1999),
        problem("low", teacher_tokens=2000),
        problem("high", teacher_tokens=4000),
        problem("long", teacher_tokens=4001),
        problem("seen"),
        problem("both", teacher_tokens=9000),
    ]
    rates = {"seen": rate(1, tokens=3000), "both": rate(1, tokens=3000)}
    rules = SelectionRules(min_response_tokens=2000, max_response_tokens=4000)
    selection = select_problems(problems, rules, rates, 1)
    assert [kept.id for kept in selection.kept] == ["low", "high", "seen"]
    assert selection.counts == {"min_response_tokens": 1, "max_response_tokens": 2}


def test_difficulty_of_the_row() -> None:
    problems = [problem("a", difficulty=5), problem("b", difficulty=6), problem("c", difficulty=True), problem("d")]
    selection = select_problems(problems, SelectionRules(max_difficulty=5), {}, 1)
    assert [kept.id for kept in selection.kept] == ["a", "c", "d"]
    assert selection.unseen_kept == 2  # a flag is no number


def test_rules_without_any_knowledge_are_refused_together() -> None:
    rules = SelectionRules(max_solve_rate=0.375, min_response_tokens=2000, max_difficulty=5)
    with pytest.raises(SelectionError) as raised:
        select_problems(PROBLEMS, rules, {}, 1)
    for words in ("prompts.max_solve_rate=0.375", "prompts.ledgers", "'teacher_tokens'", "'difficulty'", "=null"):
        assert words in str(raised.value)


def test_too_few_problems_say_which_rule_and_what_to_type() -> None:
    with pytest.raises(SelectionError) as raised:
        select_problems(PROBLEMS, SelectionRules(max_solve_rate=0.0, unseen="drop"), RATES, 2)
    assert str(raised.value) == (
        "1 of 4 problems are left, fewer than grpo.prompts_per_step=2:\n"
        "  prompts.max_solve_rate=0.0 left out 2\n"
        "  prompts.unseen=drop left out 1\n"
        "  fix: prompts.max_solve_rate=null, or grpo.prompts_per_step=1"
    )


def test_no_rule_keeps_everything() -> None:
    selection = select_problems(PROBLEMS, SelectionRules(), {}, 4)
    assert selection.kept == tuple(PROBLEMS)
    assert (selection.counts, selection.unseen_kept) == ({}, 0)


@given(
    st.lists(st.none() | st.integers(0, 8), min_size=1, max_size=30),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.sampled_from(["keep", "drop"]),
)
def test_none_is_lost_and_the_rules_hold(
    counts: list[int | None], low: float | None, high: float | None, unseen: str
) -> None:
    problems = [problem(str(index)) for index in range(len(counts))]
    rates = {str(index): rate(count, 8) for index, count in enumerate(counts) if count is not None}
    rules = SelectionRules(min_solve_rate=low, max_solve_rate=high, unseen=unseen)  # type: ignore[arg-type]
    try:
        selection = select_problems(problems, rules, rates, 1)
    except SelectionError:
        return
    kept, dropped = [p.id for p in selection.kept], [d.problem_id for d in selection.dropped]
    assert sorted(kept + dropped) == sorted(p.id for p in problems)
    assert kept == sorted(kept, key=int)
    for name in kept:
        if name in rates:
            assert (low is None or rates[name].rate >= low) and (high is None or rates[name].rate <= high)
        else:
            assert unseen == "keep" or low is high is None
    assert sum(selection.counts.values()) == len(dropped)
