from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.intervals import problem_error
from evaluation.samples import Sample
from evaluation.score import unheard
from evaluation.scores import score
from recipes.rollouts.sampling_error import sampling_error


def sample(problem: str, index: int, verdict: str, *, truncated: bool = False, tokens: int = 10) -> Sample:
    return Sample(problem, index, 7, "text", tokens, truncated, 0.1, verdict, None)  # type: ignore[arg-type]


def outcomes(problem: str, solved: Sequence[int]) -> list[Sample]:
    return [sample(problem, index, "correct" if one else "wrong") for index, one in enumerate(solved)]


def test_three_problems_by_hand() -> None:
    """Rates 1/4, 1/2, 1: mean 7/12; variances of the means (3/16)/3 + (1/4)/3 + 0 = 7/48."""
    samples = outcomes("a", [0, 1, 0, 0]) + outcomes("b", [1, 1, 0, 0]) + outcomes("c", [1, 1, 1, 1])
    scores = score(samples[::-1], ["a", "b", "c"], n=4)
    assert scores.avg == pytest.approx(7 / 12)
    assert scores.stderr_sampling == pytest.approx(math.sqrt(7 / 48) / 3)
    # Squared deviations from 7/12 are 16, 1 and 25 in units of 1/144: 42/144 / 2 draws of freedom / 3 problems = 7/144.
    assert scores.stderr_problems == pytest.approx(math.sqrt(7) / 12)
    assert dict(scores.per_problem) == {"a": 0.25, "b": 0.5, "c": 1.0}
    assert (scores.n, scores.problems, scores.samples, scores.missing) == (4, 3, 12, 0)


@pytest.mark.parametrize("draws", [2, 3, 8])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9])
def test_sampling_variance_is_unbiased(draws: int, probability: float) -> None:
    """The expectation of the estimate over all binomial outcomes is p (1 - p) / m."""
    expected = sum(
        math.comb(draws, solved)
        * probability**solved
        * (1 - probability) ** (draws - solved)
        * sampling_error([(solved, draws)]) ** 2  # type: ignore[operator]
        for solved in range(draws + 1)
    )
    assert expected == pytest.approx(probability * (1 - probability) / draws)


def test_a_score_that_says_nothing_of_the_model() -> None:
    """None of what ended closes its thinking: said, with the command; not where one does, or has an answer."""
    cut = replace(sample("a", 0, "no_answer", truncated=True), text="<think>x")
    silent, code = sample("a", 1, "no_answer"), sample("b", 0, "no_code")
    told = unheard([cut, silent, code], Path("DIR"))
    assert "none of 2 responses that ended has </think>" in told
    assert "evaluation.grade output=DIR grading.require_thinking=false --again" in told
    pasted = shlex.split(unheard([silent], Path("my scores")).splitlines()[-1])
    assert pasted.count("output=my scores") == 2
    thinks = replace(silent, text="<think>x</think> I do not know")
    for samples in ([cut], [], [silent, thinks], [silent, sample("b", 1, "wrong")]):
        assert unheard(samples, Path("DIR")) == ""


def test_fractions_and_lengths() -> None:
    samples = [
        sample("a", 0, "correct", tokens=20),
        sample("a", 1, "no_answer", truncated=True, tokens=64),
        sample("b", 0, "wrong", tokens=12),
        sample("b", 1, "timeout", tokens=24),
    ]
    scores = score(samples, ["a", "b"], n=2)
    assert (scores.truncated_fraction, scores.no_answer_fraction, scores.mean_length) == (0.25, 0.25, 30.0)
    assert scores.avg == 0.25


def test_a_right_answer_in_a_truncated_response_is_not_solved() -> None:
    scores = score([sample("a", 0, "correct", truncated=True), sample("a", 1, "correct")], ["a"], n=2)
    assert scores.avg == 0.5


def test_missing_samples_are_counted_and_not_divided_away() -> None:
    scores = score([*outcomes("a", [1, 1]), *outcomes("b", [1, 0, 0, 1])], ["a", "b"], n=4)
    assert (scores.avg, scores.missing, scores.samples) == (0.75, 2, 6)
    assert scores.stderr_sampling == pytest.approx(math.sqrt(0.25 / 3) / 2)


def test_a_problem_without_samples_leaves_no_average() -> None:
    scores = score(outcomes("a", [1, 1]), ["a", "b"], n=2)
    assert (scores.avg, scores.stderr_sampling, scores.stderr_problems) == (None, None, None)
    assert dict(scores.per_problem) == {"a": 1.0, "b": None}
    assert scores.missing == 2


def test_one_sample_has_no_sampling_error_and_one_problem_no_problem_error() -> None:
    assert score(outcomes("a", [1]), ["a"], n=1).stderr_sampling is None
    assert problem_error([0.5]) is None
    assert sampling_error([]) is None


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([sample("a", 0, "wrong"), sample("a", 0, "wrong")], "twice"),
        ([sample("a", 2, "wrong")], "not among n=2"),
        ([sample("z", 0, "wrong")], "z, which the benchmark does not have"),
    ],
)
def test_samples_that_do_not_belong(samples: list[Sample], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score(samples, ["a"], n=2)


def test_an_ungraded_sample_is_not_scored_as_wrong() -> None:
    with pytest.raises(ValueError, match="sample 0 of a is not graded"):
        score([Sample("a", 0, 7, "text", 1, False, 0.1)], ["a"], n=1)


def test_lengths_of_right_and_wrong_and_the_keys_of_the_file() -> None:
    samples = [
        sample("a", 0, "correct", tokens=20),
        sample("a", 1, "correct", tokens=30),
        sample("b", 0, "correct", tokens=10),
        sample("b", 1, "no_code", tokens=64),
    ]
    row = score(samples, ["a", "b"], 2, lambda a, b: None).as_dict()
    assert (row["mean_length_right"], row["mean_length_wrong"], row["no_answer_fraction"]) == (20.0, 64.0, 0.25)
    assert row["pass@k"] == {"1": 0.75, "2": 1.0}
    assert row["pass@k_resampled"]["2"] == {"mean": 1.0, "sd": 0.0}
    # Means of 1 and 1/2, 0.75 +- t(0.975, 1 degree of freedom) = 12.706 x 0.25: cut at both ends.
    assert row["ci95_problems"] == (0.0, 1.0)
    assert row["majority@n"] == 0.0  # no sample has an extracted answer, so nobody votes
    assert json.loads(json.dumps(row)) == row | {"ci95_problems": [0.0, 1.0]}


def test_pass_at_k_is_unknown_where_a_problem_has_fewer_samples() -> None:
    scores = score([*outcomes("a", [1, 1]), *outcomes("b", [1, 0, 0, 1])], ["a", "b"], n=4)
    assert scores.pass_at_k == {1: 0.75, 2: pytest.approx((1 + 5 / 6) / 2), 4: None}
    assert scores.pass_at_k_resampled[4] is None
    assert scores.majority is None
