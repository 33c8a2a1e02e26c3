"""Which block of a response is its program."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading.code_extraction import extract_code


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("```py\na\n```\ntext\n```python3\nb\n```\nmore", "b\n"),
        ("```Python\na\n```\n```\noutput 3\n```", "a\n"),  # a plain block after a python one is its output
        ("```\na\n```", "a\n"),
        ("```\na\n```\n```\nb\n```", "b\n"),
        ("```cpp\nint x;\n```", None),
        ("```python\na\n```\n```bash\nrun\n```", "a\n"),
        ("```{.python}\na\n```", "a\n"),
        ('```python title="x.py"\na\n```', "a\n"),
        ("~~~python\na\n```\nb\n~~~", "a\n```\nb\n"),
        ("````python\na = '''\n```\n'''\n````", "a = '''\n```\n'''\n"),
        ("1. Code:\n   ```python\n   if x:\n       y\n   ```\n", "if x:\n    y\n"),
        ("\t```python\n\tif x:\n\t\ty\n\t```", "if x:\n\ty\n"),
        ("```python\r\na\r\nb\r\n```\r\n", "a\nb\n"),
        ("``` python \na\n```  ", "a\n"),
        ("```python\ndraft\n```python\nfinal\n```", "final\n"),  # the first was left open by mistake
        ("```python\na\n```\n```python\ncut off", "a\n"),
        ("```python\ncut off", None),
        ("```python\n\n  \n```", None),
        ("```python\n```", None),
        ("```python\na\n```\n```python\n\n```", "a\n"),
        ("`x` and ``y``", None),
        ("```python print(1)```", None),
        ("The code: ```python\na\n```", "a\n"),
        ("The code: ```\na\n```\nb", None),
        ("```python\ns = 'open: ```python'\n```", "s = 'open: ```python'\n"),
        ("no code", None),
        ("", None),
    ],
)
def test_last_python_block(response: str, code: str | None) -> None:
    assert extract_code(response, require_thinking=False) == code
    assert extract_code("<think>\n```python\ndraft\n```\n</think>" + "\n" + response) == code


def test_only_what_follows_the_thinking_counts() -> None:
    block = "```python\na\n```\n"
    assert extract_code(f"<think>{block}</think>\nThe answer is above.") is None
    assert extract_code(f"<think>{block}</think>\nThe answer is above.", require_thinking=False) == "a\n"
    assert extract_code(block) is None
    assert extract_code(f"</think>{block}</think>\n{block}") == "a\n"
    assert extract_code(f"<think>```python\nhalf</think>\n{block}") == "a\n"


_PIECES = st.sampled_from(
    [
        "```",
        "~~~",
        "````",
        "python",
        "py",
        "cpp",
        "\n",
        "\r\n",
        " ",
        "\t",
        "x = 1",
        "</think>",
        "`",
        "{",
        "}",
        "é",
        "\x00",
    ]
)


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_any_text_gives_a_part_of_it_or_nothing(response: str) -> None:
    code = extract_code(response, require_thinking=False)
    assert code is None or code.strip()
    if code is not None:
        lines = response.replace("\r\n", "\n").split("\n")
        assert all(any(line in whole for whole in lines) for line in code.split("\n"))


@given(st.text(alphabet="abc =\n\t:'\"#", min_size=1).filter(lambda text: bool(text.strip())))
def test_what_is_written_into_a_block_comes_out(code: str) -> None:
    assert extract_code(f"</think>\n```python\n{code}\n```\n") == code + "\n"


@pytest.mark.parametrize("piece", ["```python\n", "```\n", "~~~", "`", " ```", "\n", "```python\nx\n```\n", "{" * 50])
def test_time_is_linear(piece: str) -> None:
    response = piece * (2_000_000 // len(piece))
    started = time.process_time()
    extract_code(response, require_thinking=False)
    assert time.process_time() - started < 3.0
