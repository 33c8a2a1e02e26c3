from __future__ import annotations

from typing import Any

import pytest

from recipes.data.sources.local import LocalKeys, local_row

STDIN = {"kind": "stdin", "inputs": ["1\n"], "outputs": ["2\n"]}


def test_the_recipes_own_layout() -> None:
    row = local_row({"id": "p1", "problem": " 1+1?", "answer": "2", "level": 3, "note": None}, LocalKeys())
    assert (row.problem, row.answer, row.domain, row.source, row.licence) == (
        " 1+1?",
        "2",
        "math",
        "local",
        "not stated",
    )
    assert row.metadata == {"source_id": "p1", "level": 3}


def test_other_keys_and_the_rows_own_words() -> None:
    keys = LocalKeys("question", "gold", "cases", "text", "mine", "mit", None)
    row = local_row({"question": "q", "gold": "1", "text": "<think>", "source": "his", "problem": "kept"}, keys)
    assert (row.problem, row.answer, row.response, row.source, row.licence) == ("q", "1", "<think>", "his", "mit")
    assert row.metadata == {"row_problem": "kept"}


def test_gsm8k_works_its_answers_out() -> None:
    row = local_row({"question": "48 + 24?", "answer": "48 + 24 = <<48+24=72>>72\n#### 72"}, LocalKeys())
    assert (row.problem, row.answer, row.metadata) == ("48 + 24?", "72", {"worked_answer": "48 + 24 = <<48+24=72>>72"})
    both = local_row({"question": "q", "problem": "p"}, LocalKeys())
    assert (both.problem, both.metadata) == ("p", {"question": "q"})


def test_tests_make_a_code_problem_and_may_be_json() -> None:
    plain = local_row({"problem": "p", "tests": STDIN}, LocalKeys())
    text = '{"outputs": ["2\\n"], "inputs": ["1\\n"], "kind": "stdin", "header": null}'
    assert plain == local_row({"problem": "p", "tests": text, "answer": None}, LocalKeys(domain="math"))
    assert plain.domain == "code"


def test_domain_of_rows_without_tests() -> None:
    assert local_row({"problem": "p"}, LocalKeys(domain="code")).domain == "code"
    assert local_row({"problem": "p", "domain": "code"}, LocalKeys()).domain == "code"
    assert local_row({"problem": "p", "domain": "math"}, LocalKeys(domain="code")).domain == "math"


def test_an_id_that_the_content_gives_is_no_news() -> None:
    made = local_row({"problem": "p", "answer": "1", "source_id": "x"}, LocalKeys())
    again = local_row({"id": made.id, "problem": "p", "answer": "1", "source_id": "x"}, LocalKeys())
    assert again == made
    other = local_row({"id": "y", "problem": "p", "answer": "1", "source_id": "x"}, LocalKeys())
    assert other.metadata == {"source_id": "x", "row_id": "y"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"answer": "2"}, "key 'problem' or 'question' is missing; expected text; found keys answer"),
        ({}, "found keys none"),
        ({"problem": None}, "key 'problem' or 'question' is missing"),
        ({"problem": "\t"}, "key 'problem' is empty"),
        ({"problem": ["p"]}, "key 'problem' is a list"),
        ({"problem": "p", "answer": 7}, "key 'answer' is a number; expected text: write \"7\""),
        ({"problem": "p", "tests": [1]}, "key 'tests' is a list; expected an object"),
        ({"problem": "p", "tests": "{"}, "key 'tests' is no JSON"),
        ({"problem": "p", "response": " "}, "key 'response' is empty"),
        ({"problem": "p", "domain": "law"}, "key 'domain' is 'law'"),
        ({"problem": "p", "domain": "math", "tests": STDIN}, "'math', and the row has tests"),
        ({"problem": "p", "source": 3}, "key 'source' is a number"),
    ],
)
def test_what_cannot_be_used(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        local_row(row, LocalKeys())
