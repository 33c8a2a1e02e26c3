from __future__ import annotations

import pytest

from recipes.data.sources.instructions import Statement, statement_of

FENCE = "```python\n# Your solution code here\n```"


@pytest.mark.parametrize(
    "instruction",
    [
        "Please place your final answer inside \\boxed{}.",
        "Please reason step by step, and put your final answer within \\boxed{}.",
        "Please reason step by step, and put your final answer within \\boxed{{}}.",
        "Let's think step by step and output the final answer within \\boxed{}.",
        f"Write Python code to solve the problem. Please place the solution code in the following format:\n{FENCE}",
        "Write Python code to solve the problem. Present the code in \n```python\nYour code\n```\nat the end.",
    ],
)
def test_instructions_are_taken_off(instruction: str) -> None:
    assert statement_of(f"Find $x$.\n\n{instruction}\n") == Statement("Find $x$.")
    assert statement_of(instruction).text == instruction, "nothing else is there"


def test_the_header_of_appendix_a_becomes_starter_code() -> None:
    text = (
        "Add.\nSolve the problem starting with the provided function header.\nFunction header:\n"
        f"```\nclass Solution:\n    def add(self, a: int) -> int:\n```\n"
        f"Please place the solution code in the following format:\n{FENCE}"
    )
    assert statement_of(text) == Statement("Add.", "class Solution:\n    def add(self, a: int) -> int:")


@pytest.mark.parametrize(
    "tail",
    [
        "The input will be stdin and you should print your solution to stdout\n\n\n"
        "Now solve the problem and return the code.",
        "The input will be given via stdin and the output should be printed to stdout by your code.\n\n"
        "Now solve the problem by providing the code.",
        "Now solve the problem and return the code.",
    ],
)
def test_primeintellect(tail: str) -> None:
    head = "Solve the following coding problem using the programming language python:\n\n"
    assert statement_of(f"{head}Add a and b.\n\n{tail}").text == "Add a and b."


@pytest.mark.parametrize(
    "text",
    [
        "What is \\boxed{}?",
        "Please place your final answer inside \\boxed{} when 3 is a prime. Is 3 prime?",
        "Write Python code to solve the problem of the two towers.",
    ],
)
def test_the_words_of_a_problem_stay(text: str) -> None:
    assert statement_of(f" {text}\n").text == text
