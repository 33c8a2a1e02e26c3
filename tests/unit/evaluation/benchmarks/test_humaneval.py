"""HumanEval through the whole harness: what is right scores 100%, what is wrong 0%, as often as it is graded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks.sources import file_rows, package_file
from evaluation.grade import main as grade
from evaluation.samples import Sample
from evaluation.score import main as score
from evaluation.tasks import Task, read_tasks
from recipes.grading.sandbox import SandboxUnavailable, require_sandbox
from recipes.settings.benchmarks import settings_of_each
from recipes.settings.compose import compose, to_yaml

PROBLEMS = 164


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


def rows() -> list[dict[str, Any]]:
    place = compose("evaluate", ["benchmark=humaneval", "engine.checkpoint=hf"]).benchmark.source
    return [row for _, row in file_rows(package_file(place.partition(":")[2]))]


def sampled(output: Path, program: Callable[[dict[str, Any]], str], every: int = 1) -> Task:
    """Samples as an engine leaves them, ungraded: one for every so many problems."""
    words = ["benchmark=humaneval", "engine=hf", "engine.checkpoint=hf", "model=tiny", f"evaluation.output={output}"]
    (settings,) = settings_of_each(compose("evaluate", [*words, "evaluation.n=1", "grading.workers=2"]))
    (task,) = read_tasks(settings)
    task.store.claim(task.identity({"engine": "hf", "weights": "none"}), replace=False)
    (task.folder / "settings.yaml").write_text(to_yaml(settings))
    texts = {row["task_id"]: f"<think>\n\n</think>\n\n```python\n{program(row)}\n```" for row in rows()[::every]}
    task.store.settle([Sample(name, 0, 7, text, 100, False, 0.1) for name, text in texts.items()])
    return task


def solved(output: Path) -> tuple[int, int]:
    """Problems that were solved, and those with a sample."""
    grade([f"output={output}"])
    score([f"output={output}"])
    row = json.loads((output / "scores.json").read_text())["humaneval"]
    rates = [rate for rate in row["per_problem"].values() if rate is not None]
    assert row["problems"] == PROBLEMS and row["missing"] == PROBLEMS - len(rates)
    return sum(rate == 1 for rate in rates), len(rates)


def test_canonical_solutions_all_pass_and_are_graded_again_to_the_byte(tmp_path: Path) -> None:
    task = sampled(tmp_path / "out", lambda row: row["prompt"] + row["canonical_solution"])
    assert solved(tmp_path / "out") == (PROBLEMS, PROBLEMS)
    files = [tmp_path / "out" / "scores.json", task.folder / "samples.jsonl"]
    before = [file.read_bytes() for file in files]
    grade([f"output={tmp_path / 'out'}", "--again"])
    score([f"output={tmp_path / 'out'}"])
    assert [file.read_bytes() for file in files] == before


def test_the_function_alone_passes_without_the_prompts_imports(tmp_path: Path) -> None:
    def alone(row: dict[str, Any]) -> str:
        text = row["prompt"] + row["canonical_solution"]
        return text[text.index(f"def {row['entry_point']}(") :]

    sampled(tmp_path / "out", alone, every=4)
    assert solved(tmp_path / "out") == (41, 41)


def test_broken_solutions_all_fail(tmp_path: Path) -> None:
    sampled(tmp_path / "out", lambda row: row["prompt"] + "    return object()\n")
    assert solved(tmp_path / "out") == (0, PROBLEMS)
