"""Folders as ``evaluation.run`` leaves them, with samples chosen by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.samples import Sample
from evaluation.score import score_task
from evaluation.tasks import Task
from recipes.data.jsonl import problem_row, write_jsonl
from recipes.records import Problem
from recipes.settings.compose import compose, to_yaml

RIGHT = "<think>\n1+1=2\n</think>\n\nSo \\boxed{2}"
WRONG = "<think>\n1+1=3\n</think>\n\nSo \\boxed{3}"


def problems(count: int) -> list[Problem]:
    """``p0``, ``p1`` ...: sums whose answer is 2."""
    return [Problem(f"p{index}", f"What is {index} + {2 - index}?", "2") for index in range(count)]


def sample(problem: str, index: int, solved: bool, **more: object) -> Sample:
    """A right or a wrong answer."""
    values = {"text": RIGHT if solved else WRONG, "tokens": 10 + index, "truncated": False, "seconds": 0.1}
    graded = {"verdict": "correct" if solved else "wrong", "extracted": "2" if solved else "3"}
    return Sample(**{"problem_id": problem, "sample": index, "seed": 7, **values, **graded, **more})  # type: ignore[arg-type]


def solved(counts: Mapping[str, int], n: int) -> list[Sample]:
    """The first ``counts[p]`` of each problem's n samples are right."""
    return [sample(problem, index, index < count) for problem, count in counts.items() for index in range(n)]


def evaluated(
    output: Path,
    questions: Sequence[Problem],
    samples: Sequence[Sample],
    n: int,
    name: str = "tiny_math",
    grader: str = "math",
) -> None:
    """Samples, settings and scores of one benchmark below ``output``."""
    source = output.parent / f"{output.name}_{name}.jsonl"
    write_jsonl(source, map(problem_row, questions))
    words = [f"evaluation.output={output}", f"evaluation.n={n}", "engine=hf", "engine.checkpoint=hf"]
    words += ["model=tiny", f"benchmark.name={name}", f"benchmark.path={source}", f"benchmark.grader={grader}"]
    settings = compose("evaluate", words)
    task = Task(settings, tuple(questions))
    task.store.claim(task.identity({"engine": "hf", "weights": str(output)}), replace=False)
    (task.folder / "settings.yaml").write_text(to_yaml(settings))
    task.store.settle(samples)
    score_task(task)


def scores(output: Path) -> dict:
    """Content of ``scores.json``."""
    return json.loads((output / "scores.json").read_text())
