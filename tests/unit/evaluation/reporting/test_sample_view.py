from __future__ import annotations

from evaluation.reporting.sample_view import FAILURE_CHARACTERS, shown_problems
from recipes.records import Problem
from tests.unit.evaluation.reporting.folders import problems, sample, solved


def indices(shown: list, problem: int = 0) -> list[int]:
    return [one.index for one in shown[problem].samples]


def test_the_first_right_and_the_first_wrong_ones() -> None:
    """Samples 0 to 2 of 8 are right: two of each kind are 0, 1, 3, 4."""
    shown = shown_problems(problems(1), solved({"p0": 3}, 8), {"p0": 0.375}, per_problem=2)
    assert indices(shown) == [0, 1, 3, 4]
    assert (shown[0].rate, shown[0].drawn, shown[0].gold) == (0.375, 8, "2")


def test_a_full_page_lacks_depth_and_no_problem() -> None:
    """Room for four responses: one of every problem, and the second kind of the first."""
    samples = solved({"p0": 2, "p1": 2, "p2": 2}, 4)
    length = len(samples[0].text)
    shown = shown_problems(problems(3), samples, {}, per_problem=2, characters=4 * length)
    assert [len(one.samples) for one in shown] == [2, 2, 0]
    everything = shown_problems(problems(3), samples, {}, per_problem=2, characters=6 * length)
    assert [len(one.samples) for one in everything] == [2, 2, 2]


def test_one_long_response_does_not_close_the_page() -> None:
    long = sample("p0", 0, True, text="x" * 1000)
    shown = shown_problems(problems(2), [long, sample("p1", 0, True)], {}, characters=500)
    assert [len(one.samples) for one in shown] == [0, 1]


def test_thinking_is_apart_from_the_answer() -> None:
    texts = {
        "<think>\na\n</think>\n\nb": ("a", "b"),
        "a\n</think>\nb": ("a", "b"),  # the prompt's template opened it
        "<think>\nstill at it": ("still at it", ""),
        "no thoughts": ("", "no thoughts"),
    }
    for text, wanted in texts.items():
        (one,) = shown_problems(problems(1), [sample("p0", 0, True, text=text)], {})[0].samples
        assert (one.thinking, one.answer) == wanted


def test_a_failing_test_is_cut_and_says_so() -> None:
    failure = {"test": 3, "input": "9" * 5000, "expected": "", "found": None, "detail": "wrong"}
    program = Problem("c", "Sort.", "", tests={"kind": "stdin", "inputs": ["1", "2"], "outputs": ["1", "2"]})
    bad = sample("c", 0, False, verdict="wrong_answer", first_failure=failure)
    shown = shown_problems([program], [bad], {})[0]
    assert shown.gold == "2 tests"
    (one,) = shown.samples
    assert one.verdict == "wrong answer"
    assert [key for key, _ in one.failure] == ["test", "input", "detail"]
    assert dict(one.failure)["input"] == "9" * FAILURE_CHARACTERS + " ... (3,000 more characters)"


def test_a_truncated_sample_has_no_failing_test() -> None:
    cut = sample("p0", 0, True, truncated=True, first_failure={"test": 0})
    (one,) = shown_problems(problems(1), [cut], {})[0].samples
    assert (one.verdict, one.solved, one.failure) == ("truncated", False, ())
