"""``python -m evaluation.compare``, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.compare import main
from recipes.records import Problem
from tests.unit.evaluation.reporting.folders import evaluated, problems, sample, solved


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "sft", tmp_path / "rl"
    evaluated(a, problems(3), solved({"p0": 0, "p1": 2, "p2": 1}, 4), 4)
    evaluated(b, problems(3), solved({"p0": 2, "p1": 4, "p2": 0}, 4), 4)
    return a, b


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_table_lists_and_json(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """d = 1/2, 1/2, -1/4: mean 1/4; with random signs four of the eight sums are as far from 0 as 3/4."""
    file = tmp_path / "new" / "compared.json"
    main([str(both[0]), str(both[1]), f"output={file}"])
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "tiny_math " in line)
    assert row.split()[:5] == ["tiny_math", "3", "25.0", "50.0", "+25.0"]
    assert "tiny_math, gained 1: p0 (0 -> 50)" in shown
    assert "tiny_math, lost 1: p2 (25 -> 0)" in shown
    found = json.loads(file.read_text())["benchmarks"]["tiny_math"]
    assert (found["difference"], found["p_value"], found["problems"]) == (0.25, 0.5, 3)
    assert found["gained"] == [{"problem_id": "p0", "a": 0.0, "b": 0.5}]
    assert found["per_problem"]["p1"] == {"a": 0.5, "b": 1.0}


def test_other_problems_are_refused(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = [*problems(2), Problem("p2", "What is 2 * 1?", "2")]  # same ids, another text
    evaluated(tmp_path / "other", other, solved({"p0": 0, "p1": 2, "p2": 1}, 4), 4)
    message = refused([str(both[0]), str(tmp_path / "other")], capsys)
    assert "were sampled from different problems" in message
    assert str(both[0]) in message and str(tmp_path / "other") in message


def test_missing_samples_and_other_settings_are_said(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluated(tmp_path / "short", problems(3), [sample(f"p{i}", 0, True) for i in range(3)], 2)
    main([str(both[0]), str(tmp_path / "short")])
    shown = capsys.readouterr().out
    assert "sampled otherwise, n 4 and 2" in shown
    assert f"3 samples are missing in {tmp_path / 'short' / 'tiny_math'}" in shown


def test_a_problem_without_a_sample_is_refused(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluated(tmp_path / "hole", problems(3), [sample("p0", 0, True), sample("p1", 0, True)], 1)
    assert "problem p2 has no sample on one side" in refused([str(both[0]), str(tmp_path / "hole")], capsys)


def test_what_is_no_evaluation_is_named(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "no scores.json there" in refused([str(both[0]), str(tmp_path / "nothing")], capsys)
    assert "expected two folders" in refused([str(both[0])], capsys)
    (both[1] / "scores.json").write_text("{")
    assert "malformed JSON" in refused([str(both[0]), str(both[1])], capsys)
    (both[1] / "scores.json").unlink()
    assert "python -m evaluation.score output=" in refused([str(both[0]), str(both[1])], capsys)


def test_no_benchmark_in_common(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluated(tmp_path / "other", problems(2), solved({"p0": 1, "p1": 0}, 2), 2, name="another")
    message = refused([str(both[0]), str(tmp_path / "other")], capsys)
    assert "no benchmark in common" in message and "another" in message
