from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.answer_checks import LONGEST_ANSWER, gold_defect, mentions_letter, part_labels

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("problem", "answer", "words"),
    [
        ("Solve.", "", "no answer"),
        ("Solve.", " $ $ ", "no answer"),
        ("Solve.", r"\boxed{}", "no answer"),
        ("Solve.", "1" * (LONGEST_ANSWER + 1), "1,001 characters"),
        ("Is it?", "proof", "'proof' in place of an answer"),
        ("How many?", "Not found.", "in place of an answer"),
        ("Find x in ![](https://host/a.png).", "3", "a picture"),
        ("Find all n.", "all positive integers that are not a power of two or of three", "an answer of 12 words"),
        ("Prove that there are infinitely many primes of the form $4k+3$.", "4k+3", "a proof"),
        ("Let $abc=1$. Prove that\n$$a+b+c \\ge 3.$$", "3", "a proof"),
        ("Given $f(x)=x^2+ax$. (1) Find the range of $a$; (2) find $f$.", "(1) $a>2$; (2) $x^2$", "parts (1), (2)"),
        ("(a) What is $1+1$? (b) What is $2+2$?", "a) 2 b) 4", "an answer in parts a), b)"),
        ("A curve.\n(i) Find its length.\n(ii) Find its area.", "3", "a question in each of the parts (i), (ii)"),
        ("What is $x$? What is $y$?", "x=1, y=2", "several questions"),
        ("Which statement is right?", "(C)", "the letter of a choice, C"),
        ("A train leaves. Which option is right?", r"\text{A}", "the letter of a choice, A"),
    ],
)
def test_what_cannot_be_a_gold_answer(problem: str, answer: str, words: str) -> None:
    assert words in str(gold_defect(problem, answer))


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        ("Solve $x+y=3$, $x-y=-1$.", "x=1, y=2"),
        ("Show that the sum is even and find its smallest value.", "4"),
        ("Determine all functions, and prove that there are no others.", "f(x)=x"),
        ("Find $x$ such that (1) $x>0$ and (2) $x<3$ is whole; how many are there?", "2"),
        ("A sequence has the properties:\n(i) $a_1=1$\n(ii) $a_{2n}=na_n$\n\nWhat is $a_4$?", "2"),
        ("Which is right? (A) 1 (B) 2", r"\textbf{(B)}"),
        ("Which is right?\nA. 1\nB. 2\nC. 3", "C"),
        ("The point $A$ is nearer to $C$ than $B$ is. Which one?", "B"),
        ("What is the 100th letter of ABCABC...?", "A"),
        ("Name the curve.", r"\text{circle}"),
        ("In which interval?", "(1)"),
        ("Is it true?", "Yes"),
        ("How many?", r"\frac{1}{2}"),
    ],
)
def test_what_can(problem: str, answer: str) -> None:
    assert gold_defect(problem, answer) is None


def test_labels_of_parts() -> None:
    assert part_labels("(a) 1 (b) 2 (c) 3") == ["(a)", "(b)", "(c)"]
    assert part_labels("(a) 1") == part_labels("f(a) + f(b)") == part_labels("(b) and (a)") == []
    assert part_labels("1) x 2) y") == ["1)", "2)"]


def test_the_article_is_no_letter() -> None:
    assert not mentions_letter("A train and a car.", "A")
    assert mentions_letter("The set $A$ is open.", "A")
    assert mentions_letter("See D below", "D")


@given(st.text(), st.text())
def test_any_text_is_looked_at(problem: str, answer: str) -> None:
    found = gold_defect(problem, answer)
    assert found is None or found


def _golds(name: str) -> list[tuple[str, str]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the problems are no part of the project")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    if "gsm8k" in name:
        return [(row["question"], row["answer"].rpartition("####")[2].strip()) for row in rows]
    return [(row["problem"], str(row.get("answer") or row.get("expected_answer") or "")) for row in rows]


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("train/math_train_7474.jsonl", 4),  # rows without an answer, upstream
        ("train/aime_1983_2023_975.jsonl", 0),
        ("train/gsm8k_train.jsonl", 0),
        ("math/math_500.jsonl", 0),
        ("math/hmmt_feb_2025.jsonl", 0),
        ("math/brumo_2025.jsonl", 0),
    ],
)
def test_sound_collections_lose_nothing_else(name: str, out: int) -> None:
    found = [defect for problem, answer in _golds(name) if (defect := gold_defect(problem, answer)) is not None]
    assert found == ["no answer"] * out
