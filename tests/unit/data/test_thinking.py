from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.thinking import thinking_response

WHOLE = "<think>\n1+1\n</think>\n\n\\boxed{2}"


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "<think>1+1</think>\\boxed{2}",  # a reasoning parser that strips
        "<think>\n1+1\n</think>\n\n\\boxed{2}\n",
        "\n1+1\n</think>\n\n\\boxed{2}",  # the template opened the thinking
        "1+1</think> \\boxed{2}",
    ],
)
def test_every_servers_form_becomes_one(text: str) -> None:
    assert thinking_response(text) == WHOLE


@pytest.mark.parametrize("text", ["\\boxed{2}", "<think>\n1+1 and th", ""])
def test_a_text_that_never_ends_its_thinking_stays(text: str) -> None:
    assert thinking_response(text) == text


def test_the_answer_is_what_follows_the_last_mark() -> None:
    assert thinking_response("a</think>b</think>c") == "<think>\na</think>b\n</think>\n\nc"


@given(st.text(alphabet="ab \n<>/think"))
def test_twice_is_once(text: str) -> None:
    once = thinking_response(text)
    assert thinking_response(once) == once
