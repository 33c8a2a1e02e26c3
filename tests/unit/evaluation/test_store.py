from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.grading import BATCH, grade_samples
from evaluation.samples import Sample, SamplesError, write_samples
from evaluation.store import SampleStore, in_order
from recipes.grading.graders import Grader
from recipes.records import Problem, Verdict
from tests.unit.grading.grading_options import OPTIONS

ONE = Sample("p", 0, 2**62, "é </think> \\boxed{4}", 5, False, 0.5)
TWO = replace(ONE, sample=1)
IDENTITY = {"weights": "abc", "temperature": 0.6}


def test_what_was_appended_is_there_with_its_verdict(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "b")
    with store.part(0) as part:
        part.append(ONE)
        part.append(TWO)
        part.grade(ONE, Verdict(True, "correct", "4", 0.1))
    with store.part(1) as part:
        part.append(replace(ONE, problem_id="a"))
    found = store.load()
    assert set(found) == {("p", 0), ("p", 1), ("a", 0)}
    assert (found["p", 0].verdict, found["p", 0].extracted, found["p", 1].verdict) == ("correct", "4", None)
    ordered = in_order(found, ["p", "a"])
    assert [(one.problem_id, one.sample) for one in ordered] == [("p", 0), ("p", 1), ("a", 0)]
    store.settle(ordered)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["samples.jsonl"]
    assert store.load() == found
    with store.part(0) as part:  # more samples later
        part.append(replace(ONE, sample=2))
    assert len(store.load()) == 4


@pytest.mark.parametrize("cut", range(2, 40, 6))
def test_a_kill_loses_no_more_than_the_line_that_it_tore(tmp_path: Path, cut: int) -> None:
    store = SampleStore(tmp_path)
    with store.part(0) as part:
        part.append(ONE)
        part.append(TWO)
        path = part.path
    path.write_bytes(path.read_bytes()[:-cut])
    assert set(store.load()) == {("p", 0)}
    with store.part(0) as part:
        part.append(TWO)
        part.append(replace(ONE, sample=2))
    assert set(store.load()) == {("p", 0), ("p", 1), ("p", 2)}
    assert store.load()["p", 1] == TWO


def test_of_two_with_one_key_the_first_counts(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    write_samples(tmp_path / "samples.jsonl", [ONE])
    with store.part(0) as part:
        part.append(replace(ONE, text="another"))
    assert store.load() == {("p", 0): ONE}


@pytest.mark.parametrize(
    ("line", "words"),
    [('{"problem_id": "p"}', "expected an object with the keys"), ('{"problem', "malformed JSON"), ("3", "expected")],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    write_samples(tmp_path / "samples.jsonl", [ONE])
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SamplesError, match=rf"samples\.jsonl:2: .*{words}"):
        SampleStore(tmp_path).load()


def test_samples_of_another_model_are_refused_or_replaced(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    store.claim(IDENTITY, replace=False)
    write_samples(tmp_path / "samples.jsonl", [ONE])
    store.claim(IDENTITY, replace=True)
    assert len(store.load()) == 1, "the same model's samples stay"
    with pytest.raises(
        SamplesError, match=r"samples drawn otherwise: temperature was 0\.6, is 1\.0.*output=OTHER.*replace=true"
    ):
        store.claim({**IDENTITY, "temperature": 1.0}, replace=False)
    with pytest.raises(SamplesError, match=r"samples of another model .*: engine was None, is 'hf'"):
        store.claim({**IDENTITY, "engine": "hf"}, replace=False)
    with store.part(0) as part:
        part.append(TWO)
    store.claim({**IDENTITY, "temperature": 1.0}, replace=True)
    assert store.load() == {}
    assert json.loads((tmp_path / "sampling.json").read_text())["temperature"] == 1.0


def test_a_sample_of_an_unknown_problem_is_named() -> None:
    with pytest.raises(SamplesError, match="samples of p, which the benchmark does not have"):
        in_order({("p", 0): ONE}, ["q"])


def test_grading_by_the_reward_of_the_training() -> None:
    problems = [Problem("p", "?", "4"), Problem("q", "?", "9")]
    texts = ["<think>x</think> \\boxed{4}", "<think>x</think> \\boxed{5}", "<think>\\boxed{4}"] * (BATCH // 2)
    samples = [replace(ONE, sample=index, text=text) for index, text in enumerate(texts)]
    samples.append(replace(ONE, problem_id="q", text="</think>\\boxed{9}"))
    done: list[str] = []
    with Grader(OPTIONS) as grader:
        graded = grade_samples(
            grader, samples, problems, lambda _, verdicts: done.extend(verdict.verdict for verdict in verdicts)
        )
    assert [s.verdict for s in graded[:3]] == ["correct", "wrong", "no_answer"]
    assert [s.extracted for s in graded[:3]] == ["4", "5", None]
    assert graded[-1].verdict == "correct"
    assert [replace(s, verdict=None, extracted=None) for s in graded] == samples
    assert done == [s.verdict for s in graded]


def test_grading_knows_every_problem() -> None:
    with Grader(OPTIONS) as grader, pytest.raises(KeyError, match="p"):
        grade_samples(grader, [ONE], [])
