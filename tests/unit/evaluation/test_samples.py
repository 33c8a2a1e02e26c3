from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.grading import BATCH, grade_samples
from evaluation.samples import Sample, SamplesError, merge_parts, part_path, read_samples, remove_parts, write_samples
from recipes.grading.graders import Grader
from recipes.records import Problem
from tests.unit.grading.grading_options import OPTIONS

ONE = Sample("p", 0, 2**62, "é </think> \\boxed{4}", 5, False, 0.5)


def test_the_file_gives_the_samples_back(tmp_path: Path) -> None:
    samples = [ONE, replace(ONE, sample=1, verdict="correct", extracted="4")]
    write_samples(tmp_path / "s.jsonl", samples)
    assert read_samples(tmp_path / "s.jsonl") == samples


@pytest.mark.parametrize(
    ("line", "words"),
    [('{"problem_id": "p"}', "expected an object with the keys"), ('{"problem', "malformed JSON"), ("3", "expected")],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    write_samples(tmp_path / "s.jsonl", [ONE])
    with (tmp_path / "s.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SamplesError, match=rf"s\.jsonl:2: .*{words}"):
        read_samples(tmp_path / "s.jsonl")


def test_parts_are_merged_in_the_order_of_the_benchmark(tmp_path: Path) -> None:
    first, second = replace(ONE, problem_id="b", sample=1), replace(ONE, problem_id="b", sample=0)
    write_samples(part_path(tmp_path, 0), [first, replace(ONE, problem_id="a")])
    write_samples(part_path(tmp_path, 1), [second])
    merged = merge_parts(tmp_path, 2, ["b", "a"])
    assert [(s.problem_id, s.sample) for s in merged] == [("b", 0), ("b", 1), ("a", 0)]
    remove_parts(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_not_there_is_an_error_and_no_smaller_score(tmp_path: Path) -> None:
    write_samples(part_path(tmp_path, 0), [ONE])
    with pytest.raises(SamplesError, match=r"replica_001\.jsonl.*shared file system"):
        merge_parts(tmp_path, 2, ["p"])


def test_samples_of_the_replicas_do_not_hide_behind_a_glob(tmp_path: Path) -> None:
    """A samples file of a former run stays when parts are removed."""
    write_samples(tmp_path / "samples.jsonl", [ONE])
    remove_parts(tmp_path)
    assert json.loads((tmp_path / "samples.jsonl").read_text())["problem_id"] == "p"


def test_grading_by_the_reward_of_the_training() -> None:
    problems = [Problem("p", "?", "4"), Problem("q", "?", "9")]
    texts = ["<think>x</think> \\boxed{4}", "<think>x</think> \\boxed{5}", "<think>\\boxed{4}"] * (BATCH // 2)
    samples = [replace(ONE, sample=index, text=text) for index, text in enumerate(texts)]
    samples.append(replace(ONE, problem_id="q", text="</think>\\boxed{9}"))
    done: list[int] = []
    with Grader(OPTIONS) as grader:
        graded = grade_samples(grader, samples, problems, done.append)
    assert [s.verdict for s in graded[:3]] == ["correct", "wrong", "no_answer"]
    assert [s.extracted for s in graded[:3]] == ["4", "5", None]
    assert graded[-1].verdict == "correct"
    assert [replace(s, verdict=None, extracted=None) for s in graded] == samples
    assert sum(done) == len(samples)


def test_grading_knows_every_problem() -> None:
    with Grader(OPTIONS) as grader, pytest.raises(KeyError, match="p"):
        grade_samples(grader, [ONE], [])
