from __future__ import annotations

from typing import Any

import pytest

from recipes.data.sources.fields import Origin
from recipes.data.sources.math_sets import (
    acemath_row,
    acereason_math_row,
    last_boxed,
    numinamath_row,
    openmathreasoning_row,
)

ORIGIN = Origin("set", "cc-by-4.0", "math")


def test_acemath_has_prompts_and_a_models_solution() -> None:
    messages = [{"role": "user", "content": "1+1?\nPlease place your final answer inside \\boxed{}."}]
    row = acemath_row({"messages": messages, "answer": "It is \\boxed{2}."}, ORIGIN)
    assert (row.problem, row.answer, row.response) == ("1+1?", "", None)
    assert (row.source, row.licence, row.domain) == ("set", "cc-by-4.0", "math")
    assert row.metadata == {"solution": "It is \\boxed{2}."}
    with_system = acemath_row({"messages": [{"role": "system", "content": "Be."}, *messages]}, ORIGIN)
    assert with_system.metadata == {"system": "Be."}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (None, "key 'messages' is null"),
        (["x"], "expected a list of objects"),
        ([], "messages of nobody; expected one user turn"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "messages of user, assistant"),
        ([{"role": "user"}], "key 'content' is missing"),
    ],
)
def test_acemath_without_one_prompt(messages: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        acemath_row({"messages": messages, "answer": ""}, ORIGIN)


def test_numinamath_1_5() -> None:
    published = {
        "problem": "1+1?",
        "solution": "Two.",
        "answer": "2",
        "problem_type": "Algebra",
        "question_type": "math-word-problem",
        "problem_is_valid": "Yes",
        "solution_is_valid": "Yes",
        "source": "olympiads",
        "synthetic": False,
    }
    row = numinamath_row(published, ORIGIN)
    assert (row.problem, row.answer) == ("1+1?", "2")
    assert row.metadata == {
        "solution": "Two.",
        "problem_type": "Algebra",
        "question_type": "math-word-problem",
        "problem_is_valid": "Yes",
        "solution_is_valid": "Yes",
        "origin": "olympiads",
        "synthetic": False,
    }
    proof = numinamath_row({**published, "answer": "proof"}, ORIGIN)
    assert (proof.answer, proof.metadata["answer_note"]) == ("", "proof")
    with pytest.raises(ValueError, match="'problem_is_valid' is 'Incomplete'"):
        numinamath_row({**published, "problem_is_valid": "Incomplete"}, ORIGIN)


def test_numinamath_cot_takes_the_last_box() -> None:
    published = {
        "source": "cn_k12",
        "problem": "x?",
        "solution": "First \\boxed{1}, so \\boxed{\\frac{1}{2}}.",
        "messages": [{"role": "user", "content": "x?"}],
    }
    row = numinamath_row(published, ORIGIN)
    assert row.answer == "\\frac{1}{2}"
    assert set(row.metadata) == {"origin", "solution"}


def test_openmathreasoning() -> None:
    published = {
        "expected_answer": "2",
        "problem_type": "has_answer_extracted",
        "problem_source": "aops_c4_high_school_math",
        "generation_model": "DeepSeek-R1",
        "pass_rate_72b_tir": "0.5",
        "problem": "1+1?",
        "generated_solution": "<think>\nTwo.</think>\n\\boxed{2}",
        "inference_mode": "cot",
        "used_in_kaggle": True,
    }
    row = openmathreasoning_row(published, ORIGIN)
    assert (row.problem, row.answer, row.response) == ("1+1?", "2", "<think>\nTwo.</think>\n\\boxed{2}")
    assert row.metadata["teacher"] == "DeepSeek-R1"
    assert row.metadata["origin"] == "aops_c4_high_school_math"
    assert row.metadata["inference_mode"] == "cot"
    bare = {**published, "expected_answer": "n/a", "generated_solution": "n/a", "inference_mode": "n/a"}
    additional = openmathreasoning_row(bare, ORIGIN)
    assert (additional.answer, additional.response) == ("", None)
    with pytest.raises(ValueError, match="'inference_mode' is 'tir'"):
        openmathreasoning_row({**published, "inference_mode": "tir"}, ORIGIN)


def test_acereason_math() -> None:
    row = acereason_math_row({"problem": " 1+1? ", "answer": 2}, ORIGIN)
    assert (row.problem, row.answer, row.metadata) == ("1+1?", "2", {})
    with pytest.raises(ValueError, match="key 'answer' is missing"):
        acereason_math_row({"problem": "1+1?"}, ORIGIN)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{1} and \\boxed{ 2 }", "2"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{a_{b_{c}}}", "a_{b_{c}}"),
        ("\\boxed{1", ""),
        ("none", ""),
    ],
)
def test_last_boxed(text: str, answer: str) -> None:
    assert last_boxed(text) == answer
