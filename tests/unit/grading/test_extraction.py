from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading.extraction import extract_math_answer, last_boxed, thinking_required


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"<think>6*7</think>The answer is \boxed{42}.", "42"),
        (r"<think>\boxed{1}</think>I do not know.", None),
        (r"<think>\boxed{1}</think>\boxed{2}", "2"),
        (r"<think>so \boxed{42} and then it was cut", None),
        (r"The answer is \boxed{42}.", None),
        (r"<think>a</think>\boxed{1}<think>b</think>\boxed{2}", "2"),
        (r"<think>a</think>\boxed{1}<think>b</think>none", None),
        (r"</think>I think \boxed{3}. Wait, \boxed{4}", "4"),
        (r"</think>\boxed{\frac{1}{\sqrt{2}}} done}", r"\frac{1}{\sqrt{2}}"),
        (r"</think>\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"</think>\boxed{\left\{ x \mid x > 0 \right.}", r"\left\{ x \mid x > 0 \right."),
        (r"</think>\boxed {  7  }", "7"),
        (r"</think>\fbox{7}", "7"),
        (r"</think>\boxed{7} or \fbox{8}", "8"),
        (r"</think>\\boxed{7}", "7"),
        (r"</think>x \\\boxed{7}", "7"),
        (r"</think>\boxed{x = \boxed{4}}", "4"),
        (r"</think>\boxed{5} \boxed{6", "5"),
        (r"</think>\boxed{5} \boxed{}", None),
        (r"</think>\boxed{5} \boxed{ }", None),
        (r"</think>{{{ \boxed{5}", "5"),
        (r"</think>}}} \boxed{5}", "5"),
        (r"</think>$\boxed{2}$, $\boxed{3}$ and $\boxed{5}$", "2, 3, 5"),
        (r"</think>\[\boxed{2},\quad \boxed{3}\]", "2, 3"),
        (r"</think>\boxed{-2} \text{ and } \boxed{1}", "-2, 1"),
        (r"</think>\boxed{840}, \boxed{840}", "840"),
        (r"</think>\boxed{1}, so \boxed{2}", "2"),
        (r"</think>\boxed{1}\boxed{2}", "2"),
        (r"</think>\boxed{1} \boxed{2}", "2"),
        ("</think>\\boxed{1},\n\\boxed{2}", "2"),
        (r"</think>\boxed{1}, then \boxed{2}, \boxed{3}", "2, 3"),
        (r"</think>\boxed{1}, \boxed{}", None),
        (r"</think>\boxed{a, \boxed{b}}", "b"),
        (r"</think>boxed{5} \box{6} \mbox{7}", None),
        (r"</think>\boxed{a \box{6} b}", r"a \box{6} b"),
        ("</think>\\boxed{a\nb}", "a\nb"),
        ("", None),
        ("</think>", None),
        ("</think>\\boxed", None),
        ("</think>\\", None),
    ],
)
def test_hand_worked_responses(response: str, answer: str | None) -> None:
    assert extract_math_answer(response) == answer


def test_models_without_thinking_may_answer_anywhere() -> None:
    assert extract_math_answer(r"It is \boxed{42}.", require_thinking=False) == "42"
    assert extract_math_answer(r"<think>\boxed{1}</think>unboxed", require_thinking=False) == "1"


BALANCED = st.recursive(
    st.text(alphabet="ab1+=. \n", max_size=6) | st.sampled_from([r"\{", r"\}", r"\\", r"\frac", r"\%"]),
    lambda inner: st.lists(inner | inner.map("{{{}}}".format), max_size=4).map("".join),
    max_leaves=20,
)


@given(BALANCED, st.text(), st.text(alphabet=st.characters(exclude_characters="\\")))
def test_any_balanced_content_comes_back_whole(content: str, thinking: str, after: str) -> None:
    response = f"<think>{thinking}</think>Hence \\boxed{{{content}}} {after.replace('</think>', '')}"
    assert extract_math_answer(response) == (content.strip() or None)


TOKENS = ["\\boxed{", "\\fbox {", "\\boxed", "{", "}", "}", "}", "\\{", "\\}", "\\\\", "x", " ", "boxed"]


def _by_rescanning(text: str) -> str | None:
    """The same rule in quadratic time: from the last box backwards, the first one that closes."""
    for opening in reversed(list(re.finditer(r"\\(?:boxed|fbox)\s*\{", text))):
        depth, position = 1, opening.end()
        while position < len(text):
            if text[position] == "\\":
                position += 2
                continue
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[opening.end() : position].strip() or None
            position += 1
    return None


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map("".join))
def test_agrees_with_rescanning_from_every_box(text: str) -> None:
    assert last_boxed(text) == _by_rescanning(text)


@given(st.text(), st.booleans())
def test_never_raises(response: str, require_thinking: bool) -> None:
    answer = extract_math_answer(response, require_thinking=require_thinking)
    assert answer is None or all(part in response for part in answer.split(", "))


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{3}, ",
        "\\boxed{",
        "{",
        "}",
        "\\",
        "\\boxed ",
        " ",
        "</think>",
        "\\boxed{}",
        "\\boxed",
        "\\boxed{{}",
        "boxed",
    ],
)
def test_takes_linear_time_on_hostile_repetition(unit: str) -> None:
    text = r"</think>\boxed{1}\boxed" + unit * (1_000_000 // len(unit))
    started = time.process_time()
    extract_math_answer(text)
    assert time.process_time() - started < 5  # quadratic time would be hours


@pytest.mark.parametrize(
    ("response", "required"), [("so \\boxed{1}", False), ("<think>\\boxed{1}", True), ("ah</think>\\boxed{1}", True)]
)
def test_thinking_is_required_where_it_shows(response: str, required: bool) -> None:
    assert thinking_required(None, response) is required
    assert thinking_required(True, response) is True
    assert thinking_required(False, response) is False
