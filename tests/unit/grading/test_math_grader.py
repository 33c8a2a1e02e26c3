from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.grading import math_grader
from recipes.grading.math_grader import MathGrader

COMPARISONS = f"{__package__}.comparisons"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def grader() -> Iterator[MathGrader]:
    with MathGrader(workers=2, timeout_seconds=2.0, require_thinking=True) as grader:
        yield grader


def _answer(text: str) -> str:
    return f"<think>hm</think>The answer is \\boxed{{{text}}}."


def test_each_verdict_in_the_order_of_the_responses(grader: MathGrader) -> None:
    rows = [
        (_answer("42"), "42", "correct", "42"),
        (_answer("41"), "42", "wrong", "41"),
        (_answer(r"2\sqrt{2}"), r"\sqrt{8}", "correct", r"2\sqrt{2}"),
        (_answer("10^{10^{10}}"), "7", "wrong", "10^{10^{10}}"),
        (_answer("x^2-1"), "(x-1)(x+1)", "correct", "x^2-1"),
        (r"<think>\boxed{42}</think>", "42", "no_answer", None),
        (_answer("x^2"), "(x-1)(x+1)", "wrong", "x^2"),
        (_answer(r"\frac{1}{"), "1", "no_answer", None),
        (_answer("1+" * 50_000), "1", "wrong", "1+" * 50_000),
        ("<think>" + "wait, " * 200_000 + _answer("5"), "5", "correct", "5"),
        ("", "5", "no_answer", None),
    ]
    verdicts = grader.grade([row[0] for row in rows], [row[1] for row in rows])
    assert [(verdict.verdict, verdict.extracted) for verdict in verdicts] == [(row[2], row[3]) for row in rows]
    assert [verdict.correct for verdict in verdicts] == [row[2] == "correct" for row in rows]
    assert all(0 <= verdict.seconds < 2 for verdict in verdicts)


def test_every_tower_costs_at_most_its_budget(grader: MathGrader) -> None:
    towers = ["9^{9^{9^{9}}}", "(10^9)!", r"\binom{10^9}{10^8}", r"2^{1/2^{1000}}"]
    grader.grade([_answer("x+1")], ["1+x"])
    started = time.monotonic()
    verdicts = grader.grade([_answer(tower) for tower in [*towers, "1+x"]], ["7"] * len(towers) + ["x+1"])
    assert time.monotonic() - started < 30  # two budgets of 2 s one after the other, and room for a busy machine
    assert not any(verdict.correct for verdict in verdicts[:-1])
    assert {verdict.verdict for verdict in verdicts[:-1]} <= {"wrong", "timeout", "error"}
    assert verdicts[-1].correct


def test_misbehaving_comparisons_touch_no_other_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grader, "COMPARISON", f"{COMPARISONS}:sleeping_symbolic_comparison")
    monkeypatch.setattr(math_grader, "decide_exactly", lambda *_: None)
    answers = ["die", "a*b", "wait", "c*d", "die", "e*f", "wait"]
    with MathGrader(workers=2, timeout_seconds=0.5, require_thinking=True) as grader:
        started = time.monotonic()
        verdicts = grader.grade([_answer(answer) for answer in answers], ["a\\cdot b"] * len(answers))
        assert time.monotonic() - started < 30
        assert " ".join(verdict.verdict for verdict in verdicts) == "error wrong timeout wrong error wrong timeout"
        assert verdicts[2] == verdicts[6]  # equal answers are compared once


def test_verdicts_arrive_while_others_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grader, "COMPARISON", f"{COMPARISONS}:sleeping_symbolic_comparison")
    monkeypatch.setattr(math_grader, "decide_exactly", lambda *_: None)
    with MathGrader(workers=2, timeout_seconds=2.0, require_thinking=True) as grader:
        grader.submit(_answer("a*b"), "a\\cdot b").result()
        slow = grader.submit(_answer("wait"), "a\\cdot b")
        assert grader.submit(_answer("e*f"), "a\\cdot b").result(timeout=1.5).verdict == "wrong"
        assert not slow.done()
        assert slow.result().verdict == "timeout"


def test_any_of_several_golds_is_right(grader: MathGrader) -> None:
    verdicts = grader.grade([_answer("x+1"), _answer("5")], [["2x", "1+x"], ["4", "6"]])
    assert [verdict.verdict for verdict in verdicts] == ["correct", "wrong"]


def test_the_exact_path_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with MathGrader(workers=2, timeout_seconds=1.0, require_thinking=True) as grader:
        verdicts = grader.grade([_answer("0.5"), _answer("3"), "none"], ["1/2", "4", "5"])
    assert [verdict.verdict for verdict in verdicts] == ["correct", "wrong", "no_answer"]


def test_thinking_may_be_optional() -> None:
    with MathGrader(workers=1, timeout_seconds=1.0, require_thinking=False) as grader:
        assert grader.grade([r"so \boxed{42}"], ["42"])[0].correct


def test_one_gold_answer_per_response(grader: MathGrader) -> None:
    with pytest.raises(ValueError, match="found 2 responses and 1 gold answers"):
        grader.grade(["a", "b"], ["1"])


def test_grading_is_repeatable(grader: MathGrader) -> None:
    responses = [_answer(text) for text in (r"\sqrt{12}", r"\{3,1,2\}", r"5\text{ cm}", "(1,2)", "2,1")]
    golds = [r"2\sqrt{3}", r"\{1,2,3\}", "5", r"\{1,2\}", "1,2"]
    first, second = (grader.grade(responses, golds) for _ in range(2))
    assert [verdict.verdict for verdict in first] == [verdict.verdict for verdict in second]


def test_the_import_chain_of_a_worker_is_light() -> None:
    program = "import sys, recipes.grading.worker_process, recipes.grading.math_answers as m; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "recipes.grading.math_answers" in modules.stdout.split()
    roots = {name.partition(".")[0] for name in modules.stdout.split()}
    assert not roots & {"torch", "nemo", "megatron", "numpy", "transformers", "omegaconf", "sympy", "math_verify"}


def test_a_missing_library_is_named_at_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grader.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'math-verify==0\.9\.0'"):
        MathGrader(workers=1, timeout_seconds=1.0, require_thinking=True)
