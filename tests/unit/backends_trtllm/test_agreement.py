"""The criterion of ``verify=true``, worked by hand: only the first difference counts, and there only its gap."""

from __future__ import annotations

import math

import pytest

from recipes.backends.trtllm.agreement import Agreement, Step, compare, disagreement, fixed_prompts, report_of

END = 9
# Three tokens and the end. At the second place 5 has probability 0.50, 6 has 0.45 and 7 has 0.04:
# log 0.50 - log 0.45 = 0.105 nats, log 0.50 - log 0.04 = 2.526 nats.
REFERENCE = [
    Step(4, {4: math.log(0.9), 5: math.log(0.1)}),
    Step(5, {5: math.log(0.50), 6: math.log(0.45), 7: math.log(0.04)}),
    Step(8, {8: math.log(0.7), 4: math.log(0.3)}),
    Step(END, {END: math.log(0.99)}),
]


def test_equal_responses() -> None:
    assert compare(REFERENCE, [4, 5, 8, END], 0.25) == Agreement("same", 4)


def test_a_token_that_is_nearly_as_probable_is_a_tie_and_what_follows_does_not_count() -> None:
    found = compare(REFERENCE, [4, 6, 1, 1, 1], 0.25)
    assert (found.verdict, found.agreed_tokens, found.position, found.expected, found.found) == ("tie", 1, 1, 5, 6)
    assert found.gap == pytest.approx(math.log(0.50 / 0.45), abs=1e-6)


def test_the_margin_decides() -> None:
    assert compare(REFERENCE, [4, 6], 0.106).verdict == "tie"
    assert compare(REFERENCE, [4, 6], 0.105).verdict == "different"  # the gap is 0.10536
    assert compare(REFERENCE, [4, 7], 0.25).verdict == "different"
    assert compare(REFERENCE, [4, 7], 3.0).verdict == "tie"


def test_a_token_beyond_the_most_probable_ones_is_no_tie_whatever_the_margin() -> None:
    found = compare(REFERENCE, [3, 5, 8, END], 100.0)
    assert (found.verdict, found.agreed_tokens, found.gap) == ("different", 0, None)


@pytest.mark.parametrize(
    ("response", "expected", "found"), [([4, 5, 8], END, None), ([4, 5, 8, END, 4], None, 4), ([], 4, None)]
)
def test_a_response_that_ends_elsewhere_without_choosing_so(
    response: list[int], expected: int | None, found: int | None
) -> None:
    agreement = compare(REFERENCE, response, 0.25)
    assert agreement.verdict == "different"
    assert (agreement.expected, agreement.found) == (expected, found)


def test_ending_too_early_by_choice_is_a_difference_like_any_other() -> None:
    steps = [Step(4, {4: -0.1, END: -2.6})]
    assert compare(steps, [END], 0.25).verdict == "different"
    assert compare([Step(4, {4: -0.7, END: -0.8})], [END], 0.25).verdict == "tie"


def test_the_report_counts_and_the_reason_names_prompt_and_token() -> None:
    prompts = ["a", "b", "c"]
    agreements = [compare(REFERENCE, response, 0.25) for response in ([4, 5, 8, END], [4, 6], [4, 7])]
    report = report_of(prompts, agreements, 0.25, 4)
    assert (report["same"], report["ties"], report["different"], report["agreed_tokens"]) == (1, 1, 1, 6)
    assert [found["prompt"] for found in report["differences"]] == ["b", "c"]
    reason = disagreement(report)
    assert reason is not None and reason.startswith("1 of 3 responses")
    assert "prompt 'c', token 1: transformers 5, engine 7 (2.526 nats less probable" in reason
    assert "'b'" not in reason
    assert disagreement(report_of(prompts[:2], agreements[:2], 0.25, 4)) is None


def test_the_prompts_are_fixed_and_differ() -> None:
    prompts = fixed_prompts(32)
    assert len(set(prompts)) == 32
    assert prompts[:2] == fixed_prompts(2)
    assert prompts[0] == "What is 17 + 4 * 3? Give the number."
    with pytest.raises(ValueError, match="there are 32"):
        fixed_prompts(33)
