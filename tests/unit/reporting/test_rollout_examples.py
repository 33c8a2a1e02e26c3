from __future__ import annotations

from recipes.records import Problem
from recipes.reporting.rollout_examples import choose
from tests.unit.reporting.run_folders import PROBLEMS, sample

RIGHT = "<think>\nsure\n</think>\n\n\\boxed{2}"
WRONG = "<think>\nhm\n</think>\n\n\\boxed{3}"


def drawn(problem: str, solved: int, of: int = 4) -> list[dict]:
    return [
        sample(problem, i, "correct" if i < solved else "wrong", RIGHT if i < solved else WRONG, extracted="x")
        for i in range(of)
    ]


def test_largest_gains_first_then_the_least_solved_of_the_others() -> None:
    problems = [Problem(name, name, "1") for name in "abcde"]
    before = [row for name, solved in zip("abcde", (0, 1, 0, 4, 0), strict=True) for row in drawn(name, solved)]
    after = [row for name, solved in zip("abcde", (2, 4, 4, 4, 0), strict=True) for row in drawn(name, solved)]
    chosen = choose(problems, before, after, gains=2)
    assert [(e.problem.id, e.heading, e.rate_before, e.rate_after) for e in chosen] == [
        ("c", "gained", 0.0, 1.0),
        ("b", "gained", 0.25, 1.0),
        ("e", "still unsolved", 0.0, 0.0),
    ]


def test_a_loss_is_not_hidden() -> None:
    problems = [Problem(name, name, "1") for name in "ab"]
    before, after = drawn("a", 0) + drawn("b", 4), drawn("a", 4) + drawn("b", 1)
    assert [(e.problem.id, e.heading) for e in choose(problems, before, after)] == [("a", "gained"), ("b", "lost")]


def test_a_side_shows_what_is_typical_of_it() -> None:
    chosen = choose(PROBLEMS[:1], drawn("sum", 1), drawn("sum", 3))[0]
    assert (chosen.before.verdict, chosen.before.tokens) == ("wrong", 11)
    assert (chosen.after.verdict, chosen.after.thinking, chosen.after.answer) == ("correct", "sure", "\\boxed{2}")


def test_a_right_box_in_a_truncated_response_counts_as_unsolved() -> None:
    cut = [sample("sum", 0, "correct", "<think>\nlong", truncated=True)]
    chosen = choose(PROBLEMS[:1], cut, drawn("sum", 4))[0]
    assert chosen.rate_before == 0.0
    assert (chosen.before.verdict, chosen.before.thinking, chosen.before.answer) == ("truncated", "long", "")


def test_problems_without_samples_on_both_sides_are_passed_over() -> None:
    assert choose(PROBLEMS, drawn("sum", 1), drawn("hard", 1)) == []
