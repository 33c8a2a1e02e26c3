"""One benchmark of an evaluation: its settings, its problems, its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.benchmarks.reading import read_benchmark
from evaluation.shards import FOLDER, Shard, shard_of
from evaluation.store import SampleStore
from recipes.data.jsonl import problem_row
from recipes.grading.graders import GradingOptions, require_graders
from recipes.records import Problem
from recipes.settings.benchmarks import settings_of_each
from recipes.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark of the evaluation."""

    settings: Settings
    """With this benchmark as ``settings.benchmark``."""
    problems: tuple[Problem, ...]

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.settings.benchmark.name

    @property
    def shard(self) -> Shard | None:
        """The part of its samples that is meant; None: all."""
        return shard_of(self.settings.evaluation)

    @property
    def whole(self) -> Task:
        """All its samples."""
        evaluation = replace(self.settings.evaluation, shards=None, shard=None)
        return replace(self, settings=replace(self.settings, evaluation=evaluation))

    @property
    def folder(self) -> Path:
        """Where its samples lie; those of a shard have a folder of their own."""
        whole = Path(self.settings.evaluation.output, self.name)
        return whole if self.shard is None else whole / FOLDER / self.shard.name

    @property
    def store(self) -> SampleStore:
        """Its samples."""
        return SampleStore(self.folder)

    @property
    def n(self) -> int:
        """Samples per problem."""
        return self.settings.evaluation.n or self.settings.benchmark.n

    @property
    def by_id(self) -> dict[str, Problem]:
        """Id -> problem, in the order of the benchmark."""
        return {problem.id: problem for problem in self.problems}

    def identity(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """What makes samples comparable: the model, how it is sampled, and the problems.

        How many samples are wanted, where they are drawn and what grades them may change.

        Args:
            weights: what tells this model from others.
        """
        evaluation, settings = self.settings.evaluation, self.settings
        return {
            **weights,
            "temperature": evaluation.temperature,
            "top_p": evaluation.top_p,
            "max_response_length": evaluation.max_response_length,
            "seed": settings.run.seed,
            "instruction": settings.benchmark.instruction,
            "problems_sha256": content_hash(self.problems),
        }


def read_tasks(settings: Settings) -> list[Task]:
    """Every benchmark of the settings.

    Raises:
        ValueError: a file whose rows the benchmark's grader cannot grade.
        SandboxUnavailable: programs are to be graded and the machine cannot run the sandbox.
    """
    return [read_task(one) for one in settings_of_each(settings)]


def read_task(settings: Settings, *, to_grade: bool = True) -> Task:
    """The benchmark ``settings.benchmark`` alone; raises as ``read_tasks``.

    Args:
        to_grade: the machine must be able to grade it; a report needs no sandbox.
    """
    benchmark = settings.benchmark
    problems = read_benchmark(benchmark)
    wanted = "answer" if benchmark.grader == "math" else "tests"
    for problem in problems:
        found = "answer" if problem.tests is None else "tests"
        if found != wanted:
            place = benchmark.path or benchmark.source
            raise ValueError(
                f"benchmark.grader={benchmark.grader}: expected {wanted!r} in every row of {place}, found {found!r} in "
                f"the one of problem {problem.id!r}"
            )
    if to_grade:
        require_graders(problems, GradingOptions(**vars(settings.grading)))
    return Task(settings, tuple(problems))


def content_hash(problems: tuple[Problem, ...]) -> str:
    """Hexadecimal SHA-256 of the problems as JSON, in their order."""
    found = hashlib.sha256()
    for problem in problems:
        found.update(json.dumps(problem_row(problem), sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return found.hexdigest()
