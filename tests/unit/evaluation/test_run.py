"""``python -m evaluation.run`` with the hf engine, in this process, on a random model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from evaluation import grading
from evaluation.grade import grade_task
from evaluation.run import main
from evaluation.sample import main as sample
from evaluation.saved import saved_tasks
from recipes.data import tiny_code
from recipes.data.jsonl import problem_row, write_jsonl
from recipes.records import Problem, Verdict
from tests.unit.evaluation import tiny_checkpoint

ROWS, N, BUDGET = 3, 2, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    tiny_checkpoint.write(folder, ROWS)
    return folder


def words(folder: Path, output: Path, *more: str) -> list[str]:
    return [
        "engine=hf",
        f"engine.checkpoint={folder / 'hf'}",
        f"benchmark.path={folder / 'heldout.jsonl'}",
        f"evaluation.output={output}",
        f"evaluation.n={N}",
        f"evaluation.max_response_length={BUDGET}",
        *more,
    ]


def rows(output: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (output / name / "samples.jsonl").read_text().splitlines()]


def test_samples_scores_and_settings(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(words(folder, tmp_path))
    samples = rows(tmp_path, "tiny_math")
    keys = [
        "problem_id",
        "sample",
        "seed",
        "text",
        "tokens",
        "truncated",
        "seconds",
        "verdict",
        "extracted",
        "first_failure",
    ]
    assert [list(row) for row in samples] == [keys] * (ROWS * N)
    assert [row["sample"] for row in samples] == [0, 1] * ROWS
    scores = json.loads((tmp_path / "scores.json").read_text())["tiny_math"]
    assert (scores["n"], scores["problems"], scores["samples"], scores["missing"]) == (N, ROWS, ROWS * N, 0)
    # A random model with six tokens never gets to the end of its thinking.
    assert (scores["avg"], scores["stderr_sampling"], scores["no_answer_fraction"]) == (0.0, 0.0, 1.0)
    assert scores["mean_length"] == pytest.approx(sum(row["tokens"] for row in samples) / len(samples))
    assert set(scores["per_problem"]) == {row["problem_id"] for row in samples}
    assert "max_response_length: 6" in (tmp_path / "tiny_math" / "settings.yaml").read_text()
    assert "tiny_math: avg@2 0.000 ± 0.000 (3 problems, 6 samples, 0 missing" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "tiny_math").iterdir() if path.name.startswith(".")] == []


def test_the_same_command_draws_the_same_and_other_benchmarks_keep_their_scores(folder: Path, tmp_path: Path) -> None:
    main(words(folder, tmp_path))
    first = rows(tmp_path, "tiny_math")
    main(words(folder, tmp_path, "benchmark.name=other"))
    main(words(folder, tmp_path))
    again = rows(tmp_path, "tiny_math")
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in first]
    assert set(json.loads((tmp_path / "scores.json").read_text())) == {"tiny_math", "other"}
    assert [row["text"] for row in rows(tmp_path, "other")] != [row["text"] for row in first]


def test_two_benchmarks_in_one_process_score_as_each_alone(folder: Path, tmp_path: Path) -> None:
    code = tmp_path / "heldout_code.jsonl"
    write_jsonl(code, map(problem_row, tiny_code.problems(0, "heldout", 2)))
    (tmp_path / "heldout.jsonl").write_bytes((folder / "heldout.jsonl").read_bytes())
    given = [word for word in words(folder, tmp_path / "both") if not word.startswith("benchmark.path")]
    main([*given, f"data.directory={tmp_path}", "benchmark=tiny_math,tiny_code"])
    scores = json.loads((tmp_path / "both" / "scores.json").read_text())
    assert {name: (score["problems"], score["samples"]) for name, score in scores.items()} == {
        "tiny_math": (ROWS, ROWS * N),
        "tiny_code": (2, 2 * N),
    }
    assert {row["verdict"] for row in rows(tmp_path / "both", "tiny_code")} == {"no_code"}
    main(words(folder, tmp_path / "alone"))
    one, other = (rows(tmp_path / name, "tiny_math") for name in ("both", "alone"))
    assert [row["text"] for row in one] == [row["text"] for row in other]
    settings = (tmp_path / "both" / "tiny_code" / "settings.yaml").read_text()
    assert "name: tiny_code" in settings and "grader: code" in settings


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("benchmark.grader=code", "benchmark.grader=code: expected 'tests' in every row of"),
        ("evaluation.max_response_length=9999", "evaluation.max_response_length=9999: with a prompt of"),
        ("evaluation.n=0", "evaluation.n"),
        ("evaluation.tempratur=1", "evaluation.temperature"),
    ],
)
def test_what_cannot_work_is_said_before_any_sampling(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words(folder, tmp_path, override))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "tiny_math").exists()


def test_a_bad_benchmark_file_is_named_with_its_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "problem": "1+1?", "answer": "2"}\n{"id": "b", "problem": "1+2?", "answer": ""}\n')
    with pytest.raises(SystemExit):
        main(words(folder, tmp_path / "out", f"benchmark.path={bad}"))
    assert f"{bad}:2: key 'answer' is empty" in capsys.readouterr().err


def test_a_folder_without_a_model_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words(folder, tmp_path, f"engine.checkpoint={folder / 'tokenizer'}"))
    assert f"no {folder / 'tokenizer' / 'config.json'}" in capsys.readouterr().err


class Dies(RuntimeError):
    """In the middle of the work."""


def test_a_grading_that_was_killed_goes_on_with_the_verdicts_it_had(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "BATCH", 2)
    sample(words(folder, tmp_path))
    (task,) = saved_tasks([f"output={tmp_path}"])
    asked: list[int] = []

    class Grader:
        def grade(self, responses: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
            asked.append(len(responses))
            if sum(asked) == ROWS * N:
                raise Dies
            return [Verdict(True, "correct", text, 0.0) for text in responses]

    with pytest.raises(Dies):
        grade_task(task, Grader())  # type: ignore[arg-type]
    assert [one.verdict for one in task.store.load().values()].count("correct") == ROWS * N - 2
    asked.clear()
    grade_task(task, Grader())  # type: ignore[arg-type]
    assert asked == [2]
    assert {row["verdict"] for row in rows(tmp_path, "tiny_math")} == {"correct"}
    assert [path.name for path in (tmp_path / "tiny_math").iterdir() if path.name.startswith(".")] == []
